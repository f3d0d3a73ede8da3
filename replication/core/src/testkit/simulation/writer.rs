//! Who writes at a node, as the node's writer does: what makes it open a new incarnation, and what happens to disks.

use std::time::Duration;

use super::District;
use crate::event::ReceivedEvent;
use crate::id::{EventId, LogId, Stream};
use crate::sync::Output;
use crate::testkit::Author;
use crate::testkit::network::{Network, Snapshot};

/// So long after a peer held a later event, and the line to it was up, a node must have heard of it.
const HEARD_AFTER: Duration = Duration::from_secs(20);

/// Who writes at a node.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) author: Author,
    /// A copy of the disk, and what the author remembered then.
    copy: Option<(Snapshot, Author)>,
    /// The copy that runs somewhere else.
    clone: Option<Author>,
    /// So many reports of the engine have been heeded.
    heeded: usize,
    /// Reports before this one were about a disk that was put back since.
    told_from: usize,
    /// Its disk was put back once: what only that disk held is gone.
    pub(super) was_put_back: bool,
}

impl Writer {
    pub(super) const fn new(author: Author) -> Self {
        Self { author, copy: None, clone: None, heeded: 0, told_from: 0, was_put_back: false }
    }

    pub(super) fn copy_disk(&mut self, network: &Network, node: usize) {
        self.copy = Some((network.snapshot(node), self.author.clone()));
    }

    /// Whether a report since the last look was about the incarnation that is written in. Every one is heeded, however
    /// many came at once.
    fn is_superseded(&mut self, network: &Network, node: usize) -> bool {
        let reports = &network.nodes[node].reports;
        let new = &reports[self.heeded..];
        self.heeded = reports.len();
        let incarnation = self.author.incarnation;
        new.iter()
            .any(|report| matches!(report, Output::PeerReportsOurHead { log, .. } if log.incarnation == incarnation))
    }
}

impl District {
    pub(super) fn write(&mut self, node: usize, stream: Stream, events: usize, personal: bool) -> Result<(), String> {
        let writer = &mut self.writers[node];
        let superseded = writer.is_superseded(&self.network, node);
        let log = writer.author.log_id(stream);
        // The store knows more of the log than its author: it has come back from a peer.
        let overtaken = self.network.nodes[node].engine.frontier().head(&log) != writer.author.head(stream);
        if superseded || overtaken {
            self.next_incarnation += 1;
            writer.author = writer.author.reborn(self.next_incarnation);
        }
        self.check_heeded(node)?;
        self.check_not_told(node, stream)?;
        let author = &mut self.writers[node].author;
        let run = match personal {
            true => author.write_personal(stream, events, 60),
            false => author.write_many(stream, events, 60),
        };
        self.note(&run);
        self.network.write(node, &run);
        Ok(())
    }

    /// Nobody signs in an incarnation of which a later head was reported, whatever else was reported with it.
    fn check_heeded(&self, node: usize) -> Result<(), String> {
        let Writer { author, told_from, .. } = &self.writers[node];
        let of_this = |report: &&Output| matches!(report, Output::PeerReportsOurHead { log, .. } if log.incarnation == author.incarnation);
        match self.network.nodes[node].reports[*told_from..].iter().find(of_this) {
            Some(report) => Err(format!("node {node} goes on signing where it was told of later events: {report:?}")),
            None => Ok(()),
        }
    }

    /// Nobody signs again what a connected peer has held for long.
    fn check_not_told(&self, node: usize, stream: Stream) -> Result<(), String> {
        let (log, now) = (self.writers[node].author.log_id(stream), self.network.now());
        let height = self.writers[node].author.head(stream).map_or(0, |head| head.seq);
        let Some(heard_of) = now.checked_sub(HEARD_AFTER).filter(|_| self.prompt) else { return Ok(()) };
        for peer in (0..self.writers.len()).filter(|peer| *peer != node) {
            let held = &self.network.nodes[peer];
            let next = held.logs.get(&log).and_then(|events| events.get(usize::try_from(height).unwrap()));
            let since = next.and_then(|event| held.durable_at.get(&event.id()));
            let up = self.network.up_since(node, peer);
            if since.is_some_and(|since| *since <= heard_of) && up.is_some_and(|up| up <= heard_of) {
                return Err(format!(
                    "node {node} signs {log} after {height} again, which node {peer} has had for long"
                ));
            }
        }
        Ok(())
    }

    /// The copy of a node's disk is put back. Where the node can tell, it writes in a new incarnation at once.
    pub(super) fn roll_back(&mut self, node: usize, noticed: bool) {
        let Some((snapshot, author)) = self.writers[node].copy.clone() else { return };
        let before = std::mem::take(&mut self.network.nodes[node].logs);
        self.network.roll_back(node, snapshot);
        let is_held = |log: &LogId, at: usize, event: &ReceivedEvent| {
            let honest = &self.network.nodes[..self.writers.len()];
            honest
                .iter()
                .any(|node| node.logs.get(log).and_then(|events| events.get(at)).is_some_and(|e| e.id() == event.id()))
        };
        let placed =
            before.iter().flat_map(|(log, events)| events.iter().enumerate().map(move |(at, event)| (log, at, event)));
        let lost: Vec<EventId> =
            placed.filter(|(log, at, event)| !is_held(log, *at, event)).map(|(_, _, event)| event.id()).collect();
        for event in lost {
            if self.written.remove(&event).is_some() {
                self.perhaps_lost.insert(event);
            }
        }
        let writer = &mut self.writers[node];
        (writer.author, writer.was_put_back) = (author, true);
        writer.told_from = self.network.nodes[node].reports.len();
        if noticed {
            self.next_incarnation += 1;
            writer.author = writer.author.reborn(self.next_incarnation);
        }
    }

    /// The copy of a node's disk runs at another place and writes; the node there takes it as it takes a file.
    pub(super) fn clone_writes(&mut self, of: usize, at: usize, stream: Stream, events: usize) {
        let writer = &mut self.writers[of];
        let Some(mut clone) = writer.clone.clone().or_else(|| Some(writer.copy.as_ref()?.1.clone())) else { return };
        if self.network.nodes[at].engine.frontier().head(&clone.log_id(stream)) != clone.head(stream) {
            // The store there knows more of the log, or less: it takes nothing.
            return;
        }
        let run = clone.write_many(stream, events, 61);
        self.writers[of].clone = Some(clone);
        self.note(&run);
        self.network.write(at, &run);
    }
}
