//! From commands to durable events: one act, or many at once, all or none.
//!
//! Each act of a batch is checked against what the acts before it will have done, and signed; only at the end everything
//! becomes durable in one write. An act that has nothing to add, as in an import that is repeated, writes nothing.

use std::collections::BTreeMap;

use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, RecordId};
use linli_domain::commands::{Command, Draft, Views};
use linli_domain::record::RecordView;
use linli_domain::summary::Summary;
use linli_store::WriteError;

use crate::cli::now_ms;
use crate::node::{Node, NodeError, Receipt, SubmitError, random_bytes, random_salt};

/// The views as they will be after the acts so far.
struct Overlay<'n> {
    node: &'n Node,
    touched: BTreeMap<RecordId, (Vec<ReceivedEvent>, RecordView)>,
}

impl Views for Overlay<'_> {
    fn view(&self, record: &RecordId) -> Option<RecordView> {
        match self.touched.get(record) {
            Some((_, view)) => Some(view.clone()),
            None => self.node.projector.view(record).ok().flatten(),
        }
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
        let mut events = match self.touched.remove(&record) {
            Some((events, _)) => events,
            None => self.node.projector.events(&record)?,
        };
        events.push(event);
        if let Some(view) = self.node.projector.fold_whole(record, &events) {
            self.touched.insert(record, (events, view));
        }
        Ok(())
    }
}

impl Node {
    /// Records one act of an operator: checked, signed by this node, durable, shown.
    ///
    /// # Errors
    /// When the domain refuses it, the charter does not allow it here, or the store fails.
    #[tracing::instrument(name = "command", skip_all)]
    pub fn submit(&self, operator: &str, command: Command) -> Result<Receipt, SubmitError> {
        let _no_batch = self.beside_other_acts();
        let new_id = RecordId::new_v7(now_ms(), random_bytes());
        // The first look only says which record it is about; what counts is the look under that record's lock.
        let incarnation = self.writer.incarnation();
        let looked = self.prepare(operator, command.clone(), self, new_id, incarnation)?;
        let record = looked.first().map(|draft| draft.record).ok_or_else(nothing_to_do)?;
        let _one_at_a_time = self.lock_record(&record);
        let drafts = self.prepare(operator, command.clone(), self, new_id, incarnation)?;
        let charter = self.projector.charter();
        let mut previous: Option<EventId> = None;
        let written = self.writer.write_with::<SubmitError>(now_ms(), &mut random_salt, |signer| {
            // A document change is made under the incarnation that signs it.
            let drafts = match signer.incarnation() {
                signing if signing == incarnation => drafts,
                signing => self.prepare(operator, command, self, new_id, signing)?,
            };
            for draft in drafts {
                let draft = self.to_local(after(draft, previous), &charter)?;
                previous = Some(signer.sign(draft)?.id());
            }
            Ok(())
        })?;
        self.projector.catch_up_own()?;
        Ok(Receipt { record, events: written.iter().map(ReceivedEvent::id).collect(), heard_by: 0 })
    }

    /// Records several acts, all or none. Acts that have nothing to add leave no receipt.
    ///
    /// # Errors
    /// The first act that is refused, or the store's failure; then nothing was recorded.
    #[tracing::instrument(name = "command_batch", skip_all, fields(acts = commands.len()))]
    pub fn submit_all(&self, operator: &str, commands: Vec<Command>) -> Result<Vec<Receipt>, SubmitError> {
        let _alone = self.alone();
        let charter = self.projector.charter();
        let mut overlay = Overlay { node: self, touched: BTreeMap::new() };
        let mut receipts: Vec<Receipt> = vec![];
        let written = self.writer.write_with::<SubmitError>(now_ms(), &mut random_salt, |signer| {
            for command in commands {
                let new_id = RecordId::new_v7(now_ms(), random_bytes());
                let mut events: Vec<EventId> = vec![];
                let mut about = new_id;
                for draft in self.prepare(operator, command, &overlay, new_id, signer.incarnation())? {
                    about = draft.record;
                    let draft = self.to_local(after(draft, events.last().copied()), &charter)?;
                    let event = signer.sign(draft)?;
                    events.push(event.id());
                    overlay.add(about, event)?;
                }
                if !events.is_empty() {
                    receipts.push(Receipt { record: about, events, heard_by: 0 });
                }
            }
            if receipts.is_empty() { Err(nothing_to_do()) } else { Ok(()) }
        });
        match written {
            Err(SubmitError::Node(NodeError::NothingToDo)) => Ok(vec![]),
            Err(error) => Err(error),
            Ok(_) => {
                self.projector.catch_up_own()?;
                Ok(receipts)
            }
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
        Self::Node(error.into())
    }
}
