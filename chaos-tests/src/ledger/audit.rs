//! The reckoning: what the clients were told, beside what every node shows and what stands in the logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use linli_core::event::{Slot, VerifiedEvent};
use serde_json::json;

use super::client::{Entry, Receipt};
use super::deed::Stage;
use crate::district::District;
use crate::lab::api::Answer;
use crate::lab::held::events_of;
use crate::lab::process::NodeProcess;

/// How long a node may take for an act that it knows.
const PATIENCE: Duration = Duration::from_secs(30);
/// Acts whose id is sent with another content at the end, at each node.
const REUSED: usize = 10;

/// What is wrong, each with the story of the act where it is about one.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<String>);

impl Findings {
    fn note(&mut self, what: String, entry: Option<&Entry>) {
        self.0.push(entry.map_or_else(|| what.clone(), |entry| format!("{what}\n   {entry}")));
    }

    /// Whether everything is right.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first few for people, and how many there are.
    pub(super) fn tell(&self) -> String {
        let first: Vec<&str> = self.0.iter().take(8).map(String::as_str).collect();
        format!("{} findings, of which the first:\n{}", self.0.len(), first.join("\n"))
    }
}

/// Figures that the audit yields beside its findings.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Acts that stand in the logs more than once: two nodes recorded them without knowing of each other.
    pub recorded_twice: usize,
    /// Acts that nobody acknowledged and that are recorded all the same.
    pub unacknowledged_recorded: usize,
    /// Answers to the ids of recorded acts at the end: the same receipt, nothing recorded.
    pub answered_from_log: usize,
    /// Ids that were sent with another content at the end and refused.
    pub reuse_refused: usize,
}

/// What is audited.
pub(super) struct Audit<'a> {
    /// All nodes, joined and quiet.
    pub district: &'a District,
    /// What the acts are about.
    pub stage: &'a Stage,
    /// What the clients noted.
    pub entries: &'a [Entry],
    /// Where an export may be written for a moment.
    pub scratch: &'a Path,
}

impl Audit<'_> {
    /// Compares everything.
    ///
    /// # Errors
    /// When a node does not answer. What is wrong with the acts is in the findings.
    pub(super) fn run(&self) -> anyhow::Result<(Findings, Figures)> {
        let (mut findings, mut figures) = (Findings::default(), Figures::default());
        let events = events_of(&self.district.nodes[0], self.scratch)?;
        let recorded = self.recorded(&events);
        figures.recorded_twice = recorded.values().filter(|events| events.len() > 1).count();
        let unacknowledged = self.entries.iter().filter(|entry| !entry.is_acknowledged());
        figures.unacknowledged_recorded =
            unacknowledged.filter(|entry| !recorded[&*entry.act.label].is_empty()).count();
        self.check_answers(&recorded, &mut findings);
        for node in &self.district.nodes {
            self.check_views(node, &recorded, &mut findings)?;
            let forks = &node.api.status()?["forks"];
            if *forks != json!(0) {
                findings.note(format!("{} sees {forks} forks", node.name), None);
            }
        }
        // Where acts counted twice already, sending them once more would only hide where that comes from.
        if findings.is_empty() {
            self.repeat_everything(&mut findings, &mut figures)?;
        }
        Ok((findings, figures))
    }

    /// The events in which each label stands.
    fn recorded(&self, events: &[VerifiedEvent]) -> BTreeMap<&str, BTreeSet<String>> {
        let mut recorded: BTreeMap<&str, BTreeSet<String>> =
            self.entries.iter().map(|entry| (&*entry.act.label, BTreeSet::new())).collect();
        let length = self.entries.first().map_or(1, |entry| entry.act.label.len());
        for event in events {
            let Some(payload) = event.event().payload(Slot::Op) else { continue };
            for window in payload.bytes.windows(length) {
                let known = std::str::from_utf8(window).ok().and_then(|text| recorded.get_mut(text));
                if let Some(ids) = known {
                    ids.insert(event.event().id().to_string());
                }
            }
        }
        recorded
    }

    /// All receipts of an act name one record, and events that are there.
    fn check_answers(&self, recorded: &BTreeMap<&str, BTreeSet<String>>, findings: &mut Findings) {
        for entry in self.entries {
            let receipts: Vec<Receipt> = entry.receipts().map(|(_, receipt)| receipt).collect();
            let held = &recorded[&*entry.act.label];
            if receipts.iter().any(|receipt| receipt.record != receipts[0].record) {
                findings.note("receipts of one act name several records".to_owned(), Some(entry));
            }
            if receipts.iter().flat_map(|receipt| &receipt.events).any(|event| !held.contains(event)) {
                findings.note("LOST: an acknowledged event is not in the logs".to_owned(), Some(entry));
            }
            let refused = entry.attempts.iter().any(|attempt| matches!(attempt.answer, Answer::Refused(400..500, _)));
            if refused {
                findings.note("refused, although there is nothing wrong with it".to_owned(), Some(entry));
            }
        }
    }

    /// Every act that stands in the logs counts once, and no other counts.
    fn check_views(
        &self,
        node: &NodeProcess,
        recorded: &BTreeMap<&str, BTreeSet<String>>,
        findings: &mut Findings,
    ) -> anyhow::Result<()> {
        let shown = self.stage.shown_by(node)?;
        let stands = |entry: &&Entry| !recorded[&*entry.act.label].is_empty();
        for entry in self.entries {
            let right = i64::from(stands(&entry));
            if let Some(counted) = shown.counted(&entry.act).filter(|counted| *counted != right) {
                findings.note(format!("{} counts it {counted} times instead of {right}", node.name), Some(entry));
            }
            if entry.is_acknowledged() && right == 0 {
                findings.note(format!("LOST: acknowledged, and not in the logs ({})", node.name), Some(entry));
            }
        }
        for (deed, gone) in shown.gone() {
            let of_it = self.entries.iter().filter(stands).filter(|entry| entry.act.deed == deed);
            let right: i64 = of_it.map(|entry| entry.act.quantity).sum();
            if gone != right {
                let twice = recorded.values().filter(|events| events.len() > 1).count();
                let what = format!("{}: {gone} are gone by {deed:?} instead of {right}", node.name);
                findings
                    .note(format!("{what} ({} too many; {twice} acts stand in the logs twice)", gone - right), None);
            }
        }
        for view in shown.unsettled() {
            findings.note(format!("{}: events of {} do not count: {:?}", node.name, view.record, view.unsettled), None);
        }
        Ok(())
    }

    /// Whoever sends a recorded act once more, anywhere, gets the same receipt, and nothing is recorded.
    fn repeat_everything(&self, findings: &mut Findings, figures: &mut Figures) -> anyhow::Result<()> {
        let before = self.events_held()?;
        let acknowledged: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is_acknowledged()).collect();
        let answers: Vec<Vec<Answer>> = std::thread::scope(|scope| {
            let asked = self.district.nodes.iter().map(|node| {
                let acknowledged = &acknowledged;
                scope.spawn(move || {
                    let ask =
                        |entry: &&Entry| node.api.try_act(&entry.act.id, &entry.act.by, &entry.act.command, PATIENCE);
                    acknowledged.iter().map(ask).collect::<Vec<Answer>>()
                })
            });
            let asked: Vec<_> = asked.collect();
            let joined =
                asked.into_iter().map(|node| node.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.collect()
        });
        for (number, entry) in acknowledged.iter().enumerate() {
            let given: Vec<&Answer> = answers.iter().map(|of_node| &of_node[number]).collect();
            let receipts: Vec<Option<Receipt>> = given.iter().map(|answer| receipt_of(answer)).collect();
            match receipts.iter().all(|receipt| receipt.is_some() && *receipt == receipts[0]) {
                true => figures.answered_from_log += receipts.len(),
                false => {
                    findings.note(format!("a repetition is not answered alike everywhere: {given:?}"), Some(entry))
                }
            }
        }
        for entry in acknowledged.iter().take(REUSED) {
            for node in &self.district.nodes {
                let other = json!({"do": "report_incident", "category": "停水", "severity": "IV", "place": "别处", "summary": "不是同一件事"});
                match node.api.try_act(&entry.act.id, &entry.act.by, &other, PATIENCE) {
                    Answer::Refused(409, _) => figures.reuse_refused += 1,
                    answer => findings.note(format!("its id was taken for another act: {answer:?}"), Some(entry)),
                }
            }
        }
        let after = self.events_held()?;
        if before != after {
            findings.note(format!("repetitions were recorded: {before:?} events before, {after:?} after"), None);
        }
        Ok(())
    }

    fn events_held(&self) -> anyhow::Result<Vec<u64>> {
        let held = self.district.nodes.iter().map(|node| node.api.status()?["events"].as_u64().context("no events"));
        held.collect()
    }
}

fn receipt_of(answer: &Answer) -> Option<Receipt> {
    match answer {
        Answer::Done(json) => Receipt::read(json),
        Answer::Refused(..) | Answer::Silent(_) => None,
    }
}
