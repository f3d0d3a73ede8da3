//! Volumes into the store of an open node, through the door that replication uses.
//!
//! One thread opens and unpacks, one verifies, one appends, each ahead of the next and from one volume into the next.
//! Whatever was proven before a fault stays; taking the same volume in again costs time and changes nothing.

use std::sync::mpsc::{Receiver, sync_channel};

use linli_core::carry::VolumeHeader;
use linli_core::sync::AppendFailure;
use linli_net::{BatchDone, append_proven};

use super::opening::{Opened, open_all};
use super::proving::{Found, Placed, Proving, Step};
use super::report::{OtherHistory, RefusedFrame, VolumeReport, note_refused};
use super::taken::Taken;
use crate::node::{Node, NodeError};

/// Frames that may wait between opening and verifying: some ten megabytes at most.
const FRAMES_WAITING: usize = 16;
/// Batches that may wait between verifying and appending: some ten megabytes, decoded.
const BATCHES_WAITING: usize = 1;

impl Node {
    /// Takes one sealed volume in. Blocks.
    ///
    /// # Errors
    /// Only when the store fails; what is wrong with the volume stands in the report.
    pub fn take_volume(&self, sealed: &[u8]) -> Result<VolumeReport, NodeError> {
        let reports = self.take_volumes(std::iter::once(Ok(sealed)))?;
        reports.into_iter().next().ok_or_else(|| NodeError::Internal("a volume without a report".into()))
    }

    /// Takes sealed volumes of one bundle in, in this order, or notes why there is none. Blocks. Answers with a report of
    /// each. Of one bundle, because a later one may fill in personal payloads of events that must be durable before.
    ///
    /// # Errors
    /// Only when the store fails; what is wrong with a volume stands in its report.
    pub fn take_volumes<S: AsRef<[u8]>>(
        &self,
        volumes: impl Iterator<Item = Result<S, String>> + Send,
    ) -> Result<Vec<VolumeReport>, NodeError> {
        let (opening, unpacked) = sync_channel(FRAMES_WAITING);
        let (proving, steps) = sync_channel(BATCHES_WAITING);
        std::thread::scope(|scope| {
            scope.spawn(move || open_all(volumes, &self.key, self.enrolment.federation, &opening));
            let settling = scope.spawn(|| self.settle_all(steps));
            Proving::new(self, proving).take_all(unpacked);
            settling.join().unwrap_or_else(|_| Err(NodeError::Internal("a panic while appending".into())))
        })
    }

    /// Appends batch after batch and keeps account of what becomes of them.
    fn settle_all(&self, steps: Receiver<Step>) -> Result<Vec<VolumeReport>, NodeError> {
        let (mut reports, mut report) = (vec![], VolumeReport::default());
        for step in steps {
            match step {
                Step::Append(batch) => settle(append_proven(&self.store, batch), &mut report)?,
                Step::End(opened, found) => {
                    reports.push(self.conclude(opened, found, std::mem::take(&mut report))?);
                }
            }
        }
        Ok(reports)
    }

    fn conclude(&self, opened: Opened, found: Found, mut report: VolumeReport) -> Result<VolumeReport, NodeError> {
        report.gaps = found.gaps.into_values().collect();
        found.refused.into_iter().for_each(|frame| note_refused(&mut report.refused, frame));
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

fn settle(done: BatchDone<Placed>, report: &mut VolumeReport) -> Result<(), NodeError> {
    let why = done.failure.map_or_else(String::new, |error| format!(": {error}"));
    let mut settled = 0;
    for (placed, outcome) in done.outcomes {
        match outcome {
            Ok(_) => settled += placed.events,
            Err(AppendFailure::BadPeer(reason)) => {
                let frame = RefusedFrame { log: Some(placed.log), from: placed.from, reason };
                note_refused(&mut report.refused, frame);
            }
            Err(AppendFailure::Forked { theirs }) => report.note_fork(OtherHistory { log: placed.log, theirs }),
            Err(AppendFailure::Store) => {
                return Err(NodeError::Internal(format!("the store took nothing of a batch{why}")));
            }
        }
    }
    report.new += done.events;
    report.known += settled - done.events.min(settled);
    Ok(())
}
