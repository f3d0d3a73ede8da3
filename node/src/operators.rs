//! Who may act at this node's pages: one-time codes that become sessions. Node-local, never replicated.
//!
//! Codes and session tokens are kept as hashes only, so that a copied store lets nobody in.

use std::sync::Mutex;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use linli_core::event::domain_hash;
use linli_store::Store;
use serde::{Deserialize, Serialize};

use crate::node::NodeError;

/// How long a one-time code waits to be used: one day, in milliseconds.
pub const CODE_LIFETIME_MS: u64 = 24 * 3_600_000;
/// How long a session lasts: thirty days, in milliseconds. A liaison signs in once before an outage.
pub const SESSION_LIFETIME_MS: u64 = 30 * 24 * 3_600_000;
/// Longest name of an operator, in characters.
pub const NAME_CHARS_MAX: usize = 40;
/// Most codes and sessions kept at once; the oldest go first. A street office has a few dozen people.
pub const KEPT_MAX: usize = 1_000;

/// Letters and digits that people do not mix up: no 0 O 1 I L U.
const ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A signed-in operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What the browser keeps in its cookie.
    pub token: String,
    /// The operator's name, as it will stand in events.
    pub name: String,
}

/// Why a code lets nobody in. Both look the same to the person: try again or ask for a new one.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// Never issued, used already, or too old.
    #[error("this code is not valid: it may be mistyped, used already, or older than a day")]
    Unknown,
    /// Our own fault.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// What is kept under the hash of a code or token.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    expires_ms: u64,
}

/// Codes and sessions of one node.
pub struct Operators {
    store: Store,
    admin_token: String,
    /// Redeeming reads, deletes and writes: one at a time keeps a code one-time.
    redeeming: Mutex<()>,
}

impl Operators {
    /// Over a store's local family.
    pub fn new(store: Store, admin_token: String) -> Self {
        Self { store, admin_token, redeeming: Mutex::new(()) }
    }

    /// The token with which the command line on this machine signs in as itself.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Issues a one-time code such as `7KQ4-M2XD`, valid for a day.
    ///
    /// # Errors
    /// When the name is empty or too long, or the store fails.
    pub fn issue_code(&self, name: &str, now_ms: u64) -> Result<String, NodeError> {
        let name = name.trim();
        let allowed = !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control);
        if !allowed {
            return Err(NodeError::Input(format!(
                "操作人姓名须为 1 至 {NAME_CHARS_MAX} 个字 / an operator's name has 1 to {NAME_CHARS_MAX} characters"
            )));
        }
        let code = random_code()?;
        self.keep(CODE, &code, name, now_ms + CODE_LIFETIME_MS, now_ms)?;
        Ok(code)
    }

    /// Turns a code into a session. Case, spaces and the dash do not matter.
    ///
    /// # Errors
    /// [`RedeemError::Unknown`] for anything that is not a valid unused code.
    pub fn redeem(&self, code: &str, now_ms: u64) -> Result<Session, RedeemError> {
        let typed: String = code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
        if typed.len() != 8 {
            return Err(RedeemError::Unknown);
        }
        let code = format!("{}-{}", &typed[..4], &typed[4..]);
        let _one_at_a_time = self.redeeming.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let kept = self.kept(CODE, &code, now_ms)?.ok_or(RedeemError::Unknown)?;
        self.store.local().delete(&key_of(CODE, &code)).map_err(NodeError::from)?;
        let token = BASE64URL_NOPAD.encode(&random_bytes::<32>()?);
        self.keep(SESSION, &token, &kept.name, now_ms + SESSION_LIFETIME_MS, now_ms)?;
        Ok(Session { token, name: kept.name })
    }

    /// The session that a token belongs to, unless it ended.
    pub fn session(&self, token: &str, now_ms: u64) -> Option<Session> {
        let kept = self.kept(SESSION, token, now_ms).ok()??;
        Some(Session { token: token.to_owned(), name: kept.name })
    }

    /// Signs out.
    pub fn end_session(&self, token: &str) {
        if let Err(error) = self.store.local().delete(&key_of(SESSION, token)) {
            tracing::error!(%error, "could not end a session");
        }
    }

    fn keep(&self, what: &str, secret: &str, name: &str, expires_ms: u64, now_ms: u64) -> Result<(), NodeError> {
        self.forget_old(what, now_ms)?;
        let kept = Kept { name: name.to_owned(), expires_ms };
        let bytes = serde_json::to_vec(&kept).map_err(|e| NodeError::Internal(e.to_string()))?;
        Ok(self.store.local().put(&key_of(what, secret), &bytes)?)
    }

    fn kept(&self, what: &str, secret: &str, now_ms: u64) -> Result<Option<Kept>, NodeError> {
        let Some(bytes) = self.store.local().get(&key_of(what, secret))? else { return Ok(None) };
        Ok(serde_json::from_slice::<Kept>(&bytes).ok().filter(|kept| kept.expires_ms > now_ms))
    }

    /// Drops what has expired, and the oldest where there are too many.
    fn forget_old(&self, what: &str, now_ms: u64) -> Result<(), NodeError> {
        let mut all: Vec<(u64, Vec<u8>)> = vec![];
        for (key, bytes) in self.store.local().scan(what.as_bytes(), None, KEPT_MAX + 1)? {
            let expires_ms = serde_json::from_slice::<Kept>(&bytes).map_or(0, |kept| kept.expires_ms);
            all.push((expires_ms, key));
        }
        all.sort();
        let surplus = all.len().saturating_sub(KEPT_MAX - 1);
        for (i, (expires_ms, key)) in all.iter().enumerate() {
            if i < surplus || *expires_ms <= now_ms {
                self.store.local().delete(key)?;
            }
        }
        Ok(())
    }
}

const CODE: &str = "operator/code/";
const SESSION: &str = "operator/session/";

fn key_of(what: &str, secret: &str) -> Vec<u8> {
    let hash = domain_hash("linli/operator/1", &[what.as_bytes(), secret.as_bytes()]);
    format!("{what}{}", HEXLOWER.encode(&hash)).into_bytes()
}

fn random_bytes<const N: usize>() -> Result<[u8; N], NodeError> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|e| NodeError::Internal(format!("no randomness: {e}")))?;
    Ok(bytes)
}

/// Eight symbols, evenly drawn: bytes that would favour the first symbols are thrown away.
fn random_code() -> Result<String, NodeError> {
    let fair = 256 - 256 % ALPHABET.len();
    let mut code = String::with_capacity(9);
    while code.len() < 9 {
        for byte in random_bytes::<16>()? {
            if usize::from(byte) < fair && code.len() < 9 {
                code.push(char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
                if code.len() == 4 {
                    code.push('-');
                }
            }
        }
    }
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operators() -> Operators {
        Operators::new(Store::in_memory(), "token".into())
    }

    #[test]
    fn a_code_works_once_and_forgives_typing() {
        let operators = operators();
        let code = operators.issue_code("王联络", 1_000).unwrap();
        let typed = code.replace('-', " ").to_lowercase();
        let session = operators.redeem(&typed, 2_000).unwrap();
        assert_eq!(session.name, "王联络");
        assert_eq!(operators.session(&session.token, 3_000), Some(session.clone()));
        assert!(matches!(operators.redeem(&code, 4_000), Err(RedeemError::Unknown)));
        operators.end_session(&session.token);
        assert_eq!(operators.session(&session.token, 5_000), None);
    }

    #[test]
    fn codes_and_sessions_end() {
        let operators = operators();
        let code = operators.issue_code("王联络", 0).unwrap();
        assert!(operators.redeem(&code, CODE_LIFETIME_MS + 1).is_err());
        let code = operators.issue_code("王联络", 0).unwrap();
        let session = operators.redeem(&code, 0).unwrap();
        assert!(operators.session(&session.token, SESSION_LIFETIME_MS + 1).is_none());
        assert!(operators.issue_code(" ", 0).is_err());
        assert!(operators.redeem("", 0).is_err() && operators.session("guess", 0).is_none());
    }
}
