//! From commands to durable events: one act, or many at once, all or none; and each of them once.
//!
//! An act that is on record already is answered with its first receipt: that is looked up when it is this act's turn, and
//! again under its record's lock if anything was heard meanwhile. Each act of a batch is checked against what the acts before it will have done,
//! and signed; only at the end everything becomes durable in one write. An act that has nothing to add, as in an import
//! that is repeated, writes nothing.

use std::collections::BTreeMap;

use linli_core::charter::Charter;
use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, RecordId};
use linli_domain::act::ActId;
use linli_domain::commands::{Command, Draft, Stamps, Unreadable, Views};
use linli_domain::record::RecordView;
use linli_domain::summary::Summary;
use linli_store::{Signer, WriteError};

use crate::acts::act_reused;
use crate::cli::now_ms;
use crate::node::{Node, NodeError, Receipt, SubmitError, random_salt};

/// What the acts of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOf {
    /// Things that people did: each once, whatever has changed since.
    Acts,
    /// Statements of how things are, as in an import: one that was recorded once and is not so any more is recorded again,
    /// under an id that follows from its own.
    Statements,
}

/// The views as they will be after the acts so far.
struct Overlay<'n> {
    node: &'n Node,
    /// Records that the acts so far are about: what they added, and the view with it.
    touched: BTreeMap<RecordId, (Vec<ReceivedEvent>, RecordView)>,
}

impl Views for Overlay<'_> {
    fn view(&self, record: &RecordId) -> Result<Option<RecordView>, Unreadable> {
        match self.touched.get(record) {
            Some((_, view)) => Ok(Some(view.clone())),
            None => Views::view(self.node, record),
        }
    }

    fn as_seen(&self, record: &RecordId, heads: &[EventId]) -> Result<Option<RecordView>, Unreadable> {
        let added = self.touched.get(record).map(|(added, _)| added.as_slice()).unwrap_or_default();
        self.node.projector.as_seen(record, heads, added).map_err(|error| {
            tracing::error!(%record, %error, "a record's events cannot be read");
            Unreadable
        })
    }

    fn matching(&self, wanted: &dyn Fn(&Summary) -> bool) -> Vec<Summary> {
        let touched = self.touched.values().map(|(_, view)| Summary::from(view)).filter(|summary| wanted(summary));
        let untouched = |summary: &Summary| !self.touched.contains_key(&summary.id) && wanted(summary);
        let mut found = self.node.projector.matching(&untouched);
        found.extend(touched);
        found
    }
}

impl Overlay<'_> {
    fn add(&mut self, record: RecordId, event: ReceivedEvent) -> Result<(), NodeError> {
        let (mut added, before) = match self.touched.remove(&record) {
            Some((added, view)) => (added, Some(view)),
            None => (vec![], self.node.projector.view(&record)?),
        };
        // Folded on where it follows all that is there, or many lines about one record would fold it from its start each.
        let folded_on = before.and_then(|view| self.node.projector.fold_on(view, std::slice::from_ref(&event)));
        added.push(event);
        let view = match folded_on {
            Some(view) => Some(view),
            None => {
                let mut all = self.node.projector.events(&record)?;
                all.extend(added.iter().cloned());
                self.node.projector.fold_whole(record, &all)
            }
        };
        if let Some(view) = view {
            self.touched.insert(record, (added, view));
        }
        Ok(())
    }
}

/// A batch while it is composed.
struct Composing<'n> {
    node: &'n Node,
    operator: &'n str,
    of: BatchOf,
    charter: &'n Charter,
    overlay: Overlay<'n>,
    /// Acts of this very batch, by what they ask, so that one id twice in it is one act as well.
    here: BTreeMap<ActId, ([u8; 8], Option<Receipt>)>,
    receipts: Vec<Receipt>,
    signed: usize,
}

impl Composing<'_> {
    fn act(&mut self, act: ActId, command: Command, signer: &mut Signer<'_>) -> Result<(), SubmitError> {
        let content = command.content(self.operator);
        if let Some((known, receipt)) = self.here.get(&act) {
            let record =
                receipt.as_ref().map_or_else(|| command.subject(act.new_record(content)), |receipt| receipt.record);
            if *known != content {
                return Err(act_reused(act, record, *known, content));
            }
            self.receipts.extend(receipt.clone().map(|receipt| Receipt { repeated: true, ..receipt }));
            return Ok(());
        }
        let first = match (self.of, self.node.first_receipt(&act, content)) {
            // Somebody else took the id of a statement, which follows from what it says: the statement stands all the same.
            (BatchOf::Statements, Err(SubmitError::ActReused(_))) => {
                let free = self.next_part(act, content)?;
                let receipt = self.record(act, free, command, signer)?;
                self.here.insert(act, (content, receipt.clone()));
                self.receipts.extend(receipt);
                return Ok(());
            }
            (_, first) => first?,
        };
        let receipt = match (self.of, first) {
            (BatchOf::Acts, Some(first)) => Some(first),
            (_, None) => self.record(act, act, command, signer)?,
            (BatchOf::Statements, Some(first)) => {
                let again = self.next_part(act, content)?;
                Some(self.record(act, again, command, signer)?.unwrap_or(first))
            }
        };
        self.here.insert(act, (content, receipt.clone()));
        self.receipts.extend(receipt);
        Ok(())
    }

    /// The first id that follows from a statement's own and is not on record: each time that it is stated anew it is an
    /// act of its own.
    fn next_part(&self, act: ActId, content: [u8; 8]) -> Result<ActId, SubmitError> {
        let mut parts = (1..).map(|times| act.part(times));
        loop {
            // The range has no end.
            let Some(part) = parts.next() else { return Ok(act) };
            match self.node.first_receipt(&part, content) {
                Ok(None) => return Ok(part),
                Ok(Some(_)) | Err(SubmitError::ActReused(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Signs what an act takes, under `act`; a new record's id is that of the act that was sent.
    fn record(
        &mut self,
        sent: ActId,
        act: ActId,
        command: Command,
        signer: &mut Signer<'_>,
    ) -> Result<Option<Receipt>, SubmitError> {
        let content = command.content(self.operator);
        let stamps = Stamps::new(act, content);
        let prepared = self.node.prepare(
            self.operator,
            command,
            &self.overlay,
            &stamps,
            sent.new_record(content),
            signer.incarnation(),
        )?;
        let mut events: Vec<EventId> = vec![];
        let mut about = None;
        for draft in prepared {
            let record = draft.record;
            let draft = self.node.to_local(after(draft, events.last().copied()), self.charter)?;
            let event = signer.sign(draft)?;
            events.push(event.id());
            self.overlay.add(record, event)?;
            about = Some(record);
        }
        self.signed += events.len();
        Ok(about.map(|record| Receipt { act, record, events, heard_by: 0, repeated: false, shown: true }))
    }
}

impl Node {
    /// Records one act of an operator: checked, signed by this node, durable, shown. An act that is on record already, here
    /// or at a node that this one has heard, is answered with its first receipt.
    ///
    /// # Errors
    /// When the domain refuses it, the charter does not allow it here, the id is another act's, or the store fails.
    #[tracing::instrument(name = "command", skip_all)]
    pub fn submit(&self, operator: &str, act: ActId, command: Command) -> Result<Receipt, SubmitError> {
        let content = command.content(operator);
        // From here on nobody else records this act, and whoever asks hears that it is underway.
        let _underway = self.underway.enter([act]);
        let _no_batch = match self.beside_other_acts_now() {
            Some(no_batch) => no_batch,
            // A batch takes long: what is on record need not wait for it.
            None => match self.first_receipt(&act, content)? {
                Some(first) => return Ok(first),
                None => self.beside_other_acts(),
            },
        };
        self.show_what_is_durable()?;
        let heard = self.projector.heard();
        if let Some(first) = self.first_receipt(&act, content)? {
            return Ok(first);
        }
        let record = command.subject(act.new_record(content));
        let _one_at_a_time = self.lock_record(&record);
        // What another node recorded may have arrived while we waited for the record.
        if self.projector.heard() != heard
            && let Some(first) = self.first_receipt(&act, content)?
        {
            return Ok(first);
        }
        let prepared = |incarnation: u64, command: Command| {
            self.prepare(operator, command, self, &Stamps::new(act, content), act.new_record(content), incarnation)
        };
        let incarnation = self.writer.incarnation();
        let drafts = prepared(incarnation, command.clone())?;
        if drafts.is_empty() {
            return Err(nothing_to_do());
        }
        let charter = self.projector.charter();
        let mut previous: Option<EventId> = None;
        let written = self.writer.write_with::<SubmitError>(now_ms(), &mut random_salt, |signer| {
            // A document change is made under the incarnation that signs it.
            let drafts = match signer.incarnation() {
                signing if signing == incarnation => drafts,
                signing => prepared(signing, command)?,
            };
            for draft in drafts {
                let draft = self.to_local(after(draft, previous), &charter)?;
                previous = Some(signer.sign(draft)?.id());
            }
            Ok(())
        })?;
        let events = written.iter().map(ReceivedEvent::id).collect();
        Ok(Receipt { act, record, events, heard_by: 0, repeated: false, shown: self.show_own() })
    }

    /// Records several acts, all or none, in order. Those that are on record already are answered with their first
    /// receipts; those that have nothing to add leave none.
    ///
    /// # Errors
    /// The first act that is refused, or the store's failure; then nothing was recorded.
    #[tracing::instrument(name = "command_batch", skip_all, fields(acts = acts.len()))]
    pub fn submit_all(
        &self,
        operator: &str,
        acts: Vec<(ActId, Command)>,
        of: BatchOf,
    ) -> Result<Vec<Receipt>, SubmitError> {
        let _underway = self.underway.enter(acts.iter().map(|(act, _)| *act));
        let _alone = self.alone();
        self.show_what_is_durable()?;
        let charter = self.projector.charter();
        let overlay = Overlay { node: self, touched: BTreeMap::new() };
        let (here, receipts) = (BTreeMap::new(), vec![]);
        let mut batch = Composing { node: self, operator, of, charter: &charter, overlay, here, receipts, signed: 0 };
        let written = self.writer.write_with::<SubmitError>(now_ms(), &mut random_salt, |signer| {
            acts.into_iter().try_for_each(|(act, command)| batch.act(act, command, signer))?;
            if batch.signed == 0 { Err(nothing_to_do()) } else { Ok(()) }
        });
        let mut receipts = batch.receipts;
        match written {
            Err(SubmitError::Node(NodeError::NothingToDo)) => Ok(receipts),
            Err(error) => Err(error),
            Ok(_) => {
                let shown = self.show_own();
                receipts.iter_mut().filter(|receipt| !receipt.repeated).for_each(|receipt| receipt.shown = shown);
                Ok(receipts)
            }
        }
    }

    /// Asks, before an act is dated by a clock that cannot be right. What is on record is not dated again.
    ///
    /// # Errors
    /// [`SubmitError::ClockWrong`] unless the person has `checked` the clock, or when the store fails.
    pub fn ask_about_clock(&self, act: &ActId, checked: bool) -> Result<(), SubmitError> {
        match self.clock_doubt().filter(|_| !checked) {
            Some(doubt) if self.recorded(act)?.is_empty() => Err(SubmitError::ClockWrong(doubt)),
            _ => Ok(()),
        }
    }

    /// Folds what was just made durable. If that fails the acts stand all the same, and their receipts say that they are
    /// not shown yet.
    fn show_own(&self) -> bool {
        let shown = self.projector.catch_up_own();
        if let Err(error) = &shown {
            tracing::error!(%error, "an act is durable and could not be shown; it is folded before the next act");
        }
        shown.is_ok()
    }

    /// Before an act looks at anything: what this node recorded earlier and could not show is shown, or nothing more is
    /// recorded. Otherwise an act would not see the one before it, nor know itself again.
    fn show_what_is_durable(&self) -> Result<(), SubmitError> {
        match self.projector.owes_own() {
            false => Ok(()),
            true => self.projector.catch_up_own().map_err(SubmitError::from),
        }
    }
}

const fn nothing_to_do() -> SubmitError {
    SubmitError::Node(NodeError::NothingToDo)
}

/// A draft that follows the one before it in the same answer has that event as its only parent.
fn after(mut draft: Draft, previous: Option<EventId>) -> Draft {
    if draft.follows_previous {
        draft.parents = previous.into_iter().collect();
    }
    draft
}

impl From<WriteError> for SubmitError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Draft(_) => Self::Node(error.into()),
            WriteError::Append(_) | WriteError::Store(_) | WriteError::Generation(_) => Self::NotDurable(error),
        }
    }
}
