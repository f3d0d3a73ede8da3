//! How the command line talks to the node that runs on this machine: its HTTP API, with the token that only the
//! owner of the data directory can read.

use std::time::Duration;

use linli_domain::act::ActId;
use linli_domain::commands::Refusal;
use serde_json::Value;

use crate::cli::outcome::{Code, Failure};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::http::DIRECTORY_HEADER;

/// Longest wait for an answer. Commands are quick; an import of a street takes a few seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How an act is sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'s> {
    /// Its id.
    pub act: ActId,
    /// Whether the person says that the clock is right although other nodes differ.
    pub clock_checked: bool,
    /// The command that sends it again.
    pub again: &'s str,
}

/// A connection to the running node.
pub struct Client {
    agent: ureq::Agent,
    base: String,
    token: String,
    /// Which data directory this is, so that a copy's commands are not done at the original.
    directory: String,
}

impl Client {
    /// For the node of a data directory, where it served last, or where the settings say before its first start.
    ///
    /// # Errors
    /// When no node lives there.
    pub fn new(dir: &DataDir, config: &Config) -> Result<Self, Failure> {
        dir.read_key(crate::data_dir::KeyName::Node)?;
        let mut address = dir.http_address().unwrap_or(config.http);
        if address.ip().is_unspecified() {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        let agent = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false).build();
        Ok(Self {
            agent: agent.into(),
            base: format!("http://{address}/api/v1"),
            token: dir.api_token()?,
            directory: dir.identity().unwrap_or_default(),
        })
    }

    /// Whether a node answers at all.
    pub fn is_running(&self) -> bool {
        self.get("/status").is_ok()
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self
            .agent
            .get(format!("{}{path}", self.base))
            .header("authorization", self.bearer())
            .header(DIRECTORY_HEADER, &self.directory);
        self.read(request.call())
    }

    /// Sends a body.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("authorization", self.bearer())
            .header(DIRECTORY_HEADER, &self.directory);
        self.read(request.send_json(body))
    }

    /// Sends an act, or a batch of acts, under its id. An answer that is lost says nothing of what was recorded: then the
    /// failure names the id and `again`, the command that sends it again.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub fn post_act(&self, path: &str, body: &Value, sent: &Sent<'_>) -> Result<Value, Failure> {
        let Sent { act, clock_checked, again } = *sent;
        let request = self.agent.post(format!("{}{path}", self.base)).header("authorization", self.bearer());
        let request = request.header("idempotency-key", act.to_string());
        let request = request.header(DIRECTORY_HEADER, &self.directory);
        let request = if clock_checked { request.header("clock-checked", "yes") } else { request };
        let answer = request.send_json(body);
        let lost = matches!(&answer, Err(error) if may_have_arrived(error));
        match self.read(answer) {
            Err(failure) if lost || failure.code == Code::OutcomeUnknown => {
                let message = format!("the act {act} may have been recorded: {}", failure.message);
                Err(Failure::new(Code::OutcomeUnknown, message, again))
            }
            Err(failure) if failure.code == Code::NotDurable => Err(Failure { next: again.to_owned(), ..failure }),
            answered => answered,
        }
    }

    /// Deletes a resource.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub fn delete(&self, path: &str) -> Result<Value, Failure> {
        let request = self
            .agent
            .delete(format!("{}{path}", self.base))
            .header("authorization", self.bearer())
            .header(DIRECTORY_HEADER, &self.directory);
        self.read(request.call())
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the node does not answer, or refuses.
    pub fn post_bytes(&self, path: &str, body: &[u8]) -> Result<Value, Failure> {
        let request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("authorization", self.bearer())
            .header(DIRECTORY_HEADER, &self.directory);
        self.read(request.header("content-type", "application/octet-stream").send(body))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn read(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Value, Failure> {
        let unreachable = |e: ureq::Error| {
            let message = format!("the node at {} does not answer: {e}", self.base);
            Failure::new(Code::Unreachable, message, "start it with `linli serve`, or name another --data-dir")
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status();
        let body: Value = answer.body_mut().read_json().map_err(unreachable)?;
        if status.is_success() {
            return Ok(body);
        }
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let message = match (text("zh"), text("en")) {
            (zh, en) if zh.is_empty() && en.is_empty() => format!("the node answered {status}"),
            (zh, en) => format!("{zh} / {en}"),
        };
        Err(Failure::new(code_of(status, &text("code")), message, text("next")))
    }
}

/// What an error of the API is to a script.
fn code_of(status: ureq::http::StatusCode, code: &str) -> Code {
    let of_the_domain = || Refusal::ALL.iter().any(|reason| reason.code() == code);
    match code {
        "not_allowed" => Code::NotAllowed,
        "not_durable" => Code::NotDurable,
        "outcome_unknown" => Code::OutcomeUnknown,
        "act_reused" | "nothing_to_do" | "clock_wrong" => Code::Refused,
        _ if !status.is_client_error() => Code::Error,
        _ if of_the_domain() => Code::Refused,
        _ => Code::Usage,
    }
}

/// Whether a request that failed may have reached the node all the same.
fn may_have_arrived(error: &ureq::Error) -> bool {
    !matches!(
        error,
        ureq::Error::ConnectionFailed
            | ureq::Error::HostNotFound
            | ureq::Error::BadUri(_)
            | ureq::Error::Http(_)
            | ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
    ) && !matches!(error, ureq::Error::Io(cause) if matches!(cause.kind(), std::io::ErrorKind::ConnectionRefused))
}
