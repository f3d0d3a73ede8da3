//! Which acts fit a record as it stands. The domain decides what is allowed; this decides in which order it is offered.

use linli_core::area::Area;
use linli_domain::commands::{Act, may};
use linli_domain::documents::Rendered;
use linli_domain::record::RecordView;
use linli_domain::state::State;
use linli_domain::state::document::DocumentState;

use crate::http::catalogue::form_named;
use crate::http::forms::{Form, degrees};
use crate::http::input::Fields;

/// The forms for a record at a node of an area, the most likely first, with the values that they start from: just those
/// acts that the domain allows as the record stands. Only who speaks for the record adopts what came from outside.
pub(crate) fn next_acts(view: &RecordView, area: &Area) -> Vec<(&'static Form, Fields)> {
    let (record_name, acts) = acts_of(&view.state);
    let adopts = view.is_covered_by(area).then_some("adopt_acts");
    let allowed = |act: &&str| Act::named(act).is_some_and(|act| may(act, view).is_ok());
    let of_kind = acts.iter().copied().filter(allowed).map(|act| (act, record_name));
    let acts = adopts.into_iter().filter(allowed).map(|act| (act, "record")).chain(of_kind);
    let form = |(act, record_name)| Some((form_named(act)?, Fields(start_values(view, act, record_name))));
    acts.filter_map(form).collect()
}

/// What can be done with each kind of record, in the order in which its life asks for it.
const fn acts_of(state: &State) -> (&'static str, &'static [&'static str]) {
    match state {
        State::Incident(_) => (
            "incident",
            &[
                "verify_incident",
                "update_incident",
                "assign_incident",
                "close_incident",
                "reopen_incident",
                "link_incident",
            ],
        ),
        State::Hazard(_) => (
            "hazard",
            &["file_hazard", "close_hazard", "handle_hazard", "dispatch_hazard", "reopen_hazard", "answer_hazard"],
        ),
        State::SupplyPoint(_) => (
            "point",
            &[
                "issue_supplies",
                "receive_supplies",
                "send_supplies",
                "arrive_supplies",
                "count_supplies",
                "adjust_supplies",
                "set_point",
            ],
        ),
        State::Team(_) => ("team", &["release_team", "check_in_team", "deploy_team", "certify_member", "set_team"]),
        State::Plan(_) => ("plan", &["issue_plan", "approve_plan", "edit_plan", "supersede_plan"]),
        State::Building(_) | State::Contact(_) | State::Unknown => ("", &[]),
    }
}

fn start_values(view: &RecordView, act: &str, record_name: &str) -> Vec<(String, String)> {
    let mut values = vec![(record_name.to_owned(), view.record.to_string())];
    if view.outside > 0 {
        // Whoever adopts lets count what the page showed, and nothing that came since.
        let waiting: Vec<String> = view.outside().map(|event| event.to_string()).collect();
        values.push(("events".to_owned(), waiting.join(" ")));
    }
    if let State::Plan(plan) = &view.state {
        values.push(("text".to_owned(), plan.document.rendered.text.clone()));
    }
    // What a form stands on goes with it: what others change meanwhile is then not taken back.
    if let Some(document) = view.state.document() {
        // Whoever counts stands on all that the record shows, and whoever changes its document on that.
        let heads = if counts_stock(act) { record_heads(view) } else { heads_text(document) };
        values.push(("heads".to_owned(), heads));
        if let State::SupplyPoint(_) | State::Team(_) = &view.state {
            values.extend(profile_values(&document.rendered));
        }
    }
    values
}

/// Acts that say what there is by who has seen the stock as the form shows it.
fn counts_stock(act: &str) -> bool {
    matches!(act, "count_supplies" | "adjust_supplies")
}

/// The heads of a record as a form carries them.
pub(crate) fn record_heads(view: &RecordView) -> String {
    view.heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The heads of a document as a form carries them.
pub(crate) fn heads_text(document: &DocumentState) -> String {
    document.heads.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The profile as its form shows it: what is not touched is sent back as it is, and changes nothing.
pub(crate) fn profile_values(rendered: &Rendered) -> Vec<(String, String)> {
    let mut values: Vec<(String, String)> = rendered
        .fields
        .iter()
        .map(|(key, value)| match (key.as_str(), value.parse::<i64>()) {
            ("lat_e7" | "lon_e7", Ok(e7)) => (key.clone(), degrees(e7)),
            ("kind", _) => ("team_kind".to_owned(), value.clone()),
            _ => (key.clone(), value.clone()),
        })
        .collect();
    let minimums: Vec<String> = rendered
        .lists
        .get("minimums")
        .into_iter()
        .flatten()
        .filter_map(|(item, fields)| Some(format!("{item} {}", fields.get("quantity")?)))
        .collect();
    values.push(("minimums".to_owned(), minimums.join("\n")));
    values
}
