//! Two hosts and the processes on them: network namespaces joined by a cable where root allows, loopback otherwise.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::PROCESS;

/// What the cable's end is called inside a namespace.
const INTERFACE: &str = "cable";

/// How names of namespaces begin; the id of the benchmark's process follows.
const NAMESPACE: &str = "linli-bench-";

/// Two hosts; what was made for them is gone when dropped.
pub struct Lab {
    /// The host that listens.
    pub a: Host,
    /// The host that calls.
    pub b: Host,
}

/// A place where processes run.
pub struct Host {
    namespace: Option<String>,
    /// Its address, as the other one reaches it.
    pub address: &'static str,
}

impl Lab {
    /// Two namespaces and a cable, or loopback where that is not to be had.
    pub fn new() -> Self {
        remove_left_behind();
        let id = std::process::id();
        let mut lab = Self {
            a: Host { namespace: Some(format!("{NAMESPACE}{id}-a")), address: "10.78.0.1" },
            b: Host { namespace: Some(format!("{NAMESPACE}{id}-b")), address: "10.78.0.2" },
        };
        if let Err(why) = lab.lay_cable() {
            eprintln!("no network namespaces ({why}): loopback instead");
            drop(lab);
            lab = Self {
                a: Host { namespace: None, address: "127.0.0.1" },
                b: Host { namespace: None, address: "127.0.0.1" },
            };
        }
        lab
    }

    fn lay_cable(&self) -> Result<(), String> {
        let [a, b] = [&self.a, &self.b].map(|host| host.namespace.as_deref().unwrap_or_default());
        for name in [a, b] {
            run(&format!("ip netns add {name}"))?;
        }
        run(&format!("ip -n {a} link add {INTERFACE} type veth peer name {INTERFACE} netns {b}"))?;
        for (name, host) in [(a, &self.a), (b, &self.b)] {
            // What IPv6 says of itself now and then would be counted among the bytes of a case.
            run(&format!("ip -n {name} link set {INTERFACE} addrgenmode none"))?;
            run(&format!("ip -n {name} addr add {}/24 dev {INTERFACE}", host.address))?;
            run(&format!("ip -n {name} link set {INTERFACE} up"))?;
            run(&format!("ip -n {name} link set lo up"))?;
        }
        Ok(())
    }

    /// Whether there is a cable whose bytes can be counted.
    pub fn has_cable(&self) -> bool {
        self.a.namespace.is_some()
    }

    /// For people: where this ran.
    pub fn describe(&self) -> &'static str {
        if self.has_cable() { "two network namespaces joined by a veth pair" } else { "loopback (no namespaces here)" }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(name) = &self.namespace {
            // It may never have come to be.
            let _ = run(&format!("ip netns del {name}"));
        }
    }
}

/// An interrupted benchmark could not clean up. What belongs to a process that is gone goes with the next one.
fn remove_left_behind() {
    let listing = Command::new("ip").args(["netns", "list"]).stdin(Stdio::null()).output();
    let listing = listing.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    for name in listing.lines().filter_map(|line| line.split_whitespace().next()) {
        let owner = name.strip_prefix(NAMESPACE).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|owner| !std::path::Path::new("/proc").join(owner).exists()) {
            let _ = run(&format!("ip netns del {name}"));
        }
    }
}

fn run(line: &str) -> Result<(), String> {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    let output = command.args(words).stdin(Stdio::null()).output().map_err(|error| format!("{line}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{line}: {}", said.trim())) }
}

impl Host {
    /// Starts this program anew as a process that does what it is asked; see `node::serve`.
    pub fn start(&self) -> Process {
        let program = std::env::current_exe().unwrap();
        let mut command = match &self.namespace {
            Some(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program).args([PROCESS, INTERFACE]);
                command
            }
            None => {
                let mut command = Command::new(program);
                command.arg(PROCESS);
                command
            }
        };
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Process { child, stdin: Some(stdin), stdout }
    }
}

/// A process on a host. Ends in order when dropped.
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Asks for something and waits for the answer.
    pub fn ask(&mut self, command: &str) -> Answer {
        self.tell(command);
        self.answer()
    }

    /// Asks for something; the answer is waited for later.
    pub fn tell(&mut self, command: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
    }

    /// The answer to what was asked last.
    pub fn answer(&mut self) -> Answer {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "a process of this benchmark ended before it answered");
        let pairs = line.split_whitespace().filter_map(|pair| pair.split_once('='));
        Answer(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Without anybody who asks, it ends.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// What a process answered: names and values.
pub struct Answer(BTreeMap<String, String>);

impl Answer {
    /// A value as it stands.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).unwrap_or_else(|| panic!("the answer has no {name}: {:?}", self.0))
    }

    /// A number.
    pub fn number(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap()
    }
}
