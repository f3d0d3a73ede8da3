//! Acts from outside were adopted: somebody of the record's area lets them count.

use linli_core::id::EventId;
use serde::{Deserialize, Serialize};

use super::role::Role;
use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::limits;
use crate::state::Context;

/// Acts from outside the record's area were adopted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adopted {
    /// The events that count from now on.
    pub events: Vec<EventId>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for Adopted {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::some("events", self.events.len(), limits::LISTED_MAX)
    }

    fn role(&self) -> Role<'_> {
        Role::Adopts(&self.events)
    }
}

/// The fold lets the events count; the adoption itself adds nothing to the state.
impl<S> Applies<S> for Adopted {
    fn apply(&self, _state: &mut S, _ctx: &Context<'_>) {}
}
