//! Verifying what volumes hold, ahead of the store.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender};

use linli_core::event::{Payload, ReceivedEvent, Slot};
use linli_core::frame::{FrameHead, decode_frame};
use linli_core::id::LogId;
use linli_net::limits::APPEND_BATCH_BYTES;
use linli_net::{HeadsAhead, Job, Proven, prove_batch};

use super::opening::{Opened, Unpacked};
use super::report::{Gap, RefusedFrame, note_refused};
use crate::node::{Node, random_u64};

/// Bytes of the first batch; each has twice as many as the one before, up to [`APPEND_BATCH_BYTES`]. So the disk has
/// something to do early, and few syncs later.
const FIRST_BATCH_BYTES: usize = APPEND_BATCH_BYTES / 8;

/// What is to be done with the store, in order.
pub(super) enum Step {
    /// This batch is to be appended; it is of the present volume.
    Append(Proven<Placed>),
    /// The present volume ends here, and so much was found in it that cannot be appended.
    End(Opened, Found),
}

/// What cannot be appended, by what stands in a volume alone.
#[derive(Default)]
pub(super) struct Found {
    pub(super) gaps: BTreeMap<LogId, Gap>,
    pub(super) refused: Vec<RefusedFrame>,
}

/// A frame's place in the report.
pub(super) struct Placed {
    pub(super) log: LogId,
    pub(super) from: u64,
    pub(super) events: u64,
}

/// Gathers frames into batches and verifies them, each batch before the one before it is durable.
pub(super) struct Proving<'n> {
    node: &'n Node,
    steps: SyncSender<Step>,
    jobs: Vec<Job<Placed>>,
    bytes: usize,
    /// A batch is verified once it has so many bytes.
    batch_bytes: usize,
    /// Heads of logs once all that was verified is appended.
    heads: HeadsAhead,
    /// How far each log will be if every frame of the present batch is taken.
    heights: BTreeMap<LogId, u64>,
    found: Found,
}

impl<'n> Proving<'n> {
    pub(super) fn new(node: &'n Node, steps: SyncSender<Step>) -> Self {
        Self {
            node,
            steps,
            jobs: vec![],
            bytes: 0,
            batch_bytes: FIRST_BATCH_BYTES,
            heads: HeadsAhead::new(),
            heights: BTreeMap::new(),
            found: Found::default(),
        }
    }

    /// Takes everything, unless the store fails meanwhile, which is told where it is appended.
    pub(super) fn take_all(mut self, unpacked: Receiver<Unpacked>) {
        for item in unpacked {
            let goes_on = match item {
                Unpacked::Frame(frame) => self.take(frame),
                Unpacked::End(opened) => self.end(opened),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// A batch is of one volume, so that what becomes of it is told of that one. Whether to go on.
    fn end(&mut self, opened: Opened) -> bool {
        self.prove() && self.steps.send(Step::End(opened, std::mem::take(&mut self.found))).is_ok()
    }

    /// Whether to go on.
    fn take(&mut self, frame: Vec<u8>) -> bool {
        let head = match FrameHead::of(&frame) {
            Ok(head) => head,
            Err(error) => {
                let frame = RefusedFrame { log: None, from: 0, reason: error.to_string() };
                note_refused(&mut self.found.refused, frame);
                return true;
            }
        };
        let height = self.height(&head.log);
        if head.first_seq > height + 1 {
            let gap = Gap { log: head.log.clone(), have: height, from: head.first_seq };
            self.found.gaps.entry(head.log).or_insert(gap);
            return true;
        }
        if head.first_seq <= height {
            self.fill_in(&head, &frame);
        }
        if head.log.author == self.node.key() && head.last_seq() > height {
            self.heed_our_own(&head.log, &frame);
        }
        self.heights.insert(head.log.clone(), height.max(head.last_seq()));
        self.bytes += frame.len();
        let token = Placed { log: head.log.clone(), from: head.first_seq, events: head.events as u64 };
        self.jobs.push(Job { token, log: head.log, frame });
        self.bytes < self.batch_bytes || self.prove()
    }

    /// Events that are here without their personal payload may be carried with it. What does not belong to them is for the
    /// proof of the frame to refuse.
    fn fill_in(&self, head: &FrameHead, frame: &[u8]) {
        let store = &self.node.store;
        let first = store.lacking(&head.log, head.first_seq - 1, 1).unwrap_or_default().first().copied();
        if first.is_none_or(|seq| seq > head.last_seq()) {
            return;
        }
        let run = decode_frame(frame).unwrap_or_default();
        let payload = |event: &ReceivedEvent| Some((event.header().seq, event.payload(Slot::Pii)?.clone()));
        let payloads: Vec<(u64, Payload)> = run.iter().filter_map(payload).collect();
        if let Err(error) = store.fill(&head.log, &payloads) {
            tracing::warn!(%error, log = %head.log, "carried payloads were not filled in");
        }
    }

    fn height(&self, log: &LogId) -> u64 {
        let ahead = || self.heads.get(log).map(|head| head.map_or(0, |head| head.seq));
        let stored = || self.node.store.head(log).map_or(0, |head| head.seq);
        self.heights.get(log).copied().or_else(ahead).unwrap_or_else(stored)
    }

    /// Somebody holds later events of ours than we do: as when a peer reports them, writing goes on in a new incarnation.
    fn heed_our_own(&self, log: &LogId, frame: &[u8]) {
        let last = decode_frame(frame).ok().and_then(|run| run.last().map(|event| event.head()));
        if let Some(head) = last {
            self.node.writer.reported_by_peer(None, log, head, &mut random_u64);
        }
    }

    fn prove(&mut self) -> bool {
        let jobs = std::mem::take(&mut self.jobs);
        (self.bytes, self.heights) = (0, BTreeMap::new());
        self.batch_bytes = APPEND_BATCH_BYTES.min(self.batch_bytes * 2);
        jobs.is_empty() || self.steps.send(Step::Append(prove_batch(&self.node.store, jobs, &mut self.heads))).is_ok()
    }
}
