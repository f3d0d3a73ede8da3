//! Signed logs as one file: written from a store that may be in use, verified and read without any store.

pub mod show;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use linli_core::export::{
    ExportError, ExportReader, ExportReport, ExportWriter, Known, KnownHead, Manifest, Signatures, Sink,
};
use linli_core::frame::PiiScope;
use linli_core::id::{EventId, Head, LogId};
use linli_core::sign::KeyCache;
use linli_store::Store;
use serde_json::{Value, json};

use crate::cli::outcome::{Code, Failure, Outcome};
use crate::data_dir::{DataDir, KeyName};
use crate::enrolment::Enrolment;

/// Events read at once while writing a file.
const READ_EVENTS: usize = 512;
/// Bytes of events read at once while writing a file.
const READ_BYTES: usize = 4 << 20;
/// Longest file with known heads, in bytes: those of some hundred thousand logs.
const KNOWN_BYTES_MAX: u64 = 64 << 20;
/// Bytes of the file read at once while verifying.
const PIECE_BYTES: usize = 1 << 20;

/// Writes all logs of a data directory to `file`, which must not exist. With personal payloads only its owner may read
/// it.
///
/// # Errors
/// When the store cannot be read or the file cannot be written; a half-written file is removed.
pub fn write(dir: &DataDir, file: &Path, with_personal: bool, now_ms: u64) -> Result<Value, Failure> {
    let key = dir.read_key(KeyName::Node)?;
    let store = Store::open_read_only(&dir.store()).map_err(anyhow::Error::from)?;
    let federation = Enrolment::load(&store, key.public())?.federation;
    let out = File::options()
        .write(true)
        .create_new(true)
        .mode(if with_personal { 0o600 } else { 0o644 })
        .open(file)
        .with_context(|| format!("cannot create {}", file.display()))?;
    let pii = if with_personal { PiiScope::Covered } else { PiiScope::Withheld };
    let manifest = Manifest::of(federation, now_ms, &store.frontier());
    let written = json!({"file": file, "events": manifest.events(), "logs": manifest.logs.len()});
    match write_to(out, &store, manifest, pii) {
        Ok(()) => Ok(written),
        Err(error) => {
            let _ = std::fs::remove_file(file);
            Err(error.into())
        }
    }
}

fn write_to(out: File, store: &Store, manifest: Manifest, pii: PiiScope) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(PIECE_BYTES, out);
    let (logs, mut keys) = (manifest.logs.clone(), KeyCache::default());
    let (mut writer, first) = ExportWriter::start(manifest, Signatures::All)?;
    out.write_all(&first)?;
    for known in &logs {
        let mut seq = 1;
        while seq <= known.head.seq {
            let mut events = store.read(&known.log, seq, READ_EVENTS, READ_BYTES)?;
            anyhow::ensure!(!events.is_empty(), "log {} breaks off before seq {seq}: check the disk", known.log);
            for event in events.iter_mut().filter(|e| e.event().header().seq <= known.head.seq) {
                event.confirm(&mut keys);
                out.write_all(&writer.event(event.event(), pii)?)?;
                seq += 1;
            }
        }
    }
    out.write_all(&writer.finish()?)?;
    out.into_inner().context("cannot write the end of the file")?.sync_all()?;
    Ok(())
}

/// What a file is held against.
#[derive(Debug, Clone, Default)]
pub struct Asked<'a> {
    /// A file with heads that were seen before.
    pub known: Option<&'a Path>,
    /// The federation that it has to be of.
    pub federation: Option<EventId>,
    /// Whether every event has to count under a valid genesis.
    pub authorised: bool,
}

/// Verifies an export file. What it says is one thing, whether that is what was asked for another.
///
/// # Errors
/// [`Code::VerificationFailed`] with the place and the reason when the file itself is wrong.
pub fn verify(file: &Path, asked: &Asked<'_>) -> Result<(ExportReport, Outcome), Failure> {
    let report = read_through(file, ExportReader::new(asked.read()?), &mut |_, _| {})?;
    let mut found: Vec<String> = report.discrepancies.iter().map(ToString::to_string).collect();
    let authorised = if asked.authorised { report.unauthorised() } else { vec![] };
    let next = match (found.is_empty(), authorised.is_empty()) {
        (false, _) => "ask whoever holds the longer log, or the right district, for an export of theirs",
        _ => "linli log show FILE prints what each event says and whether it counts",
    };
    found.extend(authorised);
    let failed = || Failure::new(Code::VerificationFailed, format!("{}: {}", file.display(), found.join("; ")), next);
    let outcome = if found.is_empty() { Ok(()) } else { Err(failed()) };
    Ok((report, outcome))
}

/// Feeds a file to a reader.
fn read_through(file: &Path, mut reader: ExportReader, sink: &mut Sink<'_>) -> Result<ExportReport, Failure> {
    let mut input = crate::carry::regular::open(file)?;
    let mut piece = vec![0; PIECE_BYTES];
    let refused = |error: ExportError| {
        let message = format!("{}: {error}", file.display());
        let next = "get the file again; if it fails again, keep both as evidence";
        let failure = Failure::new(Code::VerificationFailed, message, next);
        failure.with("code", error.problem.code()).with("offset", error.offset)
    };
    loop {
        let len = input.read(&mut piece).with_context(|| format!("cannot read {}", file.display()))?;
        if len == 0 {
            return reader.finish(sink).map_err(refused);
        }
        reader.push(&piece[..len], sink).map_err(refused)?;
    }
}

impl Asked<'_> {
    fn read(&self) -> Result<Known, Failure> {
        let mut known = self.known.map(read_known).transpose()?.unwrap_or_default();
        match (known.federation, self.federation) {
            (Some(seen), Some(asked)) if seen != asked => Err(Failure::usage(
                format!("the known heads are of federation {seen}, and --federation asks for another"),
                "give the heads that belong to this federation",
            )),
            (seen, asked) => {
                known.federation = asked.or(seen);
                Ok(known)
            }
        }
    }
}

/// What was seen before, as a node or a verifier prints it: `linli status --json`, or a report of either verifier. A list
/// of `{"log", "head"}` by itself will do.
fn read_known(file: &Path) -> Result<Known, Failure> {
    let mut text = String::new();
    let mut opened = crate::carry::regular::open(file)?.take(KNOWN_BYTES_MAX + 1);
    opened.read_to_string(&mut text).with_context(|| format!("cannot read {}", file.display()))?;
    if text.len() as u64 > KNOWN_BYTES_MAX {
        return Err(anyhow::anyhow!("{} is too long for a list of heads", file.display()).into());
    }
    let value: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let list = value.get("heads").or_else(|| value.get("logs")).unwrap_or(&value).clone();
    let heads: Vec<KnownHead> = serde_json::from_value(list)
        .with_context(|| format!("{} holds no list of heads (linli status --json prints one)", file.display()))?;
    let federation = value.get("federation").filter(|federation| !federation.is_null()).cloned();
    let federation = federation.map(serde_json::from_value).transpose();
    let federation = federation.with_context(|| format!("{} names no federation", file.display()))?;
    // The highest of several heads of one log.
    let mut heads: Vec<(LogId, Head)> = heads.into_iter().map(|known| (known.log, known.head)).collect();
    heads.sort_by_key(|(_, head)| head.seq);
    Ok(Known { federation, heads: heads.into_iter().collect() })
}
