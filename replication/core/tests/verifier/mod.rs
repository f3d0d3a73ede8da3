//! Runs the independent verifier in Python. It is part of every check: without its libraries a test fails and says so.

#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

/// The top of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A program of `ops/verify`, to be run.
pub fn command(script: &str) -> Command {
    let python = repository().join(".venv/bin/python");
    assert!(python.exists(), "the independent verifier's libraries are not set up: run ops/verify/setup and try again");
    let mut command = Command::new(python);
    command.arg("-B").arg(repository().join("ops/verify").join(script));
    command
}

/// Runs `linli_verify.py` with these arguments.
pub fn run(arguments: &[&str]) -> Output {
    command("linli_verify.py").args(arguments).output().unwrap()
}

/// Runs it, expects success, and reads its answer as JSON.
pub fn answer(arguments: &[&str]) -> Value {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What the verifier says of each input of a kind.
pub fn judge(kind: &str, inputs: &[Value]) -> Vec<Value> {
    let path = scratch(&format!("judge-{kind}.json"), &serde_json::to_vec(inputs).unwrap());
    let answer = answer(&["--judge", kind, path.to_str().unwrap()]);
    std::fs::remove_file(path).unwrap();
    let Value::Array(results) = answer else { panic!("expected a list, got {answer}") };
    results
}

/// Writes a file that only this test uses: several run in one process, and several processes at once.
pub fn scratch(name: &str, bytes: &[u8]) -> PathBuf {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let name = format!("{}-{}-{name}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}
