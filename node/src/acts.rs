//! What this node knows of acts: the first receipt of each that is recorded, and which are being recorded just now.
//!
//! The index lies beside the views and is written with them, for events of all authors: so an act is known after a lost
//! answer, after a restart, and at any node that has heard of it. Key: `a` + act; value: for each of its events the
//! beginning of its author's key, its id, content, ordinal, record and time, from which the event itself is found. Nothing
//! of it is kept in memory.
//!
//! Only what its author had a right to write is noted, of each author so much at most: a copy of somebody's act takes no
//! room from the act.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use linli_core::charter::{Charter, Verdict};
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::{EventId, LogId, RecordId};
use linli_domain::act::{ActId, ActStamp};
use linli_store::{Projection, ProjectionBatch};

use crate::limits::ACT_EVENTS_MAX;
use crate::node::{Node, NodeError, Receipt, SubmitError};

/// First byte of the index's keys.
const PREFIX: u8 = b'a';
/// So much of an author's key tells the nodes of a district apart; to draw a key that begins like another takes 2^64 tries.
const AUTHOR_BYTES: usize = 8;
/// Author, event, content, ordinal, record, time.
const ENTRY_BYTES: usize = AUTHOR_BYTES + 32 + 8 + 1 + 16 + 8;

/// An event of an act, as the index has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Indexed {
    stamp: ActStamp,
    event: EventId,
    record: RecordId,
    /// The event's hybrid time, as bits: part of its key in the record's index.
    time: u64,
}

/// The acts of the events that one pass folds.
pub(crate) struct ActsOfPass<'p> {
    projection: &'p Projection,
    charter: &'p Charter,
    /// What will stand under each act's key.
    touched: BTreeMap<ActId, Vec<u8>>,
}

impl<'p> ActsOfPass<'p> {
    pub(crate) const fn new(projection: &'p Projection, charter: &'p Charter) -> Self {
        Self { projection, charter, touched: BTreeMap::new() }
    }

    /// Notes an event, if it is of an act and its author had a right to write it. Where the right comes later, the event is
    /// folded, and noted, again.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn note(&mut self, event: &ReceivedEvent, record: RecordId) -> Result<(), NodeError> {
        let op = event.payload(Slot::Op);
        let Some(stamp) = op.and_then(|payload| ActStamp::in_payload(&payload.bytes)) else { return Ok(()) };
        let (id, header) = (event.id(), event.header());
        if !matches!(self.charter.verdict(&id, header), Verdict::Authorised { .. }) {
            return Ok(());
        }
        let known = match self.touched.entry(stamp.id) {
            Entry::Occupied(touched) => touched.into_mut(),
            Entry::Vacant(empty) => empty.insert(self.projection.get(&key_of(&stamp.id))?.unwrap_or_default()),
        };
        let (author, time) = (&header.author.as_bytes()[..AUTHOR_BYTES], header.time.to_bits().to_be_bytes());
        let by_author = || known.chunks_exact(ENTRY_BYTES).filter(|entry| entry[..AUTHOR_BYTES] == *author);
        // A log may be folded again from its first event.
        let is_known = by_author().any(|entry| entry[AUTHOR_BYTES..][..32] == id.as_bytes()[..]);
        if !is_known && by_author().count() < ACT_EVENTS_MAX {
            let parts = [author, &id.as_bytes()[..], &stamp.content, &[stamp.ordinal], record.as_bytes(), &time];
            parts.iter().for_each(|part| known.extend_from_slice(part));
        }
        Ok(())
    }

    pub(crate) fn put(self, batch: &mut ProjectionBatch) {
        self.touched.into_iter().for_each(|(act, entries)| batch.put(key_of(&act), entries));
    }
}

/// The events that are known of an act, whoever wrote them, in the act's own order.
fn indexed(projection: &Projection, act: &ActId) -> Result<Vec<Indexed>, NodeError> {
    let Some(entries) = projection.get(&key_of(act))? else { return Ok(vec![]) };
    // All of it is folded anew then.
    let damaged = || {
        let why = format!("the entry of act {act} does not decode");
        projection.is_damaged(why.clone());
        NodeError::Internal(why)
    };
    let mut found: Vec<Indexed> =
        entries.chunks(ENTRY_BYTES).map(|entry| read(act, entry).ok_or_else(damaged)).collect::<Result<_, _>>()?;
    found.sort_by_key(|entry| (entry.stamp.ordinal, entry.time, entry.event));
    Ok(found)
}

fn key_of(act: &ActId) -> Vec<u8> {
    [&[PREFIX][..], act.as_bytes()].concat()
}

fn read(act: &ActId, entry: &[u8]) -> Option<Indexed> {
    let entry: &[u8; ENTRY_BYTES] = entry.try_into().ok()?;
    let said = &entry[AUTHOR_BYTES..];
    Some(Indexed {
        stamp: ActStamp { id: *act, content: said[32..40].try_into().ok()?, ordinal: said[40] },
        event: EventId::from_bytes(said[..32].try_into().ok()?),
        record: RecordId::from_bytes(said[41..57].try_into().ok()?),
        time: u64::from_be_bytes(said[57..].try_into().ok()?),
    })
}

/// A position in a log.
pub type Place = (LogId, u64);

/// An act that this node has on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What was asked.
    pub content: [u8; 8],
    /// The record.
    pub record: RecordId,
    /// Its events, in order.
    pub events: Vec<EventId>,
    /// Where they stand.
    pub places: Vec<Place>,
}

/// Why an id cannot be used for this act: another act has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "编号 {act} 已用于另一项操作: 记录 {record}, 内容 {recorded}; 这次的内容是 {asked} / act {act} is another act already: record \
     {record}, content {recorded}; this one has content {asked}"
)]
pub struct ActReused {
    /// The id.
    pub act: ActId,
    /// The record of the act that has it.
    pub record: RecordId,
    /// The content of the act that has it, in hexadecimal digits.
    pub recorded: String,
    /// The content of this one.
    pub asked: String,
}

impl Node {
    /// What is on record of an act, however long ago and by whichever node; none if this node has not heard of it. An event
    /// that its author had no right to write says nothing. What stands under the id with other contents, or about other
    /// records, comes last unless this node wrote it.
    ///
    /// # Errors
    /// When the store fails.
    pub fn recorded(&self, act: &ActId) -> Result<Vec<Recorded>, NodeError> {
        let entries = indexed(&self.store.projection(), act)?;
        let charter = self.projector.charter();
        let (mut all, mut own): (Vec<Recorded>, Vec<(RecordId, [u8; 8])>) = (vec![], vec![]);
        for Indexed { stamp, event: id, record, time } in entries {
            let Some((place, event)) = self.projector.event_at(&record, time, &id)? else { continue };
            let is_authorised = matches!(charter.verdict(&id, event.header()), Verdict::Authorised { .. });
            if !is_authorised || self.waits_for_us(&record, &id)? {
                continue;
            }
            if event.header().author == self.enrolment.node {
                own.push((record, stamp.content));
            }
            match all.iter_mut().find(|known| (known.content, known.record) == (stamp.content, record)) {
                Some(known) => {
                    known.events.push(id);
                    known.places.push(place);
                }
                None => all.push(Recorded { content: stamp.content, record, events: vec![id], places: vec![place] }),
            }
        }
        all.sort_by_key(|known| !own.contains(&(known.record, known.content)));
        Ok(all)
    }

    /// Whether an event stands outside its record's area and this node speaks for that: then it counts for nothing until
    /// somebody here adopts it, and says nothing here about an act. Its own author's node goes on answering with it.
    fn waits_for_us(&self, record: &RecordId, event: &EventId) -> Result<bool, NodeError> {
        let view = self.projector.view(record)?.filter(|view| view.is_covered_by(self.area()));
        Ok(view.is_some_and(|view| view.outside().any(|outside| outside == *event)))
    }

    /// The first receipt of an act, if it is on record with this content, which says as well which record it is about. An
    /// event about another record that claims the same content is a copy of the stamp, and says nothing.
    ///
    /// # Errors
    /// [`SubmitError::ActReused`] when it is on record with another content only, or when the store fails.
    pub(crate) fn first_receipt(
        &self,
        act: &ActId,
        content: [u8; 8],
        about: &RecordId,
    ) -> Result<Option<Receipt>, SubmitError> {
        let recorded = self.recorded(act)?;
        if let Some(same) = recorded.iter().find(|known| known.content == content && known.record == *about) {
            return Ok(Some(self.receipt_again(*act, same)));
        }
        match recorded.iter().find(|known| known.content != content) {
            None => Ok(None),
            Some(other) => Err(act_reused(*act, other.record, other.content, content)),
        }
    }

    /// The receipt of an act that is on record, with what is known now of who else holds it.
    pub fn receipt_again(&self, act: ActId, recorded: &Recorded) -> Receipt {
        Receipt {
            act,
            record: recorded.record,
            events: recorded.events.clone(),
            heard_by: self.holders(&recorded.places) as u64,
            repeated: true,
            shown: true,
        }
    }
}

pub(crate) fn act_reused(act: ActId, record: RecordId, recorded: [u8; 8], asked: [u8; 8]) -> SubmitError {
    let text = |content| ActStamp { id: act, content, ordinal: 0 }.content_text();
    SubmitError::ActReused(Box::new(ActReused { act, record, recorded: text(recorded), asked: text(asked) }))
}

/// How many acts, or batches, a node has in hand, those that wait for their turn included.
#[derive(Debug)]
pub(crate) struct InHand {
    now: AtomicUsize,
    max: usize,
}

impl InHand {
    pub(crate) const fn at_most(max: usize) -> Self {
        Self { now: AtomicUsize::new(0), max }
    }

    /// Takes one more in hand until the guard is dropped.
    ///
    /// # Errors
    /// [`SubmitError::Busy`] when there are enough: nothing was recorded.
    pub(crate) fn take(&self) -> Result<Held<'_>, SubmitError> {
        let held = Held(self);
        match self.now.fetch_add(1, Ordering::SeqCst) {
            others if others < self.max => Ok(held),
            _ => Err(SubmitError::Busy),
        }
    }

    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::SeqCst)
    }
}

/// One act in hand.
#[derive(Debug)]
pub(crate) struct Held<'h>(&'h InHand);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Parts of [`Underway`]: as many clients as a node has rarely meet in one.
const PARTS: usize = 64;

/// The acts that are being recorded: whoever sends one of them again waits for its receipt.
#[derive(Debug)]
pub(crate) struct Underway([Part; PARTS]);

#[derive(Debug, Default)]
struct Part {
    acts: Mutex<BTreeSet<ActId>>,
    ended: Condvar,
}

impl Part {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<ActId>> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Underway {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Part::default()))
    }
}

impl Underway {
    /// Waits until nobody records any of these acts, and records them. Whoever holds some already must not ask for more.
    pub(crate) fn enter(&self, acts: impl IntoIterator<Item = ActId>) -> Entered<'_> {
        let mut parts: BTreeMap<usize, BTreeSet<ActId>> = BTreeMap::new();
        acts.into_iter().for_each(|act| {
            parts.entry(part_of(&act)).or_default().insert(act);
        });
        // Everybody takes the parts in the same order, so nobody waits for somebody who waits for them.
        for (part, acts) in &parts {
            let Part { ended, .. } = &self.0[*part];
            let mut underway = self.0[*part].lock();
            while !acts.is_disjoint(&underway) {
                underway = ended.wait(underway).unwrap_or_else(PoisonError::into_inner);
            }
            underway.extend(acts.iter().copied());
        }
        Entered { of: self, parts }
    }

    /// Whether an act is being recorded just now.
    pub(crate) fn has(&self, act: &ActId) -> bool {
        self.0[part_of(act)].lock().contains(act)
    }
}

/// The last byte of a UUID is drawn at random; the first say the time.
fn part_of(act: &ActId) -> usize {
    usize::from(act.as_bytes()[15]) % PARTS
}

/// Held while acts are recorded.
#[derive(Debug)]
pub(crate) struct Entered<'u> {
    of: &'u Underway,
    parts: BTreeMap<usize, BTreeSet<ActId>>,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        for (part, acts) in &self.parts {
            self.of.0[*part].lock().retain(|act| !acts.contains(act));
            self.of.0[*part].ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_acts_are_in_hand_and_the_next_is_told_to_come_back() {
        let in_hand = InHand::at_most(2);
        let held = (in_hand.take().unwrap(), in_hand.take().unwrap());
        assert!(matches!(in_hand.take(), Err(SubmitError::Busy)));
        assert_eq!(in_hand.now(), 2);
        drop(held.0);
        drop(in_hand.take().unwrap());
        assert_eq!(in_hand.now(), 1);
    }

    #[test]
    fn whoever_sends_an_act_again_waits_for_the_first_and_others_do_not() {
        let underway = Arc::new(Underway::default());
        let (one, other) = (ActId::from_bytes([1; 16]), ActId::from_bytes([2; 16]));
        let first = underway.enter([one]);
        drop(underway.enter([other]));
        let (waiting, again) = (underway.clone(), std::sync::mpsc::channel());
        let waiter = std::thread::spawn(move || {
            let _second = waiting.enter([one]);
            again.0.send(()).unwrap();
        });
        again.1.recv_timeout(Duration::from_millis(50)).unwrap_err();
        assert!(underway.has(&one) && !underway.has(&other));
        drop(first);
        again.1.recv_timeout(Duration::from_secs(10)).unwrap();
        waiter.join().unwrap();
        assert!(!underway.has(&one));
    }
}
