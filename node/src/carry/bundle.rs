//! One bundle being written: its volumes, each sealed while it is made, named for good when all are done.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use age::stream::StreamWriter;
use anyhow::Context;
use linli_core::carry::{VolumeHeader, VolumeWriter};
use linli_core::id::AuthorKey;
use linli_core::limits;
use linli_core::sign::SecretKey;

use super::seal::{seal, sealed_len};

/// Bytes that are gathered before they are written to the stick.
const WRITE_BYTES: usize = 1 << 20;
/// Length of an end record and then some, in bytes.
const END_BYTES: u64 = 256;

/// Where a bundle goes and for whom.
pub(super) struct Bundle<'a> {
    pub(super) directory: &'a Path,
    pub(super) key: &'a SecretKey,
    /// The header of the volume that is being written, or of the next.
    pub(super) header: VolumeHeader,
    pub(super) recipients: &'a BTreeSet<AuthorKey>,
    pub(super) volume_bytes: u64,
    parts: Vec<PathBuf>,
    volume: Option<Volume>,
}

/// A volume that is being written.
struct Volume {
    out: StreamWriter<BufWriter<File>>,
    writer: VolumeWriter,
    inside: u64,
}

impl<'a> Bundle<'a> {
    pub(super) const fn new(
        directory: &'a Path,
        key: &'a SecretKey,
        header: VolumeHeader,
        recipients: &'a BTreeSet<AuthorKey>,
        volume_bytes: u64,
    ) -> Self {
        Self { directory, key, header, recipients, volume_bytes, parts: Vec::new(), volume: None }
    }

    /// Adds a packed frame, in a new volume if this one is full.
    pub(super) fn frame(&mut self, packed: &[u8]) -> anyhow::Result<()> {
        let wanted = packed.len() as u64 + 5 + END_BYTES;
        let full = |volume: &Volume| {
            let len = sealed_len(volume.inside + wanted, self.recipients.len());
            volume.writer.frames() > 0 && len > self.volume_bytes
        };
        if self.volume.as_ref().is_some_and(full) {
            self.end_volume(false)?;
        }
        let volume = match &mut self.volume {
            Some(volume) => volume,
            None => {
                self.volume.insert(start(self.directory, self.key, &self.header, self.recipients, &mut self.parts)?)
            }
        };
        let item = volume.writer.frame(packed);
        volume.inside += item.len() as u64;
        volume.out.write_all(&item).context("cannot write the volume")
    }

    /// Ends the last volume and gives all of them their names. A bundle without frames leaves no file.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<PathBuf>> {
        let named = self.end_volume(true).and_then(|()| self.name_all());
        if named.is_err() {
            self.discard();
        }
        named
    }

    /// Removes what was written so far.
    pub(super) fn discard(&mut self) {
        self.volume = None;
        for part in self.parts.drain(..) {
            // Nothing better can be done about a stick that was pulled out; an unfinished part is never taken in.
            let _ = std::fs::remove_file(part);
        }
    }

    fn end_volume(&mut self, last: bool) -> anyhow::Result<()> {
        let Some(mut volume) = self.volume.take() else { return Ok(()) };
        volume.out.write_all(&volume.writer.finish(last, self.key))?;
        let file = volume.out.finish()?.into_inner().context("cannot write the end of the volume")?;
        file.sync_all().context("cannot make the volume durable")?;
        self.header.number += 1;
        anyhow::ensure!(
            last || self.header.number <= limits::CARRY_VOLUMES_MAX,
            "a bundle has at most {} volumes: choose larger ones with --volume-size",
            limits::CARRY_VOLUMES_MAX
        );
        Ok(())
    }

    fn name_all(&mut self) -> anyhow::Result<Vec<PathBuf>> {
        let count = self.parts.len();
        let mut files = vec![];
        for (at, part) in self.parts.iter_mut().enumerate() {
            let name = format!("{}-{}of{count}.age", stem(&self.header), at + 1);
            let file = self.directory.join(name);
            std::fs::rename(&*part, &file).with_context(|| format!("cannot name {}", file.display()))?;
            part.clone_from(&file);
            files.push(file);
        }
        let directory = File::open(self.directory).with_context(|| self.directory.display().to_string())?;
        directory.sync_all().context("cannot make the names of the volumes durable")?;
        Ok(files)
    }
}

fn start(
    directory: &Path,
    key: &SecretKey,
    header: &VolumeHeader,
    recipients: &BTreeSet<AuthorKey>,
    parts: &mut Vec<PathBuf>,
) -> anyhow::Result<Volume> {
    let part = directory.join(format!("{}-{}.part", stem(header), header.number));
    let file = File::options().write(true).create_new(true).open(&part);
    let file = file.with_context(|| format!("cannot create {}", part.display()))?;
    parts.push(part);
    let mut out = seal(BufWriter::with_capacity(WRITE_BYTES, file), recipients)?;
    let (writer, bytes) = VolumeWriter::start(header, key);
    out.write_all(&bytes)?;
    Ok(Volume { out, writer, inside: bytes.len() as u64 })
}

fn stem(header: &VolumeHeader) -> String {
    format!("linli-carry-{}-{}", header.federation.short(), header.bundle.short())
}
