//! What this node knows of acts: the first receipt of each that is recorded, and which are being recorded just now.
//!
//! The index lies beside the views and is written with them, for events of all authors: so an act is known after a lost
//! answer, after a restart, and at any node that has heard of it. Key: `a` + act; value: for each of its events the
//! event's id, content, ordinal, record and time, from which the event itself is found. Nothing of it is kept in memory.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::{EventId, LogId, RecordId};
use linli_domain::act::{ActId, ActStamp};
use linli_store::{Projection, ProjectionBatch};

use crate::node::{Node, NodeError, Receipt, SubmitError};

/// Most events of one act that are noted: an act writes one event, or one for each lot that it draws on. What somebody
/// else piles up under an id does not count, and costs no more than this.
const ACT_EVENTS_MAX: usize = 256;

/// First byte of the index's keys.
const PREFIX: u8 = b'a';
/// Event, content, ordinal, record, time.
const ENTRY_BYTES: usize = 32 + 8 + 1 + 16 + 8;

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
    /// What will stand under each act's key.
    touched: BTreeMap<ActId, Vec<u8>>,
}

impl<'p> ActsOfPass<'p> {
    pub(crate) const fn new(projection: &'p Projection) -> Self {
        Self { projection, touched: BTreeMap::new() }
    }

    /// Notes an event, if it is of an act.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn note(&mut self, event: &ReceivedEvent, record: RecordId) -> Result<(), NodeError> {
        let op = event.payload(Slot::Op);
        let Some(stamp) = op.and_then(|payload| ActStamp::in_payload(&payload.bytes)) else { return Ok(()) };
        let known = match self.touched.entry(stamp.id) {
            Entry::Occupied(touched) => touched.into_mut(),
            Entry::Vacant(empty) => empty.insert(self.projection.get(&key_of(&stamp.id))?.unwrap_or_default()),
        };
        let (id, time) = (event.id(), event.header().time.to_bits().to_be_bytes());
        // A log may be folded again from its first event.
        let is_known = known.chunks_exact(ENTRY_BYTES).any(|entry| entry[..32] == id.as_bytes()[..]);
        if !is_known && known.len() < ACT_EVENTS_MAX * ENTRY_BYTES {
            let parts = [&id.as_bytes()[..], &stamp.content, &[stamp.ordinal], record.as_bytes(), &time];
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
    Some(Indexed {
        stamp: ActStamp { id: *act, content: entry[32..40].try_into().ok()?, ordinal: entry[40] },
        event: EventId::from_bytes(entry[..32].try_into().ok()?),
        record: RecordId::from_bytes(entry[41..57].try_into().ok()?),
        time: u64::from_be_bytes(entry[57..].try_into().ok()?),
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
    /// What is on record of an act, however long ago and by whichever node; none if this node has not heard of it. An
    /// event that its author had no right to write says nothing.
    ///
    /// # Errors
    /// When the store fails.
    pub fn recorded(&self, act: &ActId) -> Result<Vec<Recorded>, NodeError> {
        let entries = indexed(&self.store.projection(), act)?;
        let charter = self.projector.charter();
        let mut all: Vec<Recorded> = vec![];
        for entry in entries {
            let Some((place, event)) = self.projector.event_at(&entry.record, entry.time, &entry.event)? else {
                continue;
            };
            if !matches!(charter.verdict(&event.id(), event.header()), linli_core::charter::Verdict::Authorised { .. })
            {
                continue;
            }
            if self.waits_for_us(&entry.record, &entry.event)? {
                continue;
            }
            let at = all.iter().position(|known| known.content == entry.stamp.content && known.record == entry.record);
            let known = match at {
                Some(at) => &mut all[at],
                None => {
                    let (content, record) = (entry.stamp.content, entry.record);
                    all.push(Recorded { content, record, events: vec![], places: vec![] });
                    let last = all.len() - 1;
                    &mut all[last]
                }
            };
            known.events.push(entry.event);
            known.places.push(place);
        }
        Ok(all)
    }

    /// Whether an event stands outside its record's area and this node speaks for that: then it counts for nothing until
    /// somebody here adopts it, and says nothing here about an act. Its own author's node goes on answering with it.
    fn waits_for_us(&self, record: &RecordId, event: &EventId) -> Result<bool, NodeError> {
        let view = self.projector.view(record)?.filter(|view| view.is_covered_by(self.area()));
        Ok(view.is_some_and(|view| view.outside().any(|outside| outside == *event)))
    }

    /// The first receipt of an act, if it is on record with this content.
    ///
    /// # Errors
    /// [`SubmitError::ActReused`] when it is on record with another content only, or when the store fails.
    pub(crate) fn first_receipt(&self, act: &ActId, content: [u8; 8]) -> Result<Option<Receipt>, SubmitError> {
        let recorded = self.recorded(act)?;
        if let Some(same) = recorded.iter().find(|known| known.content == content) {
            return Ok(Some(self.receipt_again(*act, same)));
        }
        match recorded.first() {
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
