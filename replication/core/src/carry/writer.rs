//! Makes the inside of a volume, piece by piece.

use sha2::{Digest, Sha256};

use crate::carry::{END, VolumeHeader};
use crate::cbor::Writer;
use crate::sign::{Purpose, SecretKey};

/// Encodes one volume. Every method returns the bytes to append; the caller seals them and owns the file.
#[derive(Debug)]
pub struct VolumeWriter {
    hash: Sha256,
    frames: u64,
}

impl VolumeWriter {
    /// Starts a volume of the node that holds `key`, and returns its first bytes.
    pub fn start(header: &VolumeHeader, key: &SecretKey) -> (Self, Vec<u8>) {
        let mut writer = Self { hash: Sha256::new(), frames: 0 };
        let bytes = header.encode(key);
        writer.hash.update(&bytes);
        (writer, bytes)
    }

    /// The item of a packed frame.
    pub fn frame(&mut self, packed: &[u8]) -> Vec<u8> {
        let mut w = Writer::with_capacity(packed.len() + 8);
        w.bytes(packed);
        let bytes = w.into_bytes();
        self.hash.update(&bytes);
        self.frames += 1;
        bytes
    }

    /// Number of frames so far.
    pub const fn frames(&self) -> u64 {
        self.frames
    }

    /// The end record. `last` says that the bundle ends with this volume.
    pub fn finish(self, last: bool, key: &SecretKey) -> Vec<u8> {
        let fields = end_fields(last, self.frames, &self.hash.finalize().into());
        let signature = key.sign(Purpose::CarryEnd, &fields);
        let mut w = Writer::with_capacity(160);
        w.array(3).text(END).bytes(&fields).bytes(signature.as_bytes());
        w.into_bytes()
    }
}

fn end_fields(last: bool, frames: u64, sha256: &[u8; 32]) -> Vec<u8> {
    let mut w = Writer::with_capacity(48);
    w.array(3).bool(last).uint(frames).bytes(sha256);
    w.into_bytes()
}
