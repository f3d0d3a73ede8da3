//! Exit codes and errors of the command line: each error says what is wrong and ends with the next thing to try.

use std::borrow::Cow;
use std::io::{BufWriter, ErrorKind, StdoutLock, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

use linli_domain::check::is_unshown;
use linli_store::StoreError;
use serde_json::{Map, Value};

use crate::data_dir::SecretError;

/// Why something that was to be printed was not.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints a text and ends its line. Whoever closes our output (`linli peers | head -1`, or a supervisor that has read the
/// address) wants no more of it: that is no reason for a node to stop. Any other failure is told by [`all_printed`].
pub fn print(text: &str) {
    match writeln!(std::io::stdout().lock(), "{}", shown(text)) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(UNPRINTED.set(error.to_string())),
        _ => {}
    }
}

/// A text with what would command a terminal, or turn its writing round, shown by its number. File names, peers and
/// records may hold anything. In JSON the numbers are the escapes of the same characters.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    const JOINTS: [char; 2] = ['\u{200c}', '\u{200d}'];
    let commands = |c: char| is_unshown(c) || c == '\r';
    let acts = |c: char| commands(c) && !JOINTS.contains(&c) && u32::from(c) <= 0xffff;
    if !text.contains(acts) {
        return text.into();
    }
    let one = |c: char| if acts(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    text.chars().map(one).collect::<String>().into()
}

/// Prints many lines: as [`print`], without a system call for each.
pub(super) struct Printer {
    out: BufWriter<StdoutLock<'static>>,
    closed: bool,
}

impl Printer {
    pub(super) fn new() -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()), closed: false }
    }

    /// Prints a text and ends its line.
    pub(super) fn line(&mut self, text: &str) {
        if !self.closed {
            let written = writeln!(self.out, "{}", shown(text));
            self.note(written);
        }
    }

    /// Lets the last lines out.
    pub(super) fn finish(mut self) {
        let flushed = self.out.flush();
        self.note(flushed);
    }

    fn note(&mut self, written: std::io::Result<()>) {
        let Err(error) = written else { return };
        self.closed = true;
        if error.kind() != ErrorKind::BrokenPipe {
            drop(UNPRINTED.set(error.to_string()));
        }
    }
}

/// Whether everything that was printed got out.
///
/// # Errors
/// Says why not, such as a full disk.
pub fn all_printed() -> Outcome {
    UNPRINTED.get().map_or(Ok(()), |why| {
        let next = "write it to a disk with room, and run the command again";
        Err(Failure::new(Code::Error, format!("the output could not be written: {why}"), next))
    })
}

/// What the process tells its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Something went wrong.
    Error = 1,
    /// The command was not understood.
    Usage = 2,
    /// It works, and something needs attention.
    Degraded = 3,
    /// A signature, chain or file did not verify.
    VerificationFailed = 4,
    /// The node does not answer.
    Unreachable = 5,
    /// The node understood and refuses: a rule, somebody else's change, or an act id that is another act's.
    Refused = 6,
    /// The node has no right to write that.
    NotAllowed = 7,
    /// The disk did not take it: nothing was acknowledged. Under the same act id it may be sent again.
    NotDurable = 8,
    /// The act may have been recorded. Under the same act id it may be sent again.
    OutcomeUnknown = 9,
}

/// A failure as people and scripts see it.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The next thing to try.
    pub next: String,
    /// Further fields for programs, such as the place of what is wrong in a file.
    pub details: Map<String, Value>,
}

/// What a command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure with its advice.
    pub fn new(code: Code, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: next.into(), details: Map::new() }
    }

    /// The same with a further field for programs.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.details.insert(field.to_owned(), value.into());
        self
    }

    /// A misunderstanding.
    pub fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Code::Usage, message, next)
    }

    /// Prints it on stderr, as text or as JSON, and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            let mut body = self.details.clone();
            body.insert("error".to_owned(), self.message.clone().into());
            body.insert("next".to_owned(), self.next.clone().into());
            body.insert("exit".to_owned(), (self.code as u8).into());
            eprintln!("{}", shown(&Value::Object(body).to_string()));
        } else {
            eprintln!("error: {}", shown(&self.message));
            if !self.next.is_empty() {
                eprintln!("try:   {}", shown(&self.next));
            }
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Error, in_words(&error), next_step(&error))
    }
}

/// What is wrong, from the outside in. Some errors repeat their cause in their own words: it is said once.
fn in_words(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string).filter(|cause| !cause.is_empty()) {
        if !said.contains(&cause) {
            said = if said.is_empty() { cause } else { format!("{said}: {cause}") };
        }
    }
    said
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::from(anyhow::Error::from(error))
    }
}

/// What helps against the first cause that this program knows. Founding a district never helps a node that exists.
fn next_step(error: &anyhow::Error) -> String {
    let known = error.chain().find_map(|cause| {
        let secret = cause.downcast_ref::<SecretError>().and_then(secret_next);
        let store = || cause.downcast_ref::<StoreError>().and_then(store_next).map(str::to_owned);
        let system = || cause.downcast_ref::<std::io::Error>().and_then(system_next).map(str::to_owned);
        secret.or_else(store).or_else(system)
    });
    known.unwrap_or_else(|| "linli --help lists the commands".to_owned())
}

fn secret_next(error: &SecretError) -> Option<String> {
    Some(match error {
        SecretError::NoNode(_) => {
            "linli init founds a district here, linli join asks one to let this machine in; --data-dir names another \
             place"
                .to_owned()
        }
        SecretError::ReadableByOthers(path) => {
            let shown = path.display();
            format!("chmod 600 {shown}; if others may have read it, tell the district that this key is known")
        }
        SecretError::Damaged(path) => {
            format!("restore {} from a backup; never replace it by a new key", path.display())
        }
        // What the system says stands further down.
        SecretError::Unreadable { .. } => return None,
    })
}

const fn store_next(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::InUse => Some("linli status asks the node that runs already; stop it before another is started"),
        StoreError::ReadOnly | StoreError::Poisoned(_) => {
            Some("see that the disk is whole, writable and not full; then start the node again")
        }
        StoreError::LittleRoom { .. } => Some("make room on that disk, then linli serve"),
        StoreError::NewerFormat { .. } => {
            Some("start the program that wrote it, or restore a copy from before the upgrade")
        }
        StoreError::Damaged(_) => {
            Some("restore the data directory from a copy or join anew; your events at other nodes are not lost")
        }
        StoreError::Backend(_) | StoreError::DirectoryGone(_) => {
            Some("check the disk, who owns the data directory, and its permissions; then linli serve")
        }
    }
}

fn system_next(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem => {
            Some("mount the disk for writing (mount -o remount,rw), or name another place with --data-dir")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Some("make room on the disk; nothing that was recorded is lost")
        }
        ErrorKind::PermissionDenied => Some("run the command as the owner of the data directory"),
        _ => None,
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::from(anyhow::Error::from(error))
    }
}

impl From<crate::config::ConfigError> for Failure {
    fn from(error: crate::config::ConfigError) -> Self {
        Self::new(Code::Usage, error.to_string(), "linli config example")
    }
}

impl From<linli_core::enrol::EnrolError> for Failure {
    fn from(error: linli_core::enrol::EnrolError) -> Self {
        Self::new(Code::Usage, error.to_string(), "linli join prints a request; linli invite answers it with a ticket")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::NodeError;

    #[test]
    fn what_would_command_a_terminal_is_shown_and_json_stays_what_it_says() {
        assert_eq!(
            shown("卷\u{1b}[2J\u{202e}.age\n\t\u{1f468}\u{200d}\u{1f469}"),
            "卷\\u001b[2J\\u202e.age\n\t\u{1f468}\u{200d}\u{1f469}"
        );
        let json = serde_json::json!({"file": "a\u{1b}\u{9b}31m\u{202e}"});
        assert!(!shown(&json.to_string()).contains('\u{9b}'));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown(&json.to_string())).unwrap(), json);
    }

    #[test]
    fn the_next_step_fits_the_cause_and_never_founds_a_district_over_a_node() {
        let next = |error: anyhow::Error| Failure::from(error.context("cannot start")).next;
        let system =
            |kind: ErrorKind| anyhow::Error::from(std::io::Error::from(kind)).context("cannot write the store");
        let key = || std::path::PathBuf::from("keys/node.key");
        for (error, word) in [
            (SecretError::ReadableByOthers(key()).into(), "chmod 600 keys/node.key"),
            (SecretError::Damaged(key()).into(), "backup"),
            (StoreError::InUse.into(), "linli status"),
            (StoreError::Poisoned("EIO".into()).into(), "disk"),
            (NodeError::from(StoreError::Damaged("a table".into())).into(), "restore"),
            (NodeError::from(StoreError::Backend("Input/output error".into())).into(), "disk"),
            (system(ErrorKind::ReadOnlyFilesystem), "remount"),
            (system(ErrorKind::StorageFull), "room"),
            (system(ErrorKind::PermissionDenied), "owner"),
        ] {
            let said = next(error);
            assert!(said.contains(word) && !said.contains("linli init"), "{word}: {said}");
        }
        assert!(next(SecretError::NoNode(key()).into()).contains("linli init"));
    }
}
