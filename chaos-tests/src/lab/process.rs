//! A real `linli serve` process, and what one asks of it from outside.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::api::Api;

/// How long a node may take to start: a cold store opens in well under a second; slow machines get room.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stopped process may still wait for its disk.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(30);

/// Over what other nodes reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// TCP with Noise and Yamux.
    #[default]
    Tcp,
    /// QUIC over UDP, which the relays on loopback do not carry.
    Quic,
}

/// Where a node lives and where it listens. The process may be running or not.
pub struct NodeProcess {
    /// Short name for messages.
    pub name: String,
    /// Its data directory.
    pub dir: PathBuf,
    /// Its pages and its API.
    pub api: Api,
    /// Its port for other nodes.
    pub mesh: SocketAddr,
    /// What speaks on that port.
    pub transport: Transport,
    /// Whether it listens there at all. One that does not can be called by nobody.
    pub listens: bool,
    /// Whether other nodes meet it over lines of the laboratory only. All processes of a machine could call each other, so
    /// such a node tells nobody where it is, and keeps no place on a relay.
    pub confined: bool,
    /// Whom it dials, as multiaddrs.
    pub peers: Vec<String>,
    /// The address that it binds to, where that is another than the one at which it is reached.
    pub bind: Option<IpAddr>,
    /// Whether it looks for nodes on its local network.
    pub mdns: bool,
    /// The network namespace it runs in, if any.
    pub namespace: Option<String>,
    /// How wrong its wall clock is, in seconds; ahead if positive. Another than 0 needs `libfaketime`.
    pub clock_offset_s: i64,
    child: Option<Child>,
    /// The one-time operator code that the last start printed.
    pub code: String,
}

impl NodeProcess {
    /// Names a node; nothing is started.
    ///
    /// # Errors
    /// When no port is free.
    pub fn new(name: &str, root: &Path, address: IpAddr, namespace: Option<String>) -> anyhow::Result<Self> {
        let (dir, http) = (root.join(name), SocketAddr::new(address, super::free_port()?));
        Ok(Self {
            name: name.to_owned(),
            api: Api::new(name, http, &dir),
            dir,
            mesh: SocketAddr::new(address, super::free_port()?),
            transport: Transport::default(),
            listens: true,
            confined: false,
            peers: vec![],
            bind: None,
            mdns: false,
            namespace,
            clock_offset_s: 0,
            child: None,
            code: String::new(),
        })
    }

    /// The multiaddr at which others reach it.
    pub fn multiaddr(&self) -> String {
        self.multiaddr_at(self.mesh.ip())
    }

    fn multiaddr_at(&self, ip: IpAddr) -> String {
        let port = self.mesh.port();
        match self.transport {
            Transport::Tcp => format!("/ip4/{ip}/tcp/{port}"),
            Transport::Quic => format!("/ip4/{ip}/udp/{port}/quic-v1"),
        }
    }

    /// Where its store is. Only for a node that does not run.
    pub fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Runs a `linli` command on its data directory to the end and returns the JSON it printed.
    ///
    /// # Errors
    /// When the command fails; the message is what it said.
    pub fn command(&self, args: &[&str]) -> anyhow::Result<Value> {
        let output = self.program(args)?.output().with_context(|| format!("cannot run linli {args:?}"))?;
        if !output.status.success() {
            bail!("{}: linli {args:?}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("linli {args:?} printed {:?}", String::from_utf8_lossy(&output.stdout)))
    }

    /// Runs a `linli` command on its data directory to the end: its exit code, and all that it printed.
    ///
    /// # Errors
    /// When it cannot be run, or a signal ended it.
    pub fn exit_of(&self, args: &[&str]) -> anyhow::Result<(i32, String)> {
        let output = self.program(args)?.output().with_context(|| format!("cannot run linli {args:?}"))?;
        let code = output.status.code().with_context(|| format!("linli {args:?}: {}", output.status))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((code, String::from_utf8_lossy(&said).into_owned()))
    }

    fn program(&self, args: &[&str]) -> anyhow::Result<Command> {
        let linli = program_path()?;
        let mut command = match &self.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(linli);
                command
            }
            None => Command::new(linli),
        };
        let http = SocketAddr::new(self.bind.unwrap_or(self.api.http.ip()), self.api.http.port());
        command.args(args).arg("--json").arg("--data-dir").arg(&self.dir).env("LINLI_HTTP", http.to_string());
        // Read from outside the namespace, and on the addresses of the lab's own networks only.
        command.env("LINLI_METRICS_OPEN", "true");
        command.stdin(Stdio::null());
        if self.clock_offset_s != 0 {
            command.env("LD_PRELOAD", faketime().context("libfaketime is not installed")?);
            command.env("FAKETIME", format!("{:+}s", self.clock_offset_s));
            // Only the wall clock is wrong: timers run as they do, and files bear the times of their disk.
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("NO_FAKE_STAT", "1");
        }
        Ok(command)
    }

    /// Starts `linli serve` and waits until its pages answer.
    ///
    /// # Errors
    /// When it does not come up in time; the message ends with the last lines of its log.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file())?;
        let mut command = self.program(&["serve"])?;
        match self.listens {
            true => command.args(["--listen", &self.multiaddr_at(self.bind.unwrap_or(self.mesh.ip()))]),
            false => command.env("LINLI_LISTEN", "[]"),
        };
        if self.confined {
            command.env("LINLI_ANNOUNCE", "[]").env("LINLI_RELAYS", "never");
        }
        if !self.mdns {
            command.arg("--no-mdns");
        }
        for peer in &self.peers {
            command.args(["--peer", peer]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().context("cannot start linli serve")?;
        let stdout = child.stdout.take().context("no standard output")?;
        self.child = Some(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let announced: Value = serde_json::from_str(&line)
            .with_context(|| format!("{} did not start: {}", self.name, self.last_log_lines()))?;
        let file = announced["code_file"].as_str().context("the start names no file with its code")?;
        self.code = std::fs::read_to_string(file).context("cannot read the start code")?.trim().to_owned();
        let deadline = Instant::now() + START_TIMEOUT;
        while self.api.status().is_err() {
            if Instant::now() > deadline {
                bail!("{} does not answer: {}", self.name, self.last_log_lines());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.dir.with_extension("log")
    }

    /// The end of what it logged, for messages.
    pub fn last_log_lines(&self) -> String {
        let text = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// What the system says of the running process under a key of `/proc/<pid>/status`, such as `VmRSS` (in KiB) or
    /// `Threads`.
    ///
    /// # Errors
    /// When it does not run, or there is no such number.
    pub fn counted(&self, key: &str) -> anyhow::Result<u64> {
        let pid = self.child.as_ref().map(Child::id).with_context(|| format!("{} does not run", self.name))?;
        let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.with_context(|| format!("/proc/{pid}/status has no number {key}"))
    }

    /// How long the running process has used cores, all its threads together.
    ///
    /// # Errors
    /// When it does not run.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        let pid = self.child.as_ref().map(Child::id).with_context(|| format!("{} does not run", self.name))?;
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name of the program may hold spaces; what follows it does not. The 14th and 15th field are ticks of 10 ms.
        let fields: Vec<&str> = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
        let both = ticks(11).zip(ticks(12)).with_context(|| format!("/proc/{pid}/stat has no times"))?;
        Ok(Duration::from_millis((both.0 + both.1) * 10))
    }

    /// Stops the running process between two instructions, all its threads, until it is killed.
    ///
    /// # Errors
    /// When it does not run, or does not stop in time.
    pub fn freeze(&self) -> anyhow::Result<()> {
        let pid = self.child.as_ref().map(Child::id).with_context(|| format!("{} does not run", self.name))?;
        let sent = Command::new("kill").args(["-STOP", &pid.to_string()]).status()?;
        if !sent.success() {
            bail!("{} cannot be stopped", self.name);
        }
        // A thread that waits for the disk stops when the disk has answered.
        wait_until(FREEZE_TIMEOUT, || match awake_threads(pid)? {
            0 => Ok(Ok(())),
            awake => Ok(Err(format!("{awake} threads of {} still run", self.name))),
        })?;
        Ok(())
    }

    /// `kill -9`: the process ends between two instructions.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in time.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status()?;
        let deadline = Instant::now() + Duration::from_secs(20);
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                bail!("{} did not stop within 20 s of SIGTERM: {}", self.name, self.last_log_lines());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The library that gives a program a wrong clock, where the system's package has put it.
fn faketime() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    places.map(|place| place.path().join("faketime/libfaketimeMT.so.1")).find(|library| library.exists())
}

/// Threads of a process that SIGSTOP has not reached.
fn awake_threads(pid: u32) -> anyhow::Result<usize> {
    let mut awake = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("stat"))?;
        // The state follows the name, which stands in brackets and may hold anything.
        let state = text.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
        awake += usize::from(state != Some("T"));
    }
    Ok(awake)
}

/// The `linli` program beside this one in the target folder.
fn program_path() -> anyhow::Result<PathBuf> {
    program_beside("linli", "cargo build --release -p linli")
}

/// A program beside this one in the target folder, and how it is built where it is missing.
///
/// # Errors
/// When it is not built.
pub fn program_beside(name: &str, build: &str) -> anyhow::Result<PathBuf> {
    let mut dir = std::env::current_exe()?;
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    let program = dir.join(name);
    if !program.exists() {
        bail!("{} is not built: run {build}", program.display());
    }
    Ok(program)
}

/// Waits until `done` says so, asking every 50 ms; says how long it took.
///
/// # Errors
/// When it takes longer than `limit`; the message is what `done` last said.
pub fn wait_until(
    limit: Duration,
    mut done: impl FnMut() -> anyhow::Result<Result<(), String>>,
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    loop {
        let missing = match done() {
            Ok(Ok(())) => return Ok(started.elapsed()),
            Ok(Err(missing)) => missing,
            Err(error) => format!("{error:#}"),
        };
        if super::interrupted() {
            bail!("interrupted while waiting: {missing}");
        }
        if started.elapsed() > limit {
            bail!("not within {} s: {missing}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
