//! What logs say of sign-in codes: the events of all nodes that name one, whoever wrote them. Which of them count is asked
//! when it matters, by the charter of that moment, as a grant may come later than what was written under it.
//!
//! Key: `o` + the code's id + the event; value: where the event stands.

use std::sync::atomic::{AtomicBool, Ordering};

use linli_core::event::{ReceivedEvent, Slot};
use linli_core::id::Stream;
use linli_domain::payload;
use linli_store::ProjectionBatch;
use serde::Deserialize;

use super::keys::{location, scan_all};
use super::{Projector, lock};
use crate::access::{KINDS, is_code_id};
use crate::node::NodeError;

/// Whether something was folded that may end codes or sessions here, since that was last asked.
#[derive(Debug, Default)]
pub(super) struct AccessNews(AtomicBool);

/// The part of an event's payload that names the code.
#[derive(Deserialize)]
struct Named {
    code: String,
}

impl AccessNews {
    /// Notes an event that is being folded, if it is about a code, or about who may write such events.
    pub(super) fn note(&self, event: &ReceivedEvent, batch: &mut ProjectionBatch) {
        let header = event.header();
        if header.stream == Stream::CHARTER {
            self.0.store(true, Ordering::SeqCst);
        }
        if header.record.is_some() || header.stream != Stream::COMMUNITY || !KINDS.contains(&header.kind.as_str()) {
            return;
        }
        let said = event.payload(Slot::Op).and_then(|op| payload::decode::<Named>(&op.bytes).ok());
        if let Some(Named { code }) = said.filter(|said| is_code_id(&said.code)) {
            batch.put([&prefix(&code)[..], event.id().as_bytes()].concat(), location(event));
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

impl Projector {
    /// Whether anything was folded since the last call that may end codes or sessions here.
    pub(crate) fn access_changed(&self) -> bool {
        if !self.access.0.load(Ordering::SeqCst) {
            return false;
        }
        // What a pass has noted and not written yet is not to be missed.
        let _alone = lock(&self.folding);
        self.access.0.swap(false, Ordering::SeqCst)
    }

    /// What [`Projector::access_changed`] told could not be heeded: it is told again.
    pub(crate) fn ask_access_again(&self) {
        self.access.0.store(true, Ordering::SeqCst);
    }

    /// Every event that names a code by its id, whoever wrote it and whether or not it counts.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn said_of_code(&self, code: &str) -> Result<Vec<ReceivedEvent>, NodeError> {
        let mut events = vec![];
        for (key, value) in scan_all(&self.store.projection(), &prefix(code))? {
            let (log, seq) = self.location(&value)?;
            let event = self.store.event(&log, seq)?.map(|event| event.into_event());
            // A log that was removed and came again may hold another event there.
            events.extend(event.filter(|event| key.ends_with(event.id().as_bytes())));
        }
        Ok(events)
    }
}

fn prefix(code: &str) -> Vec<u8> {
    [b"o", code.as_bytes()].concat()
}
