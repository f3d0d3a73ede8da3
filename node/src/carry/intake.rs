//! One volume into the store of an open node, through the door that replication uses.
//!
//! One thread opens and unpacks, one verifies, one appends, each ahead of the next. Whatever was proven before a fault
//! stays; taking the same volume in again costs time and changes nothing.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use linli_core::carry::{Item, VolumeHeader, VolumeReader};
use linli_core::event::{Payload, ReceivedEvent, Slot};
use linli_core::frame::{FrameHead, decode_frame};
use linli_core::id::{AuthorKey, BundleId, EventId, Head, LogId};
use linli_core::limits;
use linli_core::sign::SecretKey;
use linli_core::sync::AppendFailure;
use linli_net::{HeadsAhead, Job, Proven, append_proven, prove_batch, unpack};
use linli_store::Store;
use serde::{Deserialize, Serialize};

use super::seal;
use super::taken::Taken;
use crate::node::{Node, NodeError, random_u64};

/// Bytes of a volume that are opened at once: one chunk of its seal.
const PIECE_BYTES: usize = 64 * 1024;
/// Frames that may wait between opening and appending: some ten megabytes at most.
const FRAMES_WAITING: usize = 16;
/// Batches that may wait between verifying and appending: some ten megabytes, decoded.
const BATCHES_WAITING: usize = 1;
/// Frames and events that are reported one by one. A person reads a few; the rest is counted.
const LINES_MAX: usize = 100;

/// What became of one volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeReport {
    /// The bundle; none if the file could not be opened so far.
    pub bundle: Option<BundleId>,
    /// Its number in the bundle.
    pub volume: u64,
    /// The node that made it.
    pub sender: Option<AuthorKey>,
    /// Events that are durable now and were not before.
    pub new: u64,
    /// Events that were here already.
    pub known: u64,
    /// Logs whose events before these are not here.
    pub gaps: Vec<Gap>,
    /// Logs of which two histories were signed.
    pub forks: Vec<OtherHistory>,
    /// Frames that prove nothing, the first hundred.
    pub refused: Vec<RefusedFrame>,
    /// Why the rest of the file could not be used.
    pub damaged: Option<String>,
    /// Other volumes of the bundle that have not been taken in whole.
    pub missing: Vec<u64>,
    /// Whether the bundle's last volume has been met.
    pub end_known: bool,
}

/// Events that cannot be taken yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The log.
    pub log: LogId,
    /// How far it is here.
    pub have: u64,
    /// Position of the first carried event that leaves a gap.
    pub from: u64,
}

/// A log whose author signed two histories. Ours stays, and what proves the other one is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherHistory {
    /// The log.
    pub log: LogId,
    /// The last event of the other history that was shown.
    pub theirs: Head,
}

/// A frame of which nothing was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFrame {
    /// The log, if the frame says so much.
    pub log: Option<LogId>,
    /// Position of its first event.
    pub from: u64,
    /// Why.
    pub reason: String,
}

impl VolumeReport {
    /// Whether everything in the volume is in the store now.
    pub const fn is_whole(&self) -> bool {
        self.damaged.is_none() && self.gaps.is_empty() && self.forks.is_empty() && self.refused.is_empty()
    }

    fn note_fork(&mut self, fork: OtherHistory) {
        match self.forks.iter_mut().find(|known| known.log == fork.log) {
            Some(known) => known.theirs = fork.theirs.max(known.theirs),
            None => self.forks.push(fork),
        }
    }
}

/// Opens a volume as far as its header, to see which it is.
///
/// # Errors
/// Says why it cannot be used.
pub fn peek(sealed: &[u8], key: &SecretKey, federation: EventId) -> Result<VolumeHeader, String> {
    let mut opened = seal::open(sealed, key).map_err(|error| error.to_string())?;
    let mut reader = VolumeReader::new(federation);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let len = opened.read(&mut piece).map_err(|_| seal::OpenError::Damaged.to_string())?;
        reader.push(&piece[..len]);
        match reader.next_item().map_err(|error| error.to_string())? {
            Some(Item::Header(header)) => return Ok(*header),
            _ if len == 0 => return Err(seal::OpenError::Damaged.to_string()),
            _ => {}
        }
    }
}

impl Node {
    /// Takes one sealed volume in. Blocks.
    ///
    /// # Errors
    /// Only when the store fails; what is wrong with the volume stands in the report.
    pub fn take_volume(&self, sealed: &[u8]) -> Result<VolumeReport, NodeError> {
        let (frames, unpacked) = sync_channel(FRAMES_WAITING);
        let (batches, proven) = sync_channel(BATCHES_WAITING);
        let (opened, proving, settled) = std::thread::scope(|scope| {
            let opening = scope.spawn(|| Opened::read(sealed, &self.key, self.enrolment.federation, frames));
            let settling = scope.spawn(|| settle_all(&self.store, proven));
            let proving = Proving::new(self, batches).take_all(unpacked);
            // A panic over there is a defect; the volume then counts as damaged, and what was taken stays.
            let opened = opening.join().unwrap_or_else(|_| Opened::damaged(&"internal"));
            let settled =
                settling.join().unwrap_or_else(|_| Err(NodeError::Internal("a panic while appending".into())));
            (opened, proving, settled)
        });
        let mut report = settled?;
        proving.report_to(&mut report);
        report.damaged = opened.damaged;
        if let Some(header) = opened.header {
            self.note_volume(&header, opened.last, &mut report)?;
        }
        tracing::info!(
            volume = report.volume,
            new = report.new,
            known = report.known,
            gaps = report.gaps.len(),
            refused = report.refused.len(),
            damaged = report.damaged.as_deref(),
            "took in a carried volume"
        );
        Ok(report)
    }

    fn note_volume(
        &self,
        header: &VolumeHeader,
        last: Option<bool>,
        report: &mut VolumeReport,
    ) -> Result<(), NodeError> {
        let local = self.store.local();
        let mut taken = Taken::of(&local, header)?;
        if let Some(last) = last.filter(|_| report.is_whole()) {
            taken.note(header.number, last);
            taken.keep(&local, header)?;
        }
        report.missing = taken.missing(header.number);
        report.end_known = taken.knows_the_end() || last == Some(true);
        (report.bundle, report.volume, report.sender) = (Some(header.bundle), header.number, Some(header.sender));
        Ok(())
    }
}

/// What the opening thread found besides frames.
#[derive(Debug, Default)]
struct Opened {
    header: Option<VolumeHeader>,
    /// Whether the bundle ends here; none if the volume's own end was not reached.
    last: Option<bool>,
    damaged: Option<String>,
}

impl Opened {
    fn damaged(reason: &dyn std::fmt::Display) -> Self {
        Self { damaged: Some(reason.to_string()), ..Self::default() }
    }

    fn read(sealed: &[u8], key: &SecretKey, federation: EventId, frames: SyncSender<Vec<u8>>) -> Self {
        let mut found = Self::default();
        found.damaged = found.read_all(sealed, key, federation, &frames).err();
        found
    }

    fn read_all(
        &mut self,
        sealed: &[u8],
        key: &SecretKey,
        federation: EventId,
        frames: &SyncSender<Vec<u8>>,
    ) -> Result<(), String> {
        let mut opened = seal::open(sealed, key).map_err(|error| error.to_string())?;
        let mut reader = VolumeReader::new(federation);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let len = opened.read(&mut piece).map_err(|_| "文件已损坏 / the file is damaged here".to_owned())?;
            if len == 0 {
                return reader.finish().map_err(|error| error.to_string());
            }
            reader.push(&piece[..len]);
            while let Some(item) = reader.next_item().map_err(|error| error.to_string())? {
                match item {
                    Item::Header(header) => self.header = Some(*header),
                    Item::End { last, .. } => self.last = Some(last),
                    Item::Frame(packed) => {
                        let frame = unpack(&packed, limits::FRAME_BYTES_MAX).map_err(|error| error.to_string())?;
                        if frames.send(frame).is_err() {
                            // The store has failed, which is told over there.
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

/// A frame's place in the report.
struct Placed {
    log: LogId,
    from: u64,
    events: u64,
}

/// Gathers frames into batches and verifies them, ahead of the store.
struct Proving<'n> {
    node: &'n Node,
    batches: SyncSender<Proven<Placed>>,
    jobs: Vec<Job<Placed>>,
    bytes: usize,
    /// Heads of logs once all that was verified is appended.
    heads: HeadsAhead,
    /// How far each log will be if every frame of the present batch is taken.
    heights: BTreeMap<LogId, u64>,
    gaps: BTreeMap<LogId, Gap>,
    refused: Vec<RefusedFrame>,
}

impl<'n> Proving<'n> {
    fn new(node: &'n Node, batches: SyncSender<Proven<Placed>>) -> Self {
        Self {
            node,
            batches,
            jobs: vec![],
            bytes: 0,
            heads: HeadsAhead::new(),
            heights: BTreeMap::new(),
            gaps: BTreeMap::new(),
            refused: vec![],
        }
    }

    /// Takes every frame, unless the store fails meanwhile, which is told over there.
    fn take_all(mut self, frames: Receiver<Vec<u8>>) -> Found {
        let all = frames.into_iter().all(|frame| self.take(frame));
        if all {
            self.prove();
        }
        Found { gaps: self.gaps, refused: self.refused }
    }

    /// Whether to go on.
    fn take(&mut self, frame: Vec<u8>) -> bool {
        let head = match FrameHead::of(&frame) {
            Ok(head) => head,
            Err(error) => {
                if self.refused.len() < LINES_MAX {
                    self.refused.push(RefusedFrame { log: None, from: 0, reason: error.to_string() });
                }
                return true;
            }
        };
        let height = self.height(&head.log);
        if head.first_seq > height + 1 {
            let gap = Gap { log: head.log.clone(), have: height, from: head.first_seq };
            self.gaps.entry(head.log).or_insert(gap);
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
        self.bytes < linli_net::limits::APPEND_BATCH_BYTES || self.prove()
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
            self.node.writer.reported_by_peer(log, head, &mut random_u64);
        }
    }

    fn prove(&mut self) -> bool {
        let jobs = std::mem::take(&mut self.jobs);
        (self.bytes, self.heights) = (0, BTreeMap::new());
        jobs.is_empty() || self.batches.send(prove_batch(&self.node.store, jobs, &mut self.heads)).is_ok()
    }
}

/// What was found before anything was appended.
struct Found {
    gaps: BTreeMap<LogId, Gap>,
    refused: Vec<RefusedFrame>,
}

impl Found {
    fn report_to(self, report: &mut VolumeReport) {
        report.gaps = self.gaps.into_values().collect();
        report.refused.extend(self.refused);
        report.refused.truncate(LINES_MAX);
    }
}

/// Appends batch after batch and keeps account of what becomes of them.
fn settle_all(store: &Store, batches: Receiver<Proven<Placed>>) -> Result<VolumeReport, NodeError> {
    let mut report = VolumeReport::default();
    for batch in batches {
        let done = append_proven(store, batch);
        let mut settled = 0;
        for (placed, outcome) in done.outcomes {
            match outcome {
                Ok(_) => settled += placed.events,
                Err(AppendFailure::BadPeer(reason)) if report.refused.len() < LINES_MAX => {
                    report.refused.push(RefusedFrame { log: Some(placed.log), from: placed.from, reason });
                }
                Err(AppendFailure::BadPeer(_)) => {}
                Err(AppendFailure::Forked { theirs }) => report.note_fork(OtherHistory { log: placed.log, theirs }),
                Err(AppendFailure::Store) => {
                    return Err(NodeError::Internal("the store took nothing of a batch; the log says why".into()));
                }
            }
        }
        report.new += done.events;
        report.known += settled - done.events.min(settled);
    }
    Ok(report)
}
