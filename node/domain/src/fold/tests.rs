//! The laws of the fold over random histories: forks, missing parents, refused and unreadable events, repetitions.

use std::collections::BTreeSet;

use linli_core::charter::{Refusal, Verdict};
use linli_core::event::domain_hash;
use linli_core::id::{EventId, RecordId};
use proptest::prelude::*;

use super::*;
use crate::crosscheck::crosschecks;
use crate::desk::Desk;
use crate::documents::Edit;
use crate::events::adopted::Adopted;
use crate::events::hazard_closed::HazardClosed;
use crate::events::hazard_dispatched::HazardDispatched;
use crate::events::hazard_filed::HazardFiled;
use crate::events::hazard_handled::HazardHandled;
use crate::events::hazard_reopened::HazardReopened;
use crate::events::plan_approved::PlanApproved;
use crate::events::plan_drafted::{PlanDrafted, Tier};
use crate::events::plan_issued::PlanIssued;
use crate::events::settled::Settled;
use crate::events::supplies_sent::SuppliesSent;
use crate::payload;
use crate::record::{Rule, VIEWS_VERSION};
use crate::scenario::*;
use crate::state::StateWord;
use crate::summary::{Detail, Summary};

mod acts;
mod areas;

/// A fact that an author who sees `past` might write.
fn some_fact(dice: &mut Dice, kind: usize, past: Option<&RecordView>, node: u8) -> Fact {
    let open = past.and_then(|view| view.open_conflicts().next());
    if let Some(conflict) = open.filter(|_| dice.roll(4) == 0) {
        let keep = Some(conflict.events[dice.roll(conflict.events.len())]).filter(|_| dice.roll(2) == 0);
        let settled = Settled { conflict: conflict.id, keep, decision: "裁定".to_owned(), said: said("主任") };
        return match kind {
            0 => Fact::IncidentSettled(settled),
            1 => Fact::TeamSettled(settled),
            2 => Fact::SuppliesSettled(settled),
            3 => Fact::HazardSettled(settled),
            _ => Fact::PlanSettled(settled),
        };
    }
    let waiting: Vec<EventId> = past.map(|view| view.outside().collect()).unwrap_or_default();
    if !waiting.is_empty() && dice.roll(3) == 0 {
        let adopted = Adopted { events: vec![waiting[dice.roll(waiting.len())]], said: said("主任") };
        return match kind {
            0 => Fact::IncidentAdopted(adopted),
            1 => Fact::TeamAdopted(adopted),
            2 => Fact::PointAdopted(adopted),
            3 => Fact::HazardAdopted(adopted),
            _ => Fact::PlanAdopted(adopted),
        };
    }
    let quantity = 1 + dice.roll(5) as i64;
    match (kind, dice.roll(if kind == 2 { 10 } else { 6 })) {
        (0, 0) => reported(),
        (0, 1) => updated("水位上涨"),
        (0, 2) => assigned("排水"),
        (0, 3 | 4) => closed("已排干"),
        (0, _) => reopened("又积水"),
        (1, 0..=2) => deployed(dice.roll(3) as u64),
        (1, _) => released(dice.roll(3) as u64),
        (2, 0) => received("雨衣", None, quantity),
        (2, 1 | 2) => issued("雨衣", quantity),
        (2, 3) => received("沙袋", Some("甲"), quantity),
        (2, 4) => issued("沙袋", quantity),
        (2, 5) => counted("雨衣", quantity),
        (2, 6) => acts::imported(&format!("stock/{}", dice.roll(3)), quantity),
        (2, 7) => acts::arrived(dice.roll(3) as u64, quantity),
        (2, 8) => sent(dice.roll(3) as u64, quantity),
        (2, _) => acts::in_bottles(received("雨衣", None, quantity)),
        (3, roll) => hazard_fact(roll),
        (_, 0) => Fact::PlanDrafted(PlanDrafted {
            tier: Tier::Building,
            scope: "3幢".to_owned(),
            title: "防汛".to_owned(),
            hazards: vec!["洪涝".to_owned()],
            valid_to: None,
            said: said("甲"),
        }),
        (_, roll) => plan_fact(dice, roll, past, node),
    }
}

fn sent(transfer: u64, quantity: i64) -> Fact {
    Fact::SuppliesSent(SuppliesSent {
        transfer: acts::transfer(transfer),
        item: "雨衣".to_owned(),
        lot: None,
        quantity,
        to_point: record(1 + transfer % 3),
        said: said("仓管"),
    })
}

fn hazard_fact(roll: usize) -> Fact {
    match roll {
        0 => Fact::HazardFiled(HazardFiled { said: said("网格员") }),
        1 => Fact::HazardDispatched(HazardDispatched { to: "物业".to_owned(), said: said("网格员") }),
        2 => {
            Fact::HazardHandled(HazardHandled { what: "已清理".to_owned(), after_photo: None, said: said("物业") })
        }
        3 | 4 => Fact::HazardClosed(HazardClosed { finding: "畅通".to_owned(), said: said("网格员") }),
        _ => Fact::HazardReopened(HazardReopened { reason: "又堵了".to_owned(), said: said("居民") }),
    }
}

fn plan_fact(dice: &mut Dice, roll: usize, past: Option<&RecordView>, node: u8) -> Fact {
    let heads = match past.map(|view| &view.state) {
        Some(State::Plan(plan)) => plan.document.heads.clone(),
        _ => Vec::new(),
    };
    match roll {
        4 if !heads.is_empty() => Fact::PlanApproved(PlanApproved { heads, said: said("乙") }),
        5 if !heads.is_empty() => Fact::PlanIssued(PlanIssued { heads, said: said("乙") }),
        _ => {
            let key = format!("k{}", dice.roll(4));
            let edits = [Edit::SetField { key, value: format!("v{}", dice.roll(1 << 40)) }];
            Fact::PlanEdited(change(past, node, &edits, "甲"))
        }
    }
}

/// A history as a federation with cuts would write it: each author sees some earlier heads and what they imply. Some
/// events name parents that nobody has, some do not count, some do not decode.
fn random_history(seed: u64, len: usize) -> History {
    let mut dice = Dice(seed);
    let kind = dice.roll(5);
    random_history_of(kind, seed, &mut dice, len)
}

fn random_history_of(kind: usize, record: u64, dice: &mut Dice, len: usize) -> History {
    let mut history = History::new(record);
    for n in 0..len {
        let node = 1 + dice.roll(3) as u8;
        let mut seen = BTreeSet::new();
        for _ in 0..=dice.roll(3) {
            let back = dice.roll(n.clamp(1, 6));
            if n > back {
                see(&history, history.events[n - 1 - back].id, &mut seen);
            }
        }
        // An author always sees what they wrote themselves; Automerge's actors rely on it.
        let own: Vec<EventId> =
            history.events.iter().filter(|told| told.header.author == author(node)).map(|told| told.id).collect();
        own.into_iter().for_each(|id| see(&history, id, &mut seen));
        let past: Vec<&Told> = history.events.iter().filter(|told| seen.contains(&told.id)).collect();
        let view = fold_record(history.record, past.iter().map(|told| told.fold_event()));
        let mut parents = view.as_ref().map(|view| view.heads.clone()).unwrap_or_default();
        if dice.roll(20) == 0 && parents.len() < PARENTS_MAX {
            parents.push(EventId::from_bytes([dice.roll(256) as u8; 32]));
        }
        let mut fact = some_fact(dice, kind, view.as_ref(), node);
        // A form that was open for a while: whoever counted has seen no more than it showed.
        if matches!(fact, Fact::SuppliesCounted(_)) && !past.is_empty() && dice.roll(2) == 0 {
            let shown = past[dice.roll(past.len())].id;
            let events = history.events.iter().map(Told::fold_event);
            parents = fold_seen(history.record, &[shown], events).map(|view| view.heads).unwrap_or_default();
        }
        // Few ids, so that acts come again: at another node, with other contents, in the middle of an act.
        if dice.roll(3) == 0 {
            fact = of_act(dice.roll(5) as u8, dice.roll(3) as u8, fact);
        }
        let area = match dice.roll(12) {
            0 => "320508006",
            1 => "320508005012",
            2 => "320508",
            _ => "320508005",
        };
        if dice.roll(25) == 0 {
            parents.clear();
        }
        history.tell_for(area.parse().unwrap(), node, EPOCH_MS + dice.roll(40) as u64, parents, &fact);
        let last = history.events.last_mut().unwrap();
        match dice.roll(30) {
            0 => last.verdict = Verdict::GrantUnknown,
            1 => last.verdict = Verdict::Refused(Refusal::OutsideArea),
            2 => last.op = vec![0xa0],
            _ => {}
        }
    }
    history
}

fn see(history: &History, id: EventId, seen: &mut BTreeSet<EventId>) {
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        if let Some(told) = history.events.iter().find(|told| told.id == id)
            && seen.insert(id)
        {
            open.extend(&told.header.parents);
        }
    }
}

/// What all points hold together, by item and unit.
fn figures_of_stock(all: &[Summary]) -> BTreeMap<(String, String), i64> {
    let mut stock = BTreeMap::new();
    for summary in all {
        if let Detail::SupplyPoint { stock: lines, .. } = &summary.detail {
            for line in lines {
                *stock.entry((line.item.clone(), line.unit.clone())).or_default() += line.balance;
            }
        }
    }
    stock
}

fn bytes(view: &RecordView) -> Vec<u8> {
    view.encode().unwrap()
}

fn fold(record: RecordId, events: &[Told]) -> RecordView {
    fold_record(record, events.iter().map(Told::fold_event)).unwrap()
}

#[test]
fn the_next_event_on_the_heads_takes_the_short_way() {
    let before = History::of([received("雨衣", None, 5)]);
    let after = before.clone().then(issued("雨衣", 2));
    let next = fold_next(&before.view(), &after.events[1].fold_event()).unwrap();
    assert_eq!(next, after.view());
    let late = before.clone().cut([issued("雨衣", 1)], [issued("雨衣", 2)]);
    let view = fold(late.record, &late.events[..2]);
    assert_eq!(fold_next(&view, &late.events[2].fold_event()).unwrap_err(), Refold::NotOnHeads);
}

#[test]
fn what_does_not_count_is_listed_with_its_reason_and_never_added_up() {
    let mut history = History::of([received("雨衣", None, 5), issued("雨衣", 1), issued("雨衣", 1), issued("雨衣", 1)]);
    history.events[1].verdict = Verdict::GrantUnknown;
    history.events[2].verdict = Verdict::Refused(Refusal::OutsideStreams);
    history.events[3].op = vec![0xa0];
    let view = history.view();
    let State::SupplyPoint(point) = &view.state else { panic!("{view:?}") };
    assert_eq!(point.balance("雨衣"), 5);
    assert_eq!((view.unsettled_total, view.waiting, view.event_count), (3, 1, 2));
    let reason = |n: usize| view.unsettled.iter().find(|u| u.event == history.events[n].id).unwrap().reason.clone();
    assert_eq!(reason(1), UnsettledReason::Waiting);
    assert_eq!(reason(2), UnsettledReason::refused(Refusal::OutsideStreams));
    assert!(matches!(reason(3), UnsettledReason::Unreadable(_)));
    // Parents of the next event are what counts, even where what does not count lies in between.
    assert_eq!(view.heads, vec![history.events[3].id]);
}

#[test]
fn an_event_whose_payload_is_not_here_is_not_guessed() {
    let history = History::of([received("雨衣", None, 5)]);
    let told = &history.events[0];
    let view = fold_record(history.record, [FoldEvent { op: None, ..told.fold_event() }]).unwrap();
    assert_eq!(view.unsettled[0].reason, UnsettledReason::PayloadMissing);
}

#[test]
fn a_fact_about_another_kind_of_record_does_not_change_this_one() {
    let view = History::of([reported(), received("雨衣", None, 5)]).view();
    assert_eq!(view.kind, RecordKind::Incident);
    assert_eq!(view.unsettled[0].reason, UnsettledReason::Misplaced);
}

#[test]
fn more_heads_than_an_event_may_name_are_merged_step_by_step() {
    let mut history = History::of([received("雨衣", None, 50)]);
    let root = history.events[0].id;
    for node in 0..20 {
        history.tell(node, EPOCH_MS + u64::from(node), vec![root], &issued("雨衣", 1));
    }
    assert_eq!((history.view().head_count, history.view().heads.len()), (20, PARENTS_MAX));
    for _ in 0..3 {
        history = history.then(counted("雨衣", 30));
    }
    assert_eq!(history.view().head_count, 1);
}

#[test]
fn two_thousand_events_on_each_side_of_a_cut_fold_in_a_blink() {
    let side =
        |n: usize| (0..n).map(|n| if n.is_multiple_of(2) { received("雨衣", None, 3) } else { issued("雨衣", 2) });
    let mut history = History::of([received("雨衣", None, 50)]);
    let start = vec![history.events[0].id];
    for node in [1, 2] {
        let mut heads = start.clone();
        for (n, fact) in side(2_000).enumerate() {
            heads = vec![history.tell(node, EPOCH_MS + n as u64, heads, &fact)];
        }
    }
    let history = history.then(counted("雨衣", 7));
    let State::SupplyPoint(point) = history.view().state else { panic!() };
    assert_eq!(point.balance("雨衣"), 7);
}

#[test]
fn random_histories_contain_what_the_laws_are_about() {
    let (mut short, mut long, mut classes, mut settled) = (0, 0, BTreeSet::new(), 0);
    let (mut repeated, mut adopted, mut outside, mut booked, mut parts) = (0, 0, 0, 0, 0);
    for seed in 0..200 {
        let history = random_history(seed, 24);
        for n in 1..history.events.len() {
            match fold_next(&fold(history.record, &history.events[..n]), &history.events[n].fold_event()) {
                Ok(_) => short += 1,
                Err(_) => long += 1,
            }
        }
        let view = history.view();
        classes.extend(view.conflicts.iter().map(|conflict| conflict.class));
        repeated += view.repeated.total;
        outside += view.outside;
        adopted += view.marks.latest.iter().filter(|mark| mark.rule == Rule::AdoptedFromOutside).count();
        booked += view.marks.latest.iter().filter(|mark| mark.rule == Rule::BookedBefore).count();
        settled += view.conflicts.iter().filter(|conflict| !conflict.is_open()).count();
        if let State::SupplyPoint(point) = &view.state {
            parts += point.arrived.values().filter(|arrived| arrived.parts > 1).count();
        }
    }
    assert!(short > 300 && long > 300 && settled > 20, "short {short}, long {long}, settled {settled}");
    assert_eq!(classes.len(), 7, "{classes:?}");
    let all = [repeated > 20, adopted > 5, outside > 20, booked > 5, parts > 2];
    assert!(all.iter().all(|enough| *enough), "{repeated} {adopted} {outside} {booked} {parts}");
}

#[test]
fn views_that_changed_have_another_version() {
    let kept = |seed| {
        let view = random_history(seed, 20).view();
        [bytes(&view), payload::encode(&Summary::from(&view)).unwrap()].concat()
    };
    let all: Vec<u8> = (0..64).flat_map(kept).collect();
    let digest = domain_hash("linli/views/test", &[&all]);
    let now = (VIEWS_VERSION, u64::from_be_bytes(digest[..8].try_into().unwrap()));
    // What a node has kept would be read as if it said the same: raise the version, and write down what is new here.
    assert_eq!(now, (4, 0x17c5_82e6_c5b5_8d5c), "views or summaries changed: now {:#018x}", now.1);
}

/// Whatever order events arrive in, and however often: fold on is fold whole, and all end with the same bytes.
fn the_same_in_any_order(history: &History, dice: &mut Dice) -> Result<(), TestCaseError> {
    let whole = bytes(&history.view());
    for _ in 0..3 {
        let mut arrival: Vec<Told> = history.events.clone();
        arrival.extend_from_slice(&history.events[..history.events.len() / 3]);
        // Mostly in order, as logs arrive, or in no order at all.
        if dice.roll(2) == 0 {
            dice.shuffle(&mut arrival);
        }
        let mut view: Option<RecordView> = None;
        for n in 0..arrival.len() {
            let here = &arrival[..=n];
            let known = here[..n].iter().any(|told| told.id == here[n].id);
            let short = view.as_ref().map(|view| fold_next(view, &here[n].fold_event()));
            let long = fold(history.record, here);
            if let Some(Ok(short)) = short {
                prop_assert!(!known, "an event entered twice");
                prop_assert_eq!(&short, &long);
                prop_assert_eq!(bytes(&short), bytes(&long));
            }
            view = Some(long);
        }
        prop_assert_eq!(&bytes(view.as_ref().unwrap()), &whole);
    }
    Ok(())
}

/// `PROPTEST_CASES` asks for more than what every run can afford. Where it asks for nothing, proptest says 256.
fn histories() -> ProptestConfig {
    let asked = ProptestConfig::default();
    ProptestConfig { cases: if asked.cases == 256 { 96 } else { asked.cases }, ..asked }
}

proptest! {
    #![proptest_config(histories())]

    #[test]
    fn nodes_that_hold_the_same_records_show_the_same_cross_checks_and_stock(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let mut records: Vec<History> = (0..6).map(|n| random_history(seed.wrapping_add(n), 1 + dice.roll(16))).collect();
        let one: Vec<Summary> = records.iter().map(|history| Summary::from(&history.view())).collect();
        let mut other = Vec::new();
        dice.shuffle(&mut records);
        for history in &mut records {
            dice.shuffle(&mut history.events);
            other.push(Summary::from(&history.view()));
        }
        prop_assert_eq!(crosschecks(&one), crosschecks(&other));
        let stock = |all: &[Summary]| figures_of_stock(all);
        prop_assert_eq!(stock(&one), stock(&other));
    }

    #[test]
    fn points_that_send_to_each_other_over_cuts_show_the_same_everywhere(seed in any::<u64>(), len in 1usize..24) {
        let mut dice = Dice(seed);
        let mut points: Vec<History> = (1..=3).map(|n| random_history_of(2, n, &mut dice, len)).collect();
        let one: Vec<Summary> = points.iter().map(|history| Summary::from(&history.view())).collect();
        for history in &points {
            the_same_in_any_order(history, &mut dice)?;
        }
        dice.shuffle(&mut points);
        let mut other = Vec::new();
        for history in &mut points {
            dice.shuffle(&mut history.events);
            other.push(Summary::from(&history.view()));
        }
        prop_assert_eq!(crosschecks(&one), crosschecks(&other));
        prop_assert_eq!(figures_of_stock(&one), figures_of_stock(&other));
        let on_the_way = |all: &[Summary]| Desk::from_summaries(all, day("2026-09-21")).in_transit;
        prop_assert_eq!(on_the_way(&one), on_the_way(&other));
        prop_assert!(on_the_way(&one).iter().all(|line| (1..=line.transfer.quantity).contains(&line.rest)));
    }

    #[test]
    fn any_order_of_arrival_gives_the_same_bytes_on_the_long_and_the_short_way(seed in any::<u64>(), len in 1usize..36) {
        the_same_in_any_order(&random_history(seed, len), &mut Dice(!seed))?;
    }

    #[test]
    fn a_view_survives_being_kept(seed in any::<u64>()) {
        let view = random_history(seed, 20).view();
        let again = RecordView::decode(&bytes(&view)).unwrap();
        prop_assert_eq!(&again, &view);
        prop_assert_eq!(again.view_hash(), view.view_hash());
    }

    #[test]
    fn who_always_sees_everything_never_meets_a_conflict(seed in any::<u64>()) {
        let mut dice = Dice(seed);
        let kind = dice.roll(4);
        let mut history = History::new(seed);
        let mut view: Option<RecordView> = None;
        for n in 0..25u64 {
            let fact = some_fact(&mut dice, kind, view.as_ref(), 1);
            let heads = view.as_ref().map(|view| view.heads.clone()).unwrap_or_default();
            history.tell(1, EPOCH_MS + n, heads, &fact);
            view = Some(history.view());
        }
        prop_assert!(view.unwrap().conflicts.is_empty());
    }
}
