//! The ids of what a node holds.

use std::collections::BTreeSet;
use std::path::Path;

use linli_chaos::lab::held;
use linli_chaos::lab::process::NodeProcess;

/// The ids of all events of a node. Fails if one of them stands there twice.
pub fn events_of(node: &NodeProcess, file: &Path) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for event in held::events_of(node, file).unwrap() {
        let id = event.event().id();
        assert!(ids.insert(id.to_string()), "{} holds {id} twice", node.name);
    }
    ids
}
