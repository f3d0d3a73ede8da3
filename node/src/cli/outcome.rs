//! Exit codes and errors of the command line: each error says what is wrong and ends with the next thing to try.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

/// Why something that was to be printed was not.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints a text and ends its line. Whoever closes our output (`linli peers | head -1`, or a supervisor that has read the
/// address) wants no more of it: that is no reason for a node to stop. Any other failure is told by [`all_printed`].
pub fn print(text: &str) {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => drop(UNPRINTED.set(error.to_string())),
        _ => {}
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
}

/// What a command returns.
pub type Outcome = Result<(), Failure>;

impl Failure {
    /// A failure with its advice.
    pub fn new(code: Code, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { code, message: message.into(), next: next.into() }
    }

    /// A misunderstanding.
    pub fn usage(message: impl Into<String>, next: impl Into<String>) -> Self {
        Self::new(Code::Usage, message, next)
    }

    /// Prints it on stderr, as text or as JSON, and gives the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            let body = serde_json::json!({"error": self.message, "next": self.next, "exit": self.code as u8});
            eprintln!("{body}");
        } else {
            eprintln!("error: {}", self.message);
            if !self.next.is_empty() {
                eprintln!("try:   {}", self.next);
            }
        }
        ExitCode::from(self.code as u8)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Code::Error, format!("{error:#}"), "linli --help lists the commands")
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
