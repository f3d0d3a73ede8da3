//! Messages on a stream: a length, a form byte, the message; compressed when that pays.
//!
//! ```text
//! message   = length (4 bytes, big endian, of what follows) form body
//! form      = 0: body is the message
//!           | 1: body is the unpacked length (4 bytes, big endian) and a zstd frame
//! ```
//!
//! Lengths are checked before anything is allocated for them, the unpacked one included.

use std::io;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::limits;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;

/// Why nothing more can be read from a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The stream ended or failed.
    #[error("the stream ended: {0}")]
    Io(#[from] io::Error),
    /// Longer than the longest message that may come now.
    #[error("a message of {bytes} bytes, where {max} are allowed")]
    TooLong { bytes: usize, max: usize },
    /// An unknown form byte.
    #[error("unknown form {0} of a message")]
    UnknownForm(u8),
    /// What was packed does not unpack to what was announced.
    #[error("a packed message does not unpack to its announced length")]
    Unpack,
}

/// Packs messages for the wire. Keeps its compressor, which is costly to make.
pub(crate) struct Packer {
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Packer {
    pub(crate) fn new() -> Self {
        // Without memory for a compressor messages go plain, which every reader understands.
        Self { zstd: zstd::bulk::Compressor::new(limits::COMPRESSION_LEVEL).ok() }
    }

    /// The bytes to write for a message.
    pub(crate) fn pack(&mut self, message: &[u8]) -> Vec<u8> {
        let packed = self
            .zstd
            .as_mut()
            .filter(|_| message.len() >= limits::COMPRESS_BYTES_MIN)
            .and_then(|zstd| zstd.compress(message).ok())
            .filter(|packed| packed.len() + 4 < message.len());
        let unpacked_len = (message.len() as u32).to_be_bytes();
        match packed {
            Some(packed) => joined(&[&(packed.len() as u32 + 5).to_be_bytes(), &[ZSTD], &unpacked_len, &packed]),
            None => joined(&[&(message.len() as u32 + 1).to_be_bytes(), &[PLAIN], message]),
        }
    }
}

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// Reads one message of at most `max` bytes, and says how many bytes it took on the wire. Not cancel safe.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<(Vec<u8>, usize), WireError> {
    let mut prefix = [0; 5];
    stream.read_exact(&mut prefix).await?;
    let [a, b, c, d, form] = prefix;
    let len = (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(1).ok_or(WireError::UnknownForm(form))?;
    if len > max + 4 {
        return Err(WireError::TooLong { bytes: len, max });
    }
    let body = read_growing(stream, len).await?;
    let message = match form {
        PLAIN if len <= max => body,
        PLAIN => return Err(WireError::TooLong { bytes: len, max }),
        ZSTD => unpack(&body, max)?,
        other => return Err(WireError::UnknownForm(other)),
    };
    Ok((message, len + 5))
}

/// Reads `len` bytes and allocates only as they come, so that announcing much and sending nothing costs us nothing.
async fn read_growing(stream: &mut (impl AsyncRead + Unpin), len: usize) -> Result<Vec<u8>, WireError> {
    const STEP: usize = 64 * 1024;
    let mut body = Vec::new();
    while body.len() < len {
        let from = body.len();
        body.resize(len.min(from + STEP.max(from)), 0);
        stream.read_exact(&mut body[from..]).await?;
    }
    Ok(body)
}

fn unpack(body: &[u8], max: usize) -> Result<Vec<u8>, WireError> {
    let (announced, packed) = body.split_at_checked(4).ok_or(WireError::Unpack)?;
    let announced = announced.iter().fold(0usize, |len, byte| len << 8 | usize::from(*byte));
    if announced > max {
        return Err(WireError::TooLong { bytes: announced, max });
    }
    let message = zstd::bulk::decompress(packed, announced).map_err(|_| WireError::Unpack)?;
    if message.len() == announced { Ok(message) } else { Err(WireError::Unpack) }
}

/// Writes one packed message and flushes it.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), packed: &[u8]) -> Result<(), WireError> {
    stream.write_all(packed).await?;
    stream.flush().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use proptest::prelude::*;

    use super::*;

    fn read_back(bytes: &[u8], max: usize) -> Result<Vec<u8>, WireError> {
        block_on(read(&mut futures::io::Cursor::new(bytes), max)).map(|(message, _)| message)
    }

    proptest! {
        #[test]
        fn a_message_survives_the_wire(message in proptest::collection::vec(0u8..4, 0..3000)) {
            let packed = Packer::new().pack(&message);
            prop_assert_eq!(read_back(&packed, 3000).unwrap(), message);
        }

        #[test]
        fn garbage_never_panics_nor_exceeds_its_bound(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = read_back(&bytes, 100) {
                prop_assert!(message.len() <= 100);
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_by_its_announcement_and_by_its_content() {
        let bomb = zstd::bulk::compress(&vec![0; 50_000_000], 3).unwrap();
        let framed = |announced: u32| {
            joined(&[&(bomb.len() as u32 + 5).to_be_bytes(), &[ZSTD], &announced.to_be_bytes(), &bomb])
        };
        assert!(matches!(read_back(&framed(50_000_000), 1_000_000), Err(WireError::TooLong { .. })));
        assert!(matches!(read_back(&framed(100_000), 1_000_000), Err(WireError::Unpack)));
    }

    #[test]
    fn truncation_at_every_byte_is_an_error() {
        let packed = Packer::new().pack(&vec![7; 1000]);
        for len in 0..packed.len() {
            assert!(read_back(&packed[..len], 1000).is_err(), "{len}");
        }
        assert!(matches!(read_back(&[0, 0, 0, 0, 0], 10), Err(WireError::UnknownForm(0))));
    }
}
