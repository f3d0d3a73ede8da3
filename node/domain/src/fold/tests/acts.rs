//! What is said twice counts once: acts sent to two nodes, transfers and receipts booked on both sides of a cut.

use super::*;
use crate::events::supplies_arrived::SuppliesArrived;
use crate::events::supplies_received::SuppliesReceived;

fn point(view: &RecordView) -> &crate::state::SupplyPointState {
    match &view.state {
        State::SupplyPoint(point) => point,
        other => panic!("{other:?}"),
    }
}

pub(super) fn transfer(n: u64) -> RecordId {
    record(500 + n)
}

pub(super) fn arrived(n: u64, quantity: i64) -> Fact {
    Fact::SuppliesArrived(SuppliesArrived {
        transfer: transfer(n),
        item: "雨衣".to_owned(),
        lot: None,
        unit: Some("个".to_owned()),
        expires: None,
        quantity,
        from_point: record(2),
        said: said("仓管"),
    })
}

pub(super) fn imported(line: &str, quantity: i64) -> Fact {
    Fact::SuppliesReceived(SuppliesReceived {
        item: "雨衣".to_owned(),
        unit: "个".to_owned(),
        lot: None,
        expires: None,
        quantity,
        from: "清单".to_owned(),
        reference: Some(line.to_owned()),
        said: said("仓管"),
    })
}

/// The same receipt in another unit.
pub(super) fn in_bottles(fact: Fact) -> Fact {
    let Fact::SuppliesReceived(received) = fact else { panic!("{fact:?}") };
    Fact::SuppliesReceived(SuppliesReceived { unit: "瓶".to_owned(), ..received })
}

fn rules(view: &RecordView) -> Vec<Rule> {
    view.marks.latest.iter().map(|mark| mark.rule).collect()
}

#[test]
fn an_act_that_was_sent_to_two_nodes_counts_once() {
    let given = History::of([received("雨衣", None, 10)]);
    let act = || of_act(7, 0, issued("雨衣", 3));
    let cut = given.cut([act()], [act()]);
    let view = cut.view();
    assert_eq!(point(&view).balance("雨衣"), 7);
    assert!(view.conflicts.is_empty());
    assert_eq!((view.repeated.total, view.event_count), (1, 2));
    // Whoever has seen either of them has seen the act: a count on one side is not reduced by the other side's event.
    let mut counted_on_one_side = cut.clone();
    let right = cut.events[2].id;
    counted_on_one_side.tell(2, EPOCH_MS + 60_000, vec![right], &counted("雨衣", 7));
    assert_eq!(point(&counted_on_one_side.view()).balance("雨衣"), 7);
}

#[test]
fn the_last_pump_handed_out_by_one_act_at_two_nodes_is_no_overdraw() {
    let act = || of_act(7, 0, issued("水泵", 1));
    let view = History::of([received("水泵", None, 1)]).cut([act()], [act()]).view();
    assert_eq!((point(&view).balance("水泵"), view.conflicts.len()), (0, 0));
}

#[test]
fn two_first_events_of_one_act_begin_one_record() {
    let view = History::new(1).cut([of_act(7, 0, reported())], [of_act(7, 0, reported())]).view();
    let State::Incident(incident) = &view.state else { panic!() };
    assert_eq!((incident.reports.len(), view.repeated.total), (1, 1));
    assert_eq!(view.begun_by.map(|act| act.as_bytes()[0]), Some(7));
}

#[test]
fn another_store_may_have_drawn_from_other_lots_and_still_repeats_the_act() {
    let given = History::of([received("雨衣", Some("甲"), 10), received("雨衣", Some("乙"), 10)]);
    let part = |ordinal, quantity| of_act(7, ordinal, issued("雨衣", quantity));
    let view = given.cut([part(0, 9), part(1, 3)], [part(0, 12)]).view();
    assert_eq!(point(&view).balance("雨衣"), 20 - 12);
    let all_after = History::of([of_act(7, 255, issued("雨衣", 1)), of_act(7, 255, issued("雨衣", 1))]).view();
    assert_eq!(point(&all_after).balance("雨衣"), -2, "255 stands for that event and all after it");
}

#[test]
fn a_repetition_by_the_same_store_counts_once_and_another_content_is_another_act() {
    let view = History::of([of_act(7, 0, issued("雨衣", 3)), of_act(7, 0, issued("雨衣", 3))]).view();
    assert_eq!((point(&view).balance("雨衣"), view.repeated.total), (-3, 1));
    let mut other = of_act(7, 0, issued("雨衣", 4));
    other.said_mut().unwrap().act.as_mut().unwrap().content = [9; 8];
    let view = History::of([of_act(7, 0, issued("雨衣", 3)), other]).view();
    assert_eq!((point(&view).balance("雨衣"), view.repeated.total), (-7, 0));
}

#[test]
fn the_short_way_takes_an_act_of_many_events_and_leaves_what_may_be_a_repetition() {
    let act = |ordinal| of_act(7, ordinal, issued("雨衣", 1));
    let history = History::of([received("雨衣", None, 9), act(0), act(1), act(2)]);
    for n in 1..history.events.len() {
        let view = fold(history.record, &history.events[..n]);
        assert!(fold_next(&view, &history.events[n].fold_event()).is_ok(), "event {n}");
    }
    let again = history.clone().then(act(1));
    assert_eq!(fold_next(&history.view(), &again.events[4].fold_event()).unwrap_err(), Refold::MayRepeat);
}

#[test]
fn a_repeated_edit_is_one_change_and_one_that_stands_on_another_text_is_told() {
    let base = History::new(1).then(Fact::PlanEdited(change(None, 1, &[text("甲地集合")], "甲")));
    let edit = |view: &RecordView, node| {
        of_act(7, 0, Fact::PlanEdited(change(Some(view), node, &[text("甲地集合\n乙地点名")], "甲")))
    };
    let document = |history: &History| {
        let State::Plan(plan) = history.view().state else { panic!() };
        plan
    };
    // given an edit that was sent to two nodes with the same text, where one of them goes on
    let cut = base.clone().cut([edit(&base.view(), 1)], [edit(&base.view(), 2)]);
    let plan = document(&cut);
    assert_eq!((plan.document.rendered.text.as_str(), plan.document.changes), ("甲地集合\n乙地点名", 2));
    assert_eq!((plan.writers["甲"], plan.document.to_be_read.len(), cut.view().repeated.total), (2, 0, 1));
    // given one of which another node had changed the text before, so that it is another change
    let title = Edit::SetField { key: "标题".to_owned(), value: "防汛".to_owned() };
    let titled = base.clone().then(Fact::PlanEdited(change(Some(&base.view()), 2, &[title], "乙")));
    let again = edit(&titled.view(), 2);
    let mut apart = titled;
    let parents = vec![apart.events[0].id];
    apart.tell(1, EPOCH_MS + 50_000, parents, &edit(&base.view(), 1));
    let parents = vec![apart.events[1].id];
    apart.tell(2, EPOCH_MS + 60_000, parents, &again);
    // then both stay, because later changes may stand on either, and the lines are to be read
    let plan = document(&apart);
    assert_eq!(plan.document.rendered.text, "甲地集合\n乙地点名\n乙地点名");
    assert_eq!((plan.document.unrenderable_total, plan.writers["甲"]), (0, 2));
    assert!(!plan.document.to_be_read.is_empty());
}

#[test]
fn a_transfer_that_was_booked_in_on_both_sides_of_a_cut_is_there_once() {
    let cut = History::of([received("雨衣", None, 1)]).cut([arrived(1, 10)], [arrived(1, 10)]);
    let view = cut.view();
    assert_eq!((point(&view).balance("雨衣"), rules(&view)), (11, vec![Rule::BookedBefore]));
    // A count on the side whose booking was put aside has seen the goods.
    let mut counted_there = cut.clone();
    let booked_later = view.marks.latest[0].event;
    counted_there.tell(2, EPOCH_MS + 60_000, vec![booked_later], &counted("雨衣", 11));
    assert_eq!(point(&counted_there.view()).balance("雨衣"), 11);
}

#[test]
fn a_transfer_arrives_in_parts_and_each_is_there_once_whoever_books_it() {
    // given a first part that both sides of a cut have booked in, and a second one on one side
    let cut = History::of([received("雨衣", None, 1)]).cut([arrived(1, 6), arrived(1, 4)], [arrived(1, 6)]);
    let view = cut.view();
    let booked = &point(&view).arrived[&transfer(1)];
    assert_eq!((booked.quantity, booked.parts, point(&view).balance("雨衣")), (10, 2, 11));
    assert_eq!(rules(&view), vec![Rule::BookedBefore]);
    // when somebody who has seen all of it books in one more, then it is one more
    let view = cut.then(arrived(1, 2)).view();
    assert_eq!((point(&view).arrived[&transfer(1)].quantity, point(&view).balance("雨衣")), (12, 13));
    // and two who did not know of each other have booked in the same part, whatever they counted
    let cut = History::of([arrived(1, 6)]).cut([arrived(1, 4)], [arrived(1, 3)]);
    assert_eq!((point(&cut.view()).balance("雨衣"), rules(&cut.view())), (10, vec![Rule::BookedBefore]));
}

#[test]
fn whoever_books_a_part_after_a_repetition_has_seen_what_came_before_the_act_itself() {
    // given a part and then an act on one side of a cut, and the same act on the other side
    let act = || of_act(7, 0, issued("雨衣", 1));
    let cut = History::of([received("雨衣", None, 1)]).cut([arrived(1, 6), act()], [act()]);
    assert_eq!(cut.view().heads, vec![cut.events[3].id], "the repetition stands for both sides");
    // when somebody who has seen all of it books in one more part, then both ways of folding count it
    let after = cut.clone().then(arrived(1, 4));
    assert_eq!(point(&after.view()).balance("雨衣"), 10);
    assert_eq!(fold_next(&cut.view(), &after.events[4].fold_event()).unwrap(), after.view());
}

#[test]
fn the_same_import_at_two_nodes_is_one_import() {
    let lines = || [imported("stock/1/雨衣", 100), imported("stock/2/雨衣", 50)];
    let view = History::new(1).cut(lines(), lines()).view();
    assert_eq!(point(&view).balance("雨衣"), 150);
    assert_eq!(rules(&view), vec![Rule::BookedBefore; 2]);
    let again = History::new(1).cut(lines(), []).then(imported("stock/1/雨衣", 100)).view();
    assert_eq!(point(&again).balance("雨衣"), 150, "nor does it matter whether they knew of each other");
}

#[test]
fn boxes_and_bottles_do_not_add_up() {
    let bottles = || in_bottles(received("矿泉水", None, 24));
    let cut = History::new(1).cut([received("矿泉水", None, 5)], [bottles()]);
    let conflict = cut.conflict(crate::conflict::ConflictClass::TwoUnits);
    let view = cut.view();
    let stock = &point(&view).stock["矿泉水"];
    assert_eq!((stock.unit.as_str(), stock.balance(), stock.bins[""].aside[0].quantity), ("个", 5, 24));
    assert_eq!((conflict.subject.as_str(), rules(&view)), ("矿泉水", vec![Rule::OtherUnit]));
    let recounted = cut.then(counted("矿泉水", 6)).view();
    assert!(point(&recounted).stock["矿泉水"].bins[""].aside.is_empty() && !recounted.conflicts[0].is_open());
    let knowingly = History::of([received("矿泉水", None, 5), bottles()]).view();
    assert_eq!((point(&knowingly).balance("矿泉水"), knowingly.conflicts.len()), (5, 0));
}

#[test]
fn two_counts_that_disagree_are_both_shown_until_somebody_counts_again() {
    let cut = History::of([received("雨衣", None, 10)]).cut([counted("雨衣", 8)], [counted("雨衣", 9)]);
    let conflict = cut.conflict(crate::conflict::ConflictClass::TwoCounts);
    assert_eq!((conflict.subject.as_str(), conflict.events.len()), ("雨衣", 2));
    let view = cut.view();
    let counts: Vec<i64> = point(&view).stock["雨衣"].bins[""].counts().map(|(_, quantity)| quantity).collect();
    assert_eq!((counts, point(&view).balance("雨衣")), (vec![8, 9], 8));
    assert!(!cut.then(counted("雨衣", 9)).view().conflicts[0].is_open());
    // Each counted what was there at its own time: one had seen the issue, and they agree.
    let agree =
        History::of([received("雨衣", None, 10)]).cut([issued("雨衣", 2), counted("雨衣", 8)], [counted("雨衣", 10)]);
    assert!(agree.view().conflicts.is_empty());
}
