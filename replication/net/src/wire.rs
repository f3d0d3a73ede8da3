//! Messages on a stream: a length (4 bytes, big endian, of what follows), then the message as [`crate::packing`] packs it.
//!
//! Lengths are checked before anything is allocated for them, the unpacked one included.

use std::io;

use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use tokio::time::{Instant, timeout, timeout_at};

use crate::limits;
use crate::packing::{UnpackError, unpack_body};

/// Why nothing more can be read from a stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The stream ended or failed.
    #[error("the stream ended: {0}")]
    Io(#[from] io::Error),
    /// A message was begun and then hardly came.
    #[error("a message was begun and not continued: fewer than {} bytes in {} s", limits::PACE_BYTES, limits::PACE_INTERVAL.as_secs())]
    Trickles,
    /// Nothing of a message was taken.
    #[error("does not read what is sent to it")]
    NotRead,
    /// What came does not unpack.
    #[error(transparent)]
    Packing(#[from] UnpackError),
}

/// Reads one message of at most `max` bytes, and says how many bytes it took on the wire. It may be long in coming, but
/// once begun it must go on; `progress` hears whenever [`limits::PACE_BYTES`] of it have come. Not cancel safe.
pub(crate) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    max: usize,
    progress: impl Fn(),
) -> Result<(Vec<u8>, usize), WireError> {
    let mut prefix = [0; 5];
    let (first, others) = prefix.split_at_mut(1);
    stream.read_exact(first).await?;
    let mut pace = Pace { deadline: Instant::now() + limits::PACE_INTERVAL, bytes: 0, progress };
    pace.fill(stream, others).await?;
    let [a, b, c, d, form] = prefix;
    let len = (u32::from_be_bytes([a, b, c, d]) as usize).checked_sub(1).ok_or(UnpackError::UnknownForm(form))?;
    if len > max + 4 {
        return Err(UnpackError::TooLong { bytes: len, max }.into());
    }
    let body = read_growing(stream, len, &mut pace).await?;
    Ok((unpack_body(form, body, max)?, len + 5))
}

/// How fast a message comes.
struct Pace<P> {
    deadline: Instant,
    /// Since the deadline was set.
    bytes: usize,
    progress: P,
}

impl<P: Fn()> Pace<P> {
    async fn fill(&mut self, stream: &mut (impl AsyncRead + Unpin), part: &mut [u8]) -> Result<(), WireError> {
        let mut filled = 0;
        while filled < part.len() {
            let reading = timeout_at(self.deadline, stream.read(&mut part[filled..]));
            let read = reading.await.map_err(|_| WireError::Trickles)??;
            if read == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            (filled, self.bytes) = (filled + read, self.bytes + read);
            if self.bytes >= limits::PACE_BYTES {
                (self.deadline, self.bytes) = (Instant::now() + limits::PACE_INTERVAL, 0);
                (self.progress)();
            }
        }
        Ok(())
    }
}

/// Reads `len` bytes and allocates only as they come, so that announcing much and sending nothing costs us nothing.
async fn read_growing(
    stream: &mut (impl AsyncRead + Unpin),
    len: usize,
    pace: &mut Pace<impl Fn()>,
) -> Result<Vec<u8>, WireError> {
    // What a piece on a fast line has; only members get this far, and they are bounded in number.
    const STEP: usize = 256 * 1024;
    let mut body = Vec::new();
    while body.len() < len {
        let from = body.len();
        body.resize(len.min(from + STEP.max(from)), 0);
        pace.fill(stream, &mut body[from..]).await?;
    }
    Ok(body)
}

/// Writes one packed message and flushes it. A peer that takes nothing for [`limits::WRITE_PATIENCE`] does not read.
pub(crate) async fn write(stream: &mut (impl AsyncWrite + Unpin), packed: &[u8]) -> Result<(), WireError> {
    let mut rest = packed;
    while !rest.is_empty() {
        let written = timeout(limits::WRITE_PATIENCE, stream.write(rest)).await.map_err(|_| WireError::NotRead)??;
        if written == 0 {
            return Err(io::Error::from(io::ErrorKind::WriteZero).into());
        }
        rest = rest.get(written..).unwrap_or_default();
    }
    timeout(limits::WRITE_PATIENCE, stream.flush()).await.map_err(|_| WireError::NotRead)??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::packing::Packer;

    fn read_back(bytes: &[u8], max: usize) -> Result<Vec<u8>, WireError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(read(&mut futures::io::Cursor::new(bytes), max, || ())).map(|(message, _)| message)
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
