//! What became of a volume that was taken in, as its courier is told.

use linli_core::id::{AuthorKey, BundleId, Head, LogId};
use serde::{Deserialize, Serialize};

/// Frames that are reported one by one. A person reads a few; the rest is counted.
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

    /// Of a file of which nothing can be used.
    pub(super) fn damaged(reason: String) -> Self {
        Self { damaged: Some(reason), ..Self::default() }
    }

    pub(super) fn note_fork(&mut self, fork: OtherHistory) {
        match self.forks.iter_mut().find(|known| known.log == fork.log) {
            Some(known) => known.theirs = fork.theirs.max(known.theirs),
            None => self.forks.push(fork),
        }
    }
}

/// Notes a frame, unless a person has enough to read.
pub(super) fn note_refused(refused: &mut Vec<RefusedFrame>, frame: RefusedFrame) {
    if refused.len() < LINES_MAX {
        refused.push(frame);
    }
}
