//! Opening sealed volumes: what is read from them is authentic piece by piece and unpacked frame by frame.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;

use linli_core::carry::{Item, VolumeHeader, VolumeReader};
use linli_core::id::EventId;
use linli_core::limits;
use linli_core::sign::SecretKey;
use linli_net::unpack;

use super::seal;

/// Bytes of a volume that are opened at once: one chunk of its seal.
const PIECE_BYTES: usize = 64 * 1024;

/// Opens a volume as far as its header, to see which it is.
///
/// # Errors
/// Says why it cannot be used.
pub(super) fn peek(sealed: &[u8], key: &SecretKey, federation: EventId) -> Result<VolumeHeader, String> {
    let mut opened = seal::open(sealed, key).map_err(|error| error.to_string())?;
    let mut reader = VolumeReader::new(federation);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let len = opened.read(&mut piece).map_err(|_| seal::OpenError::Damaged.to_string())?;
        reader.push(&piece[..len]);
        match reader.next_item().map_err(|error| error.to_string())? {
            Some(Item::Header(header)) => return Ok(*header),
            _ if len == 0 => return Err(seal::OpenError::Damaged.to_string()),
            _ => {}
        }
    }
}

/// What comes out of volumes, one after the other.
pub(super) enum Unpacked {
    /// A frame of the present volume.
    Frame(Vec<u8>),
    /// The present volume ends here.
    End(Opened),
}

/// What a volume holds besides frames.
#[derive(Debug, Default)]
pub(super) struct Opened {
    pub(super) header: Option<VolumeHeader>,
    /// Whether the bundle ends here; none if the volume's own end was not reached.
    pub(super) last: Option<bool>,
    pub(super) damaged: Option<String>,
}

/// Opens volume after volume, or says why there is none, until nobody listens any more.
pub(super) fn open_all<S: AsRef<[u8]>>(
    volumes: impl Iterator<Item = Result<S, String>>,
    key: &SecretKey,
    federation: EventId,
    unpacked: &SyncSender<Unpacked>,
) {
    for volume in volumes {
        let mut opened = Opened::default();
        // A panic is a defect; the volume then counts as damaged, and what was taken of it stays.
        let read = || opened.read_all(volume?.as_ref(), key, federation, unpacked);
        opened.damaged = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("internal".into())).err();
        if unpacked.send(Unpacked::End(opened)).is_err() {
            return;
        }
    }
}

impl Opened {
    fn read_all(
        &mut self,
        sealed: &[u8],
        key: &SecretKey,
        federation: EventId,
        unpacked: &SyncSender<Unpacked>,
    ) -> Result<(), String> {
        let mut opened = seal::open(sealed, key).map_err(|error| error.to_string())?;
        let mut reader = VolumeReader::new(federation);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let len = opened.read(&mut piece).map_err(|_| "文件已损坏 / the file is damaged here".to_owned())?;
            if len == 0 {
                return reader.finish().map_err(|error| error.to_string());
            }
            reader.push(&piece[..len]);
            while let Some(item) = reader.next_item().map_err(|error| error.to_string())? {
                match item {
                    Item::Header(header) => self.header = Some(*header),
                    Item::End { last, .. } => self.last = Some(last),
                    Item::Frame(packed) => {
                        let frame = unpack(&packed, limits::FRAME_BYTES_MAX).map_err(|error| error.to_string())?;
                        if unpacked.send(Unpacked::Frame(frame)).is_err() {
                            // The store has failed, which is told where it is appended.
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}
