//! A real `linli serve` process, and what one asks of it from outside.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

/// How long a node may take to start: a cold store opens in well under a second; slow machines get room.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a node lives and where it listens. The process may be running or not.
pub struct NodeProcess {
    /// Short name for messages.
    pub name: String,
    /// Its data directory.
    pub dir: PathBuf,
    /// Its pages.
    pub http: SocketAddr,
    /// Its TCP port for other nodes.
    pub mesh: SocketAddr,
    /// Whom it dials, as multiaddrs.
    pub peers: Vec<String>,
    /// The network namespace it runs in, if any.
    pub namespace: Option<String>,
    child: Option<Child>,
    agent: ureq::Agent,
    /// The one-time operator code that the last start printed.
    pub code: String,
}

impl NodeProcess {
    /// Names a node; nothing is started.
    ///
    /// # Errors
    /// When no port is free.
    pub fn new(name: &str, root: &Path, address: IpAddr, namespace: Option<String>) -> anyhow::Result<Self> {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .build();
        Ok(Self {
            name: name.to_owned(),
            dir: root.join(name),
            http: SocketAddr::new(address, super::free_port()?),
            mesh: SocketAddr::new(address, super::free_port()?),
            peers: vec![],
            namespace,
            child: None,
            agent: config.into(),
            code: String::new(),
        })
    }

    /// The multiaddr on which it listens.
    pub fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.mesh.ip(), self.mesh.port())
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
        command.args(args).arg("--json").arg("--data-dir").arg(&self.dir).env("LINLI_HTTP", self.http.to_string());
        command.stdin(Stdio::null());
        Ok(command)
    }

    /// Starts `linli serve` and waits until its pages answer.
    ///
    /// # Errors
    /// When it does not come up in time; the message ends with the last lines of its log.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file())?;
        let mut command = self.program(&["serve", "--no-mdns", "--listen", &self.multiaddr()])?;
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
        self.code = announced["code"].as_str().unwrap_or_default().to_owned();
        let deadline = Instant::now() + START_TIMEOUT;
        while self.status().is_err() {
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

    /// The process's number, if it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
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

    fn token(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.dir.join("api-token"))?.trim().to_owned())
    }

    /// Reads an API resource.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("http://{}/api/v1{path}", self.http);
        let answer = self.agent.get(url).header("authorization", format!("Bearer {}", self.token()?)).call();
        read(&self.name, path, answer)
    }

    /// Sends a body to the API.
    ///
    /// # Errors
    /// When the node does not answer or refuses.
    pub fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("http://{}/api/v1{path}", self.http);
        let answer = self.agent.post(url).header("authorization", format!("Bearer {}", self.token()?)).send_json(body);
        read(&self.name, path, answer)
    }

    /// Records an act and returns the receipt.
    ///
    /// # Errors
    /// When the node refuses it.
    pub fn act(&self, command: Value) -> anyhow::Result<Value> {
        self.post("/commands", &json!({"by": format!("{}值守员", self.name), "command": command}))
    }

    /// What the node says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<Value> {
        self.get("/status")
    }

    /// A page as anybody on the network gets it: status and body.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn page(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let mut answer = self.agent.get(format!("http://{}{path}", self.http)).call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read(
    name: &str,
    path: &str,
    answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
) -> anyhow::Result<Value> {
    let mut answer = answer.with_context(|| format!("{name} does not answer {path}"))?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string()?;
    if !status.is_success() {
        bail!("{name} {path}: {status} {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("{name} {path}: not JSON: {text}"))
}

/// The `linli` program beside this one in the target folder.
fn program_path() -> anyhow::Result<PathBuf> {
    let mut dir = std::env::current_exe()?;
    dir.pop();
    if dir.ends_with("deps") {
        dir.pop();
    }
    let linli = dir.join("linli");
    if !linli.exists() {
        bail!("{} is not built: run cargo build --release -p linli", linli.display());
    }
    Ok(linli)
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
        if started.elapsed() > limit {
            bail!("not within {} s: {missing}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
