//! Exactly the conflicts that were provoked: each class, its settlement, and ordinary merges beside it.

use super::*;
use crate::events::Fact;
use crate::events::hazard_closed::HazardClosed;
use crate::events::hazard_reopened::HazardReopened;
use crate::events::plan_approved::PlanApproved;
use crate::events::plan_issued::PlanIssued;
use crate::events::plan_superseded::PlanSuperseded;
use crate::scenario::*;
use crate::state::{State, StateWord};

fn balance(history: &History, item: &str) -> i64 {
    match history.view().state {
        State::SupplyPoint(point) => point.balance(item),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_pump_issued_on_both_sides_opens_a_recount() {
    let history = History::of([received("水泵", None, 1)]).cut([issued("水泵", 1)], [issued("水泵", 1)]);
    let conflict = history.conflict(ConflictClass::Overdraw);
    assert_eq!(balance(&history, "水泵"), -1);
    assert_eq!((conflict.subject.as_str(), conflict.events.len()), ("水泵", 2));
    assert!(conflict.is_open());
    let recounted = history.then(counted("水泵", 0));
    let settled = recounted.conflict(ConflictClass::Overdraw);
    assert_eq!((settled.id, settled.is_open()), (conflict.id, false), "a count that saw both settles it");
    assert_eq!(balance(&recounted, "水泵"), 0);
}

#[test]
fn issuing_on_both_sides_what_is_there_is_an_ordinary_merge() {
    let history = History::of([received("水泵", None, 2)]).cut([issued("水泵", 1)], [issued("水泵", 1)]);
    assert!(history.view().conflicts.is_empty());
    assert_eq!(balance(&history, "水泵"), 0);
}

#[test]
fn three_sides_that_are_only_together_too_many_are_found() {
    let mut history = History::of([received("水泵", None, 2)]);
    let start = history.events[0].id;
    for node in 1..=3 {
        history.tell(node, EPOCH_MS + 5_000, vec![start], &issued("水泵", 1));
    }
    assert_eq!(history.conflict(ConflictClass::Overdraw).events.len(), 3);
}

#[test]
fn knowingly_issuing_more_than_the_books_show_is_shown_and_is_no_conflict() {
    let history = History::of([received("水泵", None, 1), issued("水泵", 2)]);
    assert_eq!(balance(&history, "水泵"), -1);
    assert!(history.view().conflicts.is_empty());
}

#[test]
fn a_conflict_that_somebody_saw_stays_on_record_after_later_receipts() {
    let history = History::of([received("水泵", None, 1)]).cut([issued("水泵", 1)], [issued("水泵", 1)]);
    let id = history.conflict(ConflictClass::Overdraw).id;
    let later = history.then(received("水泵", None, 10)).then(issued("水泵", 1));
    assert_eq!(later.conflict(ConflictClass::Overdraw).id, id);
    assert!(later.conflict(ConflictClass::Overdraw).is_open());
    assert!(!later.settle(Fact::SuppliesSettled, None).view().conflicts[0].is_open());
}

#[test]
fn a_count_on_one_side_keeps_what_the_other_side_moved() {
    let history = History::of([received("雨衣", None, 10)]).cut([issued("雨衣", 3)], [counted("雨衣", 9)]);
    assert_eq!(balance(&history, "雨衣"), 6);
    assert!(history.view().conflicts.is_empty());
    let two = History::of([received("雨衣", None, 10)]).cut([counted("雨衣", 8)], [counted("雨衣", 9)]);
    assert_eq!(balance(&two, "雨衣"), 8, "of two counts the lower one is shown");
    assert_eq!(balance(&two.then(counted("雨衣", 9)), "雨衣"), 9);
}

#[test]
fn one_team_sent_to_two_places_is_settled_by_a_decision_or_by_coming_back() {
    let history = History::of([deployed(7), released(7)]).cut([deployed(8)], [deployed(9)]);
    let conflict = history.conflict(ConflictClass::DoubleDeployment);
    let left = history.events[2].id;
    let settled = history.clone().settle(Fact::TeamSettled, Some(left)).view();
    assert!(!settled.conflicts[0].is_open());
    let State::Team(team) = &settled.state else { panic!() };
    let active: Vec<_> = team.active(&settled.lost()).map(|held| held.stamp.event).collect();
    assert_eq!(active, vec![left], "the loser stays readable and is not active");
    let back = history.then(released(9)).view();
    assert_eq!((back.conflicts[0].id, back.conflicts[0].is_open()), (conflict.id, false));
    assert_eq!(back.word(), StateWord::Deployed, "it is still at the first place");
}

#[test]
fn a_team_sent_to_the_same_place_twice_or_back_before_the_other_side_is_no_conflict() {
    assert!(History::new(1).cut([deployed(8)], [deployed(8)]).view().conflicts.is_empty());
    assert!(History::new(1).cut([deployed(8), released(8)], [deployed(9)]).view().conflicts.is_empty());
    assert!(History::of([deployed(8)]).cut([released(8)], [released(8)]).view().conflicts.is_empty());
}

#[test]
fn two_closings_are_merged_and_surfaced() {
    let history = History::of([reported()]).cut([closed("已排干")], [updated("水退"), closed("居民已返回")]);
    let conflict = history.conflict(ConflictClass::TwoClosings);
    assert_eq!(history.view().word(), StateWord::Closed);
    assert_eq!(conflict.opened_at.unix_ms(), history.events[3].header.time.unix_ms());
    assert!(!history.settle(Fact::IncidentSettled, None).view().conflicts[0].is_open());
    let merged = History::of([reported()]).cut([closed("已排干")], [updated("水退"), assigned("清淤")]);
    assert!(merged.view().conflicts.is_empty(), "closing while the other side adds is an ordinary merge");
}

#[test]
fn closing_and_reopening_in_turn_by_people_who_saw_it_is_no_conflict() {
    let history = History::of([reported(), closed("已排干"), reopened("又积水"), closed("已排干")]);
    assert!(history.cut([updated("甲")], [updated("乙")]).then(reopened("再查")).view().conflicts.is_empty());
    // Reopened on its own side, so only one closing stands when the sides meet.
    let one = History::of([reported()]).cut([closed("已排干"), reopened("又积水"), closed("好")], [updated("水退")]);
    assert!(one.view().conflicts.is_empty());
}

#[test]
fn where_one_side_closed_and_the_other_reopened_open_wins_until_somebody_decides() {
    let close = || Fact::HazardClosed(HazardClosed { finding: "已清理".to_owned(), said: said("核查") });
    let reopen = || Fact::HazardReopened(HazardReopened { reason: "又堵了".to_owned(), said: said("居民") });
    let history = History::of([close()]).cut([reopen(), close()], [reopen()]);
    let view = history.view();
    assert_eq!(history.conflict(ConflictClass::ClosedAndReopened).events.len(), 2);
    assert_eq!(view.word(), StateWord::Reopened);
    let closing = history.events[2].id;
    assert_eq!(history.settle(Fact::HazardSettled, Some(closing)).view().word(), StateWord::CheckedAndClosed);
    // Two checks that both closed it agree with each other.
    assert!(History::of([close(), reopen()]).cut([close()], [close()]).view().conflicts.is_empty());
}

#[test]
fn two_texts_put_into_force_stand_side_by_side_until_one_is_chosen() {
    let base = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
    let issue = |history: &History| match history.view().state {
        State::Plan(plan) => Fact::PlanIssued(PlanIssued { heads: plan.document.heads, said: said("乙") }),
        other => panic!("{other:?}"),
    };
    let same = issue(&base);
    assert!(base.clone().cut([same.clone()], [same.clone()]).view().conflicts.is_empty(), "the same text twice");
    let edit = Fact::PlanEdited(change(Some(&base.view()), 2, &[text("乙地集合")], "甲"));
    let other = issue(&base.clone().cut([], [edit.clone()]));
    let history = base.cut([same.clone()], [edit, other]);
    assert_eq!(history.conflict(ConflictClass::TwoIssued).events.len(), 2);
    let kept = history.events[1].id;
    let view = history.clone().settle(Fact::PlanSettled, Some(kept)).view();
    let State::Plan(plan) = &view.state else { panic!() };
    assert_eq!(plan.in_force(&view.lost()).map(|held| held.stamp.event).collect::<Vec<_>>(), vec![kept]);
    let newer = history.then(Fact::PlanSuperseded(PlanSuperseded { by_plan: record(5), said: said("乙") }));
    assert!(!newer.view().conflicts[0].is_open(), "taking the plan out of force settles it as well");
}

#[test]
fn settlements_that_contradict_each_other_leave_it_open() {
    let history = History::new(1).cut([deployed(8)], [deployed(9)]);
    let conflict = history.view().conflicts[0].id;
    let decide = |keep| {
        Fact::TeamSettled(crate::events::settled::Settled {
            conflict,
            keep: Some(keep),
            decision: "定".to_owned(),
            said: said("主任"),
        })
    };
    let (one, other) = (history.events[0].id, history.events[1].id);
    let twice = history.cut([decide(one)], [decide(other)]);
    assert!(twice.view().conflicts[0].is_open());
    assert!(!twice.then(decide(one)).view().conflicts[0].is_open());
}

#[test]
fn clocks_that_are_years_off_change_neither_conflicts_nor_their_names() {
    let tell = |right_ms: u64| {
        let mut history = History::of([received("水泵", None, 1)]);
        let start = history.events[0].id;
        history.tell(1, EPOCH_MS + 5_000, vec![start], &issued("水泵", 1));
        history.tell(2, right_ms, vec![start], &issued("水泵", 1));
        history
    };
    let ten_years_ms = 10 * 365 * 86_400_000;
    for history in [tell(EPOCH_MS - ten_years_ms), tell(EPOCH_MS + ten_years_ms)] {
        assert_eq!(history.conflict(ConflictClass::Overdraw).events.len(), 2);
        assert_eq!(balance(&history, "水泵"), -1);
    }
}

#[test]
fn a_larger_conflict_takes_the_smaller_one_along() {
    let mut history = History::of([received("水泵", None, 1)]);
    let start = history.events[0].id;
    let a = history.tell(1, EPOCH_MS + 5_000, vec![start], &issued("水泵", 1));
    let b = history.tell(2, EPOCH_MS + 5_000, vec![start], &issued("水泵", 1));
    history.tell(1, EPOCH_MS + 6_000, vec![a, b], &received("沙袋", None, 1));
    assert_eq!(history.view().open_conflicts().count(), 1);
    history.tell(3, EPOCH_MS + 5_000, vec![start], &issued("水泵", 1));
    let view = history.view();
    assert_eq!((view.conflicts.len(), view.open_conflicts().count()), (2, 1), "{:#?}", view.conflicts);
    assert!(history.then(counted("水泵", 0)).view().conflicts.iter().all(|conflict| !conflict.is_open()));
}

#[test]
fn approving_takes_somebody_else_and_an_issue_takes_an_approval() {
    let base = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
    let State::Plan(plan) = base.view().state else { panic!() };
    let heads = plan.document.heads;
    let approve = |by| Fact::PlanApproved(PlanApproved { heads: heads.clone(), said: said(by) });
    let issue = || Fact::PlanIssued(PlanIssued { heads: heads.clone(), said: said("乙") });
    let rules = |history: &History| history.view().marks.latest.iter().map(|mark| mark.rule).collect::<Vec<_>>();
    assert_eq!(rules(&base.clone().then(approve("甲"))), vec![crate::record::Rule::ApproverWroteIt]);
    assert_eq!(rules(&base.clone().then(issue())), vec![crate::record::Rule::IssuedUnapproved]);
    assert!(rules(&base.then(approve("乙")).then(issue())).is_empty());
}
