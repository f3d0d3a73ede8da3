//! The command line as people and scripts meet it: exit codes, JSON, and errors that end with the next thing to try.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

use linli_core::chain::{Join, verify_run};
use linli_core::id::{AuthorKey, Stream};
use linli_core::limits::SYNC_STRANGER_BYTES_MAX;
use linli_core::sign::KeyCache;
use linli_core::sync::Introduced;
use linli_core::testkit::{Author, key};
use linli_store::{OpenOptions, Store};

/// A directory for one machine, and the program run on it.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn founded() -> Self {
        let machine = Self::new();
        machine.ok(&["init", "--name", "临湖街道", "--area", "320508005"]);
        machine
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
        // A port on which nobody answers: no node runs here.
        command.args(args).env_clear().env("LINLI_DATA_DIR", self.dir()).env("LINLI_HTTP", "127.0.0.1:9");
        command.output().unwrap()
    }

    fn dir(&self) -> std::path::PathBuf {
        self.0.path().join("linli")
    }

    fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with `code`, and says each of `words`.
    fn fails(&self, args: &[&str], code: i32, words: &[&str]) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?} does not say {word:?}: {said}");
        }
    }
}

#[test]
fn misuse_is_exit_code_2_and_names_what_was_meant() {
    let machine = Machine::founded();
    machine.fails(&["sttus"], 2, &["status"]);
    machine.fails(&["init", "--name", "x", "--area", "32o508"], 2, &["32o508", "area"]);
    machine.fails(&["init", "--name", "x", "--area", "320508"], 2, &["lives in", "linli serve"]);
    machine.fails(&["record", "repot_incident"], 2, &["report_incident", "try:"]);
    machine.fails(&["record", "report_incident", "nonsense"], 2, &["KEY=VALUE"]);
    machine.fails(&["import", "no-such-directory"], 2, &["no-such-directory", "try:"]);
    machine.fails(&["join", "no-ticket"], 2, &["try:"]);
    machine.fails(&["show", "record"], 2, &["which record"]);
}

#[test]
fn whoever_closes_the_output_ends_nothing() {
    for args in [&["config", "example"][..], &["completions", "bash"], &["init", "--name", "x", "--area", "320508005"]]
    {
        let machine = Machine::new();
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
        command.args(args).env_clear().env("LINLI_DATA_DIR", machine.dir()).stdout(closed);
        let output = command.stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{args:?}: {said}");
    }
}

#[test]
fn what_could_not_be_printed_is_an_error() {
    let machine = Machine::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
    command.args(["config", "example"]).env_clear().env("LINLI_DATA_DIR", machine.dir()).stdout(full);
    let output = command.stderr(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("could not be written"), "{said}");
}

#[test]
fn an_area_outside_the_district_is_refused_before_anything_is_made() {
    let machine = Machine::new();
    machine.fails(&["init", "--name", "x", "--area", "320508005", "--district-area", "3301"], 2, &["does not lie in"]);
    assert!(!machine.dir().exists());
}

#[test]
fn a_node_that_does_not_run_is_exit_code_5_and_says_how_to_start_it() {
    let machine = Machine::founded();
    for args in [
        &["status"][..],
        &["peers"],
        &["show", "desk"],
        &["record", "verify_incident"],
        &["invite", "--operator", "李"],
    ] {
        machine.fails(args, 5, &["does not answer", "linli serve"]);
    }
}

#[test]
fn a_machine_without_a_node_says_how_to_make_one() {
    Machine::new().fails(&["status"], 1, &["linli init", "linli join"]);
    Machine::new().fails(&["serve"], 1, &["linli init"]);
}

#[test]
fn settings_with_typing_errors_name_the_nearest_and_wrong_values_their_place() {
    let machine = Machine::founded();
    std::fs::write(machine.dir().join("linli.toml"), "htpp = \"127.0.0.1:1\"\n").unwrap();
    machine.fails(&["status"], 2, &["htpp", "\"http\"", "linli.toml"]);
    std::fs::write(machine.dir().join("linli.toml"), "log = \"info,loud=very\"\n").unwrap();
    machine.fails(&["serve"], 2, &["loud=very", "try:"]);
    std::fs::remove_file(machine.dir().join("linli.toml")).unwrap();
    machine.fails(&["serve", "--peer", "nonsense", "--http", "127.0.0.1:0"], 1, &["nonsense"]);
    machine.fails(&["serve", "--http", "127.0.0.1:99999"], 2, &["127.0.0.1:99999"]);
}

#[test]
fn an_export_verifies_and_one_with_an_altered_byte_is_exit_code_4_with_its_place() {
    let machine = Machine::founded();
    let file = machine.0.path().join("street.linli");
    let file = file.to_str().unwrap();
    machine.ok(&["log", "export", file]);
    let said = machine.ok(&["log", "verify", file]);
    assert!(said.starts_with("federation ") && said.contains("2 events authentic and complete"), "{said}");
    machine.fails(&["log", "export", file], 1, &["street.linli"]);
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
    machine.fails(&["log", "verify", file], 4, &["street.linli", "byte"]);
    machine.fails(&["--json", "log", "verify", file], 4, &["\"code\":", "\"offset\":"]);
    machine.fails(&["log", "show", file], 4, &["street.linli", "byte"]);
    machine.fails(&["log", "verify", "no-such-file"], 1, &["no-such-file"]);
}

#[test]
fn a_file_of_another_district_with_the_same_name_is_told_from_the_one_that_was_asked_for() {
    // Given a street, and a stranger who founded a district of the same name and area,
    let (street, stranger) = (Machine::founded(), Machine::founded());
    let export = |machine: &Machine| {
        let file = machine.0.path().join("street.linli").to_str().unwrap().to_owned();
        machine.ok(&["log", "export", &file]);
        file
    };
    let (ours, forged) = (export(&street), export(&stranger));
    let report: serde_json::Value = serde_json::from_str(&street.ok(&["--json", "log", "verify", &ours])).unwrap();
    let federation = report["federation"].as_str().unwrap();
    let known = street.0.path().join("known.json");
    std::fs::write(&known, report.to_string()).unwrap();
    let known = known.to_str().unwrap();
    // when the files are held against the district's id, and against what was seen before,
    let asked = ["--federation", federation, "--require-authorised", "--known", known];
    let verify = |file: &'static str| [&["log", "verify"], &asked[..], &[file]].concat();
    let (ours, forged): (&'static str, &'static str) = (ours.leak(), forged.leak());
    // then only the street's own passes, and the other is called what it is.
    street.ok(&verify(ours));
    street.fails(&verify(forged), 4, &["this is federation", "was asked for", "is shorter"]);
    street.ok(&["log", "verify", forged]);
    // Heads whose numbers were rounded on the way name other logs: said, and never taken for a loss.
    let rounded = report.to_string().replace("\"incarnation\":\"", "\"incarnation\":1e0,\"x\":\"");
    std::fs::write(known, rounded).unwrap();
    street.fails(&["log", "verify", "--known", known, ours], 1, &["known.json", "incarnation"]);
    let large = report["logs"][0]["log"]["incarnation"].as_str().unwrap();
    let number = report.to_string().replace(&format!("\"{large}\""), "15810382071868104704");
    std::fs::write(known, number).unwrap();
    street.fails(&["log", "verify", "--known", known, ours], 1, &["may have been rounded"]);
    let other = "07".repeat(32);
    std::fs::write(known, report.to_string()).unwrap();
    street.fails(&["log", "verify", "--federation", &other, "--known", known, ours], 2, &["asks for another"]);
}

#[test]
fn an_auditor_reads_who_did_what_on_whose_authority_without_a_node() {
    // Given the file of a street that took its stock in,
    let machine = Machine::founded();
    let street = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/street");
    machine.ok(&["import", "--area", "320508005012", street.to_str().unwrap()]);
    let file = machine.0.path().join("street.linli").to_str().unwrap().to_owned();
    machine.ok(&["log", "export", &file]);
    // when an auditor reads it on a machine without a node,
    let auditor = Machine::new();
    let rows = |args: &[&str]| {
        let text = auditor.ok(&[&["--json", "log", "show", &file], args].concat());
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<serde_json::Value>>()
    };
    let received = rows(&["--kind", "received"]);
    // then each booking says what, where, who, and on whose authority,
    assert!(received.len() > 5);
    for row in &received {
        assert!(!row["about"].as_str().unwrap().is_empty() && !row["by"].as_str().unwrap().is_empty(), "{row}");
        assert_eq!((&row["verdict"]["state"], &row["grant"]["role"]), (&"counts".into(), &"node".into()));
        assert!(row["fields"].as_array().unwrap().iter().any(|field| field[0] == "quantity"), "{row}");
    }
    let times: Vec<u64> = received.iter().map(|row| row["time_ms"].as_u64().unwrap()).collect();
    assert!(times.is_sorted());
    // what is selected adds up, in any form,
    let all = rows(&[]);
    let (one, record) = (&received[0], received[0]["record"].as_str().unwrap());
    assert!(all.len() > received.len() && rows(&["--record", record]).len() < all.len());
    assert!(rows(&["--to", "2001-01-01"]).is_empty() && rows(&["--from", "2001-01-01"]).len() == all.len());
    assert_eq!(rows(&["--author", &one["author"].as_str().unwrap()[..8], "--kind", "received"]), received);
    assert_eq!(rows(&["--by", one["by"].as_str().unwrap(), "--kind", "received"]).len(), received.len());
    assert!(rows(&["--area", "330102"]).is_empty());
    let csv = auditor.ok(&["log", "show", &file, "--kind", "received", "--csv"]);
    let mut table = csv::Reader::from_reader(csv.as_bytes());
    let abouts: Vec<String> = table.records().map(|row| row.unwrap()[7].to_owned()).collect();
    let told = |row: &serde_json::Value| row["about"].as_str().unwrap().to_owned();
    assert_eq!(abouts, received.iter().map(told).collect::<Vec<_>>());
    // and in the order of the file all the same events come.
    let ids = |rows: &[serde_json::Value]| {
        let mut ids: Vec<String> = rows.iter().map(|row| row["id"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&rows(&["--file-order"])), ids(&all));
    let text = auditor.ok(&["log", "show", &file, "--kind", "received"]);
    assert!(text.contains("入库") && text.contains("node 临湖街道 (320508005)"), "{text}");
    auditor.fails(&["log", "show", &file, "--day", "2026/11/24"], 2, &["YYYY-MM-DD"]);
    auditor.fails(&["log", "show", &file, "--from", "2026-11-24", "--to", "2026-11-23"], 2, &["--from"]);
    let nothing = auditor.run(&["log", "show", &file, "--kind", "recieved"]);
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(nothing.status.success() && nothing.stdout.is_empty() && said.contains("supplies received"), "{said}");
}

#[test]
fn an_export_with_personal_data_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::founded();
    let file = machine.0.path().join("personal.linli");
    machine.ok(&["log", "export", "--with-personal", file.to_str().unwrap()]);
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_helps_against_a_key_that_others_can_read_is_never_to_found_a_district() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::founded();
    let key = machine.dir().join("keys/node.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["serve"][..], &["status"]] {
        let output = machine.run(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("try:   chmod 600") && !said.contains("linli init"), "{said}");
    }
}

#[test]
fn what_is_printed_for_programs_is_json_errors_included() {
    let machine = Machine::founded();
    let joined: serde_json::Value = serde_json::from_str(&Machine::new().ok(&["join", "--json"])).unwrap();
    assert!(joined["request"].is_string());
    let failed = machine.run(&["status", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&failed.stderr).unwrap_or_else(|_| {
        panic!("not JSON: {}", String::from_utf8_lossy(&failed.stderr));
    });
    assert!(said["error"].is_string() || said["message"].is_string(), "{said}");
}

#[test]
fn completions_and_the_example_settings_are_printed_without_a_node() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(machine.ok(&["completions", shell]).contains("linli"), "{shell}");
    }
    assert!(machine.ok(&["config", "example"]).contains("# http = "));
    assert!(machine.ok(&["record", "list"]).contains("issue_supplies"));
    assert!(!machine.dir().exists());
}

#[test]
fn the_sample_street_imports_once_and_a_second_time_writes_nothing() {
    let machine = Machine::founded();
    let street = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/street");
    let import = ["import", "--json", "--area", "320508005012", street.to_str().unwrap()];
    let first: serde_json::Value = serde_json::from_str(&machine.ok(&import)).unwrap();
    let second: serde_json::Value = serde_json::from_str(&machine.ok(&import)).unwrap();
    assert_eq!((&first["skipped"], &second["written"]), (&0.into(), &0.into()));
    assert_eq!(first["written"], second["skipped"]);
    machine.fails(&["import", "--area", "330102", street.to_str().unwrap()], 2, &["area"]);
}

/// A node that runs, without a mesh, on a port of its own; stopped when it is dropped.
struct Running(std::process::Child, serde_json::Value);

impl Running {
    fn over(machine: &Machine) -> Self {
        use std::io::BufRead;
        let mut command = Command::new(env!("CARGO_BIN_EXE_linli"));
        command.args(["serve", "--json", "--http", "127.0.0.1:0", "--no-mdns", "--operator", "王联络"]);
        command.env_clear().env("LINLI_DATA_DIR", machine.dir()).env("LINLI_LISTEN", "[]").env("LINLI_RELAYS", "never");
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self(child, serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn who_may_sign_in_is_listed_and_taken_back_from_the_command_line() {
    use std::os::unix::fs::PermissionsExt;
    let machine = Machine::founded();
    let running = Running::over(&machine);
    // given a start whose output is no terminal: its code is in a file for the owner only, and nowhere in the output
    let file = running.1["code_file"].as_str().unwrap();
    let code = std::fs::read_to_string(file).unwrap();
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(code.trim().len() == 9 && !running.1.to_string().contains(code.trim()), "{}", running.1);
    // when somebody is let in from the command line
    let said = machine.ok(&["invite", "--operator", "张同事", "--by", "李主任"]);
    assert!(said.contains("张同事"), "{said}");
    // then the list names both, and what it lists is taken back one by one
    let listed: serde_json::Value = serde_json::from_str(&machine.ok(&["operators", "list", "--json"])).unwrap();
    let codes = listed["codes"].as_array().unwrap();
    assert_eq!(codes.len(), 2, "{listed}");
    let issued = codes.iter().find(|code| code["name"] == "张同事").unwrap();
    assert_eq!((issued["issued_by"].as_str(), issued["event"].is_string()), (Some("李主任"), true));
    let id = issued["id"].as_str().unwrap();
    assert!(machine.ok(&["operators", "list"]).contains(id));
    machine.ok(&["operators", "revoke", id]);
    assert!(!machine.ok(&["operators", "list"]).contains(id));
    machine.fails(&["operators", "revoke", id], 2, &["no such code"]);
}

/// A log that a key without a grant signed, in the store of a machine whose node does not run; `by` is charged for it.
fn strange_log(machine: &Machine, n: u16, by: AuthorKey) {
    let store = Store::open(&machine.dir().join("store"), OpenOptions::default()).unwrap();
    let mut author = Author::new(n, "320508005", None);
    let run = author.write_personal(Stream::COMMUNITY, 3, 40);
    store.append(vec![verify_run(Join::Start, run, &mut KeyCache::default()).unwrap()]).unwrap();
    let log = author.log_id(Stream::COMMUNITY);
    store.charge(&[Introduced { log, by: Some(by), bytes: SYNC_STRANGER_BYTES_MAX }]).unwrap();
    store.close();
}

#[test]
fn whoever_brought_logs_without_a_grant_is_named_and_they_are_removed_from_the_command_line() {
    // given a node to which two others brought as much as they may
    let (machine, bringers) = (Machine::founded(), [60, 61].map(|n| key(n).public()));
    strange_log(&machine, 50, bringers[0]);
    strange_log(&machine, 51, bringers[1]);
    let _running = Running::over(&machine);
    // then it says so with what to do, once its mesh has looked
    let named = |said: &str| bringers.map(|by| said.contains(&format!("linli peers discard {}", by.short())));
    let started = std::time::Instant::now();
    while named(&machine.ok(&["peers"])) != [true; 2] {
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "{}", machine.ok(&["peers"]));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(machine.ok(&["peers"]).contains("100% of its quota"));
    machine.fails(&["status"], 3, &["up to the quota", "带来的未授权日志已达上限"]);
    // when what nobody brought is to be removed, then that is said
    machine.fails(&["peers", "discard", "0000"], 2, &["0000", "linli peers"]);
    // when what one of them brought is removed, then the other's is left, to be removed as well
    let said = machine.ok(&["peers", "discard", &bringers[0].short()]);
    assert!(said.contains("已删除 1 个") && said.contains("1 logs without a grant were removed"), "{said}");
    let said = machine.ok(&["peers", "discard", &bringers[1].to_string(), "--json"]);
    assert_eq!(said.trim(), r#"{"removed":1}"#);
    let output = machine.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let heads = status["heads"].to_string();
    assert!(heads.contains("author") && ![50, 51].iter().any(|n| heads.contains(&key(*n).public().to_string())));
}

#[test]
fn a_copy_of_the_data_directory_does_not_speak_to_the_node_of_the_original() {
    let machine = Machine::founded();
    let _running = Running::over(&machine);
    let copy = Machine::new();
    let copied = Command::new("cp").arg("-a").arg(machine.dir()).arg(copy.dir()).status().unwrap();
    assert!(copied.success());
    machine.ok(&["show", "desk"]);
    for command in [&["show", "desk"][..], &["invite", "--operator", "张同事"]] {
        copy.fails(command, 2, &["another data directory", "--data-dir"]);
    }
}
