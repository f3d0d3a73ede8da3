//! The generation file: what keeps a restored, copied or rolled-back store from forking its own logs.
//!
//! It lies beside the database, not in it, and says whether the last process that wrote stopped in order, and at
//! which heights. A second file, the marker, is written once and never touched again; its inode and change time are
//! noted here, so that a directory that was copied, or put back from a copy, is recognised as another one.
//!
//! Whenever anything does not fit, the next own event opens a new incarnation that continues the last known head.
//! That costs a new log and nothing else, so every doubt is decided that way.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use linli_core::event::domain_hash;
use linli_core::frontier::Frontier;
use linli_core::id::AuthorKey;

use crate::codec::log_key;
use crate::durable_file;

const FILE: &str = "generation";
const MARKER: &str = "generation.marker";

/// What the file says at a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The incarnation to write on in, if everything fits; else why a new one is to be drawn.
    pub incarnation: Result<u64, &'static str>,
    /// Whether the directory is a copy, or was put back from one: the file was written in another. A doubt says no.
    pub was_copied: bool,
}

impl Opened {
    const fn fresh(why: &'static str) -> Self {
        Self { incarnation: Err(why), was_copied: false }
    }
}

/// The generation file of one store directory.
#[derive(Debug)]
pub struct Generation {
    directory: Option<PathBuf>,
}

impl Generation {
    /// Of the store in `directory`.
    pub const fn beside(directory: PathBuf) -> Self {
        Self { directory: Some(directory) }
    }

    /// Of a store in memory: nothing to restore, so nothing to guard.
    pub const fn none() -> Self {
        Self { directory: None }
    }

    /// Compares the file with the store.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn check(&self, own: &AuthorKey, frontier: &Frontier) -> std::io::Result<Opened> {
        const DAMAGED: &str = "the generation file is damaged";
        let Some(directory) = &self.directory else { return Ok(Opened::fresh("a store in memory")) };
        let text = match std::fs::read_to_string(directory.join(FILE)) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Opened::fresh("no generation file")),
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => return Ok(Opened::fresh(DAMAGED)),
            Err(e) => return Err(e),
        };
        let Some(fields) = read_fields(&text) else { return Ok(Opened::fresh(DAMAGED)) };
        let field = |key: &str| fields.get(key).map(String::as_str);
        let is_here = field("marker") == marker_identity(directory).as_deref();
        let incarnation = if field("state") != Some("closed") {
            Err("the last process did not stop in order")
        } else if !is_here {
            Err("the directory was copied or restored")
        } else if field("heights") != Some(&heights_digest(own, frontier)) {
            Err("the store is not at the heights at which it was closed")
        } else {
            field("incarnation").and_then(|hex| u64::from_str_radix(hex, 16).ok()).ok_or(DAMAGED)
        };
        Ok(Opened { incarnation, was_copied: field("marker").is_some() && !is_here })
    }

    /// Notes durably that `incarnation` is in use. Must return before the first signature leaves the process.
    ///
    /// # Errors
    /// When the disk refuses; then nothing may be signed.
    pub fn open(&self, incarnation: u64) -> std::io::Result<()> {
        self.write("open", incarnation, "-")
    }

    /// Notes durably that the process stopped in order at the heights of `frontier`.
    ///
    /// # Errors
    /// When the disk refuses; the next start then opens a new incarnation.
    pub fn close(&self, incarnation: u64, own: &AuthorKey, frontier: &Frontier) -> std::io::Result<()> {
        self.write("closed", incarnation, &heights_digest(own, frontier))
    }

    fn write(&self, state: &str, incarnation: u64, heights: &str) -> std::io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        if marker_identity(directory).is_none() {
            let text = b"The inode and change time of this file tell a copy from the original.\n";
            durable_file::write(directory, MARKER, text)?;
        }
        let marker = marker_identity(directory).unwrap_or_default();
        let body = format!("state {state}\nincarnation {incarnation:016x}\nmarker {marker}\nheights {heights}\n");
        durable_file::write(directory, FILE, format!("{body}check {}\n", checksum(&body)).as_bytes())
    }
}

fn marker_identity(directory: &Path) -> Option<String> {
    let meta = std::fs::metadata(directory.join(MARKER)).ok()?;
    // Not the device: its number may change whenever a volume is mounted, and the directory is still the same.
    Some(format!("{}:{}.{:09}", meta.ino(), meta.ctime(), meta.ctime_nsec()))
}

fn heights_digest(own: &AuthorKey, frontier: &Frontier) -> String {
    let mut bytes = vec![];
    for (log, head) in frontier.iter().filter(|(log, _)| log.author == *own) {
        bytes.extend_from_slice(&log_key(log));
        bytes.extend_from_slice(&head.seq.to_be_bytes());
        bytes.extend_from_slice(head.id.as_bytes());
    }
    hex(&domain_hash("linli/generation/heights", &[&bytes]))
}

fn checksum(body: &str) -> String {
    hex(&domain_hash("linli/generation/check", &[body.as_bytes()]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn read_fields(text: &str) -> Option<BTreeMap<String, String>> {
    let (body, check) = text.split_at_checked(text.find("check ")?)?;
    if check.trim_start_matches("check ").trim() != checksum(body) {
        return None;
    }
    Some(body.lines().filter_map(|line| line.split_once(' ')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
}
