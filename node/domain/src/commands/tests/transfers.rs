//! What travels between points: to whom, in parts, more or less than was sent; and counts by who has not seen it all.

use super::*;
use crate::crosscheck::{CheckClass, CrossCheck, crosschecks};
use crate::desk::Desk;

/// Two points, the first of which has a hundred boxes; a third stands by.
struct Points {
    known: Known,
    here: RecordId,
    there: RecordId,
    elsewhere: RecordId,
}

impl Points {
    fn new() -> Self {
        let mut known = Known::default();
        let mut form = |name| known.act("仓管", form_point(name, None)).unwrap();
        let (here, there, elsewhere) = (form("东区"), form("西区"), form("北区"));
        known.act("仓管", receive(here, None, None, 100)).unwrap();
        Self { known, here, there, elsewhere }
    }

    fn send(&mut self, quantity: i64) -> RecordId {
        self.known.act("仓管", send(self.here, self.there, quantity)).unwrap();
        let State::SupplyPoint(sender) = self.known.state(&self.here) else { panic!() };
        *sender.sent.iter().max_by_key(|(_, sent)| sent.time).unwrap().0
    }

    fn arrive(&self, transfer: RecordId, quantity: Option<i64>) -> ArriveSupplies {
        ArriveSupplies {
            point: self.there,
            from_point: self.here,
            transfer,
            item: None,
            lot: None,
            quantity,
            even_if_unknown: false,
            even_if_more: false,
            note: None,
        }
    }

    fn balance(&self, point: RecordId) -> i64 {
        match self.known.state(&point) {
            State::SupplyPoint(state) => state.balance("饼干"),
            other => panic!("{other:?}"),
        }
    }

    /// What the desk shows on its way: how much of each.
    fn on_the_way(&self) -> Vec<i64> {
        let desk = Desk::from_summaries(&self.known.summaries(), day("2026-09-21"));
        desk.in_transit.iter().map(|line| line.rest).collect()
    }

    fn checks(&self) -> Vec<CrossCheck> {
        crosschecks(&self.known.summaries())
    }

    fn explain(&mut self, record: RecordId, check: RecordId) -> Result<RecordId, Refused> {
        let explain = ExplainCheck { record, check, explanation: "途中损坏".to_owned(), note: None };
        self.known.act("主任", explain)
    }
}

fn send(point: RecordId, to_point: RecordId, quantity: i64) -> SendSupplies {
    SendSupplies {
        point,
        to_point,
        item: "饼干".to_owned(),
        lot: None,
        quantity,
        even_if_short: false,
        even_if_expired: false,
        note: None,
    }
}

#[test]
fn a_delivery_in_parts_adds_up_to_what_was_sent_and_the_rest_is_on_the_way() {
    let mut points = Points::new();
    let transfer = points.send(10);
    assert_eq!(points.on_the_way(), vec![10]);
    points.known.act("西仓管", points.arrive(transfer, Some(6))).unwrap();
    assert_eq!((points.balance(points.there), points.on_the_way()), (6, vec![4]));
    // What is left is the most that the second part may be, and what is booked in where nothing is said.
    let refused = points.known.act("西仓管", points.arrive(transfer, Some(5))).unwrap_err();
    assert_eq!((refused.code, refused.field), ("more_than_sent", Some("quantity")));
    for figure in ["10", "6", "4", "5"] {
        assert!(refused.zh.contains(figure) && refused.en.contains(figure), "{refused:?}");
    }
    points.known.act("西仓管", points.arrive(transfer, None)).unwrap();
    assert_eq!((points.balance(points.there), points.on_the_way()), (10, vec![]));
    assert!(points.checks().is_empty() && points.known.view(&points.there).unwrap().marks.total == 0);
    let refused = points.known.act("西仓管", points.arrive(transfer, None)).unwrap_err();
    assert!(refused.code == "already_arrived" && refused.en.contains("10"), "{refused:?}");
}

#[test]
fn more_than_was_sent_is_confirmed_and_shown_until_somebody_explains_it() {
    let mut points = Points::new();
    let transfer = points.send(10);
    let more = points.arrive(transfer, Some(12));
    assert_eq!(code(points.known.act("西仓管", more.clone())), "more_than_sent");
    points.known.act("西仓管", ArriveSupplies { even_if_more: true, ..more }).unwrap();
    let checks = points.checks();
    assert_eq!(
        (checks.len(), checks[0].class, checks[0].subject.as_str()),
        (1, CheckClass::LostOnTheWay, "饼干 10 → 12")
    );
    assert_eq!((points.balance(points.there), points.on_the_way()), (12, vec![]));
    points.explain(points.there, checks[0].id).unwrap();
    assert!(points.checks().is_empty());
}

#[test]
fn what_was_lost_on_the_way_is_open_until_somebody_explains_it() {
    let mut points = Points::new();
    assert_eq!(code(points.known.act("仓管", send(points.here, points.here, 1))), "itself");
    let transfer = points.send(100);
    points.known.act("西仓管", points.arrive(transfer, Some(60))).unwrap();
    assert_eq!(points.on_the_way(), vec![40], "until somebody says otherwise");
    let desk = Desk::from_summaries(&points.known.summaries(), day("2026-09-21"));
    let check = desk.crosschecks[0].check.clone();
    assert_eq!((check.class, check.subject.as_str()), (CheckClass::LostOnTheWay, "饼干 100 → 60"));
    assert_eq!(desk.crosschecks[0].titles.len(), 2);
    assert_eq!(code(points.explain(points.elsewhere, check.id)), "unknown_check");
    points.explain(points.here, check.id).unwrap();
    assert!(points.checks().is_empty() && points.on_the_way().is_empty());
    assert_eq!(code(points.explain(points.here, check.id)), "unknown_check");
    // What was given up for lost and comes after all is booked in, and asks to be explained anew.
    points.known.act("西仓管", points.arrive(transfer, Some(30))).unwrap();
    assert_eq!((points.checks()[0].subject.as_str(), points.on_the_way()), ("饼干 100 → 90", vec![10]));
}

#[test]
fn a_transfer_is_refused_at_another_point_and_the_addressee_is_named() {
    let mut points = Points::new();
    let transfer = points.send(10);
    let wrong = ArriveSupplies { point: points.elsewhere, even_if_unknown: true, ..points.arrive(transfer, None) };
    let refused = points.known.act("北仓管", wrong.clone()).unwrap_err();
    assert_eq!((refused.code, refused.field), ("not_addressee", Some("point")));
    assert!(refused.zh.contains("西区") && refused.en.contains("西区") && refused.next_zh.contains("收货点"));
    // Nor is it taken for an unknown one by naming another sender.
    let mistaken = ArriveSupplies { from_point: points.elsewhere, ..points.arrive(transfer, None) };
    let refused = points.known.act("西仓管", mistaken).unwrap_err();
    assert_eq!((refused.code, refused.field), ("unknown_transfer", Some("from_point")));
    points.known.act("西仓管", points.arrive(transfer, None)).unwrap();
    assert_eq!((points.balance(points.there), points.balance(points.elsewhere)), (10, 0));
}

#[test]
fn a_transfer_that_was_booked_at_another_point_over_a_cut_stands_on_both_and_the_addressee_still_books() {
    // given a transfer that a node which had not heard of it booked in at another point
    let mut points = Points::new();
    let transfer = points.send(10);
    let sender = points.known.histories.remove(&points.here).unwrap();
    let booked = ArriveSupplies {
        point: points.elsewhere,
        even_if_unknown: true,
        item: Some("饼干".to_owned()),
        ..points.arrive(transfer, Some(10))
    };
    points.known.act("北仓管", booked).unwrap();
    // when the nodes have met
    points.known.histories.insert(points.here, sender);
    let checks = points.checks();
    assert_eq!((checks.len(), checks[0].class), (1, CheckClass::ArrivedElsewhere));
    assert!([points.here, points.elsewhere].iter().all(|record| checks[0].records.contains(record)));
    assert_eq!(points.on_the_way(), vec![10], "where it was sent to it has not arrived");
    // then the addressee can book what did come, and a person explains the rest
    points.known.act("西仓管", points.arrive(transfer, Some(4))).unwrap();
    let classes: Vec<CheckClass> = points.checks().iter().map(|check| check.class).collect();
    for class in [CheckClass::ArrivedElsewhere, CheckClass::OneTransferTwoArrivals, CheckClass::LostOnTheWay] {
        assert!(classes.contains(&class), "{classes:?}");
    }
    for check in points.checks() {
        points.explain(check.records[0], check.id).unwrap();
    }
    assert!(points.checks().is_empty() && points.on_the_way().is_empty());
}

#[test]
fn a_transfer_that_only_the_carrier_knows_of_is_booked_once_unless_more_is_confirmed() {
    let mut points = Points::new();
    let unknown = ArriveSupplies { even_if_unknown: true, ..points.arrive(record(5), Some(3)) };
    assert_eq!(code(points.known.act("仓管", points.arrive(record(5), Some(3)))), "unknown_transfer");
    let refused = points.known.act("西仓管", unknown.clone()).unwrap_err();
    assert_eq!((refused.code, refused.field), ("invalid_field", Some("item")));
    let unknown = ArriveSupplies { item: Some("饼干".to_owned()), ..unknown };
    points.known.act("西仓管", unknown.clone()).unwrap();
    assert_eq!(code(points.known.act("西仓管", unknown.clone())), "already_arrived");
    assert_eq!(
        code(points.known.act("北仓管", ArriveSupplies { point: points.elsewhere, ..unknown.clone() })),
        "already_arrived"
    );
    points.known.act("西仓管", ArriveSupplies { even_if_more: true, ..unknown }).unwrap();
    assert_eq!(points.balance(points.there), 6);
}

#[test]
fn supplies_travel_between_areas_and_each_end_books_at_its_own_point() {
    let mut known = Known::default();
    let (here_area, there_area) = (known.area.clone(), "320508006".parse::<Area>().unwrap());
    let here = known.act("仓管", form_point("东区", None)).unwrap();
    known.act("仓管", receive(here, None, None, 10)).unwrap();
    known.area = there_area.clone();
    let there = known.act("邻街仓管", form_point("邻街", None)).unwrap();
    known.area = here_area;
    let mut points = Points { known, here, there, elsewhere: there };
    let transfer = points.send(4);
    points.known.area = there_area;
    points.known.act("邻街仓管", points.arrive(transfer, None)).unwrap();
    assert_eq!((points.balance(here), points.balance(there)), (6, 4));
    assert!([here, there].iter().all(|point| points.known.view(point).unwrap().outside == 0));
    assert!(points.checks().is_empty());
}

fn count(point: RecordId, quantity: i64, heads: &[EventId]) -> CountSupplies {
    CountSupplies { point, item: "饼干".to_owned(), lot: None, quantity, heads: Some(heads.to_vec()), note: None }
}

#[test]
fn a_count_has_seen_what_its_form_showed_and_no_more() {
    // given a form that showed a hundred boxes
    let mut points = Points::new();
    let shown = points.known.view(&points.here).unwrap().heads;
    // when a colleague hands out ten before ninety of those hundred are entered as counted
    points.known.act("同事", issue(points.here, 10)).unwrap();
    points.known.act("仓管", count(points.here, 90, &shown)).unwrap();
    // then the issue is not swallowed by a count that never saw it
    let view = points.known.view(&points.here).unwrap();
    assert_eq!((points.balance(points.here), view.heads.len()), (80, 2));
    // whereas whoever was shown the issue has counted what it left
    points.known.act("仓管", count(points.here, 85, &view.heads)).unwrap();
    assert_eq!(points.balance(points.here), 85);
    // and a count without heads stands on what is here, as one from the command line does
    points.known.act("仓管", CountSupplies { heads: None, ..count(points.here, 70, &[]) }).unwrap();
    assert_eq!(points.balance(points.here), 70);
}

#[test]
fn two_counts_from_forms_of_one_moment_are_both_shown() {
    let mut points = Points::new();
    let shown = points.known.view(&points.here).unwrap().heads;
    points.known.act("同事", count(points.here, 95, &shown)).unwrap();
    points.known.act("仓管", count(points.here, 90, &shown)).unwrap();
    let view = points.known.view(&points.here).unwrap();
    let conflict = view.open_conflicts().next().unwrap();
    assert_eq!(conflict.class, crate::conflict::ConflictClass::TwoCounts);
    // and whoever settles it from a form that showed both has not seen what was handed out since
    let settle = SettleConflict {
        record: points.here,
        conflict: conflict.id,
        keep: None,
        counted: Some(92),
        heads: Some(view.heads.clone()),
        decision: "已重新盘点".to_owned(),
        note: None,
    };
    points.known.act("同事", issue(points.here, 2)).unwrap();
    let blind = SettleConflict { heads: Some(shown), ..settle.clone() };
    let refused = points.known.act("主任", blind).unwrap_err();
    assert_eq!((refused.code, refused.field), ("unknown_heads", Some("heads")));
    points.known.act("主任", settle).unwrap();
    let view = points.known.view(&points.here).unwrap();
    assert_eq!((points.balance(points.here), view.open_conflicts().count()), (90, 0));
}

#[test]
fn a_loss_is_entered_by_who_has_seen_what_the_form_showed() {
    let mut points = Points::new();
    let shown = points.known.view(&points.here).unwrap().heads;
    points.known.act("同事", issue(points.here, 98)).unwrap();
    let lost = |delta, even_if_short| AdjustSupplies {
        point: points.here,
        item: "饼干".to_owned(),
        lot: None,
        delta,
        reason: AdjustReason::Lost,
        even_if_short,
        heads: Some(shown.clone()),
        note: None,
    };
    let refused = points.known.act("仓管", lost(-5, false)).unwrap_err();
    assert_eq!((refused.code, refused.field), ("not_enough", Some("delta")));
    points.known.act("仓管", lost(-5, true)).unwrap();
    let view = points.known.view(&points.here).unwrap();
    let overdraw = view.open_conflicts().next().map(|conflict| (conflict.class, conflict.events.len()));
    assert_eq!((points.balance(points.here), overdraw), (-3, Some((crate::conflict::ConflictClass::Overdraw, 2))));
}

#[test]
fn heads_that_are_not_the_records_are_refused_by_name() {
    let mut points = Points::new();
    let other = points.known.view(&points.there).unwrap().heads;
    for heads in [vec![], other, vec![EventId::from_bytes([7; 32])], vec![EventId::from_bytes([7; 32]); 9]] {
        let refused = points.known.act("仓管", count(points.here, 90, &heads)).unwrap_err();
        assert_eq!((refused.code, refused.field), ("unknown_heads", Some("heads")), "{heads:?}");
    }
}
