//! What a person or a script asks of a running node from outside: its API and its pages.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use linli_domain::desk::Desk;
use linli_domain::record::RecordView;
use linli_domain::summary::Summary;
use serde_json::{Value, json};

/// What came back of an act.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A receipt.
    Done(Value),
    /// Another answer: its status and its text.
    Refused(u16, String),
    /// None in time, and why.
    Silent(String),
}

/// Where a node answers, and the token of its data directory. Clones may ask at the same time.
#[derive(Clone)]
pub struct Api {
    /// The node's name, for messages.
    name: String,
    /// Where its pages are.
    pub http: SocketAddr,
    dir: PathBuf,
    agent: ureq::Agent,
}

impl Api {
    /// Of the node with a data directory; nothing is asked yet.
    pub fn new(name: &str, http: SocketAddr, dir: &Path) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .max_redirects(0)
            .http_status_as_error(false)
            .build();
        Self { name: name.to_owned(), http, dir: dir.to_owned(), agent: config.into() }
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

    /// Sends an act under an id of the client's own, and waits for an answer no longer than `patience`. Whoever gets none
    /// does not know whether it was recorded.
    pub fn try_act(&self, id: &str, by: &str, command: &Value, patience: Duration) -> Answer {
        self.try_post("/commands", id, &json!({"by": by, "command": command}), patience)
    }

    /// As [`Api::try_act`], for several acts, each of which bears its own id as `act`: the answer is a list of receipts.
    pub fn try_acts(&self, id: &str, by: &str, commands: &[Value], patience: Duration) -> Answer {
        self.try_post("/commands/batch", id, &json!({"by": by, "commands": commands}), patience)
    }

    fn try_post(&self, path: &str, id: &str, body: &Value, patience: Duration) -> Answer {
        let token = match self.token() {
            Ok(token) => token,
            Err(error) => return Answer::Silent(format!("no token: {error:#}")),
        };
        let request = self.agent.post(format!("http://{}/api/v1{path}", self.http));
        let request = request.config().timeout_global(Some(patience)).build();
        let sent =
            request.header("authorization", format!("Bearer {token}")).header("idempotency-key", id).send_json(body);
        let answer = sent.and_then(|mut answer| Ok((answer.status(), answer.body_mut().read_to_string()?)));
        match answer {
            Err(error) => Answer::Silent(error.to_string()),
            Ok((status, text)) if status.is_success() => match serde_json::from_str(&text) {
                Ok(receipt) => Answer::Done(receipt),
                Err(_) => Answer::Refused(status.as_u16(), format!("not JSON: {text}")),
            },
            Ok((status, text)) => Answer::Refused(status.as_u16(), text),
        }
    }

    /// What the node says of itself.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn status(&self) -> anyhow::Result<Value> {
        self.get("/status")
    }

    /// Records up to 10,000 acts, all or none.
    ///
    /// # Errors
    /// When the node refuses one of them.
    pub fn act_all(&self, commands: Vec<Value>) -> anyhow::Result<Value> {
        self.post("/commands/batch", &json!({"by": format!("{}值守员", self.name), "commands": commands}))
    }

    /// Hands a sealed volume to it, as `linli carry in` does, and returns what it says of it.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn take_volume(&self, volume: &[u8]) -> anyhow::Result<Value> {
        let (path, token) = ("/carry/volumes", self.token()?);
        let request = self.agent.post(format!("http://{}/api/v1{path}", self.http));
        let answer = request
            .header("authorization", format!("Bearer {token}"))
            .content_type("application/octet-stream")
            .send(volume);
        read(&self.name, path, answer)
    }

    /// Which records change from now on, as its pages hear it: ids, one after the other, until the node ends.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn changes(&self) -> anyhow::Result<impl Iterator<Item = String> + use<>> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_connect(Some(Duration::from_secs(10))).build().into();
        let request = agent.get(format!("http://{}/api/v1/changes", self.http));
        let answer = request.header("authorization", format!("Bearer {}", self.token()?)).call()?;
        let lines = BufReader::new(answer.into_body().into_reader()).lines().map_while(Result::ok);
        Ok(lines.filter_map(|line| {
            let change: Value = serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()?;
            change["record"].as_str().map(str::to_owned)
        }))
    }

    /// One of the node's counters or gauges by its full name; of a family with labels the sum.
    ///
    /// # Errors
    /// When the node does not answer or has no such metric.
    pub fn metric(&self, name: &str) -> anyhow::Result<u64> {
        let (_, text) = self.page("/metrics", None)?;
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        let values: Vec<f64> = lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
        if values.is_empty() {
            bail!("{} has no metric {name}", self.name);
        }
        Ok(values.iter().sum::<f64>() as u64)
    }

    /// What needs attention, as its desk shows it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn desk(&self) -> anyhow::Result<Desk> {
        Ok(serde_json::from_value(self.get("/desk")?)?)
    }

    /// Records of a kind, as its lists show them.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn records(&self, kind: &str) -> anyhow::Result<Vec<Summary>> {
        Ok(serde_json::from_value(self.get(&format!("/records?kind={kind}"))?)?)
    }

    /// One record as it shows it.
    ///
    /// # Errors
    /// When it does not answer or does not know the record.
    pub fn record(&self, id: &str) -> anyhow::Result<RecordView> {
        Ok(serde_json::from_value(self.get(&format!("/records/{id}"))?)?)
    }

    /// Signs an operator in with a code of their own, as a browser would; returns the cookie.
    ///
    /// # Errors
    /// When the node does not answer or refuses the code.
    pub fn sign_in(&self) -> anyhow::Result<String> {
        let issued = self.post("/operators", &json!({"name": "演练员"}))?;
        let code = issued["code"].as_str().context("no code")?;
        let url = format!("http://{}/sign-in", self.http);
        let origin = format!("http://{}", self.http);
        let answer = self.agent.post(url).header("origin", origin).send_form([("code", code), ("back", "/")])?;
        let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next()).map(str::to_owned);
        cookie.with_context(|| format!("{} gave no session: {}", self.name, answer.status()))
    }

    /// A page as a browser gets it, with the cookie of [`Api::sign_in`] or as anybody: status and body.
    ///
    /// # Errors
    /// When the node does not answer.
    pub fn page(&self, path: &str, session: Option<&str>) -> anyhow::Result<(u16, String)> {
        let mut request = self.agent.get(format!("http://{}{path}", self.http));
        if let Some(session) = session {
            request = request.header("cookie", session);
        }
        let mut answer = request.call()?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
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
