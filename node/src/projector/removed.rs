//! What becomes of views when people have logs removed from the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use linli_core::id::{LogId, RecordId};
use linli_store::ProjectionBatch;

use super::{Projector, REFOLD_RECORDS_MAX, cursor_key, lock};
use crate::node::NodeError;

impl Projector {
    /// Takes out of the views what logs said that are not in the store any more, and forgets that they were folded: should
    /// they come again once there is a grant, they are folded from their first event. They counted for nothing, so only
    /// records that wait for something hold anything of them. A crash in between only repeats it.
    ///
    /// # Errors
    /// When the store fails; then the next [`Projector::catch_up`] does it.
    pub(crate) fn let_go_of_removed_logs(&self) -> Result<(), NodeError> {
        let _alone = lock(&self.folding);
        let frontier = self.store.frontier();
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        let gone: BTreeSet<LogId> = cursors.keys().filter(|log| frontier.head(log).is_none()).cloned().collect();
        drop(cursors);
        if gone.is_empty() {
            return Ok(());
        }
        let waiting: Vec<RecordId> = self.waiting_records().into_iter().collect();
        for some in waiting.chunks(REFOLD_RECORDS_MAX) {
            let (mut batch, mut touched) = (ProjectionBatch::default(), BTreeMap::new());
            for record in some {
                for (key, value) in self.index_of(record)? {
                    if gone.contains(&self.location(&value)?.0) {
                        batch.delete(key);
                        touched.insert(*record, vec![]);
                    }
                }
            }
            let folded = self.fold(touched, &mut batch)?;
            self.store.projection().write(batch)?;
            self.publish(folded);
        }
        let mut batch = ProjectionBatch::default();
        gone.iter().for_each(|log| batch.delete(cursor_key(log)));
        self.store.projection().write(batch)?;
        self.cursors.write().unwrap_or_else(PoisonError::into_inner).retain(|log, _| !gone.contains(log));
        Ok(())
    }
}
