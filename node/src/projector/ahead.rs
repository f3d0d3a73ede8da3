//! What a pass of the projector takes: events past its cursors, in bounded pieces, around what cannot be read.

use std::sync::PoisonError;

use linli_core::event::{ReceivedEvent, Slot};
use linli_store::StoreError;

use super::over::Over;
use super::{Cursors, Projector};
use crate::node::NodeError;

/// Most events folded in one pass: bounds memory, and how long a pass keeps others waiting.
const PASS_EVENTS_MAX: usize = 2_048;
/// Most bytes of events read for one pass, all logs together. The last event may go beyond.
const PASS_BYTES_MAX: usize = 8 << 20;
/// Positions of a damaged log that are looked at one by one in one pass: some hundredths of a second.
const AROUND_DAMAGE_MAX: usize = 256;

impl Projector {
    /// Events past the cursors in order of stream, and where the cursors will stand.
    pub(super) fn read_ahead(&self, over: &Over<'_>) -> Result<(Vec<ReceivedEvent>, Cursors), NodeError> {
        let cursors = self.cursors.read().unwrap_or_else(PoisonError::into_inner);
        let (mut events, mut advanced, mut bytes): (Vec<ReceivedEvent>, _, _) = (vec![], vec![], 0);
        let frontier = self.store.frontier();
        for (log, head) in over.of(&frontier) {
            if events.len() >= PASS_EVENTS_MAX || bytes >= PASS_BYTES_MAX {
                break;
            }
            let folded = cursors.get(log).copied().unwrap_or(0);
            if head.seq <= folded {
                continue;
            }
            let most = PASS_EVENTS_MAX - events.len();
            let (read, reached) = match self.store.read(log, folded + 1, most, PASS_BYTES_MAX - bytes) {
                Ok(read) => {
                    let reached = folded + read.len() as u64;
                    (read, reached)
                }
                // What cannot be read is told as a loss, and holds up nothing else.
                Err(StoreError::Damaged(_)) => {
                    let most = most.min(AROUND_DAMAGE_MAX);
                    (self.store.read_around_damage(log, folded + 1, most)?, head.seq.min(folded + most as u64))
                }
                Err(error) => return Err(error.into()),
            };
            if reached > folded {
                advanced.push((log.clone(), reached));
                bytes += read.iter().map(|event| bytes_in(event.event())).sum::<usize>();
                events.extend(read.into_iter().map(|event| event.into_event()));
            }
        }
        Ok((events, advanced))
    }
}

fn bytes_in(event: &ReceivedEvent) -> usize {
    let payload = |slot| event.payload(slot).map_or(0, |payload| payload.bytes.len());
    event.header_bytes().len() + payload(Slot::Op) + payload(Slot::Pii)
}
