//! Three nodes that share no network, and a stick that goes between them: requests, bundles, receipts, and everything
//! that happens to sticks on their way. The commands are real processes over real directories.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod district;

use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use linli::carry::seal;
use linli::data_dir::DataDir;
use linli::enrolment::Enrolment;
use linli::node::Node;
use linli_core::carry::{Item, VolumeHeader, VolumeReader, VolumeWriter};
use linli_core::event::Slot;
use linli_core::frame::decode_frame;
use linli_core::id::BundleId;
use linli_core::testkit::District;
use linli_net::unpack;
use linli_store::Store;
use serde_json::{Value, json};

use crate::district::{done, now_ms};

const AREAS: [&str; 3] = ["320508", "320508005", "320508006"];
const BUREAU: usize = 0;
const STREET: usize = 1;
const NEXT_STREET: usize = 2;
/// A resident's name: nobody outside the street and its bureau may hold a byte of it.
const CANARY: &str = "canary-Zhang-San-7fa9e1c4";

/// The nodes' machines and the stick.
struct Neighbourhood {
    home: tempfile::TempDir,
    district: District,
}

impl Neighbourhood {
    fn new() -> Self {
        let place = Self { home: tempfile::tempdir().unwrap(), district: District::with_nodes(&AREAS) };
        std::fs::create_dir(place.stick()).unwrap();
        for i in 0..AREAS.len() {
            let dir = place.dir(i);
            dir.create().unwrap();
            let mut options = std::fs::File::options();
            let file = options.write(true).create_new(true).mode(0o600).open(dir.path().join("keys/node.key"));
            let seed = HEXLOWER.encode(&*place.district.nodes[i].key.to_seed());
            std::io::Write::write_all(&mut file.unwrap(), seed.as_bytes()).unwrap();
            let charter = place.district.charter_events();
            Enrolment::establish(&dir, place.district.federation(), &charter, &[]).unwrap();
        }
        place
    }

    fn dir(&self, i: usize) -> DataDir {
        DataDir::new(self.home.path().join(format!("node-{i}")))
    }

    fn stick(&self) -> PathBuf {
        self.home.path().join("stick")
    }

    fn on_stick(&self, name: &str) -> String {
        self.stick().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, i: usize, args: &[&str], http: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
        command.args(args).env_clear().env("LINLI_DATA_DIR", self.dir(i).path()).env("LINLI_HTTP", http);
        command
    }

    /// Runs the program at a node that is not running.
    fn run(&self, i: usize, args: &[&str]) -> Output {
        self.command(i, args, "127.0.0.1:9").output().unwrap()
    }

    /// Runs it and gives what it says to programs. It must end with `code`.
    fn says(&self, i: usize, code: i32, args: &[&str]) -> Value {
        let output = self.run(i, &[&["--json"], args].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text} {errors}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// Acts at a node, which is not running otherwise.
    fn at(&self, i: usize, acts: impl FnOnce(&Arc<Node>)) {
        let node = Node::open(&self.dir(i), now_ms()).unwrap();
        acts(&node);
        node.close().unwrap();
    }

    fn standing(&self, i: usize, name: &str) -> String {
        let file = self.on_stick(name);
        self.says(i, 0, &["carry", "request", &file]);
        file
    }

    /// Carries what `to` lacks of what `from` holds.
    fn carry(&self, from: usize, to: usize, name: &str) -> Value {
        let volumes = self.carry_out(from, to, name);
        self.take_in(to, 0, &volumes)
    }

    fn carry_out(&self, from: usize, to: usize, name: &str) -> Vec<String> {
        let request = self.standing(to, name);
        files_of(&self.says(from, 0, &["carry", "out", "--to", self.stick().to_str().unwrap(), "--for", &request]))
    }

    fn take_in(&self, i: usize, code: i32, volumes: &[String]) -> Value {
        let args: Vec<&str> = ["carry", "in"].into_iter().chain(volumes.iter().map(String::as_str)).collect();
        self.says(i, code, &args)
    }

    fn store(&self, i: usize) -> Store {
        Store::open_read_only(&self.dir(i).store()).unwrap()
    }

    fn digests(&self, i: usize) -> (String, String) {
        let mut digests = None;
        self.at(i, |node| {
            let status = node.status();
            digests = Some((status.frontier_digest, status.projection_digest));
        });
        digests.unwrap()
    }

    fn personal_payloads(&self, i: usize) -> usize {
        let logs = district::logs_of(&self.store(i));
        logs.values().flatten().filter(|event| event.payload(Slot::Pii).is_some()).count()
    }
}

fn files_of(out: &Value) -> Vec<String> {
    out["volumes"].as_array().unwrap().iter().map(|file| file.as_str().unwrap().to_owned()).collect()
}

fn report_incident(place: &str) -> Value {
    json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": "积水"})
}

fn list_contact() -> Value {
    json!({"do": "list_contact", "post": "楼长", "name": CANARY, "phone": "13800000000"})
}

/// Texts that do not compress much, so that a bundle has several of the smallest volumes.
fn write_much(node: &Arc<Node>) {
    let mut state = 7u64;
    let mut summary = || -> String {
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:08x}", state >> 32)
        };
        (0..40).map(next).collect()
    };
    let commands = (0..900).map(|n| {
        let place = format!("{n}号楼");
        let what = json!({"do": "report_incident", "category": "内涝", "severity": "III", "place": place, "summary": summary()});
        serde_json::from_value(what).unwrap()
    });
    district::all(node, "值班", commands.collect());
}

/// Several volumes of much, from the street, for the street beside it.
fn several_volumes(place: &Neighbourhood) -> Vec<String> {
    place.at(STREET, write_much);
    let request = place.standing(NEXT_STREET, "many.request");
    let stick = place.on_stick("");
    let args = ["carry", "out", "--to", &stick, "--for", &request, "--volume-size", "64KiB"];
    let volumes = files_of(&place.says(STREET, 0, &args));
    assert!(volumes.len() >= 4, "{volumes:?}");
    for volume in &volumes {
        assert!(std::fs::metadata(volume).unwrap().len() <= 64 * 1024, "{volume}");
    }
    volumes
}

fn holds(directory: &Path, text: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text)
    })
}

/// Everything that a node's key opens of a volume, unpacked.
fn opened(place: &Neighbourhood, i: usize, volume: &str) -> Vec<u8> {
    let (sealed, mut inside) = (std::fs::read(volume).unwrap(), vec![]);
    let key = &place.district.nodes[i].key;
    seal::open(&sealed, key).unwrap().read_to_end(&mut inside).unwrap();
    let mut reader = VolumeReader::new(place.district.federation());
    reader.push(&inside);
    let mut unpacked = inside.clone();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Frame(packed) = item {
            let frame = unpack(&packed, 1 << 20).unwrap();
            assert!(decode_frame(&frame).unwrap().last().unwrap().signature().is_some());
            unpacked.extend(frame);
        }
    }
    reader.finish().unwrap();
    unpacked
}

#[test]
fn a_stick_brings_three_nodes_without_a_network_to_the_same_logs_and_views() {
    let place = Neighbourhood::new();
    place.at(STREET, |node| {
        let incident = done(node, "值班", report_incident("东门"));
        done(node, "值班", json!({"do": "verify_incident", "incident": incident}));
        done(node, "值班", list_contact());
    });
    place.at(NEXT_STREET, |node| {
        done(node, "值班", report_incident("西门"));
    });
    place.at(BUREAU, |node| {
        done(node, "值班", report_incident("区政府"));
    });

    let brought = place.carry(STREET, NEXT_STREET, "1.request");
    assert!(brought["new"].as_u64().unwrap() >= 3, "{brought}");
    place.carry(NEXT_STREET, STREET, "2.request");
    place.carry(STREET, BUREAU, "3.request");
    place.carry(BUREAU, STREET, "4.request");
    place.carry(BUREAU, NEXT_STREET, "5.request");
    let all: BTreeSet<_> = (0..3).map(|i| place.digests(i)).collect();
    assert_eq!(all.len(), 1, "{all:?}");

    let receipt = place.on_stick("6.receipt");
    place.says(NEXT_STREET, 0, &["carry", "receipt", &receipt]);
    let stick = place.on_stick("");
    let nothing = place.says(STREET, 0, &["carry", "out", "--to", &stick, "--for", &receipt]);
    assert_eq!((&nothing["bundle"], &nothing["volumes"]), (&Value::Null, &json!([])));
    place.at(STREET, |node| {
        done(node, "值班", report_incident("南门"));
    });
    let more = place.says(STREET, 0, &["carry", "out", "--to", &stick, "--for", &receipt]);
    assert_eq!((&more["logs"], &more["events"]), (&json!(1), &json!(1)));
}

#[test]
fn without_a_request_a_bundle_is_for_every_other_node() {
    let place = Neighbourhood::new();
    place.at(STREET, |node| {
        done(node, "值班", report_incident("东门"));
        done(node, "值班", list_contact());
    });
    let out = place.says(STREET, 0, &["carry", "out", "--to", &place.on_stick("")]);
    assert_eq!((out["nodes"].as_array().unwrap().len(), &out["withheld"]), (2, &json!(["320508005"])));
    for i in [BUREAU, NEXT_STREET] {
        place.take_in(i, 0, &files_of(&out));
        assert_eq!(place.digests(i), place.digests(STREET));
        assert_eq!(place.personal_payloads(i), 0);
    }
}

#[test]
fn a_node_without_the_right_gets_no_byte_of_a_personal_payload() {
    let place = Neighbourhood::new();
    place.at(STREET, |node| {
        done(node, "值班", list_contact());
    });
    assert!(holds(place.dir(STREET).path(), CANARY.as_bytes()), "the canary is not where it was written");
    let (request, stick) = (place.standing(NEXT_STREET, "a.request"), place.on_stick(""));
    let out = place.says(STREET, 0, &["carry", "out", "--to", &stick, "--for", &request]);
    let inside = opened(&place, NEXT_STREET, &files_of(&out)[0]);
    assert!(!inside.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    place.take_in(NEXT_STREET, 0, &files_of(&out));
    assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
    assert!(!holds(place.dir(NEXT_STREET).path(), CANARY.as_bytes()));
    assert_eq!(place.personal_payloads(NEXT_STREET), 0);

    let request = place.standing(BUREAU, "b.request");
    let out = place.says(STREET, 0, &["carry", "out", "--to", &stick, "--for", &request]);
    let inside = opened(&place, BUREAU, &files_of(&out)[0]);
    assert!(inside.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    assert!(!holds(&place.stick(), CANARY.as_bytes()), "the stick tells");
    place.take_in(NEXT_STREET, 4, &files_of(&out));
    place.take_in(BUREAU, 0, &files_of(&out));
    assert_eq!(place.personal_payloads(BUREAU), 1);
}

#[test]
fn a_volume_brings_personal_payloads_of_events_that_came_without_them() {
    let place = Neighbourhood::new();
    place.at(STREET, |node| {
        done(node, "值班", list_contact());
    });
    let (request, stick) = (place.standing(BUREAU, "a.request"), place.on_stick(""));
    let with = files_of(&place.says(STREET, 0, &["carry", "out", "--to", &stick, "--for", &request]));
    let without = files_of(&place.says(STREET, 0, &["carry", "out", "--to", &stick]));
    place.take_in(BUREAU, 0, &without);
    assert_eq!(place.personal_payloads(BUREAU), 0);
    let taken = place.take_in(BUREAU, 0, &with);
    assert_eq!((&taken["new"], place.personal_payloads(BUREAU)), (&json!(0), 1));
}

#[test]
fn volumes_may_come_in_any_order_in_part_and_again() {
    let place = Neighbourhood::new();
    let volumes = several_volumes(&place);
    let late = place.take_in(NEXT_STREET, 3, &volumes[2..3]);
    assert_eq!((&late["new"], &late["missing"][0]["volumes"]), (&json!(0), &json!([1, 2])));
    assert!(late["files"][0]["gaps"][0]["from"].as_u64().unwrap() > 1, "{late}");
    let backwards: Vec<String> = volumes.iter().rev().cloned().collect();
    let all = place.take_in(NEXT_STREET, 0, &backwards);
    assert!(all["new"].as_u64().unwrap() >= 900, "{all}");
    assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
    let again = place.take_in(NEXT_STREET, 0, &volumes);
    assert_eq!((&again["new"], &again["known"]), (&json!(0), &all["new"]));
    assert_eq!(place.take_in(NEXT_STREET, 0, &volumes[1..2])["missing"], json!([]));
}

#[test]
fn a_later_volume_is_taken_once_the_earlier_ones_came() {
    let place = Neighbourhood::new();
    let volumes = several_volumes(&place);
    place.take_in(NEXT_STREET, 3, &volumes[1..]);
    let first = place.take_in(NEXT_STREET, 3, &volumes[..1]);
    assert!(first["new"].as_u64().unwrap() > 0);
    place.take_in(NEXT_STREET, 0, &volumes[1..]);
    assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
}

#[test]
fn damaged_volumes_are_named_and_what_they_proved_is_kept() {
    let place = Neighbourhood::new();
    let volumes = several_volumes(&place);
    let whole = std::fs::read(&volumes[0]).unwrap();
    let damaged = place.on_stick("damaged.age");
    std::fs::write(&damaged, &whole[..whole.len() - 20]).unwrap();
    place.take_in(NEXT_STREET, 4, std::slice::from_ref(&damaged));
    for at in [0, 30, 200, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(&damaged, flipped).unwrap();
        let report = place.take_in(NEXT_STREET, 4, std::slice::from_ref(&damaged));
        assert!(report["files"][0]["damaged"].is_string(), "{at}: {report}");
    }
    std::fs::write(&damaged, b"not a volume").unwrap();
    let mut mixed = volumes.clone();
    mixed.push(damaged);
    let report = place.take_in(NEXT_STREET, 4, &mixed);
    assert!(report["new"].as_u64().unwrap() > 0);
    assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
    place.says(NEXT_STREET, 1, &["carry", "in", "no-such-file.age"]);
}

#[test]
fn files_of_another_district_are_refused_by_both() {
    let place = Neighbourhood::new();
    let volumes = several_volumes(&place);
    let elsewhere = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
        command.args(args).env_clear().env("LINLI_DATA_DIR", elsewhere.path().join("linli"));
        command.env("LINLI_HTTP", "127.0.0.1:9").output().unwrap()
    };
    assert!(run(&["init", "--name", "外地", "--area", "330102"]).status.success());
    let refused = run(&["carry", "in", &volumes[0]]);
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(String::from_utf8_lossy(&refused.stdout).contains("not sealed for this node"));
    let nobody = run(&["carry", "request", &place.on_stick("elsewhere.request")]);
    assert_eq!(nobody.status.code(), Some(2));
    std::fs::write(place.on_stick("no.request"), b"nothing").unwrap();
    let stick = place.on_stick("");
    place.says(STREET, 4, &["carry", "out", "--to", &stick, "--for", &place.on_stick("no.request")]);
}

#[test]
fn an_import_that_is_killed_is_repeated_without_harm() {
    let place = Neighbourhood::new();
    let volumes = several_volumes(&place);
    let args: Vec<&str> = ["carry", "in"].into_iter().chain(volumes.iter().map(String::as_str)).collect();
    for wait_ms in [5, 15, 25, 40, 60] {
        let mut command = place.command(NEXT_STREET, &args, "127.0.0.1:9");
        let mut importing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        // SIGKILL; the process may have ended by itself.
        let _ = importing.kill();
        importing.wait().unwrap();
    }
    place.take_in(NEXT_STREET, 0, &volumes);
    assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
}

fn free_address() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("127.0.0.1:{port}")
}

/// A node that runs and answers.
fn serve(place: &Neighbourhood, i: usize, http: &str) -> std::process::Child {
    let mut serving = place.command(i, &["serve", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0"], http);
    let serving = serving.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let started = Instant::now();
    while !place.command(i, &["peers"], http).output().unwrap().status.success() {
        assert!(started.elapsed() < Duration::from_secs(60), "the node does not come up");
        std::thread::sleep(Duration::from_millis(50));
    }
    serving
}

#[test]
fn a_running_node_takes_volumes_in_and_shows_them() {
    let place = Neighbourhood::new();
    let volumes = several_volumes(&place);
    let http = free_address();
    let mut serving = serve(&place, NEXT_STREET, &http);
    let args: Vec<&str> = ["--json", "carry", "in"].into_iter().chain(volumes.iter().map(String::as_str)).collect();
    let output = place.command(NEXT_STREET, &args, &http).output().unwrap();
    let receipt = place.on_stick("running.receipt");
    let written = place.command(NEXT_STREET, &["carry", "receipt", &receipt], &http).output().unwrap();
    let _ = serving.kill();
    serving.wait().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["new"].as_u64().unwrap() >= 900, "{report}");
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
    assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
}

#[test]
fn two_histories_of_one_log_are_told_and_the_evidence_is_kept() {
    let place = Neighbourhood::new();
    place.at(STREET, |node| {
        done(node, "值班", report_incident("东门"));
    });
    let mut author = district::author(&place.district, STREET);
    let stream = linli_core::id::Stream::DRILLS;
    let mut other = author.clone();
    let (ours, theirs) = (author.write_many(stream, 3, 20), other.write_many(stream, 3, 40));
    for (i, run) in [(NEXT_STREET, &ours), (BUREAU, &theirs)] {
        let store = Store::open(&place.dir(i).store(), linli_store::OpenOptions::default()).unwrap();
        district::deliver(&store, run);
        store.close();
    }
    let request = place.standing(NEXT_STREET, "fork.request");
    let stick = place.on_stick("");
    let out = place.says(BUREAU, 0, &["carry", "out", "--to", &stick, "--for", &request]);
    let report = place.take_in(NEXT_STREET, 3, &files_of(&out));
    assert_eq!(report["files"][0]["forks"].as_array().unwrap().len(), 1, "{report}");
    let store = place.store(NEXT_STREET);
    assert_eq!(store.head(&author.log_id(stream)), ours.last().map(|event| event.head()));
    assert_eq!(store.forks().unwrap().len(), 1);
}

/// A frame that unpacks to almost three gigabytes of nothing from eighty kilobytes, and what it says its length is.
fn bomb(announced: u32) -> Vec<u8> {
    const BLOCKS: usize = 21_000;
    // RFC 8878: a frame without a content size, a window of 128 KiB, and blocks that repeat one byte 128 Ki times.
    let mut zstd = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for n in 0..BLOCKS {
        let (size, repeats, last) = (128u32 << 10, 1u32, u32::from(n + 1 == BLOCKS));
        zstd.extend(&(size << 3 | repeats << 1 | last).to_le_bytes()[..3]);
        zstd.push(0);
    }
    [&[1][..], &announced.to_be_bytes(), &zstd].concat()
}

/// A volume of the street for the street beside it: a frame of its own log, then what it is given.
fn volume_with(place: &Neighbourhood, packed: &[u8], file: &str) -> String {
    let store = place.store(STREET);
    let own = place.district.nodes[STREET].key.clone();
    let (log, head) = store
        .frontier()
        .iter()
        .find(|(log, _)| log.author == own.public())
        .map(|(log, head)| (log.clone(), *head))
        .unwrap();
    let good = linli_net::read_frame(&store, &log, 1, 1_000, 1 << 20, linli_core::frame::PiiScope::Withheld).unwrap();
    assert_eq!(good.last_seq, head.seq);
    let header = VolumeHeader {
        federation: place.district.federation(),
        bundle: BundleId::from_bytes([9; 16]),
        number: 1,
        sender: own.public(),
        created_ms: now_ms(),
        credentials: place.district.charter_events(),
    };
    let (mut writer, mut inside) = VolumeWriter::start(&header, &own);
    inside.extend(writer.frame(&linli_net::Packer::default().pack(&good.bytes)));
    inside.extend(writer.frame(packed));
    inside.extend(writer.finish(true, &own));
    let file = place.on_stick(file);
    let mut sealing =
        seal::seal(std::fs::File::create(&file).unwrap(), [&place.district.nodes[NEXT_STREET].key.public()]);
    std::io::Write::write_all(sealing.as_mut().unwrap(), &inside).unwrap();
    sealing.unwrap().finish().unwrap();
    file
}

#[test]
fn a_frame_that_unpacks_to_gigabytes_is_named_and_costs_no_memory_and_nothing_that_is_stored() {
    // Given a node of the district that has gone bad, and two volumes with a bomb: one says its length, one lies,
    let place = Neighbourhood::new();
    place.at(STREET, |node| {
        done(node, "值班", report_incident("东门"));
    });
    let honest = volume_with(&place, &bomb(21_000 * (128 << 10)), "honest.age");
    let lying = volume_with(&place, &bomb(1_000), "lying.age");
    // when they are taken in by a process that may not have more than two gigabytes in all,
    let take_in = |file: &str| {
        let command = place.command(NEXT_STREET, &["--json", "carry", "in", file], "127.0.0.1:9");
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -v 2000000 && exec \"$0\" \"$@\""]).arg(command.get_program());
        limited.args(command.get_args()).env_clear();
        limited.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = limited.output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    // then each is told with the file and what is wrong with it, and what came before the bomb is kept.
    for (file, why, new) in [(&honest, "where 1048576 are allowed", 1), (&lying, "does not unpack to its announced", 0)]
    {
        let report = take_in(file);
        assert_eq!(report["files"][0]["file"], json!(file), "{report}");
        assert!(report["files"][0]["damaged"].as_str().unwrap().contains(why), "{report}");
        assert_eq!(report["new"], json!(new), "{report}");
        assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
    }
    // And a running node refuses it as well, answers on, and takes in what is good.
    place.at(STREET, |node| {
        done(node, "值班", report_incident("西门"));
    });
    let good = place.carry_out(STREET, NEXT_STREET, "good.request");
    let http = free_address();
    let mut serving = serve(&place, NEXT_STREET, &http);
    let run = |files: &[String]| {
        let args: Vec<&str> = ["--json", "carry", "in"].into_iter().chain(files.iter().map(String::as_str)).collect();
        let output = place.command(NEXT_STREET, &args, &http).output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (refused, taken) = (run(std::slice::from_ref(&lying)), run(&good));
    let _ = serving.kill();
    serving.wait().unwrap();
    assert_eq!(refused.0, Some(4), "{}", refused.1);
    assert_eq!((taken.0, &taken.1["new"]), (Some(0), &json!(1)), "{}", taken.1);
    assert_eq!(place.digests(NEXT_STREET), place.digests(STREET));
}
