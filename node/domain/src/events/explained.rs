//! Somebody explained why two records contradict each other. The explanation stands in one of them.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::role::Role;
use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::Context;

/// A contradiction between records was explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explained {
    /// The cross-check (对照), see [`crate::crosscheck`].
    pub check: RecordId,
    /// What was found, in words.
    pub explanation: String,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for Explained {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::text("explanation", &self.explanation)
    }

    fn role(&self) -> Role<'_> {
        Role::Explains(&self.check)
    }
}

/// The view notes the explanation; the state itself does not change.
impl<S> Applies<S> for Explained {
    fn apply(&self, _state: &mut S, _ctx: &Context<'_>) {}
}
