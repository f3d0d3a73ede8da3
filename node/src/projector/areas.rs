//! Whose records are: told from memory, because every act asks.

use std::sync::PoisonError;

use linli_core::area::Area;
use linli_core::id::RecordId;

use super::Projector;

impl Projector {
    /// The area in which a record was begun first; none if there is no such record here.
    pub(crate) fn area_of(&self, record: &RecordId) -> Option<Area> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(record).map(|known| known.summary.area.clone())
    }
}
