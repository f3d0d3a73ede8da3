//! A client of the ledger: does its acts one after the other, impatiently, and notes every attempt and every answer.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;

use super::deed::Act;
use crate::lab::api::{Answer, Api};

/// How long a patient client waits for one answer: longer than the node's own deadline.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long the hasty wait, in milliseconds: about as long as an act takes, so that many answers are lost.
const HASTE_MS: std::ops::Range<u64> = 1..25;
/// How long a client goes on with one act before it is called one that cannot be done.
const ACT_TIMEOUT: Duration = Duration::from_secs(90);
/// Most acts that are sent as one batch.
const BATCH_MAX: usize = 5;
/// Pauses between attempts, in milliseconds.
const PAUSE_MS: std::ops::Range<u64> = 5..80;

/// How many acts may be taken, so that faults fall between them and not after all of them.
#[derive(Default)]
pub(super) struct Turnstile {
    taken: AtomicUsize,
    open: AtomicUsize,
    closed_for_good: AtomicBool,
}

impl Turnstile {
    /// Lets acts with a number below `limit` pass.
    pub(super) fn open_until(&self, limit: usize) {
        self.open.store(limit, Ordering::SeqCst);
    }

    /// Acts that were taken so far.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// Nobody takes an act any more.
    pub(super) fn close(&self) {
        self.closed_for_good.store(true, Ordering::SeqCst);
    }

    fn is_closed(&self) -> bool {
        self.closed_for_good.load(Ordering::SeqCst)
    }

    /// Waits for the next act's number; none when all are taken.
    fn take(&self, all: usize) -> Option<usize> {
        while self.taken() < all && !self.is_closed() {
            if let Some(number) = self.take_now(all) {
                return Some(number);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    /// The next act's number, if one may be taken just now.
    fn take_now(&self, all: usize) -> Option<usize> {
        let next = self.taken();
        if next >= all || next >= self.open.load(Ordering::SeqCst) || self.is_closed() {
            return None;
        }
        self.taken.compare_exchange(next, next + 1, Ordering::SeqCst, Ordering::SeqCst).ok()
    }
}

/// What a node answered to an act that it has recorded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Receipt {
    /// The record.
    pub record: String,
    /// The events.
    pub events: Vec<String>,
}

impl Receipt {
    /// From the JSON of an answer; none if it is no receipt.
    pub(super) fn read(json: &Value) -> Option<Self> {
        let events = json["events"].as_array()?.iter().map(|id| id.as_str().map(str::to_owned));
        Some(Self { record: json["record"].as_str()?.to_owned(), events: events.collect::<Option<_>>()? })
    }
}

/// One sending of an act.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Since the first act of the run.
    pub at: Duration,
    /// Where it was sent.
    pub node: usize,
    /// How long an answer was waited for.
    pub patience: Duration,
    /// What came back, and after how long.
    pub answer: Answer,
    /// How long that took.
    pub took: Duration,
}

/// An act with all that became of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// What was to be done.
    pub act: Act,
    /// In the order in which they were sent.
    pub attempts: Vec<Attempt>,
    /// Whether the client gave up without an answer.
    pub abandoned: bool,
    /// Whether it was sent together with others.
    pub in_batch: bool,
}

impl Entry {
    /// Receipts, with the node that gave each.
    pub(super) fn receipts(&self) -> impl Iterator<Item = (usize, Receipt)> {
        self.attempts.iter().filter_map(|attempt| match &attempt.answer {
            Answer::Done(json) => Receipt::read(json).map(|receipt| (attempt.node, receipt)),
            _ => None,
        })
    }

    /// Whether a node said that it is recorded.
    pub(super) fn is_acknowledged(&self) -> bool {
        self.receipts().next().is_some()
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}) by {}: {}", self.act.id, self.act.label, self.act.by, self.act.command)?;
        for Attempt { at, node, patience, answer, took } in &self.attempts {
            let (at, took) = (at.as_millis(), took.as_millis());
            write!(f, "   {at:>7} ms  node {node}, waits {} ms, after {took} ms: ", patience.as_millis())?;
            match answer {
                Answer::Done(receipt) => writeln!(f, "{} {}", receipt["record"], receipt["events"])?,
                Answer::Refused(status, text) => writeln!(f, "{status} {text}")?,
                Answer::Silent(why) => writeln!(f, "no answer: {why}")?,
            }
        }
        write!(f, "   {}", if self.abandoned { "then the client gave up" } else { "then the client went on" })
    }
}

/// Somebody who does acts.
pub(super) struct Client<'a> {
    /// The nodes that it can ask.
    pub nodes: &'a [Api],
    /// The one that it asks first.
    pub home: usize,
    /// Its own chance.
    pub random: Rng,
    /// When the run began.
    pub began: Instant,
}

impl Client<'_> {
    /// Does acts until there are none left, and returns what became of them.
    pub(super) fn run(mut self, acts: &[Act], turnstile: &Turnstile) -> Vec<Entry> {
        let mut entries = vec![];
        while let Some(number) = turnstile.take(acts.len()) {
            let entry = |number: usize| Entry {
                act: acts[number].clone(),
                attempts: vec![],
                abandoned: false,
                in_batch: false,
            };
            let mut together = vec![entry(number)];
            if self.random.u8(..6) == 0 {
                together.extend((1..BATCH_MAX).map_while(|_| turnstile.take_now(acts.len())).map(entry));
            }
            if together.len() > 1 {
                entries.extend(self.insist_together(together, turnstile));
            } else {
                entries.extend(together.into_iter().map(|entry| self.insist(entry, turnstile)));
            }
            self.pause();
        }
        entries
    }

    /// Sends acts as one batch until all of them are recorded, or gives up. What comes again comes from its start or from
    /// its middle, at this node or at another.
    fn insist_together(&mut self, mut entries: Vec<Entry>, turnstile: &Turnstile) -> Vec<Entry> {
        let (began, by) = (Instant::now(), entries[0].act.by.clone());
        for entry in &mut entries {
            (entry.act.by, entry.in_batch) = (by.clone(), true);
        }
        while let Some(open) = entries.iter().position(|entry| !entry.is_acknowledged()) {
            let again = !entries[open].attempts.is_empty();
            let tired = again && self.random.u8(..25) == 0;
            if tired || began.elapsed() > ACT_TIMEOUT || turnstile.is_closed() {
                entries.iter_mut().for_each(|entry| entry.abandoned = !entry.is_acknowledged());
                return entries;
            }
            let node = if self.random.u8(..10) < if again { 4 } else { 8 } { self.home } else { self.any_node() };
            let hasty = Duration::from_millis(self.random.u64(HASTE_MS));
            let patience = if self.random.u8(..10) < 4 { hasty } else { PATIENCE };
            // The first time whole. Later a part of it, whichever: some of it may be on record, and the rest not.
            let range = match again {
                false => 0..entries.len(),
                true => self.random.usize(..=open)..self.random.usize(open + 1..=entries.len()),
            };
            self.send_together(&mut entries[range], node, patience);
            self.pause();
        }
        entries
    }

    /// Sends acts in one batch; each notes what was answered to it.
    fn send_together(&self, entries: &mut [Entry], node: usize, patience: Duration) {
        let element = |entry: &Entry| {
            let mut command = entry.act.command.clone();
            command["act"] = entry.act.id.as_str().into();
            command
        };
        let commands: Vec<Value> = entries.iter().map(element).collect();
        let (at, asked) = (self.began.elapsed(), Instant::now());
        let whole = format!("batch-{}", entries[0].act.id);
        let answer = self.nodes[node].try_acts(&whole, &entries[0].act.by, &commands, patience);
        let took = asked.elapsed();
        let number = entries.len();
        for (place, entry) in entries.iter_mut().enumerate() {
            let answer = match &answer {
                Answer::Done(Value::Array(receipts)) if receipts.len() == number => {
                    Answer::Done(receipts[place].clone())
                }
                Answer::Done(other) => Answer::Refused(499, format!("{number} receipts were expected: {other}")),
                other => other.clone(),
            };
            entry.attempts.push(Attempt { at, node, patience, answer, took });
        }
    }

    /// Sends an act until somebody says that it is recorded, or gives up.
    fn insist(&mut self, mut entry: Entry, turnstile: &Turnstile) -> Entry {
        let began = Instant::now();
        while !entry.is_acknowledged() {
            let again = !entry.attempts.is_empty();
            let tired = again && self.random.u8(..25) == 0;
            if tired || began.elapsed() > ACT_TIMEOUT || turnstile.is_closed() {
                entry.abandoned = true;
                return entry;
            }
            let node = if self.random.u8(..10) < if again { 4 } else { 8 } { self.home } else { self.any_node() };
            match self.random.u8(..10) {
                0..4 => {
                    let hasty = Duration::from_millis(self.random.u64(HASTE_MS));
                    self.send(&mut entry, &[(node, hasty)]);
                }
                4..6 => {
                    // Two taps, or the same act from a second device that asks somewhere else.
                    let other = if self.random.bool() { node } else { self.any_node() };
                    self.send(&mut entry, &[(node, PATIENCE), (other, PATIENCE)]);
                }
                _ => self.send(&mut entry, &[(node, PATIENCE)]),
            }
            self.pause();
        }
        if self.random.u8(..7) == 0 {
            // The answer came, and the person taps again.
            let node = self.any_node();
            self.send(&mut entry, &[(node, PATIENCE)]);
        }
        entry
    }

    fn any_node(&mut self) -> usize {
        self.random.usize(..self.nodes.len())
    }

    fn pause(&mut self) {
        std::thread::sleep(Duration::from_millis(self.random.u64(PAUSE_MS)));
    }

    /// Sends an act to some nodes at the same moment and notes what they answer.
    fn send(&self, entry: &mut Entry, to: &[(usize, Duration)]) {
        let act = &entry.act;
        let attempts: Vec<Attempt> = std::thread::scope(|scope| {
            let sent: Vec<_> =
                to.iter().map(|&(node, patience)| scope.spawn(move || self.attempt(act, node, patience))).collect();
            let joined = sent.into_iter().map(|attempt| attempt.join().unwrap_or_else(|panic| resume_unwind(panic)));
            joined.collect()
        });
        entry.attempts.extend(attempts);
    }

    fn attempt(&self, act: &Act, node: usize, patience: Duration) -> Attempt {
        let (at, asked) = (self.began.elapsed(), Instant::now());
        let answer = self.nodes[node].try_act(&act.id, &act.by, &act.command, patience);
        Attempt { at, node, patience, answer, took: asked.elapsed() }
    }
}
