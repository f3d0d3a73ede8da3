//! A conflict was settled by a person. The loser stays readable.

use linli_core::id::{EventId, RecordId};
use serde::{Deserialize, Serialize};

use super::role::Role;
use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::Context;

/// A conflict was settled by a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settled {
    /// The conflict.
    pub conflict: RecordId,
    /// Which of the conflicting events holds; none when all of them do, as after a recount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<EventId>,
    /// What was decided, in words.
    pub decision: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for Settled {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("decision", &self.decision)
    }

    fn role(&self) -> Role<'_> {
        Role::Settles(self)
    }
}

/// The conflict is closed by the fold, in the view; the state itself does not change.
impl<S> Applies<S> for Settled {
    fn apply(&self, _state: &mut S, _ctx: &Context<'_>) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, record, reported, said};

    #[test]
    fn a_settlement_of_something_unknown_changes_nothing() {
        let settled = |decision: &str| {
            let said = said("主任");
            Fact::IncidentSettled(Settled { conflict: record(77), keep: None, decision: decision.to_owned(), said })
        };
        let view = History::of([reported(), settled("不存在")]).view();
        assert!(view.conflicts.is_empty() && view.unsettled.is_empty());
        assert!(settled("").check().is_err());
    }
}
