//! What a courier carries between nodes whose network is down: the same frames as on the wire, in volumes, and the
//! standing that asks for them and acknowledges them. Normative text: `docs/carry.md`.
//!
//! This is the inside of a file. Sealing it for the nodes that may read it, packing frames and touching files is the
//! program's affair; nothing here does I/O. A [`VolumeWriter`] returns the bytes to write, a [`VolumeReader`] is fed
//! whatever pieces were read and holds no more than one item.
//!
//! A volume's header proves that its sender is a node of the federation before anything of it is looked at, so nobody
//! else can fill a node's disk. Its frames prove themselves, one by one, at the store's door; its end proves that it is
//! whole.

mod error;
mod reader;
mod standing;
mod volume;
mod writer;

use crate::cbor::{Problem, Reader, Writer};
use crate::enrol::{EnrolError, Ticket, read_credential, write_credential};
use crate::event::ReceivedEvent;
use crate::id::{AuthorKey, EventId};
use crate::limits;

pub use error::{CarryError, CarryProblem};
pub use reader::{Item, VolumeReader};
pub use standing::Standing;
pub use volume::VolumeHeader;
pub use writer::VolumeWriter;

/// First field of a volume's header.
pub const VOLUME_MAGIC: &str = "linli/carry/1";

/// First field of a standing.
pub const STANDING_MAGIC: &str = "linli/carry-standing/1";

/// First field of a volume's end record.
const END: &str = "end";

/// Genesis and grants down to a node's own, as a ticket and a hello show them.
fn write_credentials(w: &mut Writer, credentials: &[ReceivedEvent]) {
    w.array(credentials.len());
    credentials.iter().for_each(|event| write_credential(w, event));
}

fn read_credentials(r: &mut Reader<'_>) -> Result<Vec<ReceivedEvent>, CarryProblem> {
    let len = r.array_of_at_most(limits::GRANT_CHAIN_MAX, "number of grants")?;
    let mut credentials = Vec::new();
    for _ in 0..len {
        credentials.push(read_credential(r).map_err(|error| match error {
            EnrolError::Malformed(error) => CarryProblem::Cbor(error.problem),
            _ => CarryProblem::Cbor(Problem::OutOfRange("charter event")),
        })?);
    }
    Ok(credentials)
}

/// Whether `credentials` prove that `node` is a node of the federation.
fn check_member(federation: EventId, node: &AuthorKey, credentials: &[ReceivedEvent]) -> Result<(), CarryProblem> {
    let shown = Ticket { federation, charter: credentials.to_vec(), peers: vec![] };
    shown.verified_for(node).map(drop).map_err(|_| CarryProblem::NotAMember)
}

#[cfg(test)]
mod tests;
