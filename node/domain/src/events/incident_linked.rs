//! Two incident records are about the same thing; both ids are kept.

use linli_core::id::RecordId;
use serde::{Deserialize, Serialize};

use super::{Applies, Fields, Said};
use crate::check::Invalid;
use crate::state::{Context, IncidentState};

/// Two incident records are about the same thing; both ids are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentLinked {
    /// The other record.
    pub duplicate_of: RecordId,
    /// Who acted, and a note.
    #[serde(flatten)]
    pub said: Said,
}

impl Fields for IncidentLinked {
    fn said(&self) -> &Said {
        &self.said
    }

    fn check(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

impl Applies<IncidentState> for IncidentLinked {
    fn apply(&self, state: &mut IncidentState, ctx: &Context<'_>) {
        state.duplicates.insert(self.duplicate_of);
        state.timeline.push(ctx.line(self.duplicate_of.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Fact;
    use crate::scenario::{History, record, reported, said};
    use crate::state::State;

    #[test]
    fn duplicates_are_linked_and_both_ids_stay() {
        let link = Fact::IncidentLinked(IncidentLinked { duplicate_of: record(2), said: said("值班") });
        let State::Incident(incident) = History::of([reported(), link.clone(), link]).view().state else { panic!() };
        assert_eq!(incident.duplicates.into_iter().collect::<Vec<_>>(), vec![record(2)]);
    }
}
