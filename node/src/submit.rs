//! From a command to durable events: one act, once.
//!
//! An act that is on record already is answered with its first receipt: that is looked up when it is this act's turn, and
//! again under its record's lock if anything was heard meanwhile.

use linli_core::event::ReceivedEvent;
use linli_core::id::EventId;
use linli_domain::act::ActId;
use linli_domain::commands::{Command, Draft, Stamps};
use linli_store::WriteError;

use crate::cli::now_ms;
use crate::node::{Node, NodeError, Receipt, SubmitError, random_salt};

impl Node {
    /// Records one act of an operator: checked, signed by this node, durable, shown. An act that is on record already, here
    /// or at a node that this one has heard, is answered with its first receipt.
    ///
    /// # Errors
    /// When the domain refuses it, the charter does not allow it here, the id is another act's, too many acts wait already, or
    /// the store fails.
    #[tracing::instrument(name = "command", skip_all)]
    pub fn submit(&self, operator: &str, act: ActId, command: Command) -> Result<Receipt, SubmitError> {
        let _in_hand = self.acts_in_hand.take()?;
        let content = command.content(operator);
        let record = command.subject(act.new_record(content));
        // From here on nobody else records this act, and whoever asks hears that it is underway.
        let _underway = self.underway.enter([act]);
        let _no_batch = match self.beside_other_acts_now() {
            Some(no_batch) => no_batch,
            // What is on record need not wait for a batch that is written.
            None => match self.first_receipt(&act, content, &record)? {
                Some(first) => return Ok(first),
                None => self.beside_other_acts(),
            },
        };
        self.show_what_is_durable()?;
        let heard = self.projector.heard();
        if let Some(first) = self.first_receipt(&act, content, &record)? {
            return Ok(first);
        }
        let _one_at_a_time = self.lock_record(&record);
        // What another node recorded may have arrived while we waited for the record.
        if self.projector.heard() != heard
            && let Some(first) = self.first_receipt(&act, content, &record)?
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
        Ok(Receipt { act, record, events, heard_by: 0, repeated: false, shown: self.show(&written) })
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
    pub(crate) fn show(&self, written: &[ReceivedEvent]) -> bool {
        let shown = self.projector.show(written);
        if let Err(error) = &shown {
            tracing::error!(%error, "an act is durable and could not be shown; it is folded before the next act");
        }
        shown.is_ok()
    }

    /// Before an act looks at anything: what this node recorded earlier and could not show is shown, or nothing more is
    /// recorded. Otherwise an act would not see the one before it, nor know itself again.
    pub(crate) fn show_what_is_durable(&self) -> Result<(), SubmitError> {
        match self.projector.owes_own() {
            false => Ok(()),
            true => self.projector.catch_up_own().map_err(|error| match self.store.write_trouble() {
                Some(refused) => SubmitError::NotDurable(WriteError::Store(refused)),
                None => error.into(),
            }),
        }
    }
}

pub(crate) const fn nothing_to_do() -> SubmitError {
    SubmitError::Node(NodeError::NothingToDo)
}

/// A draft that follows the one before it in the same answer has that event as its only parent.
pub(crate) fn after(mut draft: Draft, previous: Option<EventId>) -> Draft {
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
