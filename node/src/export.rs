//! Signed logs as one file: written from a store that may be in use, verified without any store.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use linli_core::export::{ExportReader, ExportWriter, KnownHead, Manifest, Signatures};
use linli_core::frame::PiiScope;
use linli_core::frontier::Frontier;
use linli_core::sign::KeyCache;
use linli_store::Store;
use serde_json::{Value, json};

use crate::cli::outcome::{Code, Failure};
use crate::data_dir::{DataDir, KeyName};
use crate::enrolment::Enrolment;

/// Events read at once while writing a file.
const READ_EVENTS: usize = 512;
/// Bytes of events read at once while writing a file.
const READ_BYTES: usize = 4 << 20;
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

/// Verifies an export file, and holds it against known heads if a file with them is given.
///
/// # Errors
/// [`Code::VerificationFailed`] with the place and the reason.
pub fn verify(file: &Path, known: Option<&Path>) -> Result<Value, Failure> {
    let known = known.map(read_known_heads).transpose()?.unwrap_or_default();
    let mut input = crate::carry::regular::open(file)?;
    let mut reader = ExportReader::new(known);
    let mut piece = vec![0; PIECE_BYTES];
    let mut ignore = |_| {};
    let refused = |error: linli_core::export::ExportError| {
        let message = format!("{}: {error}", file.display());
        Failure::new(Code::VerificationFailed, message, "get the file again; if it fails again, keep both as evidence")
    };
    loop {
        let len = input.read(&mut piece)?;
        if len == 0 {
            break;
        }
        reader.push(&piece[..len], &mut ignore).map_err(refused)?;
    }
    let report = reader.finish(&mut ignore).map_err(refused)?;
    if !report.agrees_with_known_heads() {
        let found: Vec<String> = report.discrepancies.iter().map(ToString::to_string).collect();
        let next = "ask whoever holds the longer log for an export of theirs";
        return Err(Failure::new(Code::VerificationFailed, found.join("; "), next));
    }
    let logs = report.logs.len();
    let details = serde_json::to_value(&report).map_err(anyhow::Error::from)?;
    Ok(json!({"events": report.events, "logs": logs, "report": details}))
}

/// Known heads: a JSON list of `{"log", "head"}`, or `linli status --json`, which holds one.
fn read_known_heads(file: &Path) -> Result<Frontier, Failure> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let value: Value = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let list = value.get("heads").unwrap_or(&value).clone();
    let heads: Vec<KnownHead> = serde_json::from_value(list)
        .with_context(|| format!("{} holds no list of heads (linli status --json prints one)", file.display()))?;
    Ok(heads.into_iter().map(|known| (known.log, known.head)).collect())
}
