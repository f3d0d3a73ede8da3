//! Who may speak in a record: its own area and those above it; acts from outside wait for them.

use super::*;

const NEXT_STREET: &str = "320508006";

fn adopted(events: &[EventId]) -> Fact {
    Fact::IncidentAdopted(Adopted { events: events.to_vec(), said: said("主任") })
}

fn rules(view: &RecordView) -> Vec<Rule> {
    view.marks.latest.iter().map(|mark| mark.rule).collect()
}

#[test]
fn an_act_from_outside_stands_on_the_record_and_does_not_count() {
    let history = History::of([reported()]).then_from(NEXT_STREET, closed("已排干"));
    let view = history.view();
    assert_eq!((view.word(), view.outside, view.event_count), (StateWord::Reported, 1, 1));
    assert_eq!(view.outside().collect::<Vec<_>>(), vec![history.events[1].id]);
    assert_eq!(view.heads, vec![history.events[0].id], "the next act does not stand on it");
    for area in ["320508", "320508005"] {
        assert_eq!(History::of([reported()]).then_from(area, closed("已排干")).view().word(), StateWord::Closed);
    }
    let within = History::of([reported()]).then_from("320508005012", closed("已排干")).view();
    assert_eq!(within.word(), StateWord::Reported, "a community does not speak for its street");
}

#[test]
fn an_adopted_act_counts_marked_and_was_seen_by_who_adopted_it() {
    let history = History::of([reported()]).then_from(NEXT_STREET, closed("已排干"));
    let outside = history.events[1].id;
    let after = history.then(adopted(&[outside]));
    let view = after.view();
    assert_eq!((view.word(), view.outside), (StateWord::Closed, 0));
    assert_eq!(rules(&view), vec![Rule::AdoptedFromOutside]);
    let view = after.then(reopened("又积水")).view();
    assert_eq!((view.word(), view.conflicts.len()), (StateWord::Reopened, 0), "whoever goes on has seen it");
}

#[test]
fn an_adoption_from_outside_lets_nothing_in_and_no_chain_of_them_does() {
    let history = History::of([reported()]).then_from(NEXT_STREET, closed("已排干"));
    let closing = history.events[1].id;
    let history = history.then_from(NEXT_STREET, adopted(&[closing]));
    let adoption = history.events[2].id;
    let history = history.then_from(NEXT_STREET, adopted(&[adoption]));
    assert_eq!((history.view().word(), history.view().outside), (StateWord::Reported, 3));
    // Adopting an adoption lets that event count; what it names does not follow.
    let history = history.then(adopted(&[adoption]));
    assert_eq!((history.view().word(), history.view().outside), (StateWord::Reported, 2));
    assert_eq!(history.then(adopted(&[closing])).view().word(), StateWord::Closed);
}

#[test]
fn an_adoption_that_arrives_before_what_it_adopts_waits_for_it() {
    let history = History::of([reported()]).then_from(NEXT_STREET, closed("已排干"));
    let outside = history.events[1].clone();
    let history = history.then(adopted(&[outside.id]));
    let without: Vec<Told> = history.events.iter().filter(|told| told.id != outside.id).cloned().collect();
    let view = fold(history.record, &without);
    assert_eq!((view.word(), view.missing_parents.clone()), (StateWord::Reported, vec![outside.id]));
    assert!(fold_next(&view, &outside.fold_event()).is_err());
    assert_eq!(history.view().word(), StateWord::Closed);
}

#[test]
fn a_record_that_was_begun_in_two_areas_belongs_to_both_and_says_so() {
    let mut history = History::of([reported()]);
    history.tell_for(NEXT_STREET.parse().unwrap(), 9, EPOCH_MS + 9_000, vec![], &reported());
    let view = history.view();
    assert_eq!((view.area.as_str(), view.areas.len(), rules(&view)), ("320508005", 2, vec![Rule::BegunElsewhere]));
    assert_eq!(history.then_from(NEXT_STREET, closed("已排干")).view().word(), StateWord::Closed);
    // An act without parents begins nothing: it is a stranger's act like any other.
    let mut history = History::of([reported()]);
    history.tell_for(NEXT_STREET.parse().unwrap(), 9, EPOCH_MS + 9_000, vec![], &closed("已排干"));
    assert_eq!((history.view().word(), history.view().outside), (StateWord::Reported, 1));
}

#[test]
fn however_many_areas_a_record_was_begun_in_its_own_has_its_say() {
    // Given a record, and a member with a grant for a community who begins it once more in each of many areas inside its own,
    // before it by the clock as well as after it,
    for (inside, at) in [("3205080049", EPOCH_MS - 9_000), ("3205080079", EPOCH_MS + 9_000)] {
        let mut history = History::of([reported()]);
        let own = history.view().area;
        for n in 0..100 {
            let area = format!("{inside}{n:02}").parse().unwrap();
            history.tell_for(area, 9, at, vec![], &reported());
        }
        // then the record's own area decides as well as the others, and what it does counts,
        let view = history.view();
        assert!(view.areas.len() == 101 && view.is_covered_by(&own) && view.is_covered_by(&"320508".parse().unwrap()));
        assert_eq!(history.clone().then_from(own.as_str(), closed("已排干")).view().word(), StateWord::Closed);
        // and who speaks for none of them has no say.
        assert!(!view.is_covered_by(&NEXT_STREET.parse().unwrap()));
        assert_eq!(history.then_from(NEXT_STREET, closed("已排干")).view().word(), StateWord::Reported);
    }
}
