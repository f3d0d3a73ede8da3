//! Many acts at once, all or none, and each of them once.
//!
//! Each act of a batch is checked against what the acts before it will have done. That takes long, so it goes on beside
//! other acts: the batch is composed and signed as if it were written now, and let go of. Then, alone, its events are
//! signed for good and become durable in one write, provided that nobody has changed a record that it looked at; else it is
//! composed again, alone. Lists of records that others have lengthened meanwhile are what they are on two nodes that have
//! not met. An act that has nothing to add, as in an import that is repeated, writes nothing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use linli_core::charter::Charter;
use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, RecordId};
use linli_domain::act::ActId;
use linli_domain::commands::{Command, Stamps, Unreadable, Views};
use linli_domain::record::RecordView;
use linli_domain::summary::Summary;
use linli_store::{LocalDraft, Signer};

use crate::acts::act_reused;
use crate::cli::now_ms;
use crate::node::{Node, NodeError, Receipt, SubmitError, random_salt};
use crate::submit::{after, nothing_to_do};

/// What the acts of a batch are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchOf {
    /// Things that people did: each once, whatever has changed since.
    Acts,
    /// Statements of how things are, as in an import: one that was recorded once and is not so any more is recorded again,
    /// under an id that follows from its own.
    Statements,
}

/// A record that the acts so far are about.
struct Touched {
    added: Vec<ReceivedEvent>,
    view: RecordView,
    summary: Summary,
}

/// The views as they will be after the acts so far.
struct Overlay<'n> {
    node: &'n Node,
    touched: BTreeMap<RecordId, Touched>,
    /// The hash of each record's view before it was first looked at.
    seen: RefCell<BTreeMap<RecordId, Option<[u8; 32]>>>,
}

impl Views for Overlay<'_> {
    fn view(&self, record: &RecordId) -> Result<Option<RecordView>, Unreadable> {
        match self.touched.get(record) {
            Some(touched) => Ok(Some(touched.view.clone())),
            None => {
                self.note(record);
                Views::view(self.node, record)
            }
        }
    }

    fn as_seen(&self, record: &RecordId, heads: &[EventId]) -> Result<Option<RecordView>, Unreadable> {
        let added = self.touched.get(record).map(|touched| touched.added.as_slice()).unwrap_or_default();
        self.node.projector.as_seen(record, heads, added).map_err(|error| {
            tracing::error!(%record, %error, "a record's events cannot be read");
            Unreadable
        })
    }

    fn matching(&self, wanted: &dyn Fn(&Summary) -> bool) -> Vec<Summary> {
        let touched = self.touched.values().map(|touched| &touched.summary).filter(|summary| wanted(summary)).cloned();
        let untouched = |summary: &Summary| !self.touched.contains_key(&summary.id) && wanted(summary);
        let mut found = self.node.projector.matching(&untouched);
        found.extend(touched);
        found
    }
}

impl<'n> Overlay<'n> {
    fn over(node: &'n Node) -> Self {
        Self { node, touched: BTreeMap::new(), seen: RefCell::default() }
    }

    /// Before a view is read, so that a change in between is seen as one.
    fn note(&self, record: &RecordId) {
        self.seen.borrow_mut().entry(*record).or_insert_with(|| self.node.projector.view_hash(record));
    }

    /// Whether somebody has changed a record since it was looked at.
    fn is_stale(&self) -> bool {
        self.seen.borrow().iter().any(|(record, hash)| self.node.projector.view_hash(record) != *hash)
    }

    fn add(&mut self, record: RecordId, event: ReceivedEvent) -> Result<(), NodeError> {
        let (mut added, before) = match self.touched.remove(&record) {
            Some(touched) => (touched.added, Some(touched.view)),
            None => {
                self.note(&record);
                (vec![], self.node.projector.view(&record)?)
            }
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
            let summary = Summary::from(&view);
            self.touched.insert(record, Touched { added, view, summary });
        }
        Ok(())
    }
}

/// An act of this very batch: what it asks, the record that it is about, its receipt if it has one.
struct Here {
    content: [u8; 8],
    about: RecordId,
    receipt: Option<Receipt>,
}

/// A batch while it is composed.
struct Composing<'n> {
    node: &'n Node,
    operator: &'n str,
    of: BatchOf,
    charter: Arc<Charter>,
    overlay: Overlay<'n>,
    /// So that one id twice in it is one act as well.
    here: BTreeMap<ActId, Here>,
    receipts: Vec<Receipt>,
    /// What was signed, and as which event.
    signed: Vec<(LocalDraft, EventId)>,
}

impl<'n> Composing<'n> {
    fn new(node: &'n Node, operator: &'n str, of: BatchOf) -> Self {
        let (charter, here, receipts, signed) = (node.projector.charter(), BTreeMap::new(), vec![], vec![]);
        Self { node, operator, of, charter, overlay: Overlay::over(node), here, receipts, signed }
    }

    fn all(&mut self, acts: &[(ActId, Command)], signer: &mut Signer<'_>) -> Result<(), SubmitError> {
        acts.iter().try_for_each(|(act, command)| self.act(*act, command, signer))
    }

    fn act(&mut self, act: ActId, command: &Command, signer: &mut Signer<'_>) -> Result<(), SubmitError> {
        let content = command.content(self.operator);
        if let Some(known) = self.here.get(&act) {
            if known.content != content {
                return Err(act_reused(act, known.about, known.content, content));
            }
            self.receipts.extend(known.receipt.clone().map(|receipt| Receipt { repeated: true, ..receipt }));
            return Ok(());
        }
        let about = command.subject(act.new_record(content));
        let receipt = match (self.of, self.node.first_receipt(&act, content, &about)) {
            (_, Ok(None)) => self.record(act, act, command, signer)?,
            (BatchOf::Acts, Ok(first)) => first,
            // Stated before; or somebody else took its id, which follows from what it says: it stands all the same.
            (BatchOf::Statements, first @ (Ok(_) | Err(SubmitError::ActReused(_)))) => {
                let again = self.next_part(act, content, &about)?;
                self.record(act, again, command, signer)?.or_else(|| first.ok().flatten())
            }
            (_, Err(error)) => return Err(error),
        };
        self.receipts.extend(receipt.clone());
        self.here.insert(act, Here { content, about, receipt });
        Ok(())
    }

    /// The first id that follows from a statement's own and is not on record: each time that it is stated anew it is an
    /// act of its own.
    fn next_part(&self, act: ActId, content: [u8; 8], about: &RecordId) -> Result<ActId, SubmitError> {
        let mut parts = (1..).map(|times| act.part(times));
        loop {
            // The range has no end.
            let Some(part) = parts.next() else { return Ok(act) };
            match self.node.first_receipt(&part, content, about) {
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
        command: &Command,
        signer: &mut Signer<'_>,
    ) -> Result<Option<Receipt>, SubmitError> {
        let content = command.content(self.operator);
        let stamps = Stamps::new(act, content);
        let prepared = self.node.prepare(
            self.operator,
            command.clone(),
            &self.overlay,
            &stamps,
            sent.new_record(content),
            signer.incarnation(),
        )?;
        let mut events: Vec<EventId> = vec![];
        let mut about = None;
        for draft in prepared {
            let record = draft.record;
            let draft = self.node.to_local(after(draft, events.last().copied()), &self.charter)?;
            let event = signer.sign(draft.clone())?;
            events.push(event.id());
            self.signed.push((draft, event.id()));
            self.overlay.add(record, event)?;
            about = Some(record);
        }
        Ok(about.map(|record| Receipt { act, record, events, heard_by: 0, repeated: false, shown: true }))
    }

    /// Whether anything that it stands on has changed since: a right, a record, or an act of it that was heard of.
    fn is_stale(&self, heard: u64) -> Result<bool, SubmitError> {
        if !Arc::ptr_eq(&self.charter, &self.node.projector.charter()) || self.overlay.is_stale() {
            return Ok(true);
        }
        if self.node.projector.heard() == heard {
            return Ok(false);
        }
        for (act, here) in &self.here {
            let was_known = here.receipt.as_ref().is_none_or(|receipt| receipt.repeated || receipt.act != *act);
            if !was_known && self.node.first_receipt(act, here.content, &here.about)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Signs for good what was rehearsed: at the positions that are free now, and following each other under their new
    /// names.
    fn sign_again(&mut self, signer: &mut Signer<'_>) -> Result<(), SubmitError> {
        let mut names: BTreeMap<EventId, EventId> = BTreeMap::new();
        for (mut draft, was) in std::mem::take(&mut self.signed) {
            draft.parents.iter_mut().for_each(|parent| *parent = names.get(parent).copied().unwrap_or(*parent));
            names.insert(was, signer.sign(draft)?.id());
        }
        for event in self.receipts.iter_mut().flat_map(|receipt| &mut receipt.events) {
            *event = names.get(event).copied().unwrap_or(*event);
        }
        Ok(())
    }
}

impl Node {
    /// Records several acts, all or none, in order. Those that are on record already are answered with their first
    /// receipts; those that have nothing to add leave none. Other acts go on beside it, until it is written.
    ///
    /// # Errors
    /// The first act that is refused, too many batches at once, or the store's failure; then nothing was recorded.
    #[tracing::instrument(name = "command_batch", skip_all, fields(acts = acts.len()))]
    pub fn submit_all(
        &self,
        operator: &str,
        acts: Vec<(ActId, Command)>,
        of: BatchOf,
    ) -> Result<Vec<Receipt>, SubmitError> {
        let _in_hand = self.batches_in_hand.take()?;
        // First its turn and then its acts: whoever holds acts must not wait for another batch.
        let _one = self.one_batch();
        let _underway = self.underway.enter(acts.iter().map(|(act, _)| *act));
        let (mut batch, heard, incarnation) = {
            let _no_rebuild = self.beside_other_acts();
            self.show_what_is_durable()?;
            self.rehearse(operator, &acts, of)?
        };
        if batch.signed.is_empty() {
            return Ok(batch.receipts);
        }
        let _alone = self.alone();
        self.show_what_is_durable()?;
        let is_stale = batch.is_stale(heard)?;
        let written = self.writer.write_with::<SubmitError>(now_ms(), &mut random_salt, |signer| {
            if !is_stale && signer.incarnation() == incarnation {
                return batch.sign_again(signer);
            }
            batch = Composing::new(self, operator, of);
            batch.all(&acts, signer)?;
            if batch.signed.is_empty() { Err(nothing_to_do()) } else { Ok(()) }
        });
        let mut receipts = batch.receipts;
        match written {
            Err(SubmitError::Node(NodeError::NothingToDo)) => Ok(receipts),
            Err(error) => Err(error),
            Ok(events) => {
                let shown = self.show(&events);
                receipts.iter_mut().filter(|receipt| !receipt.repeated).for_each(|receipt| receipt.shown = shown);
                Ok(receipts)
            }
        }
    }

    /// Composes a batch without writing it; says what had been heard before, and under which incarnation it is signed.
    fn rehearse<'n>(
        &'n self,
        operator: &'n str,
        acts: &[(ActId, Command)],
        of: BatchOf,
    ) -> Result<(Composing<'n>, u64, u64), SubmitError> {
        let heard = self.projector.heard();
        let (mut batch, mut incarnation) = (Composing::new(self, operator, of), 0);
        self.writer.rehearse::<SubmitError>(now_ms(), &mut random_salt, |signer| {
            incarnation = signer.incarnation();
            batch.all(acts, signer)
        })?;
        Ok((batch, heard, incarnation))
    }
}
