//! `linli log export` and `linli log verify`: signed histories for auditors, without a running node.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::outcome::Outcome;
use super::{Context, now_ms};
use crate::export;

/// Signed logs as files.
#[derive(Debug, Subcommand)]
pub enum Log {
    /// Write all logs to one self-contained file. Works beside a running node.
    Export(Export),
    /// Verify such a file: every hash, every needed signature, every right.
    Verify(Verify),
}

/// Writes an export.
#[derive(Debug, Args)]
pub struct Export {
    /// The file to write; it must not exist.
    file: PathBuf,
    /// Include personal payloads. Only for recipients who may hold them.
    #[arg(long)]
    with_personal: bool,
}

/// Verifies an export.
#[derive(Debug, Args)]
pub struct Verify {
    /// The file.
    file: PathBuf,
    /// A file with known heads (as `linli status --json` prints them): shorter logs are reported against it.
    #[arg(long)]
    known: Option<PathBuf>,
}

impl Log {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Export(args) => {
                let written = export::write(&context.dir, &args.file, args.with_personal, now_ms())?;
                context.print(&written, |w| {
                    format!("{} events in {} logs written to {}", w["events"], w["logs"], args.file.display())
                });
                Ok(())
            }
            Self::Verify(args) => {
                let report = export::verify(&args.file, args.known.as_deref())?;
                context.print(&report, |r| {
                    format!("{} events in {} logs: every hash and signature holds", r["events"], r["logs"])
                });
                Ok(())
            }
        }
    }
}
