//! Commands of the operating system, run to their end.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// Runs a command whose last word is a path.
///
/// # Errors
/// When there is no such program, or it fails; the message is what it said.
pub fn run(words: &[&str], path: &Path) -> anyhow::Result<()> {
    let words: Vec<&OsStr> = words.iter().map(OsStr::new).chain([path.as_os_str()]).collect();
    let (program, arguments) = words.split_first().context("no command")?;
    let mut command = Command::new(program);
    command.args(arguments);
    finish(command, &format!("{words:?}"))
}

/// Runs a command; `line` is how messages call it.
///
/// # Errors
/// When there is no such program, or it fails; the message is what it said.
pub fn finish(mut command: Command, line: &str) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {line}"))?;
    if !output.status.success() {
        bail!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
