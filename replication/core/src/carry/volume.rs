//! A volume's header: which volume of which bundle, and who made it.

use crate::carry::{CarryProblem, VOLUME_MAGIC, check_member, read_credentials, write_credentials};
use crate::cbor::{Problem, Reader, Writer};
use crate::event::ReceivedEvent;
use crate::id::{AuthorKey, BundleId, EventId};
use crate::limits;
use crate::sign::{Purpose, SecretKey, Signature, verify};

/// What a volume says before its frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeHeader {
    /// The federation.
    pub federation: EventId,
    /// The bundle, the same in all its volumes.
    pub bundle: BundleId,
    /// Which of its volumes this is, from 1. The last one says so at its end.
    pub number: u64,
    /// The node that made it.
    pub sender: AuthorKey,
    /// When the bundle was made, in Unix milliseconds by the sender's clock.
    pub created_ms: u64,
    /// Genesis and grants down to the sender's own: what shows that it is a node.
    pub credentials: Vec<ReceivedEvent>,
}

impl VolumeHeader {
    pub(super) fn encode(&self, key: &SecretKey) -> Vec<u8> {
        let mut w = Writer::with_capacity(4096);
        w.array(6).bytes(self.federation.as_bytes()).bytes(self.bundle.as_bytes()).uint(self.number);
        w.bytes(self.sender.as_bytes()).uint(self.created_ms);
        write_credentials(&mut w, &self.credentials);
        let fields = w.into_bytes();
        let signature = key.sign(Purpose::CarryVolume, &fields);
        let mut w = Writer::with_capacity(fields.len() + 96);
        w.array(3).text(VOLUME_MAGIC).bytes(&fields).bytes(signature.as_bytes());
        w.into_bytes()
    }

    /// Reads the header at the beginning of a volume, for a node of `federation`.
    pub(super) fn read(r: &mut Reader<'_>, federation: EventId) -> Result<Self, CarryProblem> {
        r.array_of(3, "a header of three fields")?;
        if r.text_of_at_most(VOLUME_MAGIC.len(), "format of a volume")? != VOLUME_MAGIC {
            return Err(CarryProblem::Cbor(Problem::OutOfRange("format (expected linli/carry/1)")));
        }
        let fields = r.bytes_of_at_most(limits::CARRY_HEADER_BYTES_MAX, "length of a header")?;
        let signature = Signature::from_bytes(r.byte_array()?);
        let header = Self::read_fields(fields).map_err(inside)?;
        if header.federation != federation {
            return Err(CarryProblem::OtherFederation);
        }
        verify(&header.sender, Purpose::CarryVolume, fields, &signature)?;
        check_member(federation, &header.sender, &header.credentials)?;
        Ok(header)
    }

    fn read_fields(fields: &[u8]) -> Result<Self, CarryProblem> {
        let mut r = Reader::new(fields);
        r.array_of(6, "the six fields of a header")?;
        let federation = EventId::from_bytes(r.byte_array()?);
        let bundle = BundleId::from_bytes(r.byte_array()?);
        let number = r.uint()?;
        if number == 0 || number > limits::CARRY_VOLUMES_MAX {
            return Err(CarryProblem::Cbor(Problem::OutOfRange("number of a volume")));
        }
        let sender = AuthorKey::from_bytes(r.byte_array()?);
        let created_ms = r.uint()?;
        let credentials = read_credentials(&mut r)?;
        r.finish()?;
        Ok(Self { federation, bundle, number, sender, created_ms, credentials })
    }
}

/// Fields that end too early are wrong whatever follows: only what surrounds them can still be on its way.
fn inside(problem: CarryProblem) -> CarryProblem {
    match problem {
        CarryProblem::Cbor(Problem::Truncated) => CarryProblem::Cbor(Problem::OutOfRange("length of a header")),
        other => other,
    }
}
