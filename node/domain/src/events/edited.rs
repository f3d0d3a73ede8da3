//! A document was changed: one uncompressed Automerge change, in any stream whose records have a document.

use serde::{Deserialize, Serialize};

use super::role::Role;
use super::{Applies, Fields, Said};
use crate::check::{self, Invalid};
use crate::state::{Context, PlanState, SupplyPointState, TeamState};

/// A document was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edited {
    /// The change. What it may be is decided by the gate of [`crate::documents`].
    #[serde(with = "serde_bytes")]
    pub change: Vec<u8>,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for Edited {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        check::some("change", self.change.len(), linli_core::limits::PAYLOAD_BYTES_MAX)
    }

    fn role(&self) -> Role<'_> {
        Role::Edits
    }
}

impl Applies<TeamState> for Edited {
    fn apply(&self, state: &mut TeamState, ctx: &Context<'_>) {
        state.profile.apply(&self.change, ctx);
    }
}

impl Applies<SupplyPointState> for Edited {
    fn apply(&self, state: &mut SupplyPointState, ctx: &Context<'_>) {
        state.profile.apply(&self.change, ctx);
    }
}

impl Applies<PlanState> for Edited {
    fn apply(&self, state: &mut PlanState, ctx: &Context<'_>) {
        *state.writers.entry(ctx.stamp.person()).or_default() += 1;
        state.document.apply(&self.change, ctx);
    }
}
