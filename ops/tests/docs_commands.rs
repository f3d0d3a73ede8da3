//! The commands that the pages show, run as they stand there. A page marks them by a `console` block and a `$ `.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Pages whose commands are run, in order, each page against a data directory of its own.
const PAGES: [&str; 4] = ["README.md", "docs/README.zh.md", "docs/audit.md", "docs/performance.md"];

/// What the tests write into the working tree on behalf of a page.
const LEFT_BEHIND: &str = "street.linli";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// The commands of the `console` blocks of a page, in order.
fn commands(page: &str) -> Vec<String> {
    let (mut inside, mut found) = (false, vec![]);
    for line in read(page).lines().map(str::trim) {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if inside => found.extend(line.strip_prefix("$ ").map(str::to_owned)),
            _ => {}
        }
    }
    found
}

/// A shell in the root of the working tree, for one page.
struct Terminal {
    home: tempfile::TempDir,
    http: u16,
    node: Option<Child>,
}

impl Terminal {
    fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { home: tempfile::tempdir().unwrap(), http: free.local_addr().unwrap().port(), node: None }
    }

    /// The command with a data directory and ports of this page, so that pages may be tried beside a running node.
    fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", line]).current_dir(root()).stdin(Stdio::null());
        // What the test runner tells the tests of their own package would make cargo build other packages anew.
        let told = std::env::vars_os().map(|(name, _)| name).filter(|name| {
            let name = name.to_string_lossy();
            name.starts_with("CARGO_") && !["CARGO_HOME", "CARGO_TARGET_DIR"].contains(&&*name)
        });
        for name in told {
            command.env_remove(name);
        }
        command.env("LINLI_DATA_DIR", self.home.path().join("linli"));
        command.env("LINLI_HTTP", format!("127.0.0.1:{}", self.http));
        command.env("LINLI_LISTEN", "/ip4/127.0.0.1/tcp/0").env("LINLI_MDNS", "false");
        command
    }

    /// Starts what goes on running, and waits until it has printed the address of its page and a code.
    fn serve(&mut self, line: &str) {
        let mut child = self.shell(&format!("exec {line}")).stdout(Stdio::piped()).spawn().unwrap();
        let mut printed = BufReader::new(child.stdout.take().unwrap()).lines();
        self.node = Some(child);
        let mut seen = vec![];
        while let Some(Ok(text)) = printed.next() {
            seen.push(text);
            if seen.iter().any(|text| text.contains(&format!("http://127.0.0.1:{}/", self.http)))
                && seen.iter().any(|text| text.contains("code:"))
            {
                // Somebody goes on reading what it prints, as a terminal does.
                std::thread::spawn(move || printed.for_each(drop));
                return;
            }
        }
        panic!("{line} ended without an address and a code: {seen:?}");
    }

    fn run(&self, page: &str, line: &str) {
        let output = self.shell(line).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{page}: $ {line}\n{said}");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(mut node) = self.node.take() {
            let _ = Command::new("kill").arg(node.id().to_string()).status();
            let _ = node.wait();
        }
        let _ = std::fs::remove_file(root().join(LEFT_BEHIND));
    }
}

#[test]
fn every_command_of_the_pages_does_what_they_say() {
    let _ = std::fs::remove_file(root().join(LEFT_BEHIND));
    for page in PAGES {
        let mut terminal = Terminal::new();
        let listed = commands(page);
        assert!(!listed.is_empty(), "{page} shows no command");
        for line in listed {
            match line.as_str() {
                "ops/run" => terminal.serve(&line),
                // Runs this very test. `.ci/run` calls it.
                "ops/test" => assert!(read(".ci/run").contains("exec ops/test"), "CI does not run ops/test"),
                // Minutes long; ops/test runs the same benchmark briefly.
                line if line.starts_with("cargo bench") => {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    assert!(read("ops/test").contains(&format!("--bench {}", words.last().unwrap())), "{page}: {line}");
                }
                line if line.starts_with("ops/run bench") => {
                    assert!(read("ops/test").contains("/linli-chaos\" bench --quick"), "{page}: {line}");
                }
                line => terminal.run(page, line),
            }
        }
    }
}

#[test]
fn no_page_with_commands_is_forgotten() {
    let listing = Command::new("git").args(["ls-files", "*.md"]).current_dir(root()).output().unwrap();
    for page in String::from_utf8(listing.stdout).unwrap().lines().filter(|page| root().join(page).exists()) {
        let shows_commands = read(page).lines().any(|line| line.trim() == "```console");
        assert_eq!(
            shows_commands,
            PAGES.contains(&page),
            "{page}: console blocks are run by ops/tests/docs_commands.rs"
        );
    }
}
