//! Each cross-check that two sides of a cut can bring about, its id on both of them, and its end.

use std::collections::BTreeMap;

use super::*;
use crate::act::ActId;
use crate::commands::{FormTeam, SurveyBuilding};
use crate::events::Fact;
use crate::events::explained::Explained;
use crate::events::plan_drafted::{PlanDrafted, Tier};
use crate::events::plan_issued::PlanIssued;
use crate::events::supplies_arrived::SuppliesArrived;
use crate::scenario::*;

fn classes(summaries: &[Summary]) -> Vec<CheckClass> {
    crosschecks(summaries).iter().map(|check| check.class).collect()
}

fn summaries(histories: &[History]) -> Vec<Summary> {
    histories.iter().map(|history| Summary::from(&history.view())).collect()
}

fn plan_in_force(n: u64, scope: &str) -> History {
    let drafted = Fact::PlanDrafted(PlanDrafted {
        tier: Tier::Building,
        scope: scope.to_owned(),
        title: "防汛".to_owned(),
        hazards: vec!["洪涝".to_owned()],
        valid_to: None,
        said: said("甲"),
    });
    let heads = vec![crate::state::document::ChangeHash::from_bytes([n as u8; 32])];
    History::new(n).then(drafted).then(Fact::PlanIssued(PlanIssued { heads, said: said("乙") }))
}

#[test]
fn two_plans_in_force_for_one_scope_are_shown_until_one_is_explained() {
    let (one, other) = (plan_in_force(1, "3幢"), plan_in_force(2, "3幢"));
    let all = [one.clone(), other.clone(), plan_in_force(3, "4幢")];
    let checks = crosschecks(&summaries(&all));
    assert_eq!(checks.len(), 1, "{checks:?}");
    assert_eq!((checks[0].class, checks[0].subject.as_str()), (CheckClass::TwoPlansInForce, "3幢"));
    let backwards: Vec<History> = all.iter().rev().cloned().collect();
    assert_eq!(crosschecks(&summaries(&backwards)), checks, "the order of records does not matter");
    let explanation = "两单元各一份".to_owned();
    let explained = Fact::PlanExplained(Explained { check: checks[0].id, explanation, said: said("主任") });
    assert!(crosschecks(&summaries(&[one.then(explained), other])).is_empty());
}

#[test]
fn plans_for_one_scope_in_different_streets_are_two_plans() {
    let mut all = summaries(&[plan_in_force(1, "3幢"), plan_in_force(2, "3幢")]);
    all[1].area = "320508006".parse().unwrap();
    assert!(crosschecks(&all).is_empty());
    all[1].area = "320508005012".parse().unwrap();
    assert_eq!(classes(&all), vec![CheckClass::TwoPlansInForce], "a community lies in its street");
}

#[test]
fn a_transfer_that_was_booked_in_at_two_points_is_found() {
    let arrived = |n| {
        History::new(n).then(Fact::SuppliesArrived(SuppliesArrived {
            transfer: record(50),
            item: "雨衣".to_owned(),
            lot: None,
            unit: None,
            expires: None,
            quantity: 10,
            from_point: record(9),
            said: said("仓管"),
        }))
    };
    assert_eq!(classes(&summaries(&[arrived(1), arrived(2)])), vec![CheckClass::OneTransferTwoArrivals]);
}

#[test]
fn one_act_that_has_begun_two_records_is_found() {
    let begun = |n| History::new(n).then(of_act(7, 0, reported()));
    let all = summaries(&[begun(1), begun(2), History::new(3).then(reported())]);
    assert_eq!(classes(&all), vec![CheckClass::OneActTwoRecords]);
    assert_eq!(all[0].begun_by, Some(ActId::from_bytes([7; 16])));
}

#[test]
fn one_person_out_with_two_teams_is_found_by_token_and_never_by_a_local_name() {
    let mut known = Known::default();
    let person = record(77).to_string();
    let mut teams = Vec::new();
    for (name, incident) in [("一队", 8), ("二队", 9)] {
        let role = || BTreeMap::from([("role".to_owned(), "队员".to_owned())]);
        let roster = BTreeMap::from([(person.clone(), role()), ("m1".to_owned(), role())]);
        let team = known
            .act(
                "调度",
                FormTeam {
                    record: None,
                    area: None,
                    name: name.to_owned(),
                    team_kind: None,
                    lead: None,
                    roster,
                    kit: BTreeMap::new(),
                    note: None,
                },
            )
            .unwrap();
        teams.push((team, incident));
    }
    assert!(crosschecks(&known.summaries()).is_empty(), "being on two rosters is no contradiction");
    for (team, incident) in teams {
        let history = known.histories.remove(&team).unwrap().then(deployed(incident));
        known.histories.insert(team, history);
    }
    let checks = crosschecks(&known.summaries());
    assert_eq!(checks.len(), 1, "{checks:?}");
    assert_eq!(checks[0].class, CheckClass::OnePersonTwoPlaces);
}

#[test]
fn one_address_in_the_register_twice_is_found() {
    let mut known = Known::default();
    for number in ["12", "12-1"] {
        let survey = SurveyBuilding {
            record: None,
            area: None,
            building: number.to_owned(),
            name: "葑门横街12幢".to_owned(),
            households: 10,
            residents: 25,
            lat_e7: None,
            lon_e7: None,
            note: None,
        };
        known.act("网格员", survey).unwrap();
    }
    assert_eq!(classes(&known.summaries()), vec![CheckClass::OneAddressTwoBuildings]);
}

#[test]
fn of_many_records_that_claim_the_same_each_is_held_against_the_first() {
    let all: Vec<History> = (1..=20).map(|n| plan_in_force(n, "3幢")).collect();
    assert_eq!(crosschecks(&summaries(&all)).len(), 19);
}
