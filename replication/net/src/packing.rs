//! Packed messages: a form byte and what it says; compressed when that pays. On the wire and in carried volumes.
//!
//! ```text
//! packed    = form body
//! form      = 0: body is the message
//!           | 1: body is the unpacked length (4 bytes, big endian) and a zstd frame
//! ```
//!
//! The unpacked length is checked before anything is allocated for it.

use crate::limits;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Why something packed is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnpackError {
    /// Longer than the longest message that may come now.
    #[error("a message of {bytes} bytes, where {max} are allowed")]
    TooLong {
        /// What it has or announces.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// An unknown form byte.
    #[error("unknown form {0} of a message")]
    UnknownForm(u8),
    /// What was packed does not unpack to what was announced.
    #[error("a packed message does not unpack to its announced length")]
    Unpack,
}

/// Packs messages. Keeps its compressor, which is costly to make.
pub struct Packer {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// Long messages that go plain before compressing is tried again.
    plain_next: u32,
}

impl Default for Packer {
    fn default() -> Self {
        // Without memory for a compressor messages go plain, which every reader understands.
        Self { zstd: zstd::bulk::Compressor::new(limits::COMPRESSION_LEVEL).ok(), plain_next: 0 }
    }
}

/// What stands before a message on a stream: its length and its form.
pub(crate) const ROOM: [u8; 5] = [0; 5];

impl Packer {
    /// A packed message.
    pub fn pack(&mut self, message: &[u8]) -> Vec<u8> {
        match self.compress(message) {
            Some(packed) => [&[ZSTD][..], &unpacked_len(message), &packed].concat(),
            None => [&[PLAIN], message].concat(),
        }
    }

    /// A packed message with its length before it, as it goes over a stream. `message` begins with [`ROOM`], so that a long
    /// one is not copied for what comes before it.
    pub(crate) fn pack_in_place(&mut self, mut message: Vec<u8>) -> Vec<u8> {
        // Far below 4 GiB: messages have their own bounds.
        let len_of = |bytes: usize| (bytes as u32).to_be_bytes();
        if let Some(packed) = self.compress(&message[ROOM.len()..]) {
            return [&len_of(packed.len() + 5)[..], &[ZSTD], &unpacked_len(&message[ROOM.len()..]), &packed].concat();
        }
        let [a, b, c, d] = len_of(message.len() - ROOM.len() + 1);
        message[..ROOM.len()].copy_from_slice(&[a, b, c, d, PLAIN]);
        message
    }

    /// As [`Packer::pack_in_place`], of a message without room before it.
    pub(crate) fn pack_for_stream(&mut self, message: &[u8]) -> Vec<u8> {
        self.pack_in_place([&ROOM, message].concat())
    }
}

fn unpacked_len(message: &[u8]) -> [u8; 4] {
    (message.len() as u32).to_be_bytes()
}

impl Packer {
    /// The message compressed, if that pays. After a long message that hardly became shorter the next ones go plain
    /// untried: sealed and packed payloads come in rows, and trying costs a tenth of what sending them does.
    fn compress(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let is_long = message.len() >= limits::COMPRESS_TRIED_BYTES;
        if is_long && self.plain_next > 0 {
            self.plain_next -= 1;
            return None;
        }
        let zstd = self.zstd.as_mut().filter(|_| message.len() >= limits::COMPRESS_BYTES_MIN)?;
        let packed = zstd.compress(message).ok()?;
        if is_long && packed.len() > message.len() / 16 * 15 {
            self.plain_next = limits::COMPRESS_PAUSE_MESSAGES;
        }
        Some(packed).filter(|packed| packed.len() + 4 < message.len())
    }
}

/// Unpacks a message of at most `max` bytes.
///
/// # Errors
/// When it is longer, announces more, or is not what it announces.
pub fn unpack(packed: &[u8], max: usize) -> Result<Vec<u8>, UnpackError> {
    let (form, body) = packed.split_first().ok_or(UnpackError::Unpack)?;
    match *form {
        PLAIN if body.len() <= max => Ok(body.to_vec()),
        form => unpack_body(form, body.to_vec(), max),
    }
}

/// As [`unpack`], of a body whose form byte was read apart.
pub(crate) fn unpack_body(form: u8, body: Vec<u8>, max: usize) -> Result<Vec<u8>, UnpackError> {
    match form {
        PLAIN if body.len() <= max => Ok(body),
        PLAIN => Err(UnpackError::TooLong { bytes: body.len(), max }),
        ZSTD => unpack_zstd(&body, max),
        other => Err(UnpackError::UnknownForm(other)),
    }
}

fn unpack_zstd(body: &[u8], max: usize) -> Result<Vec<u8>, UnpackError> {
    let (announced, packed) = body.split_at_checked(4).ok_or(UnpackError::Unpack)?;
    let announced = announced.iter().fold(0usize, |len, byte| len << 8 | usize::from(*byte));
    if announced > max {
        return Err(UnpackError::TooLong { bytes: announced, max });
    }
    let message = zstd::bulk::decompress(packed, announced).map_err(|_| UnpackError::Unpack)?;
    if message.len() == announced { Ok(message) } else { Err(UnpackError::Unpack) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_pack_is_tried_now_and_then_only_and_what_packs_always() {
        let noise = |seed: u64| {
            let mut numbers = linli_core::testkit::network::Numbers::new(seed);
            (0..limits::COMPRESS_TRIED_BYTES).map(|_| numbers.below(256) as u8).collect::<Vec<u8>>()
        };
        let text = vec![b'a'; limits::COMPRESS_TRIED_BYTES];
        let mut packer = Packer::default();
        assert!(packer.pack(&text).len() < 1_000 && packer.pack(&text).len() < 1_000);
        packer.pack(&noise(1));
        let plain = (0..20).take_while(|_| packer.pack(&text).len() > text.len()).count();
        assert_eq!(plain as u32, limits::COMPRESS_PAUSE_MESSAGES);
        assert!(packer.pack(&text).len() < 1_000);
    }

    proptest! {
        #[test]
        fn a_message_survives_packing(message in proptest::collection::vec(0u8..4, 0..3000)) {
            let mut packer = Packer::default();
            let packed = packer.pack(&message);
            prop_assert_eq!(unpack(&packed, 3000).unwrap(), message.clone());
            prop_assert_eq!(&packer.pack_for_stream(&message)[4..], &packed[..]);
        }

        #[test]
        fn garbage_never_exceeds_its_bound(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = unpack(&bytes, 100) {
                prop_assert!(message.len() <= 100);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_announcement_and_by_its_content() {
        let bomb = zstd::bulk::compress(&vec![0; 50_000_000], 3).unwrap();
        let packed = |announced: u32| [&[ZSTD][..], &announced.to_be_bytes(), &bomb].concat();
        assert!(matches!(unpack(&packed(50_000_000), 1_000_000), Err(UnpackError::TooLong { .. })));
        assert_eq!(unpack(&packed(100_000), 1_000_000), Err(UnpackError::Unpack));
        assert_eq!(unpack(&[], 10), Err(UnpackError::Unpack));
        assert_eq!(unpack(&[7, 1], 10), Err(UnpackError::UnknownForm(7)));
    }
}
