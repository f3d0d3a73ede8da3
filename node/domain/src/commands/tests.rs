//! Commands at one node: what is done, what is refused and with which code, and imports that can be repeated.

use std::collections::BTreeMap;

use super::*;
use crate::events::hazard_reported::HazardGrade;
use crate::events::incident_reported::Severity;
use crate::events::plan_drafted::Tier;
use crate::events::supplies_adjusted::AdjustReason;
use crate::scenario::{History, Known, counted, day, deployed, issued, received, record, reported};

mod guards;
mod plan_texts;
mod transfers;

fn code<T: std::fmt::Debug>(result: Result<T, Refused>) -> &'static str {
    result.unwrap_err().code
}

fn form_point(name: &str, id: Option<RecordId>) -> FormPoint {
    FormPoint {
        record: id,
        area: None,
        name: name.to_owned(),
        address: Some("葑门横街1号".to_owned()),
        lat_e7: Some(313_000_000),
        lon_e7: Some(1_206_000_000),
        service_radius_m: Some(500),
        keeper: Some("物业".to_owned()),
        minimums: BTreeMap::from([("雨衣".to_owned(), 5)]),
        note: None,
    }
}

fn receive(point: RecordId, lot: Option<&str>, expires: Option<&str>, quantity: i64) -> ReceiveSupplies {
    ReceiveSupplies {
        point,
        item: "饼干".to_owned(),
        unit: "箱".to_owned(),
        lot: lot.map(str::to_owned),
        expires: expires.map(day),
        quantity,
        from: "区仓库".to_owned(),
        reference: None,
        note: None,
    }
}

fn issue(point: RecordId, quantity: i64) -> IssueSupplies {
    IssueSupplies {
        point,
        item: "饼干".to_owned(),
        lot: None,
        quantity,
        to: "居民".to_owned(),
        incident: None,
        even_if_short: false,
        even_if_expired: false,
        note: None,
    }
}

fn report() -> ReportIncident {
    ReportIncident {
        record: None,
        area: None,
        category: "内涝".to_owned(),
        severity: Severity::III,
        place: "葑门横街".to_owned(),
        lat_e7: None,
        lon_e7: None,
        summary: "积水".to_owned(),
        note: None,
    }
}

#[test]
fn the_json_form_is_flat_and_names_what_it_does() {
    let point = record(1);
    let json = format!(r#"{{"do":"issue_supplies","point":"{point}","item":"饼干","quantity":3,"to":"居民"}}"#);
    let command: Command = serde_json::from_str(&json).unwrap();
    assert_eq!(command, Command::IssueSupplies(issue(point, 3)));
    let misspelt = json.replace("quantity", "quantitty");
    assert!(serde_json::from_str::<Command>(&misspelt).unwrap_err().to_string().contains("quantitty"));
}

#[test]
fn first_to_expire_goes_first_and_the_parts_follow_each_other() {
    let mut known = Known::default();
    let point = known.act("仓管", form_point("东区", None)).unwrap();
    for (lot, expires) in [(Some("乙"), Some("2027-06-01")), (Some("甲"), Some("2026-12-01")), (None, None)] {
        known.act("仓管", receive(point, lot, expires, 2)).unwrap();
    }
    let drafts = known.drafts("仓管", record(9), issue(point, 5).into()).unwrap();
    let parts: Vec<(Option<String>, i64, bool)> = drafts
        .iter()
        .map(|draft| match Fact::decode(draft.stream, &draft.kind, &draft.op).unwrap() {
            Fact::SuppliesIssued(issued) => (issued.lot, issued.quantity, draft.follows_previous),
            other => panic!("{other:?}"),
        })
        .collect();
    let lot = |lot: &str| Some(lot.to_owned());
    assert_eq!(parts, vec![(lot("甲"), 2, false), (lot("乙"), 2, true), (None, 1, true)]);
    known.act("仓管", issue(point, 5)).unwrap();
    let view = known.view(&point).unwrap();
    assert_eq!((view.heads.len(), view.conflicts.len()), (1, 0));
    let State::SupplyPoint(state) = view.state else { panic!() };
    assert_eq!(state.balance("饼干"), 1);
}

#[test]
fn more_than_the_books_show_is_refused_unless_confirmed() {
    let mut known = Known::default();
    let point = known.act("仓管", form_point("东区", None)).unwrap();
    known.act("仓管", receive(point, None, None, 2)).unwrap();
    let refused = known.act("仓管", issue(point, 3)).unwrap_err();
    assert_eq!((refused.code, refused.field), ("not_enough", Some("quantity")));
    assert!(refused.zh.contains('2') && refused.next_en.contains("even_if_short"));
    known.act("仓管", IssueSupplies { even_if_short: true, ..issue(point, 3) }).unwrap();
    let lose = AdjustSupplies {
        point,
        item: "饼干".to_owned(),
        lot: None,
        delta: -1,
        reason: AdjustReason::Lost,
        even_if_short: false,
        heads: None,
        note: None,
    };
    assert_eq!(code(known.act("仓管", lose)), "not_enough");
    assert_eq!(code(known.act("仓管", issue(point, 0))), "invalid_field");
    assert_eq!(code(known.act("仓管", issue(record(77), 1))), "unknown_record");
}

#[test]
fn a_transfer_is_sent_here_and_arrives_there_once() {
    let mut known = Known::default();
    let here = known.act("仓管", form_point("东区", None)).unwrap();
    let there = known.act("仓管", form_point("西区", None)).unwrap();
    known.act("仓管", receive(here, Some("甲"), Some("2027-06-01"), 5)).unwrap();
    let send = SendSupplies {
        point: here,
        to_point: there,
        item: "饼干".to_owned(),
        lot: Some("甲".to_owned()),
        quantity: 2,
        even_if_short: false,
        even_if_expired: false,
        note: None,
    };
    known.act("仓管", send).unwrap();
    let State::SupplyPoint(sender) = known.state(&here) else { panic!() };
    let transfer = *sender.sent.keys().next().unwrap();
    let arrive = ArriveSupplies {
        point: there,
        from_point: here,
        transfer,
        item: None,
        lot: None,
        quantity: None,
        even_if_unknown: false,
        even_if_more: false,
        note: None,
    };
    assert_eq!(code(known.act("仓管", ArriveSupplies { transfer: record(5), ..arrive.clone() })), "unknown_transfer");
    known.act("西仓管", arrive.clone()).unwrap();
    assert_eq!(code(known.act("西仓管", arrive)), "already_arrived");
    let State::SupplyPoint(receiver) = known.state(&there) else { panic!() };
    assert_eq!((sender.balance("饼干"), receiver.balance("饼干")), (3, 2));
    assert_eq!(receiver.stock["饼干"].bins["甲"].expires, Some(day("2027-06-01")), "the lot keeps its last day");
}

#[test]
fn an_incident_is_closed_once_and_reopened_before_it_goes_on() {
    let mut known = Known::default();
    let incident = known.act("值班", report()).unwrap();
    let close = CloseIncident { incident, outcome: "已排干".to_owned(), even_if_teams_there: false, note: None };
    let reopen = ReopenIncident { incident, reason: "又积水".to_owned(), note: None };
    assert_eq!(code(known.act("值班", reopen.clone())), "not_closed");
    known.act("值班", close.clone()).unwrap();
    assert_eq!(code(known.act("值班", close)), "already_closed");
    known.act("值班", reopen).unwrap();
    let link = LinkIncident { incident, duplicate_of: incident, note: None };
    assert_eq!(code(known.act("值班", link)), "itself", "an incident is not its own duplicate");
    let task = AssignIncident { incident, team: None, post: None, task: "排水".to_owned(), note: None };
    assert_eq!(code(known.act("值班", task)), "invalid_field");
}

#[test]
fn a_deployed_team_is_not_sent_elsewhere_and_names_stay_out_of_the_fold() {
    let mut known = Known::default();
    let incident = known.act("值班", report()).unwrap();
    let form = FormTeam {
        record: None,
        area: None,
        name: "横街志愿队".to_owned(),
        team_kind: Some("邻里互助组".to_owned()),
        lead: None,
        roster: BTreeMap::from([("m1".to_owned(), BTreeMap::from([("role".to_owned(), "队长".to_owned())]))]),
        kit: BTreeMap::new(),
        note: None,
    };
    let team = known.act("调度", form).unwrap();
    let certify = CertifyMember {
        team,
        member: "m1".to_owned(),
        name: "王芳".to_owned(),
        certificate: "急救".to_owned(),
        number: "1".to_owned(),
        issuer: "红十字会".to_owned(),
        expires: day("2027-01-01"),
        note: None,
    };
    let drafts = known.drafts("调度", record(9), certify.clone().into()).unwrap();
    let name = "王芳".as_bytes();
    let holds = |bytes: &[u8]| bytes.windows(name.len()).any(|window| window == name);
    assert!(!holds(&drafts[0].op) && holds(drafts[0].pii.as_deref().unwrap()));
    known.act("调度", certify.clone()).unwrap();
    assert_eq!(known.drafts("调度", record(9), certify.into()).unwrap(), vec![], "an import can be repeated");
    let deploy = DeployTeam { team, incident, people: 3, note: None };
    known.act("调度", deploy.clone()).unwrap();
    assert_eq!(code(known.act("调度", deploy)), "already_deployed");
    assert_eq!(code(known.act("调度", ReleaseTeam { team, incident: record(77), note: None })), "not_deployed");
    known.act("调度", ReleaseTeam { team, incident, note: None }).unwrap();
}

#[test]
fn a_plan_takes_two_people_and_its_issued_text_is_the_approved_one() {
    let mut known = Known::default();
    let draft = DraftPlan {
        record: None,
        area: None,
        tier: Tier::Building,
        scope: "3幢".to_owned(),
        title: "防汛".to_owned(),
        hazards: vec!["洪涝".to_owned()],
        valid_to: None,
        text: Some("甲地集合".to_owned()),
        note: None,
    };
    let plan = known.act("甲", draft.clone()).unwrap();
    let again = DraftPlan { record: Some(plan), ..draft };
    assert_eq!(known.drafts("甲", record(9), again.into()).unwrap(), vec![], "an import can be repeated");
    assert_eq!(known.view(&plan).unwrap().heads.len(), 1, "the text follows the draft");
    let approve = ApprovePlan { plan, heads: None, note: None };
    let issue = IssuePlan { plan, heads: None, note: None };
    assert_eq!(code(known.act("乙", issue.clone())), "not_approved");
    assert_eq!(code(known.act("甲", approve.clone())), "same_person");
    let State::Plan(state) = known.state(&plan) else { panic!() };
    known.act("甲", EditPlan { plan, text: "乙地集合".to_owned(), heads: None, note: None }).unwrap();
    let read = ApprovePlan { heads: Some(state.document.heads), ..approve.clone() };
    assert_eq!(code(known.act("乙", read)), "text_changed");
    known.act("乙", approve).unwrap();
    known.act("丙", issue).unwrap();
    assert_eq!(known.view(&plan).unwrap().word(), crate::state::StateWord::Issued);
}

#[test]
fn a_hazard_goes_step_by_step_and_is_closed_by_somebody_else() {
    let mut known = Known::default();
    let report = ReportHazard {
        record: None,
        area: None,
        category: "消防通道".to_owned(),
        place: "12幢".to_owned(),
        summary: "杂物堵塞".to_owned(),
        grade: HazardGrade::General,
        due: Some(day("2026-10-01")),
        note: None,
    };
    let hazard = known.act("居民", report).unwrap();
    let dispatch = DispatchHazard { hazard, to: "物业".to_owned(), note: None };
    let handle = HandleHazard { hazard, what: "已清理".to_owned(), after_photo: None, note: None };
    let close = CloseHazard { hazard, finding: "畅通".to_owned(), note: None };
    assert_eq!(code(known.act("网格员", dispatch.clone())), "wrong_step");
    known.act("网格员", FileHazard { hazard, note: None }).unwrap();
    assert_eq!(code(known.act("物业", handle.clone())), "wrong_step");
    known.act("网格员", dispatch).unwrap();
    assert_eq!(code(known.act("网格员", close.clone())), "wrong_step");
    known.act("物业", handle).unwrap();
    known.act("网格员", AnswerHazard { hazard, text: "已处理".to_owned(), note: None }).unwrap();
    assert_eq!(code(known.act("物业", close.clone())), "same_person");
    known.act("网格员", close).unwrap();
    known.act("居民", ReopenHazard { hazard, reason: "又堵了".to_owned(), note: None }).unwrap();
}

#[test]
fn importing_twice_writes_once() {
    let mut known = Known::default();
    let area: Area = "320508005".parse().unwrap();
    let id = import_id(&area, "points", "P-01");
    assert_eq!(id, import_id(&area, "points", "P-01"));
    assert_ne!(id, import_id(&area, "point", "sP-01"), "parts do not run into each other");
    known.act("导入", form_point("东区", Some(id))).unwrap();
    assert_eq!(known.drafts("导入", record(9), form_point("东区", Some(id)).into()).unwrap(), vec![]);
    assert_eq!(known.drafts("导入", record(9), form_point("东区二号", Some(id)).into()).unwrap().len(), 1);
    let line = ReceiveSupplies { reference: Some("stock.csv:7".to_owned()), ..receive(id, None, None, 5) };
    known.act("导入", line.clone()).unwrap();
    assert_eq!(known.drafts("导入", record(9), line.into()).unwrap(), vec![]);
    let survey = SurveyBuilding {
        record: Some(import_id(&area, "buildings", "12")),
        area: Some("320508005012".parse().unwrap()),
        building: "12".to_owned(),
        name: "12幢".to_owned(),
        households: 24,
        residents: 60,
        lat_e7: None,
        lon_e7: None,
        note: None,
    };
    let building = known.act("导入", survey.clone()).unwrap();
    assert_eq!(known.view(&building).unwrap().area.as_str(), "320508005012");
    assert_eq!(known.drafts("导入", record(9), survey.clone().into()).unwrap(), vec![]);
    let elsewhere = SurveyBuilding { record: None, area: Some("320509".parse().unwrap()), ..survey };
    assert_eq!(code(known.act("导入", elsewhere)), "outside_area");
    let contact = ListContact {
        record: Some(import_id(&area, "contacts", "1")),
        area: None,
        post: "联络员".to_owned(),
        scope: None,
        name: "李雷".to_owned(),
        phone: "0512-0000000".to_owned(),
        refresh: false,
        note: None,
    };
    known.act("导入", contact.clone()).unwrap();
    assert_eq!(known.drafts("导入", record(9), contact.clone().into()).unwrap(), vec![]);
    let refreshed = ListContact { refresh: true, ..contact };
    assert_eq!(known.drafts("导入", record(9), refreshed.into()).unwrap().len(), 1);
}

#[test]
fn a_conflict_is_settled_once_and_only_by_naming_one_of_its_events() {
    let mut known = Known::default();
    let history = History::new(3).cut([deployed(8)], [deployed(9)]);
    let (team, conflict, event) = (history.record, history.view().conflicts[0].id, history.events[0].id);
    known.histories.insert(team, history);
    let settle = SettleConflict {
        record: team,
        conflict,
        keep: Some(event),
        counted: None,
        heads: None,
        decision: "定".to_owned(),
        note: None,
    };
    let other = EventId::from_bytes([9; 32]);
    assert_eq!(code(known.act("主任", SettleConflict { keep: Some(other), ..settle.clone() })), "invalid_field");
    let unknown = SettleConflict { conflict: record(5), ..settle.clone() };
    assert_eq!(code(known.act("主任", unknown)), "unknown_conflict");
    known.act("主任", settle.clone()).unwrap();
    assert_eq!(code(known.act("主任", settle)), "already_settled");
}

#[test]
fn a_command_for_another_kind_of_record_is_refused() {
    let mut known = Known::default();
    let incident = known.act("值班", report()).unwrap();
    assert_eq!(code(known.act("仓管", issue(incident, 1))), "other_kind_of_record");
    assert_eq!(code(known.act("仓管", form_point("东区", Some(incident)))), "other_kind_of_record");
}

#[test]
fn every_refusal_says_what_to_do_next_in_both_languages() {
    for reason in Refusal::ALL {
        let refused = Refused::new(*reason);
        assert!(!refused.next_zh.is_empty() && !refused.next_en.is_empty(), "{}", refused.code);
        assert!(refused.zh.ends_with('。') && refused.en.ends_with('.'), "{}", refused.code);
    }
}

#[test]
fn the_desk_shows_what_needs_somebody_and_the_figures_add_up() {
    let mut known = Known::default();
    let incident = known.act("值班", report()).unwrap();
    let here = known.act("仓管", form_point("东区", None)).unwrap();
    let there = known.act("仓管", form_point("西区", None)).unwrap();
    known.act("仓管", receive(here, Some("甲"), Some("2026-10-30"), 5)).unwrap();
    known.act("仓管", receive(here, Some("乙"), Some("2027-10-30"), 5)).unwrap();
    let send = SendSupplies {
        point: here,
        to_point: there,
        item: "饼干".to_owned(),
        lot: Some("乙".to_owned()),
        quantity: 1,
        even_if_short: false,
        even_if_expired: false,
        note: None,
    };
    known.act("仓管", send).unwrap();
    for (n, lat_e7) in [Some(313_010_000), Some(314_000_000), None].into_iter().enumerate() {
        let building = SurveyBuilding {
            record: None,
            area: None,
            building: n.to_string(),
            name: format!("{n}幢"),
            households: 10,
            residents: 25,
            lat_e7,
            lon_e7: lat_e7.map(|_| 1_206_000_000),
            note: None,
        };
        known.act("网格员", building).unwrap();
    }
    let pump = History::of([received("水泵", None, 1)]).cut([issued("水泵", 1)], [issued("水泵", 1)]);
    known.histories.insert(pump.record, pump.clone());
    let mut recounted = History::new(44).then(received("水泵", None, 1)).cut([issued("水泵", 1)], [issued("水泵", 1)]);
    recounted = recounted.then(counted("水泵", 0)).then(reported());
    known.histories.insert(recounted.record, recounted);

    let views = known.histories.keys().filter_map(|id| known.view(id));
    let summaries: Vec<crate::summary::Summary> = views.map(|view| (&view).into()).collect();
    let desk = crate::desk::Desk::from_summaries(&summaries, day("2026-09-21"));
    assert_eq!(desk.incidents.iter().map(|line| line.id).collect::<Vec<_>>(), vec![incident]);
    let short: Vec<&str> = desk.short.iter().map(|line| line.line.item.as_str()).collect();
    assert_eq!(short.iter().filter(|item| **item == "雨衣").count(), 2, "a minimum of something that never came");
    assert_eq!(short.iter().filter(|item| **item == "水泵").count(), 1);
    assert_eq!(desk.expiring.iter().map(|line| line.days_left).collect::<Vec<_>>(), vec![39]);
    assert_eq!(desk.in_transit.iter().map(|line| line.to_name.as_str()).collect::<Vec<_>>(), vec!["西区"]);
    assert_eq!(desk.conflicts.iter().map(|line| line.record).collect::<Vec<_>>(), vec![pump.record]);

    let figures = crate::figures::figures(&summaries, day("2026-09-21"));
    assert_eq!((figures.points, figures.buildings, figures.buildings_covered), (4, 3, 1));
    assert_eq!((figures.covered_permille, figures.residents, figures.buildings_without_position), (333, 75, 1));
}
