//! Records as somebody saw them earlier: what an act stood on that comes from a form which was open for a while.

use linli_core::event::ReceivedEvent;
use linli_core::id::{EventId, RecordId};
use linli_domain::fold::fold_seen;
use linli_domain::record::RecordView;

use super::{Projector, fold_event};
use crate::node::NodeError;

impl Projector {
    /// A record as whoever saw just these heads saw it, where `added` are events of it that are not durable yet; none if
    /// one of the heads is not among its events.
    ///
    /// # Errors
    /// When the store fails.
    pub fn as_seen(
        &self,
        record: &RecordId,
        heads: &[EventId],
        added: &[ReceivedEvent],
    ) -> Result<Option<RecordView>, NodeError> {
        let (mut all, charter) = (self.events(record)?, self.charter());
        all.extend_from_slice(added);
        Ok(fold_seen(*record, heads, all.iter().map(|event| fold_event(event, &charter))))
    }
}
