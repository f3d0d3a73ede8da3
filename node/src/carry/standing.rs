//! Requests and receipts: this node's standing, written to a file and read from one. They are the same statement; a
//! request is made before a courier comes, a receipt after what it brought was taken in.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use anyhow::Context;
use linli_core::carry::Standing;
use linli_core::limits;
use serde::Serialize;

use super::holder::Holder;
use super::{regular, seal};
use crate::cli::outcome::{Code, Failure};
use crate::data_dir::DataDir;

/// What was written.
#[derive(Debug, Clone, Serialize)]
pub struct Written {
    /// The file.
    pub file: std::path::PathBuf,
    /// Logs in it.
    pub logs: usize,
    /// Events that their heads stand for.
    pub events: u64,
    /// Nodes that can open it.
    pub readers: usize,
}

/// Writes this node's standing to `file`, which must not exist, sealed for every other node that it knows of.
///
/// # Errors
/// When the node knows no other, or the store or the file fails.
pub fn write(dir: &DataDir, file: &Path, now_ms: u64) -> Result<Written, Failure> {
    let holder = Holder::open(dir)?;
    let readers = holder.others();
    if readers.is_empty() {
        return Err(nobody_else());
    }
    let frontier = holder.store.frontier();
    let standing = Standing {
        federation: holder.enrolment.federation,
        node: holder.enrolment.node,
        created_ms: now_ms,
        credentials: holder.credentials(),
        frontier: frontier.as_ref().clone(),
    };
    if frontier.len() > limits::CARRY_LOGS_MAX {
        let message = format!("{} logs do not fit one file, which holds {}", frontier.len(), limits::CARRY_LOGS_MAX);
        return Err(Failure::new(Code::Error, message, "linli carry out without --for needs no request"));
    }
    let out = File::options().write(true).create_new(true).open(file);
    let out = out.with_context(|| format!("cannot create {}", file.display()))?;
    let written = write_sealed(out, &standing.encode(&holder.key), &readers);
    if let Err(error) = written {
        let _ = std::fs::remove_file(file);
        return Err(error.context(format!("cannot write {}", file.display())).into());
    }
    let (logs, events) = (frontier.len(), frontier.events());
    Ok(Written { file: file.to_owned(), logs, events, readers: readers.len() })
}

fn write_sealed(
    out: File,
    bytes: &[u8],
    readers: &std::collections::BTreeSet<linli_core::id::AuthorKey>,
) -> anyhow::Result<()> {
    let mut sealing = seal::seal(out, readers)?;
    sealing.write_all(bytes)?;
    Ok(sealing.finish()?.sync_all()?)
}

/// Reads another node's standing and checks it.
pub(super) fn read(file: &Path, holder: &Holder) -> Result<Standing, Failure> {
    let refused = |reason: &dyn std::fmt::Display| {
        let next = "ask for the file again: linli carry request FILE on the other node";
        Failure::new(Code::VerificationFailed, format!("{}: {reason}", file.display()), next)
    };
    let sealed = read_bounded(file, limits::CARRY_STANDING_BYTES_MAX + (1 << 20))?;
    let sealed = sealed.ok_or_else(|| refused(&"it is longer than a request can be"))?;
    let mut opened = seal::open(&sealed, &holder.key).map_err(|error| refused(&error))?;
    let mut bytes = vec![];
    opened.read_to_end(&mut bytes).map_err(|error| refused(&error))?;
    Standing::decode(&bytes, holder.enrolment.federation).map_err(|error| refused(&error))
}

/// The bytes of a file, or nothing if there are more than `bytes_max`.
pub(super) fn read_bounded(file: &Path, bytes_max: usize) -> anyhow::Result<Option<Vec<u8>>> {
    let opened = regular::open(file)?;
    let mut bytes = vec![];
    opened
        .take(bytes_max as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok((bytes.len() <= bytes_max).then_some(bytes))
}

pub(super) fn nobody_else() -> Failure {
    let message = "本节点还不知道区内其他节点 / this node knows of no other node of its district";
    Failure::usage(message, "linli invite lets one in; or take in what a node that knows more carries out")
}
