//! Canaries: personal payloads with strings that occur nowhere else. They reach the nodes whose grant covers the area
//! and no byte of them anybody else: not the disk, not the log, not a page, not a volume, not an export, whichever way
//! the events went.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use linli_chaos::district::District;
use linli_chaos::lab::process::{NodeProcess, wait_until};
use linli_core::event::Slot;
use linli_store::Store;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(120);
const BUREAU: usize = 0;
const OWN_STREET: usize = 1;
const NEXT_STREET: usize = 2;
/// What every canary begins with, so that one nobody thought of is found as well.
const MARK: &str = "canary-7fa9e1c4";

/// Personal data of a street: each name and telephone is a canary of its own.
struct Canaries {
    written: BTreeSet<String>,
    records: Vec<String>,
}

impl Canaries {
    fn new() -> Self {
        Self { written: BTreeSet::new(), records: vec![] }
    }

    fn canary(&mut self) -> String {
        // Random letters, so that no compression finds it elsewhere, and never the same in two places.
        let random: String = (0..12).map(|_| fastrand::alphanumeric()).collect();
        let canary = format!("{MARK}-{}-{random}", self.written.len());
        self.written.insert(canary.clone());
        canary
    }

    /// A contact's name and telephone, and a team member's name.
    fn write(&mut self, node: &NodeProcess, count: usize) {
        for n in 0..count {
            let (name, phone, member) = (self.canary(), self.canary(), self.canary());
            let post = format!("{n} 号楼楼长");
            let listed = act(node, json!({"do": "list_contact", "post": post, "name": name, "phone": phone}));
            let team = act(node, json!({"do": "form_team", "name": format!("{n} 号楼队")}));
            act(
                node,
                json!({"do": "certify_member", "team": team, "member": format!("{n}-1"), "name": member,
                "certificate": "红十字救护员", "number": format!("A{n}"), "issuer": "市红十字会", "expires": "2031-01-01"}),
            );
            self.records.extend([listed, team]);
        }
    }

    /// Which of them stand in these bytes; anything with the mark counts.
    fn among(&self, bytes: &[u8]) -> BTreeSet<String> {
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        if !holds(MARK) {
            return BTreeSet::new();
        }
        let found: BTreeSet<String> = self.written.iter().filter(|canary| holds(canary)).cloned().collect();
        if found.is_empty() { [MARK.to_owned()].into() } else { found }
    }

    /// Which of them a directory holds: byte for byte in any file, write-ahead logs included, and unpacked in any
    /// payload, because RocksDB may compress what is old.
    fn on_disk(&self, directory: &Path) -> BTreeSet<String> {
        let mut found = self.in_files(directory);
        let store = Store::open_read_only(&directory.join("store")).unwrap();
        for (log, head) in store.frontier().iter() {
            let mut seq = 1;
            while seq <= head.seq {
                let run = store.read(log, seq, 1_000, 8 << 20).unwrap();
                seq += run.len() as u64;
                for event in run {
                    for slot in [Slot::Op, Slot::Pii] {
                        found.extend(event.event().payload(slot).iter().flat_map(|payload| self.among(&payload.bytes)));
                    }
                }
            }
        }
        found
    }

    fn in_files(&self, directory: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => found.extend(self.in_files(&path)),
                // RocksDB may have put a file away since it was listed.
                false => found.extend(std::fs::read(&path).ok().iter().flat_map(|bytes| self.among(bytes))),
            }
        }
        found
    }

    /// Which of them a node shows to an operator, to a program or to anybody.
    fn shown(&self, node: &NodeProcess) -> BTreeSet<String> {
        let session = node.api.sign_in().unwrap();
        let mut told = String::new();
        for path in ["/status", "/peers", "/as-of", "/desk", "/figures", "/records", "/openapi.json"] {
            told += &node.api.get(path).unwrap().to_string();
        }
        for path in ["/", "/status", "/lists/contacts", "/lists/teams", "/m", "/public", "/metrics"] {
            told += &node.api.page(path, Some(&session)).unwrap().1;
        }
        for record in &self.records {
            told += &node.api.get(&format!("/records/{record}")).unwrap().to_string();
            told += &node.api.get(&format!("/records/{record}/history")).unwrap().to_string();
            told += &node.api.page(&format!("/records/{record}"), Some(&session)).unwrap().1;
        }
        self.among(told.as_bytes())
    }

    fn in_log(&self, node: &NodeProcess) -> BTreeSet<String> {
        self.among(&std::fs::read(node.dir.with_extension("log")).unwrap())
    }
}

fn act(node: &NodeProcess, command: Value) -> String {
    node.api.act(command).unwrap()["record"].as_str().unwrap().to_owned()
}

/// Everything that a node does is logged, and goes to a file beside its directory.
fn log_everything(node: &mut NodeProcess) {
    node.stop().unwrap();
    std::fs::write(node.dir.join("linli.toml"), "log = \"trace\"\n").unwrap();
    node.start().unwrap();
}

/// Nothing of any canary is at the next street; the page of each record says so.
fn next_street_knows_nothing(canaries: &Canaries, node: &NodeProcess, when: &str) {
    let nothing = BTreeSet::new();
    assert_eq!(canaries.on_disk(&node.dir), nothing, "{when}: on the disk");
    assert_eq!(canaries.in_log(node), nothing, "{when}: in the log");
    assert_eq!(canaries.shown(node), nothing, "{when}: on a page");
    let session = node.api.sign_in().unwrap();
    for record in &canaries.records {
        let page = node.api.page(&format!("/records/{record}"), Some(&session)).unwrap().1;
        assert!(page.contains("个人信息不在本节点"), "{when}: the page does not say what is not here");
    }
}

/// Waits until a node that may have all of them holds all of them.
fn all_on_disk(canaries: &Canaries, node: &NodeProcess) {
    let lacks = || canaries.written.difference(&canaries.on_disk(&node.dir)).count();
    let all = || Ok(if lacks() == 0 { Ok(()) } else { Err(format!("{} are missing", lacks())) });
    wait_until(PATIENCE, all).unwrap();
}

/// Waits until two nodes hold the same events.
fn both_hold_the_same(district: &District, [one, other]: [usize; 2]) {
    let digest =
        |at: usize| -> anyhow::Result<Value> { Ok(district.nodes[at].api.status()?["frontier_digest"].clone()) };
    let same = || Ok(if digest(one)? == digest(other)? { Ok(()) } else { Err("they differ".to_owned()) });
    wait_until(PATIENCE, same).unwrap();
}

#[test]
fn no_byte_of_a_personal_payload_reaches_a_node_without_the_right() {
    // Given a bureau for the whole district and two streets, all of which log everything,
    let root = tempfile::tempdir().unwrap();
    let plans =
        [("bureau", "320508", "应急管理局"), ("linhu", "320508005", "临湖街道"), ("hexi", "320508006", "河西街道")];
    let mut district = District::found(root.path(), &plans, None).unwrap();
    district.nodes.iter_mut().for_each(log_everything);
    // when a street writes personal data and the bureau gets it as commitments from the other street, which has nothing
    // more, and meets the street itself later,
    let mut canaries = Canaries::new();
    district.cut_off(BUREAU).unwrap();
    canaries.write(&district.nodes[OWN_STREET], 8);
    both_hold_the_same(&district, [OWN_STREET, NEXT_STREET]);
    district.nodes[OWN_STREET].stop().unwrap();
    district.heal(BUREAU).unwrap();
    both_hold_the_same(&district, [BUREAU, NEXT_STREET]);
    assert_eq!(
        canaries.on_disk(&district.nodes[BUREAU].dir),
        BTreeSet::new(),
        "nobody could give it to the bureau yet"
    );
    district.nodes[OWN_STREET].start().unwrap();
    district.wait_for_agreement(PATIENCE).unwrap();
    all_on_disk(&canaries, &district.nodes[BUREAU]);
    // then the very search that shall find nothing finds all of it where it belongs,
    for at in [OWN_STREET, BUREAU] {
        let node = &district.nodes[at];
        assert_eq!(canaries.on_disk(&node.dir), canaries.written, "the search does not work at {}", node.name);
        assert_eq!(canaries.shown(node), canaries.written, "{} does not show it", node.name);
        assert_eq!(canaries.in_log(node), BTreeSet::new(), "{} logs personal data", node.name);
    }
    // and nothing at the other street: not after replication, nor after restarts in the middle of more of it,
    next_street_knows_nothing(&canaries, &district.nodes[NEXT_STREET], "after replication");
    district.nodes[NEXT_STREET].kill();
    canaries.write(&district.nodes[OWN_STREET], 4);
    both_hold_the_same(&district, [BUREAU, OWN_STREET]);
    assert_eq!(canaries.on_disk(&district.nodes[BUREAU].dir), canaries.written);
    district.nodes[NEXT_STREET].start().unwrap();
    canaries.write(&district.nodes[OWN_STREET], 2);
    district.wait_for_agreement(PATIENCE).unwrap();
    assert_eq!(canaries.on_disk(&district.nodes[OWN_STREET].dir), canaries.written);
    all_on_disk(&canaries, &district.nodes[BUREAU]);
    next_street_knows_nothing(&canaries, &district.nodes[NEXT_STREET], "after restarts");

    // nor when a courier brings it more, sealed for it alone,
    district.cut_off(NEXT_STREET).unwrap();
    canaries.write(&district.nodes[OWN_STREET], 3);
    let stick = root.path().join("stick");
    std::fs::create_dir(&stick).unwrap();
    let request = stick.join("hexi.request");
    let (request, to) = (request.to_str().unwrap(), stick.to_str().unwrap());
    district.nodes[NEXT_STREET].command(&["carry", "request", request]).unwrap();
    let out = district.nodes[OWN_STREET].command(&["carry", "out", "--to", to, "--for", request]).unwrap();
    let volumes = out["volumes"].as_array().unwrap().iter().map(|volume| volume.as_str().unwrap());
    let taken: Vec<&str> = ["carry", "in"].into_iter().chain(volumes).collect();
    let taken = district.nodes[NEXT_STREET].command(&taken).unwrap();
    assert!(taken["new"].as_u64().unwrap() >= 9, "{taken}");
    next_street_knows_nothing(&canaries, &district.nodes[NEXT_STREET], "after a stick");
    assert_eq!(canaries.in_files(&stick), BTreeSet::new(), "the stick tells");

    // and what the other street exports holds nothing, even when it is asked for personal data; the own street's does.
    let export = |node: &NodeProcess, name: &str| {
        let file = root.path().join(name);
        node.command(&["log", "export", "--with-personal", file.to_str().unwrap()]).unwrap();
        // Exports are not compressed, so their bytes are all there is to search.
        std::fs::read(&file).unwrap()
    };
    assert_eq!(canaries.among(&export(&district.nodes[NEXT_STREET], "hexi.export")), BTreeSet::new());
    assert_eq!(canaries.among(&export(&district.nodes[OWN_STREET], "linhu.export")), canaries.written);
}
