//! Messages on a stream: a length (4 bytes, big endian, of what follows), then the message as [`crate::packing`] packs it.
//!
//! Lengths are checked before anything is allocated for them, the unpacked one included.

use std::io;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::packing::{UnpackError, unpack_body};

/// Why nothing more can be read from a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The stream ended or failed.
    #[error("the stream ended: {0}")]
    Io(#[from] io::Error),
    /// What came does not unpack.
    #[error(transparent)]
    Packing(#[from] UnpackError),
}

/// Reads one message of at most `max` bytes, and says how many bytes it took on the wire. Not cancel safe.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<(Vec<u8>, usize), WireError> {
    let mut prefix = [0; 5];
    stream.read_exact(&mut prefix).await?;
    let [a, b, c, d, form] = prefix;
    let len = (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(1).ok_or(UnpackError::UnknownForm(form))?;
    if len > max + 4 {
        return Err(UnpackError::TooLong { bytes: len, max }.into());
    }
    let body = read_growing(stream, len).await?;
    Ok((unpack_body(form, body, max)?, len + 5))
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
    use crate::packing::Packer;

    fn read_back(bytes: &[u8], max: usize) -> Result<Vec<u8>, WireError> {
        block_on(read(&mut futures::io::Cursor::new(bytes), max)).map(|(message, _)| message)
    }

    proptest! {
        #[test]
        fn a_message_survives_the_wire(message in proptest::collection::vec(0u8..4, 0..3000)) {
            let packed = Packer::default().pack_for_stream(&message);
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
    fn a_length_beyond_the_bound_is_refused_before_its_bytes_come() {
        let refused = read_back(&[0x7f, 0, 0, 0, 0], 1_000_000);
        assert!(matches!(refused, Err(WireError::Packing(UnpackError::TooLong { .. }))));
    }

    #[test]
    fn truncation_at_every_byte_is_an_error() {
        let packed = Packer::default().pack_for_stream(&vec![7; 1000]);
        for len in 0..packed.len() {
            assert!(read_back(&packed[..len], 1000).is_err(), "{len}");
        }
        assert!(matches!(read_back(&[0, 0, 0, 0, 0], 10), Err(WireError::Packing(UnpackError::UnknownForm(0)))));
    }
}
