//! The heads file: what must be in the store, known from outside the database.
//!
//! RocksDB opens a store whose log is damaged in the middle as if the rest had never been written. So the durable heads of
//! all logs stand in a file of their own beside it, and are compared at the next start. A head of what is missing stays in
//! the file until the events are back.
//!
//! RocksDB also takes a damaged end of its list of files for one that was never written. So the file says how long that list
//! was, and its hash.
//!
//! ```text
//! "linli heads 1\n"
//! the list of files: length of its name (u16 BE), name, its length (u64 BE), hash of so many of its bytes (32 bytes)
//! for each log: length of the log id (u16 BE), log id (CBOR), seq (u64 BE), event id (32 bytes)
//! checksum over all that (32 bytes)
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use linli_core::event::domain_hash;
use linli_core::id::{EventId, Head, LogId};

use crate::codec::{log_key, read_log_key};
use crate::durable_file;

/// Its name in the store's directory.
pub const FILE: &str = "heads";
const MAGIC: &[u8] = b"linli heads 1\n";
const CHECK_BYTES: usize = 32;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// There is none.
    Nothing,
    /// These were durable, and the list of files was this one.
    Heads(BTreeMap<LogId, Head>, FileList),
    /// Its checksum does not fit.
    Damaged,
}

/// RocksDB's list of files as far as it was written at some moment. It only grows, until another one takes its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileList {
    name: String,
    len: u64,
    digest: [u8; 32],
}

impl FileList {
    /// The one in force in `directory`; an empty one where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(directory: &Path) -> std::io::Result<Self> {
        let Some(name) = in_force(directory)? else { return Ok(Self::default()) };
        let bytes = std::fs::read(directory.join(&name))?;
        Ok(Self { name, len: bytes.len() as u64, digest: digest(&bytes) })
    }

    /// Whether the one in `directory` still begins with what was noted. Another one has taken its place if RocksDB was
    /// opened since; whoever did that has noted it, or has crashed and left nothing to compare.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn still_holds(&self, directory: &Path) -> std::io::Result<bool> {
        if self.name.is_empty() || in_force(directory)?.as_ref() != Some(&self.name) {
            return Ok(true);
        }
        let bytes = std::fs::read(directory.join(&self.name))?;
        let noted = usize::try_from(self.len).ok().and_then(|len| bytes.get(..len));
        Ok(noted.is_some_and(|noted| digest(noted) == self.digest))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn in_force(directory: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read(directory.join("CURRENT")) {
        Ok(name) => Ok(Some(String::from_utf8_lossy(&name).trim_end().to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the file in `directory`.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read(directory: &Path) -> std::io::Result<Noted> {
    match std::fs::read(directory.join(FILE)) {
        Ok(bytes) => Ok(decode(&bytes).map_or(Noted::Damaged, |(heads, files)| Noted::Heads(heads, files))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Noted::Nothing),
        Err(error) => Err(error),
    }
}

/// Replaces the file in `directory`; durable when it returns.
///
/// # Errors
/// When the disk refuses; then the old file is as it was.
pub fn write<'h>(directory: &Path, heads: impl Iterator<Item = (&'h LogId, Head)>) -> std::io::Result<()> {
    durable_file::write(directory, FILE, &encode(&FileList::of(directory)?, heads))
}

fn encode<'h>(files: &FileList, heads: impl Iterator<Item = (&'h LogId, Head)>) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    put_short(&mut bytes, files.name.as_bytes());
    bytes.extend_from_slice(&files.len.to_be_bytes());
    bytes.extend_from_slice(&files.digest);
    for (log, head) in heads {
        put_short(&mut bytes, &log_key(log));
        bytes.extend_from_slice(&head.seq.to_be_bytes());
        bytes.extend_from_slice(head.id.as_bytes());
    }
    let check = checksum(&bytes);
    bytes.extend_from_slice(&check);
    bytes
}

/// A name of a file or a log id: two short numbers, a key of 32 bytes and an area of a few digits. Both are far shorter
/// than what two bytes can say.
fn put_short(bytes: &mut Vec<u8>, part: &[u8]) {
    let len = u16::try_from(part.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&part[..usize::from(len)]);
}

fn take_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// A number and 32 bytes.
fn take_head(bytes: &[u8]) -> Option<(u64, [u8; 32], &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    Some((u64::from_be_bytes(*number), *hash, rest))
}

fn decode(bytes: &[u8]) -> Option<(BTreeMap<LogId, Head>, FileList)> {
    let (body, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
    if check != checksum(body) {
        return None;
    }
    let (name, rest) = take_short(body.strip_prefix(MAGIC)?)?;
    let (len, digest, mut rest) = take_head(rest)?;
    let files = FileList { name: String::from_utf8(name.to_vec()).ok()?, len, digest };
    let mut heads = BTreeMap::new();
    while !rest.is_empty() {
        let (key, after) = take_short(rest)?;
        let (seq, id, after) = take_head(after)?;
        heads.insert(read_log_key(key).ok()?, Head { seq, id: EventId::from_bytes(id) });
        rest = after;
    }
    Some((heads, files))
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    domain_hash("linli/store/file-list", &[bytes])
}

fn checksum(body: &[u8]) -> [u8; CHECK_BYTES] {
    domain_hash("linli/store/heads", &[body])
}

#[cfg(test)]
mod tests {
    use linli_core::id::Stream;
    use linli_core::testkit::Author;

    use super::*;

    #[test]
    fn heads_read_back_and_any_flipped_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), Noted::Nothing);
        let heads: BTreeMap<LogId, Head> = (1..4)
            .map(|n| {
                let mut author = Author::new(n, "320508005", None);
                let events = author.write_many(Stream::TEAMS, usize::from(n), 9);
                (author.log_id(Stream::TEAMS), events[usize::from(n) - 1].head())
            })
            .collect();
        write(dir.path(), heads.iter().map(|(log, head)| (log, *head))).unwrap();
        assert_eq!(read(dir.path()).unwrap(), Noted::Heads(heads, FileList::default()));
        let whole = std::fs::read(dir.path().join(FILE)).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            assert_eq!(decode(&flipped), None, "byte {at}");
        }
        assert_eq!(decode(&whole[..whole.len() - 1]), None);
        assert_eq!(decode(&[]), None);
    }

    #[test]
    fn a_list_of_files_may_grow_and_be_replaced_and_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        put("CURRENT", "MANIFEST-000005\n");
        put("MANIFEST-000005", "one two");
        let noted = FileList::of(dir.path()).unwrap();
        for (text, holds) in [("one two three", true), ("one twx three", false), ("one tw", false)] {
            put("MANIFEST-000005", text);
            assert_eq!(noted.still_holds(dir.path()).unwrap(), holds, "{text}");
        }
        put("CURRENT", "MANIFEST-000009\n");
        assert!(noted.still_holds(dir.path()).unwrap());
    }
}
