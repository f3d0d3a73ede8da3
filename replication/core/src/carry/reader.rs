//! Reads the inside of a volume piece by piece, in bounded memory.

use sha2::{Digest, Sha256};

use crate::carry::{CarryError, CarryProblem, END, VolumeHeader};
use crate::cbor::{CborError, Problem, Reader, Type};
use crate::id::{AuthorKey, EventId};
use crate::limits;
use crate::sign::{Purpose, Signature, verify};

/// Longest fields of an end record, in bytes: a flag, a count and a hash.
const END_FIELDS_BYTES_MAX: usize = 64;

/// One part of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The header, whose sender is proven to be a node of the federation.
    Header(Box<VolumeHeader>),
    /// A packed frame. It proves nothing yet.
    Frame(Vec<u8>),
    /// The end: the volume is whole, as its sender made it.
    End {
        /// Whether the bundle ends with this volume.
        last: bool,
        /// Frames in the volume.
        frames: u64,
    },
}

/// Which item has to come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Header,
    FrameOrEnd,
    Nothing,
}

/// Reads one volume: feed with [`VolumeReader::push`], take items until there is none, and [`VolumeReader::finish`].
#[derive(Debug)]
pub struct VolumeReader {
    federation: EventId,
    next: Next,
    sender: Option<AuthorKey>,
    pending: Vec<u8>,
    at: usize,
    offset: u64,
    frames: u64,
    hash: Sha256,
    failed: Option<CarryError>,
}

impl VolumeReader {
    /// A reader for a node of `federation`.
    pub fn new(federation: EventId) -> Self {
        Self {
            federation,
            next: Next::Header,
            sender: None,
            pending: Vec::new(),
            at: 0,
            offset: 0,
            frames: 0,
            hash: Sha256::new(),
            failed: None,
        }
    }

    /// Takes the next piece. Memory stays bounded if all items are taken before the next one.
    pub fn push(&mut self, piece: &[u8]) {
        self.pending.drain(..self.at);
        self.at = 0;
        self.pending.extend_from_slice(piece);
    }

    /// The next item, or nothing until more bytes come.
    ///
    /// # Errors
    /// The first thing that is wrong. Every later call returns the same.
    pub fn next_item(&mut self) -> Result<Option<Item>, CarryError> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let read = self.read_item();
        match read {
            Err(CarryProblem::Cbor(Problem::Truncated)) => Ok(None),
            Err(problem) => {
                let error = problem.at(self.offset);
                self.failed = Some(error.clone());
                Err(error)
            }
            Ok(item) => Ok(item),
        }
    }

    /// Says that there are no more bytes.
    ///
    /// # Errors
    /// When the volume breaks off, or was wrong before.
    pub fn finish(mut self) -> Result<(), CarryError> {
        while self.next_item()?.is_some() {}
        match self.next {
            Next::Nothing => Ok(()),
            Next::Header | Next::FrameOrEnd => Err(CarryProblem::BreaksOff.at(self.offset)),
        }
    }

    fn read_item(&mut self) -> Result<Option<Item>, CarryProblem> {
        let rest = &self.pending[self.at..];
        if self.next == Next::Nothing {
            return if rest.is_empty() { Ok(None) } else { Err(CarryProblem::TrailingBytes) };
        }
        let mut r = Reader::new(rest);
        let (item, next) = match self.next {
            Next::Header => {
                let header = VolumeHeader::read(&mut r, self.federation)?;
                self.sender = Some(header.sender);
                (Item::Header(Box::new(header)), Next::FrameOrEnd)
            }
            _ if r.peek()? == Type::Bytes => {
                let packed = r.bytes_of_at_most(limits::CARRY_FRAME_BYTES_MAX, "length of a packed frame")?;
                self.frames += 1;
                (Item::Frame(packed.to_vec()), Next::FrameOrEnd)
            }
            _ => (self.read_end(&mut r)?, Next::Nothing),
        };
        let len = r.offset();
        self.hash.update(&rest[..len]);
        (self.at, self.offset, self.next) = (self.at + len, self.offset + len as u64, next);
        Ok(Some(item))
    }

    fn read_end(&self, r: &mut Reader<'_>) -> Result<Item, CarryProblem> {
        r.array_of(3, "an end record of three fields")?;
        if r.text_of_at_most(END.len(), "end record")? != END {
            return Err(CarryProblem::Cbor(Problem::OutOfRange("end record")));
        }
        let fields = r.bytes_of_at_most(END_FIELDS_BYTES_MAX, "length of an end record")?;
        let signature = Signature::from_bytes(r.byte_array()?);
        let (last, announced, sha256) = read_end_fields(fields).map_err(|error| match error.problem {
            Problem::Truncated => CarryProblem::Cbor(Problem::OutOfRange("length of an end record")),
            problem => CarryProblem::Cbor(problem),
        })?;
        if announced != self.frames {
            return Err(CarryProblem::WrongCount { announced, found: self.frames });
        }
        if sha256[..] != self.hash.clone().finalize()[..] {
            return Err(CarryProblem::WrongDigest);
        }
        let sender = self.sender.ok_or(CarryProblem::NotAMember)?;
        verify(&sender, Purpose::CarryEnd, fields, &signature)?;
        Ok(Item::End { last, frames: self.frames })
    }
}

fn read_end_fields(fields: &[u8]) -> Result<(bool, u64, [u8; 32]), CborError> {
    let mut r = Reader::new(fields);
    r.array_of(3, "the three fields of an end record")?;
    let (last, frames, sha256) = (r.bool()?, r.uint()?, r.byte_array()?);
    r.finish()?;
    Ok((last, frames, sha256))
}
