//! What a node can know to be wrong: steps, stock, people, plans, and who speaks for a record.

use super::*;
use crate::crosscheck::{CheckClass, crosschecks};
use crate::record::Rule;
use crate::scenario::closed;
use crate::state::StateWord;

#[test]
fn a_hazard_that_was_opened_again_is_handled_anew_before_it_is_closed() {
    let mut known = Known::default();
    let hazard = closed_hazard(&mut known);
    let dispatch = DispatchHazard { hazard, to: "物业".to_owned(), note: None };
    let close = CloseHazard { hazard, finding: "畅通".to_owned(), note: None };
    known.act("居民", ReopenHazard { hazard, reason: "又堵了".to_owned(), note: None }).unwrap();
    assert_eq!(known.view(&hazard).unwrap().word(), StateWord::Reopened);
    assert_eq!(code(known.act("网格员", close.clone())), "wrong_step");
    known.act("网格员", dispatch).unwrap();
    assert_eq!(known.view(&hazard).unwrap().word(), StateWord::Dispatched);
    known.act("物业", HandleHazard { hazard, what: "再次清理".to_owned(), after_photo: None, note: None }).unwrap();
    assert_eq!(known.view(&hazard).unwrap().word(), StateWord::Handled);
    known.act("网格员", close).unwrap();
    assert_eq!(known.view(&hazard).unwrap().marks.total, 0);
}

fn closed_hazard(known: &mut Known) -> RecordId {
    let report = ReportHazard {
        record: None,
        area: None,
        category: "消防通道".to_owned(),
        place: "12幢".to_owned(),
        summary: "杂物堵塞".to_owned(),
        grade: HazardGrade::Major,
        due: None,
        note: None,
    };
    let hazard = known.act("居民", report).unwrap();
    known.act("网格员", FileHazard { hazard, note: None }).unwrap();
    known.act("网格员", DispatchHazard { hazard, to: "物业".to_owned(), note: None }).unwrap();
    known.act("物业", HandleHazard { hazard, what: "已清理".to_owned(), after_photo: None, note: None }).unwrap();
    known.act("网格员", CloseHazard { hazard, finding: "畅通".to_owned(), note: None }).unwrap();
    hazard
}

/// A pump of which one was there, handed out on both sides of a cut: the books show -1.
fn overdrawn(known: &mut Known) -> (RecordId, RecordId) {
    let history = History::new(5).then(received("水泵", None, 1)).cut([issued("水泵", 1)], [issued("水泵", 1)]);
    let (point, conflict) = (history.record, history.view().conflicts[0].id);
    known.histories.insert(point, history);
    (point, conflict)
}

#[test]
fn an_overdraw_is_settled_by_what_was_counted_and_never_by_choosing_a_side() {
    let mut known = Known::default();
    let (point, conflict) = overdrawn(&mut known);
    let keep = Some(known.histories[&point].events[1].id);
    let settle = SettleConflict {
        record: point,
        conflict,
        keep: None,
        counted: None,
        heads: None,
        decision: "已盘点".to_owned(),
        note: None,
    };
    let refused = known.act("主任", SettleConflict { keep, ..settle.clone() }).unwrap_err();
    assert_eq!((refused.code, refused.field), ("count_instead", Some("keep")));
    let refused = known.act("主任", settle.clone()).unwrap_err();
    assert_eq!((refused.code, refused.field), ("count_instead", Some("counted")));
    known.act("主任", SettleConflict { counted: Some(0), ..settle }).unwrap();
    let view = known.view(&point).unwrap();
    let State::SupplyPoint(state) = &view.state else { panic!() };
    assert_eq!((state.balance("水泵"), view.open_conflicts().count()), (0, 0));
}

#[test]
fn what_has_expired_does_not_leave_before_what_is_good() {
    let mut known = Known::default();
    let point = known.act("仓管", form_point("东区", None)).unwrap();
    known.act("仓管", receive(point, Some("旧"), Some("2026-05-31"), 10)).unwrap();
    known.act("仓管", receive(point, Some("新"), Some("2027-12-31"), 20)).unwrap();
    known.act("仓管", issue(point, 15)).unwrap();
    let bins = |known: &Known| match known.state(&point) {
        State::SupplyPoint(state) => {
            (state.stock["饼干"].bins["旧"].balance(), state.stock["饼干"].bins["新"].balance())
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(bins(&known), (10, 5));
    let refused = known.act("仓管", issue(point, 6)).unwrap_err();
    assert!(refused.code == "not_enough" && refused.zh.contains("只有5"), "{refused:?}");
    let named = IssueSupplies { lot: Some("旧".to_owned()), ..issue(point, 1) };
    assert_eq!(code(known.act("仓管", named.clone())), "lot_expired");
    known.act("仓管", IssueSupplies { even_if_expired: true, ..named }).unwrap();
    assert_eq!(bins(&known), (9, 5));
    assert_eq!(known.view(&point).unwrap().marks.latest.last().unwrap().rule, Rule::LotExpired);
}

#[test]
fn an_item_is_received_in_its_own_unit_only() {
    let mut known = Known::default();
    let point = known.act("仓管", form_point("东区", None)).unwrap();
    known.act("仓管", receive(point, None, None, 2)).unwrap();
    let bottles = ReceiveSupplies { unit: "瓶".to_owned(), ..receive(point, None, None, 24) };
    let refused = known.act("仓管", bottles).unwrap_err();
    assert!(refused.code == "other_unit" && refused.zh.contains('箱'), "{refused:?}");
}

fn team(known: &mut Known, name: &str, members: &[&str]) -> RecordId {
    let form = FormTeam {
        record: None,
        area: None,
        name: name.to_owned(),
        team_kind: None,
        lead: None,
        roster: members
            .iter()
            .map(|m| ((*m).to_owned(), BTreeMap::from([("role".to_owned(), "队员".to_owned())])))
            .collect(),
        kit: BTreeMap::new(),
        note: None,
    };
    known.act("调度", form).unwrap()
}

fn certify(known: &mut Known, team: RecordId, member: &str, number: &str) {
    let certify = CertifyMember {
        team,
        member: member.to_owned(),
        name: "王芳".to_owned(),
        certificate: format!("急救{number}"),
        number: number.to_owned(),
        issuer: "红十字会".to_owned(),
        expires: day("2027-01-01"),
        note: None,
    };
    known.act("调度", certify).unwrap();
}

fn set_team(team: RecordId) -> SetTeam {
    serde_json::from_value(serde_json::json!({"team": team})).unwrap()
}

#[test]
fn three_certified_people_on_the_roster_make_a_team_ready_and_three_certificates_do_not() {
    let mut known = Known::default();
    let team = team(&mut known, "横街志愿队", &["m1", "m2", "m3"]);
    for number in ["1", "2", "3"] {
        certify(&mut known, team, "m1", number);
    }
    let people = |known: &Known| match known.state(&team) {
        State::Team(state) => (state.certified_on(day("2026-09-21")), state.is_certified(day("2026-09-21"))),
        other => panic!("{other:?}"),
    };
    assert_eq!(people(&known), (1, false), "one person with three");
    certify(&mut known, team, "m2", "4");
    certify(&mut known, team, "m3", "5");
    assert_eq!(people(&known), (3, true));
    let figures = crate::figures::figures(&known.summaries(), day("2026-09-21"));
    assert_eq!((figures.teams, figures.teams_certified), (1, 1));
    let leave = SetTeam { leave: vec!["m3".to_owned()], ..set_team(team) };
    known.act("调度", leave).unwrap();
    assert_eq!(people(&known), (2, false), "who has left the roster does not count");
}

#[test]
fn who_is_certified_stands_on_the_roster() {
    // given a team that was formed with nobody on its roster
    let mut known = Known::default();
    let team = team(&mut known, "横街志愿队", &[]);
    // when three people are certified
    for (member, number) in [("m1", "1"), ("m2", "2"), ("m3", "3")] {
        certify(&mut known, team, member, number);
    }
    // then they are on the roster, and the team is ready
    let State::Team(state) = known.state(&team) else { panic!("no team") };
    assert_eq!(state.profile.rendered.lists["roster"].len(), 3);
    assert!(state.is_certified(day("2026-09-21")));
}

#[test]
fn an_incident_is_not_closed_by_oversight_while_a_team_has_a_task_there() {
    let mut known = Known::default();
    let incident = known.act("值班", report()).unwrap();
    let team = team(&mut known, "横街志愿队", &[]);
    let task = AssignIncident { incident, team: Some(team), post: None, task: "排水".to_owned(), note: None };
    known.act("值班", task).unwrap();
    let close = CloseIncident { incident, outcome: "已排干".to_owned(), even_if_teams_there: false, note: None };
    assert_eq!(code(known.act("值班", close.clone())), "teams_there");
    known.act("值班", CloseIncident { even_if_teams_there: true, ..close }).unwrap();
}

#[test]
fn nobody_puts_a_text_in_force_that_they_have_not_read() {
    let mut known = Known::default();
    let plan = known.act("甲", draft_plan("3幢")).unwrap();
    let read = known.view(&plan).unwrap().state.document().unwrap().heads.clone();
    known.act("甲", EditPlan { plan, text: "西门集合。".to_owned(), heads: None, note: None }).unwrap();
    known.act("乙", ApprovePlan { plan, heads: None, note: None }).unwrap();
    assert_eq!(code(known.act("丙", IssuePlan { plan, heads: Some(read), note: None })), "text_changed");
}

#[test]
fn what_lies_there_keeps_no_longer_because_more_is_put_beside_it() {
    let mut known = Known::default();
    let point = known.act("库管", form_point("一号点", None)).unwrap();
    for (expires, quantity) in [("2026-10-01", 10), ("2030-01-01", 5)] {
        let milk = ReceiveSupplies {
            point,
            item: "牛奶".to_owned(),
            unit: "箱".to_owned(),
            lot: Some("L1".to_owned()),
            expires: Some(day(expires)),
            quantity,
            from: "区仓库".to_owned(),
            reference: None,
            note: None,
        };
        known.act("库管", milk).unwrap();
    }
    let State::SupplyPoint(state) = known.state(&point) else { panic!("no point") };
    assert_eq!(state.stock["牛奶"].bins["L1"].expires, Some(day("2026-10-01")));
}

#[test]
fn two_lines_whose_items_and_lots_are_joined_alike_are_both_booked_and_each_once() {
    let mut known = Known::default();
    let point = known.act("库管", form_point("一号点", None)).unwrap();
    let line = |item: &str, lot: &str| ReceiveSupplies {
        point,
        item: item.to_owned(),
        unit: "条".to_owned(),
        lot: Some(lot.to_owned()),
        expires: None,
        quantity: 7,
        from: "既有库存".to_owned(),
        reference: Some(format!("stock/P01/{item}/{lot}")),
        note: None,
    };
    known.act("导入", line("被服/棉被", "2026")).unwrap();
    known.act("导入", line("被服", "棉被/2026")).unwrap();
    let again = known.drafts("导入", record(9), line("被服", "棉被/2026").into()).unwrap();
    assert!(again.is_empty(), "there is nothing left to do: {again:?}");
    let State::SupplyPoint(state) = known.state(&point) else { panic!("no point") };
    assert_eq!((state.balance("被服/棉被"), state.balance("被服")), (7, 7));
}

#[test]
fn a_draft_puts_no_plan_out_of_force() {
    let mut known = Known::default();
    let plan = known.act("甲", draft_plan("3幢")).unwrap();
    known.act("乙", ApprovePlan { plan, heads: None, note: None }).unwrap();
    known.act("乙", IssuePlan { plan, heads: None, note: None }).unwrap();
    let draft = known.act("甲", draft_plan("3幢")).unwrap();
    assert_eq!(code(known.act("甲", SupersedePlan { plan, by_plan: draft, note: None })), "not_approved");
}

#[test]
fn an_incident_is_not_closed_by_oversight_while_a_team_is_there() {
    let mut known = Known::default();
    let incident = known.act("值班", report()).unwrap();
    let team = team(&mut known, "横街志愿队", &[]);
    known.act("调度", DeployTeam { team, incident, people: 3, note: None }).unwrap();
    let close = CloseIncident { incident, outcome: "已排干".to_owned(), even_if_teams_there: false, note: None };
    let refused = known.act("值班", close.clone()).unwrap_err();
    assert!(refused.code == "teams_there" && refused.en.contains("横街志愿队"), "{refused:?}");
    known.act("值班", CloseIncident { even_if_teams_there: true, ..close }).unwrap();
    let checks = crosschecks(&known.summaries());
    assert_eq!(checks.iter().map(|check| check.class).collect::<Vec<_>>(), vec![CheckClass::TeamAtClosedIncident]);
    known.act("调度", ReleaseTeam { team, incident, note: None }).unwrap();
    assert!(crosschecks(&known.summaries()).is_empty(), "a team that came back is at no closed incident");
}

#[test]
fn a_team_with_a_task_is_out_and_a_second_task_elsewhere_is_shown() {
    let mut known = Known::default();
    let (here, there) = (known.act("值班", report()).unwrap(), known.act("值班", report()).unwrap());
    let team = team(&mut known, "横街志愿队", &[]);
    let assign =
        |incident| AssignIncident { incident, team: Some(team), post: None, task: "排水".to_owned(), note: None };
    known.act("值班", assign(here)).unwrap();
    let desk = |known: &Known| crate::desk::Desk::from_summaries(&known.summaries(), day("2026-09-21"));
    assert_eq!(desk(&known).teams.deployed[0].assigned, vec![here]);
    assert!(desk(&known).crosschecks.is_empty());
    known.act("值班", assign(there)).unwrap();
    let line = desk(&known).crosschecks.remove(0);
    assert_eq!((line.check.class, line.check.subject.as_str()), (CheckClass::OneTeamTwoTasks, "横街志愿队"));
    known.act("调度", DeployTeam { team, incident: here, people: 3, note: None }).unwrap();
    let third = known.act("值班", report()).unwrap();
    assert_eq!(code(known.act("值班", assign(third))), "already_deployed");
}

#[test]
fn a_new_version_of_a_plan_in_force_is_offered_and_put_in_force() {
    let mut known = Known::default();
    let plan = known.act("甲", draft_plan("3幢")).unwrap();
    known.act("乙", ApprovePlan { plan, heads: None, note: None }).unwrap();
    known.act("乙", IssuePlan { plan, heads: None, note: None }).unwrap();
    let word = |known: &Known| known.view(&plan).unwrap().word();
    let issue = |known: &Known| may(Act::IssuePlan, &known.view(&plan).unwrap());
    assert_eq!((word(&known), issue(&known)), (StateWord::Issued, Err(Refusal::AlreadyIssued)));
    known.act("甲", EditPlan { plan, text: "乙地集合".to_owned(), heads: None, note: None }).unwrap();
    assert_eq!((word(&known), issue(&known)), (StateWord::Revising, Err(Refusal::NotApproved)));
    known.act("乙", ApprovePlan { plan, heads: None, note: None }).unwrap();
    assert_eq!((word(&known), issue(&known)), (StateWord::RevisionApproved, Ok(())));
    assert!(word(&known).is_in_force());
    known.act("乙", IssuePlan { plan, heads: None, note: None }).unwrap();
    assert_eq!(word(&known), StateWord::Issued);
}

#[test]
fn a_plan_whose_last_day_has_passed_says_so_and_stays_in_force() {
    let mut known = Known::default();
    let draft = DraftPlan { valid_to: Some(day("2027-04-30")), ..draft_plan("3幢") };
    let plan = known.act("甲", draft).unwrap();
    known.act("乙", ApprovePlan { plan, heads: None, note: None }).unwrap();
    known.act("乙", IssuePlan { plan, heads: None, note: None }).unwrap();
    let summary = known.summaries().remove(0);
    assert_eq!(summary.state_on(day("2027-04-30")), StateWord::Issued);
    assert_eq!(summary.state_on(day("2027-05-01")), StateWord::Expired);
    assert!(StateWord::Expired.is_in_force(), "an expired plan is better than none");
    let desk = crate::desk::Desk::from_summaries(&[summary], day("2027-05-01"));
    assert_eq!(desk.expired_plans.len(), 1);
}

#[test]
fn a_second_plan_for_one_scope_is_not_put_in_force_beside_the_first() {
    let mut known = Known::default();
    let issue = |known: &mut Known, scope: &str| {
        let plan = known.act("甲", draft_plan(scope)).unwrap();
        known.act("乙", ApprovePlan { plan, heads: None, note: None }).unwrap();
        (plan, known.act("乙", IssuePlan { plan, heads: None, note: None }))
    };
    let (first, done) = issue(&mut known, "3幢");
    done.unwrap();
    issue(&mut known, "4幢").1.unwrap();
    let (second, refused) = issue(&mut known, "3幢");
    assert_eq!(code(refused), "other_in_force");
    known.act("乙", SupersedePlan { plan: first, by_plan: second, note: None }).unwrap();
    known.act("乙", IssuePlan { plan: second, heads: None, note: None }).unwrap();
    assert_eq!(
        code(known.act("甲", EditPlan { plan: first, text: "改".to_owned(), heads: None, note: None })),
        "superseded"
    );
}

fn draft_plan(scope: &str) -> DraftPlan {
    DraftPlan {
        record: None,
        area: None,
        tier: Tier::Building,
        scope: scope.to_owned(),
        title: format!("{scope}防汛"),
        hazards: vec!["洪涝".to_owned()],
        valid_to: None,
        text: Some("甲地集合".to_owned()),
        note: None,
    }
}

#[test]
fn acts_from_outside_are_adopted_by_who_speaks_for_the_records_area() {
    let mut known = Known::default();
    let history = History::of([reported()]).then_from("320508006", closed("已排干"));
    let (incident, outside) = (history.record, history.events[1].id);
    known.histories.insert(incident, history);
    assert_eq!(known.view(&incident).unwrap().word(), StateWord::Reported);
    let adopt = AdoptActs { record: incident, events: vec![outside], note: None };
    let nothing = AdoptActs { events: vec![EventId::from_bytes([7; 32])], ..adopt.clone() };
    assert_eq!(code(known.act("主任", nothing)), "nothing_to_adopt");
    // What nobody named nobody has seen.
    assert_eq!(code(known.act("主任", AdoptActs { events: vec![], ..adopt.clone() })), "nothing_to_adopt");
    known.area = "320508006".parse().unwrap();
    assert_eq!(code(known.act("邻街", adopt.clone())), "outside_area");
    known.area = "320508".parse().unwrap();
    known.act("区局", adopt.clone()).unwrap();
    assert_eq!(known.view(&incident).unwrap().word(), StateWord::Closed);
    assert_eq!(code(known.act("主任", adopt)), "nothing_to_adopt");
}
