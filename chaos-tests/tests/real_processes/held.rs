//! What a node holds, read back through an export that verifies.

use std::collections::BTreeSet;
use std::path::Path;

use linli_chaos::lab::process::NodeProcess;
use linli_core::export::ExportReader;
use linli_core::frontier::Frontier;

/// The ids of all events of a node. Fails if one of them stands there twice.
pub fn events_of(node: &NodeProcess, file: &Path) -> BTreeSet<String> {
    node.command(&["log", "export", file.to_str().unwrap()]).unwrap();
    let (mut reader, mut ids) = (ExportReader::new(Frontier::default()), BTreeSet::new());
    let mut note = |event: linli_core::event::VerifiedEvent| {
        let id = event.event().id().to_string();
        assert!(ids.insert(id), "{} holds {} twice", node.name, event.event().id());
    };
    reader.push(&std::fs::read(file).unwrap(), &mut note).unwrap();
    reader.finish(&mut note).unwrap();
    std::fs::remove_file(file).unwrap();
    ids
}
