//! What must hold at the end of a life.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{District, HOSTILE, granted};
use crate::event::ReceivedEvent;
use crate::id::{EventId, Head, LogId};
use crate::limits;
use crate::sync::{Output, Quota};
use crate::testkit::network::SimulatedNode;

impl District {
    /// Logs of which an author has signed two histories, whether or not both are anywhere now.
    pub(super) fn suspect(&self) -> BTreeSet<&LogId> {
        let twice = self.signed.iter().filter(|(_, ids)| ids.len() > 1).map(|((log, _), _)| log);
        twice.chain(&self.forked).collect()
    }

    /// Whether honest nodes may differ for good.
    pub(super) fn may_differ(&self) -> bool {
        !self.suspect().is_empty()
    }

    /// Whether all honest nodes hold the same heads of all that counts, except where there are two histories, and all
    /// lines between them are up.
    pub(super) fn agree(&self) -> bool {
        let (suspect, granted) = (self.suspect(), granted());
        let heads = |n: usize| {
            let frontier = self.network.nodes[n].engine.frontier();
            frontier.iter().filter(|(log, _)| granted.contains(&log.author) && !suspect.contains(log))
        };
        let of_fork = |n: usize| {
            let frontier = self.network.nodes[n].engine.frontier();
            self.forked.as_ref().is_none_or(|log| frontier.head(log).is_some())
        };
        let honest = self.writers.len();
        let is_up = |a: usize| (0..a).all(|b| self.network.up_since(a, b).is_some());
        (0..honest).all(is_up) && (0..honest).all(|n| of_fork(n) && heads(n).eq(heads(0)))
    }

    pub(super) fn heights(&self) -> String {
        let honest = &self.network.nodes[..self.writers.len()];
        let events: Vec<u64> = honest.iter().map(|node| node.engine.frontier().events()).collect();
        format!("{events:?} of {} events", self.written.len())
    }

    /// Everybody holds exactly what was written, in the same logs, each once, and says so by its heads. What was lost with
    /// a disk may have been on its way to another one.
    pub(super) fn check_sets(&self) -> Result<(), String> {
        let (suspect, granted) = (self.suspect(), granted());
        let required: BTreeSet<EventId> =
            self.written.iter().filter(|(_, log)| !suspect.contains(log)).map(|(event, _)| *event).collect();
        for (n, node) in self.network.nodes[..self.writers.len()].iter().enumerate() {
            let held = node.logs.iter().filter(|(log, _)| granted.contains(&log.author) && !suspect.contains(log));
            let held: Vec<EventId> = held.flat_map(|(_, events)| events).map(ReceivedEvent::id).collect();
            let set: BTreeSet<EventId> = held.iter().copied().collect();
            let invented = set.difference(&required).filter(|event| !self.perhaps_lost.contains(event)).count();
            let (lacking, twice) = (required.difference(&set).count(), held.len() - set.len());
            if lacking + invented + twice > 0 {
                return Err(format!("node {n} lacks {lacking} events, has {invented} of nobody and {twice} twice"));
            }
            let chained = |events: &Vec<ReceivedEvent>| {
                events.iter().zip(1..).all(|(event, seq)| event.header().seq == seq)
                    && events.windows(2).all(|pair| pair[1].header().prev == Some(pair[0].id()))
            };
            let headed = |(log, events): (&LogId, &Vec<ReceivedEvent>)| {
                node.engine.frontier().head(log) == events.last().map(ReceivedEvent::head)
            };
            if !node.logs.values().all(chained) || !node.logs.iter().all(headed) {
                return Err(format!("node {n} has a log that is no chain, or claims another head than it has"));
            }
        }
        Ok(())
    }

    /// Whoever may have a personal payload has it, unless it went with a disk that was put back and nobody has it. Nobody
    /// else was ever sent one.
    pub(super) fn check_payloads(&self) -> Result<(), String> {
        let (suspect, honest) = (self.suspect(), &self.network.nodes[..self.writers.len()]);
        let put_back: BTreeSet<_> =
            self.writers.iter().filter(|writer| writer.was_put_back).map(|writer| writer.author.key.public()).collect();
        let personal = |node: &SimulatedNode| {
            let logs = node.logs.iter().filter(|(log, _)| !suspect.contains(log));
            let events = logs.flat_map(|(_, events)| events).filter(|event| event.header().pii.is_some());
            events.map(|event| (event.id(), event.clone())).collect::<Vec<_>>()
        };
        let held = honest.iter().flat_map(personal).filter(|(_, event)| !event.lacks_pii());
        let held: BTreeSet<EventId> = held.map(|(event, _)| event).collect();
        for (n, node) in honest.iter().enumerate() {
            for (id, event) in personal(node) {
                let (entitled, lacks) = (node.area.contains(&event.header().area), event.lacks_pii());
                let (log, seq) = (event.header().log_id(), event.header().seq);
                let gone = put_back.contains(&log.author) && !held.contains(&id);
                if entitled == lacks && !(lacks && gone) {
                    let has =
                        |node: &SimulatedNode| personal(node).iter().any(|(held, e)| *held == id && !e.lacks_pii());
                    let holders: Vec<usize> = (0..honest.len()).filter(|n| has(&honest[*n])).collect();
                    let what = if lacks { "lacks a payload" } else { "has a payload that it may not have" };
                    let back = put_back.contains(&log.author);
                    return Err(format!(
                        "node {n} of {} {what} ({log}, seq {seq}; held by nodes {holders:?}; author's disk put back: {back})",
                        node.area
                    ));
                }
            }
            if node.leaked_payloads > 0 {
                return Err(format!("node {n} was sent {} payloads that it may not have", node.leaked_payloads));
            }
        }
        Ok(())
    }

    /// Nobody broke a rule, sent durable events again, let queues grow, or fails to know that all is equal.
    pub(super) fn check_nodes(&self) -> Result<(), String> {
        let wants = (limits::SYNC_WANTS_MAX + 8) as u64;
        let bound =
            limits::SYNC_WANTED_BYTES_MAX + 8 * limits::SYNC_CREDIT_BYTES + wants * limits::FRAME_BYTES_MAX as u64;
        let honest = self.writers.len();
        let nobody_lies = self.hostile.is_none() && !self.troubled && self.forked.is_none();
        for (n, node) in self.network.nodes[..honest].iter().enumerate() {
            let with_honest = node.disconnects.iter().zip(&node.disconnected).find(|(_, other)| **other < honest);
            if let Some((reason, other)) = with_honest {
                return Err(format!("node {n} hung up on node {other}, which is honest: {reason}"));
            }
            if let (true, Some(report)) = (nobody_lies, node.reports.first()) {
                return Err(format!("node {n} reports what nobody did: {report:?}"));
            }
            // What a clone writes arrives as a file would, and may overtake a pull.
            if node.redundant_events > 0 && !self.troubled {
                return Err(format!("node {n} was sent {} events that it had", node.redundant_events));
            }
            if node.most_waiting_bytes as u64 > bound {
                return Err(format!("{} bytes waited for the disk of node {n}", node.most_waiting_bytes));
            }
            for other in (0..honest).filter(|other| *other != n && !self.may_differ()) {
                match node.engine.view(&self.network.keys[other]) {
                    Some(v) if v.compared && v.behind_events + v.ahead_events == 0 && v.pulling + v.serving == 0 => {}
                    view => return Err(format!("node {n} does not know that {other} has the same: {view:?}")),
                }
            }
        }
        let repeated = self.network.traffic.repeated_hints;
        if self.announces_once && !self.may_differ() && repeated > 0 {
            return Err(format!("{repeated} heads were announced twice on one connection"));
        }
        Ok(())
    }

    /// A hostile member costs those whom it speaks to no more than its quota, and the others nothing.
    pub(super) fn check_strangers(&self) -> Result<(), String> {
        let Some((hostile, victims)) = self.hostile else { return Ok(()) };
        let (by, granted) = (Some(self.network.keys[hostile]), granted());
        // Two pulls may be under way when the quota is used up, each with a frame of an author's longest run.
        let slack = limits::SYNC_STRANGER_WANTS_PER_PEER as u64;
        let frames = slack * (limits::SYNC_SHORT_CREDIT_BYTES + limits::SYNC_FRAME_BYTES);
        for (n, node) in self.network.nodes[..self.writers.len()].iter().enumerate() {
            let strange = node.logs.iter().filter(|(log, _)| !granted.contains(&log.author));
            let (logs, bytes) = strange.fold((0, 0), |(logs, bytes), (_, events)| {
                (logs + 1, bytes + events.iter().map(|event| event.header_bytes().len() as u64).sum::<u64>())
            });
            if n >= victims && logs > 0 {
                return Err(format!("node {n} holds {logs} invented logs, and never spoke to who invented them"));
            }
            let quota = node.engine.quotas().find(|(peer, _)| *peer == by).map_or(Quota::default(), |(_, quota)| quota);
            let charged = quota.logs == logs || self.troubled;
            if logs > HOSTILE.stranger_logs + slack || bytes > HOSTILE.stranger_bytes + frames || !charged {
                return Err(format!("node {n} holds {logs} invented logs of {bytes} bytes: {quota:?}"));
            }
        }
        Ok(())
    }

    /// Nobody drops or prefers a history, and of two that honest nodes hold somebody tells; in the district that begins with
    /// two, everybody does.
    pub(super) fn check_forks(&self) -> Result<(), String> {
        let honest = &self.network.nodes[..self.writers.len()];
        for log in self.suspect() {
            let reports = |n: usize| {
                honest[n].reports.iter().any(|report| matches!(report, Output::Forked { log: l, .. } if l == log))
            };
            let heads: Vec<Option<Head>> = honest.iter().map(|node| node.engine.frontier().head(log)).collect();
            let everybody = self.forked.as_ref() == Some(log);
            if everybody
                && (0..honest.len()).any(|n| !reports(n) || heads[n].is_none() || heads.iter().all(|h| *h == heads[n]))
            {
                return Err(format!("somebody does not tell of two histories: {heads:?}"));
            }
            let at = |seq: usize| -> BTreeSet<EventId> {
                let events = honest.iter().filter_map(|node| node.logs.get(log)?.get(seq));
                events.map(ReceivedEvent::id).collect()
            };
            let longest = honest.iter().filter_map(|node| node.logs.get(log)).map(Vec::len).max().unwrap_or(0);
            let differ = (0..longest).any(|seq| at(seq).len() > 1);
            if differ && !(0..honest.len()).any(reports) {
                return Err(format!("there are two histories of {log}, and no evidence: {heads:?}"));
            }
        }
        Ok(())
    }

    /// A line that comes back when nothing is missing costs digests and nothing else. A payload that is gone stays
    /// missing: whoever may have it asks for it again, and is told that there is none.
    pub(super) fn check_second_sync(&mut self) -> Result<(), String> {
        let questions = self.questions_in_vain();
        self.network.cut(0, 1);
        let before = self.network.traffic.clone();
        self.network.connect(0, 1);
        self.network.run_for(Duration::from_secs(5));
        let lines = self.writers.len() as u64 * (self.writers.len() as u64 - 1);
        for (number, count) in &self.network.traffic.messages {
            let more = count - before.messages.get(number).copied().unwrap_or(0);
            let most = match number {
                0 => 2 + lines,
                // An Unavailable for each Fill.
                5 | 10 => questions,
                _ => 0,
            };
            if more > most {
                return Err(format!("a second sync cost {more} messages of number {number} instead of {most}"));
            }
        }
        Ok(())
    }

    /// Most questions for payloads in a time that is shorter than the pause after one in vain: of each log that lacks
    /// some, to each who may have them.
    fn questions_in_vain(&self) -> u64 {
        let honest = &self.network.nodes[..self.writers.len()];
        let of_log = |(log, events): (&LogId, &Vec<ReceivedEvent>)| {
            let others = honest.iter().filter(|node| node.area.contains(&log.area)).count() - 1;
            let lacking = events.iter().filter(|event| event.lacks_pii()).count();
            (others * lacking.div_ceil(limits::FILL_EVENTS_MAX)) as u64
        };
        let of_node = |node: &SimulatedNode| -> u64 {
            node.logs.iter().filter(|(log, _)| node.area.contains(&log.area)).map(of_log).sum()
        };
        honest.iter().map(of_node).sum()
    }
}
