//! The command line as people and scripts meet it: exit codes, JSON, and errors that end with the next thing to try.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Output};

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
    assert!(machine.ok(&["log", "verify", file]).contains("every hash and signature holds"));
    machine.fails(&["log", "export", file], 1, &["street.linli"]);
    let mut bytes = std::fs::read(file).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(file, bytes).unwrap();
    machine.fails(&["log", "verify", file], 4, &["street.linli", "byte"]);
    machine.fails(&["log", "verify", "no-such-file"], 1, &["no-such-file"]);
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
