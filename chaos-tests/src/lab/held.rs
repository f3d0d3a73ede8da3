//! What a node holds, read back through an export that verifies.

use std::path::Path;

use anyhow::Context;
use linli_core::charter::Charter;
use linli_core::event::VerifiedEvent;
use linli_core::export::ExportReader;
use linli_core::frontier::Frontier;

use super::process::NodeProcess;

/// All events of a node, log by log. `file` is written and removed.
///
/// # Errors
/// When the node cannot export them or the export does not verify.
pub fn events_of(node: &NodeProcess, file: &Path) -> anyhow::Result<Vec<VerifiedEvent>> {
    node.command(&["log", "export", file.to_str().context("the path is not UTF-8")?])?;
    let (mut reader, mut events) = (ExportReader::new(Frontier::default()), vec![]);
    let mut note = |event, _: &Charter| events.push(event);
    reader.push(&std::fs::read(file)?, &mut note)?;
    reader.finish(&mut note)?;
    std::fs::remove_file(file)?;
    Ok(events)
}
