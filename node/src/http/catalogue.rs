//! Every form of the pages: one entry per act, in the order in which a record's life asks for them.

use super::forms::{Field, First, Form, Kind, Source};
use crate::words::Word;

/// Acts of the phone page, most urgent first.
pub(crate) const PHONE: [&str; 4] = ["report_incident", "report_hazard", "issue_supplies", "check_in_team"];
/// Acts that the desk offers at its top.
pub(crate) const BEGIN: [&str; 5] =
    ["report_incident", "report_hazard", "issue_supplies", "check_in_team", "assign_incident"];
/// Every act that is not about a conflict, by what it is about.
pub(crate) const ACTS: [(Word, &[&str]); 5] = [
    (
        Word::Incidents,
        &[
            "report_incident",
            "verify_incident",
            "assign_incident",
            "update_incident",
            "close_incident",
            "reopen_incident",
            "link_incident",
        ],
    ),
    (Word::Teams, &["check_in_team", "deploy_team", "release_team", "certify_member", "form_team", "set_team"]),
    (
        Word::Supplies,
        &[
            "issue_supplies",
            "receive_supplies",
            "send_supplies",
            "arrive_supplies",
            "count_supplies",
            "adjust_supplies",
            "form_point",
            "set_point",
        ],
    ),
    (
        Word::Hazards,
        &[
            "report_hazard",
            "file_hazard",
            "dispatch_hazard",
            "handle_hazard",
            "answer_hazard",
            "close_hazard",
            "reopen_hazard",
        ],
    ),
    (Word::Plans, &["draft_plan", "edit_plan", "approve_plan", "issue_plan", "supersede_plan"]),
];

/// The form that settles a conflict: what is about stock is counted, and of anything else one side may hold.
pub(crate) fn settling(asks_for_a_count: bool) -> Option<Form> {
    let form = form_named("settle_conflict")?;
    Some(Form { fields: if asks_for_a_count { &SETTLE_BY_COUNT } else { &SETTLE_BY_SIDE }, ..*form })
}

/// The form of an act.
pub(crate) fn form_named(act: &str) -> Option<&'static Form> {
    FORMS.iter().find(|form| form.act == act)
}

/// What has to be chosen before a form can be shown: the record that it is about. A conflict is settled on the page of
/// its record only, where all sides stand.
pub(crate) fn first_of(form: &Form) -> Option<First> {
    let (label, source) = match (form.act, *form.fixed.first()?) {
        ("reopen_incident", _) => (Word::ChooseIncident, Source::ClosedIncidents),
        ("reopen_hazard", _) => (Word::ChooseHazard, Source::ClosedHazards),
        (_, "incident") => (Word::ChooseIncident, Source::Incidents),
        (_, "hazard") => (Word::ChooseHazard, Source::Hazards),
        (_, "point") => (Word::ChoosePoint, Source::SupplyPoints),
        (_, "team") => (Word::ChooseTeam, Source::Teams),
        (_, "plan") => (Word::ChoosePlan, Source::Plans),
        _ => return None,
    };
    Some(First { name: form.fixed[0], label, source })
}

const SEVERITIES: Kind = Kind::Choice(&[
    ("I", Word::SeverityOne),
    ("II", Word::SeverityTwo),
    ("III", Word::SeverityThree),
    ("IV", Word::SeverityFour),
]);
const GRADES: Kind = Kind::Choice(&[("general", Word::GradeGeneral), ("major", Word::GradeMajor)]);
const READINESS: Kind = Kind::Choice(&[
    ("ready", Word::ReadinessReady),
    ("limited", Word::ReadinessLimited),
    ("unavailable", Word::ReadinessUnavailable),
]);
const TIERS: Kind = Kind::Choice(&[
    ("household", Word::TierHousehold),
    ("building", Word::TierBuilding),
    ("community", Word::TierCommunity),
]);
const REASONS: Kind = Kind::Choice(&[
    ("lost", Word::ReasonLost),
    ("damaged", Word::ReasonDamaged),
    ("expired", Word::ReasonExpired),
    ("found", Word::ReasonFound),
]);

const fn on(
    act: &'static str,
    title: Word,
    section: &'static str,
    fixed: &'static [&'static str],
    fields: &'static [Field],
) -> Form {
    Form { act, title, section, fixed, fields }
}

const INCIDENTS: &str = "/lists/incidents";
const HAZARDS: &str = "/lists/hazards";
const SUPPLIES: &str = "/lists/supplies";
const TEAMS: &str = "/lists/teams";
const PLANS: &str = "/lists/plans";

static FORMS: &[Form] = &[
    // Incidents.
    on(
        "report_incident",
        Word::DoReportIncident,
        INCIDENTS,
        &[],
        &[
            Field::new("category", Word::Category, Kind::Line).hint(Word::CategoryHint),
            Field::new("severity", Word::Severity, SEVERITIES),
            Field::new("place", Word::Place, Kind::Line).hint(Word::PlaceHint),
            Field::new("summary", Word::Summary, Kind::Text).hint(Word::SummaryHint),
        ],
    ),
    on("verify_incident", Word::DoVerifyIncident, INCIDENTS, &["incident"], &[NOTE]),
    on(
        "assign_incident",
        Word::DoAssignIncident,
        INCIDENTS,
        &["incident"],
        &[
            Field::optional("team", Word::AssigneeTeam, Kind::Among(Source::Teams)),
            Field::optional("post", Word::AssigneePost, Kind::Line).hint(Word::AssigneeHint),
            Field::new("task", Word::Task, Kind::Text),
        ],
    ),
    on(
        "update_incident",
        Word::DoUpdateIncident,
        INCIDENTS,
        &["incident"],
        &[
            Field::new("text", Word::WhatIsNew, Kind::Text),
            Field::optional("dead", Word::Dead, Kind::Number(0)),
            Field::optional("injured", Word::Injured, Kind::Number(0)),
            Field::optional("missing", Word::Missing, Kind::Number(0)),
        ],
    ),
    on(
        "link_incident",
        Word::DoLinkIncident,
        INCIDENTS,
        &["incident"],
        &[Field::new("duplicate_of", Word::SameAs, Kind::Among(Source::Incidents))],
    ),
    on(
        "close_incident",
        Word::DoCloseIncident,
        INCIDENTS,
        &["incident"],
        &[
            Field::new("outcome", Word::Outcome, Kind::Text),
            Field::optional("even_if_teams_there", Word::EvenIfTeamsThere, Kind::Tick),
        ],
    ),
    on("reopen_incident", Word::DoReopen, INCIDENTS, &["incident"], &[Field::new("reason", Word::Reason, Kind::Text)]),
    // Hazards.
    on(
        "report_hazard",
        Word::DoReportHazard,
        HAZARDS,
        &[],
        &[
            Field::new("category", Word::Category, Kind::Line).hint(Word::HazardCategoryHint),
            Field::new("grade", Word::Grade, GRADES),
            Field::new("place", Word::Place, Kind::Line).hint(Word::PlaceHint),
            Field::new("summary", Word::Summary, Kind::Text),
            Field::optional("due", Word::Due, Kind::Date),
        ],
    ),
    on("file_hazard", Word::DoFileHazard, HAZARDS, &["hazard"], &[NOTE]),
    on(
        "dispatch_hazard",
        Word::DoDispatchHazard,
        HAZARDS,
        &["hazard"],
        &[Field::new("to", Word::DispatchTo, Kind::Line)],
    ),
    on(
        "handle_hazard",
        Word::DoHandleHazard,
        HAZARDS,
        &["hazard"],
        &[Field::new("what", Word::WhatWasDone, Kind::Text)],
    ),
    on(
        "answer_hazard",
        Word::DoAnswerHazard,
        HAZARDS,
        &["hazard"],
        &[Field::new("text", Word::ToldReporter, Kind::Text)],
    ),
    on(
        "close_hazard",
        Word::DoCloseHazard,
        HAZARDS,
        &["hazard"],
        &[Field::new("finding", Word::Finding, Kind::Text).hint(Word::FindingHint)],
    ),
    on("reopen_hazard", Word::DoReopen, HAZARDS, &["hazard"], &[Field::new("reason", Word::Reason, Kind::Text)]),
    // Supplies.
    on(
        "issue_supplies",
        Word::DoIssueSupplies,
        SUPPLIES,
        &["point"],
        &[
            Field::new("item", Word::Item, Kind::Among(Source::Items)).hint(Word::ItemsHint),
            Field::new("quantity", Word::Quantity, Kind::Number(1)),
            Field::new("to", Word::IssueTo, Kind::Line).hint(Word::IssueToHint),
            Field::optional("incident", Word::ForIncident, Kind::Among(Source::Incidents)),
            Field::optional("even_if_short", Word::EvenIfShort, Kind::Tick),
        ],
    ),
    on(
        "receive_supplies",
        Word::DoReceiveSupplies,
        SUPPLIES,
        &["point"],
        &[
            Field::new("item", Word::Item, Kind::Line),
            Field::new("unit", Word::Unit, Kind::Line).hint(Word::UnitHint),
            Field::new("quantity", Word::Quantity, Kind::Number(1)),
            Field::optional("lot", Word::Lot, Kind::Line),
            Field::optional("expires", Word::Expires, Kind::Date),
            Field::new("from", Word::ReceivedFrom, Kind::Line),
        ],
    ),
    on(
        "send_supplies",
        Word::DoSendSupplies,
        SUPPLIES,
        &["point"],
        &[
            Field::new("item", Word::Item, Kind::Among(Source::Items)).hint(Word::ItemsHint),
            Field::new("quantity", Word::Quantity, Kind::Number(1)),
            Field::new("to_point", Word::ToPoint, Kind::Among(Source::SupplyPoints)),
            Field::optional("even_if_short", Word::EvenIfShort, Kind::Tick),
        ],
    ),
    on(
        "arrive_supplies",
        Word::DoArriveSupplies,
        SUPPLIES,
        &["point"],
        &[
            Field::new("transfer", Word::Transfer, Kind::Among(Source::Transits)),
            Field::optional("quantity", Word::ArrivedQuantity, Kind::Number(1)).hint(Word::ArrivedQuantityHint),
            Field::optional("even_if_more", Word::EvenIfMore, Kind::Tick),
        ],
    ),
    on(
        "count_supplies",
        Word::DoCountSupplies,
        SUPPLIES,
        &["point", "heads"],
        &[
            Field::new("item", Word::Item, Kind::Among(Source::Bins)),
            Field::new("quantity", Word::CountedQuantity, Kind::Number(0)),
        ],
    ),
    on(
        "adjust_supplies",
        Word::DoAdjustSupplies,
        SUPPLIES,
        &["point", "heads"],
        &[
            Field::new("item", Word::Item, Kind::Among(Source::Bins)),
            Field::new("delta", Word::Delta, Kind::Number(-1_000_000)).hint(Word::DeltaHint),
            Field::new("reason", Word::Reason, REASONS),
            Field::optional("even_if_short", Word::EvenIfShort, Kind::Tick),
        ],
    ),
    on("form_point", Word::DoFormPoint, SUPPLIES, &[], &POINT_PROFILE),
    on("set_point", Word::DoSetPoint, SUPPLIES, &["point", "heads"], &POINT_PROFILE),
    // Teams.
    on("form_team", Word::DoFormTeam, TEAMS, &[], &TEAM_PROFILE),
    on("set_team", Word::DoSetTeam, TEAMS, &["team", "heads"], &TEAM_PROFILE),
    on(
        "check_in_team",
        Word::DoCheckInTeam,
        TEAMS,
        &["team"],
        &[Field::new("place", Word::CheckInPlace, Kind::Line), Field::new("readiness", Word::Readiness, READINESS)],
    ),
    on(
        "deploy_team",
        Word::DoDeployTeam,
        TEAMS,
        &["team"],
        &[
            Field::new("incident", Word::ForIncident, Kind::Among(Source::Incidents)),
            Field::new("people", Word::People, Kind::Number(1)),
        ],
    ),
    on(
        "release_team",
        Word::DoReleaseTeam,
        TEAMS,
        &["team"],
        &[Field::new("incident", Word::FromIncident, Kind::Among(Source::Deployments))],
    ),
    on(
        "certify_member",
        Word::DoCertifyMember,
        TEAMS,
        &["team"],
        &[
            Field::new("member", Word::Member, Kind::Line).hint(Word::MemberHint),
            Field::new("name", Word::OperatorName, Kind::Line).hint(Word::PersonalHint),
            Field::new("certificate", Word::Certificate, Kind::Line),
            Field::new("number", Word::CertificateNumber, Kind::Line),
            Field::new("issuer", Word::Issuer, Kind::Line),
            Field::new("expires", Word::ValidTo, Kind::Date),
        ],
    ),
    // Plans.
    on(
        "draft_plan",
        Word::DoDraftPlan,
        PLANS,
        &[],
        &[
            Field::new("title", Word::PlanTitle, Kind::Line),
            Field::new("tier", Word::Tier, TIERS),
            Field::new("scope", Word::Scope, Kind::Line).hint(Word::ScopeHint),
            Field::new("hazards", Word::PlanHazards, Kind::Lines).hint(Word::OnePerLine),
            Field::optional("valid_to", Word::ValidTo, Kind::Date),
            Field::new("text", Word::PlanText, Kind::LongText),
        ],
    ),
    on("edit_plan", Word::DoEditPlan, PLANS, &["plan", "heads"], &[Field::new("text", Word::PlanText, Kind::LongText)]),
    on("approve_plan", Word::DoApprovePlan, PLANS, &["plan", "heads"], &[NOTE]),
    on("issue_plan", Word::DoIssuePlan, PLANS, &["plan", "heads"], &[NOTE]),
    on(
        "supersede_plan",
        Word::DoSupersedePlan,
        PLANS,
        &["plan"],
        &[Field::new("by_plan", Word::ByPlan, Kind::Among(Source::Plans))],
    ),
    // Conflicts.
    on("settle_conflict", Word::DoSettle, "/", &["record", "conflict", "heads"], &[KEEP, COUNTED, DECISION]),
    on("adopt_acts", Word::DoAdoptActs, "/", &["record", "events"], &[NOTE]),
    on(
        "explain_check",
        Word::DoExplainCheck,
        "/",
        &["record", "check"],
        &[Field::new("explanation", Word::Explanation, Kind::Text)],
    ),
];

const KEEP: Field = Field::optional("keep", Word::KeepSide, Kind::Among(Source::Sides)).hint(Word::KeepSideHint);
const COUNTED: Field =
    Field::optional("counted", Word::CountedQuantity, Kind::Number(0)).hint(Word::CountedToSettleHint);
const DECISION: Field = Field::new("decision", Word::Decision, Kind::Text);
static SETTLE_BY_SIDE: [Field; 2] = [KEEP, DECISION];
static SETTLE_BY_COUNT: [Field; 2] = [COUNTED, DECISION];
static POINT_PROFILE: [Field; 7] = [
    Field::new("name", Word::Name, Kind::Line),
    Field::optional("address", Word::Address, Kind::Line),
    Field::optional("keeper", Word::Keeper, Kind::Line).hint(Word::PostHint),
    Field::optional("service_radius_m", Word::RadiusMetres, Kind::Number(0)),
    Field::optional("lat_e7", Word::Latitude, Kind::Degrees).hint(Word::LatitudeHint),
    Field::optional("lon_e7", Word::Longitude, Kind::Degrees).hint(Word::LongitudeHint),
    Field::optional("minimums", Word::Minimums, Kind::Quantities).hint(Word::MinimumsHint),
];
static TEAM_PROFILE: [Field; 3] = [
    Field::new("name", Word::Name, Kind::Line),
    Field::optional("team_kind", Word::TeamKind, Kind::Line).hint(Word::TeamKindHint),
    Field::optional("lead", Word::TeamLead, Kind::Line).hint(Word::PostHint),
];
const NOTE: Field = Field::optional("note", Word::Note, Kind::Text);

/// What the form of an act calls a field; another form's word for it where this one has none.
pub(crate) fn label_in(act: &str, name: &str) -> Option<Word> {
    let mut fields = form_named(act).into_iter().chain(FORMS).flat_map(|form| form.fields);
    fields.find(|field| field.name == name).map(|field| field.label)
}

/// What the forms call a particular of an event; the history calls it the same. Several acts use one name for different
/// things, so the act of this very event is asked first, and then the others of its stream. An act is the imperative of
/// its event's past participle: `issue_supplies` begins as `issued` does.
pub(crate) fn label_of(stream: &str, kind: &str, name: &str) -> Option<Word> {
    const STEM: usize = 4;
    let section = match stream {
        "incidents" => INCIDENTS,
        "teams" => TEAMS,
        "supplies" => SUPPLIES,
        "plans" => PLANS,
        _ => HAZARDS,
    };
    let of_kind = |form: &&Form| form.section == section && form.act.get(..STEM) == kind.get(..STEM);
    let fields = |form: &'static Form| form.fields.iter();
    let first = FORMS.iter().filter(of_kind).flat_map(fields);
    let then = FORMS.iter().filter(|form| form.section == section).flat_map(fields);
    first.chain(then).chain(FORMS.iter().flat_map(fields)).find(|field| field.name == name).map(|field| field.label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::forms::{BIN_SEPARATOR, Kind};
    use crate::http::input::Fields;

    /// What somebody might type into a field.
    fn sample(kind: Kind) -> String {
        let record = "018f3c1e-0000-7000-8000-000000000000";
        match kind {
            Kind::Line => "解放路 3 号楼".into(),
            Kind::Text | Kind::LongText => "第一行\n第二行".into(),
            Kind::Number(min) => min.max(1).to_string(),
            Kind::Date => "2026-11-24".into(),
            Kind::Degrees => "31.29901".into(),
            Kind::Quantities => "帐篷 20".into(),
            Kind::Choice(choices) => choices[0].0.into(),
            Kind::Among(Source::Items) => "帐篷".into(),
            Kind::Among(Source::Bins) => format!("帐篷{BIN_SEPARATOR}L1"),
            Kind::Among(Source::Transits) => format!("{record}{BIN_SEPARATOR}{record}"),
            Kind::Among(Source::Sides) => "ab".repeat(32),
            Kind::Among(_) => record.into(),
            Kind::Tick => "yes".into(),
            Kind::Lines => "暴雨\n内涝".into(),
        }
    }

    #[test]
    fn every_form_filled_in_is_an_act_of_the_domain() {
        for form in FORMS {
            let mut typed: Vec<(String, String)> =
                form.fields.iter().map(|field| (field.name.to_owned(), sample(field.kind))).collect();
            typed.extend(form.fixed.iter().map(|name| match *name {
                "heads" | "events" => (name.to_string(), "cd".repeat(32)),
                name => (name.to_owned(), "018f3c1e-0000-7000-8000-000000000000".to_owned()),
            }));
            form.command(&Fields(typed)).unwrap_or_else(|error| panic!("{}: {error:?}", form.act));
        }
    }

    #[test]
    fn every_field_that_must_be_filled_in_is_named_when_it_is_empty() {
        for form in FORMS {
            let Some(required) = form.fields.iter().find(|field| field.required) else { continue };
            let error = form.command(&Fields(vec![])).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(required.name), "{}", form.act);
        }
    }

    #[test]
    fn one_name_means_different_things_in_different_events() {
        assert_eq!(label_of("supplies", "issued", "to"), Some(Word::IssueTo));
        assert_eq!(label_of("community", "dispatched", "to"), Some(Word::DispatchTo));
        assert_eq!(label_of("teams", "certified", "name"), Some(Word::OperatorName));
        assert_eq!(label_of("incidents", "closed", "no_such_field"), None);
    }

    #[test]
    fn every_list_names_forms() {
        for act in PHONE.iter().chain(&BEGIN).chain(ACTS.iter().flat_map(|(_, acts)| acts.iter())) {
            assert!(form_named(act).is_some(), "{act}");
        }
    }

    #[test]
    fn every_act_stands_on_the_desk_once_except_those_about_what_came_up() {
        let on_desk: Vec<&str> = ACTS.iter().flat_map(|(_, acts)| acts.iter().copied()).collect();
        for form in FORMS {
            let times = on_desk.iter().filter(|act| **act == form.act).count();
            let came_up = matches!(form.act, "settle_conflict" | "adopt_acts" | "explain_check");
            assert_eq!(times, usize::from(!came_up), "{}", form.act);
        }
    }
}
