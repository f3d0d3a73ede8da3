//! Who may act at this node's pages: one-time codes that become sessions. Node-local, never replicated; what is on
//! record of them stands in [`crate::access`].
//!
//! Codes and session tokens are kept as hashes only, so that a copied store lets nobody in. What is listed has a random
//! id of its own: an id made of the code would let whoever reads it find the code by trying.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use icu_normalizer::ComposingNormalizerBorrowed;
use linli_core::event::domain_hash;
use linli_core::id::EventId;
use linli_domain::check;
use linli_store::Store;
use serde::{Deserialize, Serialize};

use crate::node::NodeError;
use crate::peer_checks::CLOCK_WRONG_MS;

/// How long a one-time code waits to be used: one day, in milliseconds.
pub const CODE_LIFETIME_MS: u64 = 24 * 3_600_000;
/// How long a session lasts: thirty days, in milliseconds. A liaison signs in once before an outage.
pub const SESSION_LIFETIME_MS: u64 = 30 * 24 * 3_600_000;
/// Longest name of an operator, in characters.
pub const NAME_CHARS_MAX: usize = 40;
/// Most codes and sessions kept at once; the oldest go first. A street office has a few dozen people.
pub const KEPT_MAX: usize = 1_000;
/// How long a page may show a code again, as when it is reloaded: ten minutes, in milliseconds.
pub const SHOWN_FOR_MS: u64 = 600_000;
/// How far ahead of this clock a code may have been issued, in milliseconds. One that comes from further ahead was dated
/// by a clock that was wrong and has been put back since: its day says nothing, and it lets nobody in.
const CODE_AHEAD_MS: u64 = CLOCK_WRONG_MS;
/// Most codes that can be shown again at once.
const SHOWN_MAX: usize = 64;

/// Letters and digits that people do not mix up: no 0 O 1 I L U.
const ALPHABET: &[u8; 30] = b"23456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A signed-in operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What the browser keeps in its cookie.
    pub token: String,
    /// The operator's name, as it will stand in events.
    pub name: String,
    /// Whether they may issue and revoke codes: their own code came from the machine, not from a person.
    pub may_issue: bool,
}

/// A code or a session, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Names it in lists and in events. A session keeps the id of the code that it began with.
    #[serde(default)]
    pub id: String,
    /// For whom it is.
    pub name: String,
    /// Who issued the code; empty where a program before this list did.
    #[serde(default)]
    pub issued_by: String,
    /// When the code was issued, or the session began; 0 if a program before this list did.
    #[serde(default)]
    pub since_ms: u64,
    /// When it ends by itself.
    pub expires_ms: u64,
    /// When the session was last used; null for a code, and for a session that was not since the node started.
    #[serde(default)]
    pub last_used_ms: Option<u64>,
    /// Whether its operator may issue and revoke codes.
    #[serde(default)]
    pub may_issue: bool,
    /// The event that has the issuing on record; null for a start code that nobody has used yet.
    #[serde(default)]
    pub event: Option<EventId>,
    /// The act that issued it, if that had an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<String>,
}

impl Admission {
    /// Whether a code can be used: within its day, by a clock that has not been put back since it was issued. A session
    /// asks for its end only: a machine that has lost its clock in an outage must not put its people out.
    const fn is_valid_code(&self, now_ms: u64) -> bool {
        self.since_ms <= now_ms.saturating_add(CODE_AHEAD_MS) && now_ms < self.expires_ms
    }
}

/// All codes that wait and all sessions that last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Admissions {
    /// Codes that nobody has used yet.
    pub codes: Vec<Admission>,
    /// Sessions.
    pub sessions: Vec<Admission>,
}

/// Why a code lets nobody in. Both look the same to the person: try again or ask for a new one.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// Never issued, used already, revoked, or too old.
    #[error("this code is not valid: it may be mistyped, used already, or older than a day")]
    Unknown,
    /// Our own fault.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Codes or sessions under the hash of their secret.
type Kept = BTreeMap<Vec<u8>, Admission>;

/// A code that a page may show again, under the id of its admission.
struct Fresh {
    id: String,
    code: String,
    until_ms: u64,
}

#[derive(Default)]
struct State {
    codes: Kept,
    sessions: Kept,
    fresh: VecDeque<Fresh>,
}

/// Codes and sessions of one node.
pub struct Operators {
    store: Store,
    admin_token: String,
    /// What the store holds as well, so that no request waits for the disk to learn who asks.
    state: Mutex<State>,
    /// Issuing, signing in and revoking look, sign and then keep: one at a time.
    admitting: Mutex<()>,
}

impl Operators {
    /// Over a store's local family.
    ///
    /// # Errors
    /// When the store fails.
    pub fn open(store: Store, admin_token: String) -> Result<Self, NodeError> {
        let state = State { codes: read(&store, CODE)?, sessions: read(&store, SESSION)?, fresh: VecDeque::new() };
        Ok(Self { store, admin_token, state: Mutex::new(state), admitting: Mutex::default() })
    }

    /// The token with which the command line on this machine signs in as itself.
    pub fn admin_token(&self) -> &str {
        &self.admin_token
    }

    /// Held while somebody is let in or out.
    pub(crate) fn admitting(&self) -> MutexGuard<'_, ()> {
        self.admitting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws a one-time code such as `7KQ4-M2XD`, valid for a day, for whoever reads it at this machine. Nothing is
    /// signed before somebody uses it: a node that was rolled back must hear its peers before it writes.
    ///
    /// # Errors
    /// When the name cannot stand in an event, or the store fails.
    pub fn start_code(&self, name: &str, now_ms: u64) -> Result<String, NodeError> {
        self.keep_code(Admission {
            id: new_id()?,
            name: checked_name(name)?,
            issued_by: START.to_owned(),
            since_ms: now_ms,
            expires_ms: now_ms + CODE_LIFETIME_MS,
            last_used_ms: None,
            may_issue: true,
            event: None,
            act: None,
        })
    }

    /// Draws and keeps the code of an admission that is on record, or will be when it is used.
    pub(crate) fn keep_code(&self, admission: Admission) -> Result<String, NodeError> {
        let code = random_code()?;
        let mut state = self.lock();
        let now_ms = admission.since_ms;
        let (id, key) = (admission.id.clone(), key_of(CODE, &code));
        self.keep(&mut state.codes, key, admission, now_ms)?;
        if state.fresh.len() >= SHOWN_MAX {
            state.fresh.pop_front();
        }
        state.fresh.push_back(Fresh { id, code: code.clone(), until_ms: now_ms + SHOWN_FOR_MS });
        Ok(code)
    }

    /// The code of an admission, while a page may show it again: for ten minutes, and until it is used or revoked.
    pub fn shown_again(&self, id: &str, now_ms: u64) -> Option<String> {
        let state = self.lock();
        let waits = state.codes.values().any(|code| code.id == id && code.is_valid_code(now_ms));
        let fresh = state.fresh.iter().find(|fresh| fresh.id == id && fresh.until_ms > now_ms);
        fresh.filter(|_| waits).map(|fresh| fresh.code.clone())
    }

    /// The admission that an act issued, if it still waits or lasts.
    pub(crate) fn issued_by_act(&self, act: &str) -> Option<Admission> {
        let state = self.lock();
        let mut all = state.codes.values().chain(state.sessions.values());
        all.find(|admission| admission.act.as_deref() == Some(act)).cloned()
    }

    /// What a code would let in, without using it up.
    pub(crate) fn waiting(&self, code: &str, now_ms: u64) -> Option<Admission> {
        let state = self.lock();
        state.codes.get(&key_of(CODE, &canonical(code)?)).filter(|kept| kept.is_valid_code(now_ms)).cloned()
    }

    /// The ids of everything that lets somebody in.
    pub(crate) fn ids(&self) -> Vec<String> {
        let state = self.lock();
        state.codes.values().chain(state.sessions.values()).map(|kept| kept.id.clone()).collect()
    }

    /// Turns a code into a session; `event` has its issuing on record ([`Node::sign_in`] sees to that). Case, spaces and
    /// the dash do not matter.
    ///
    /// [`Node::sign_in`]: crate::node::Node::sign_in
    ///
    /// # Errors
    /// [`RedeemError::Unknown`] for anything that is not a valid unused code.
    pub fn redeem(&self, code: &str, event: EventId, now_ms: u64) -> Result<Session, RedeemError> {
        let key = key_of(CODE, &canonical(code).ok_or(RedeemError::Unknown)?);
        let mut state = self.lock();
        let kept = state.codes.get(&key).filter(|kept| kept.is_valid_code(now_ms)).cloned();
        let kept = kept.ok_or(RedeemError::Unknown)?;
        self.store.local().delete(&key).map_err(NodeError::from)?;
        state.codes.remove(&key);
        state.fresh.retain(|fresh| fresh.id != kept.id);
        let token = BASE64URL_NOPAD.encode(&random_bytes::<32>()?);
        let session = Session { token, name: kept.name.clone(), may_issue: kept.may_issue };
        let expires_ms = now_ms + SESSION_LIFETIME_MS;
        let kept = Admission { since_ms: now_ms, expires_ms, event: Some(event), ..kept };
        self.keep(&mut state.sessions, key_of(SESSION, &session.token), kept, now_ms)?;
        Ok(session)
    }

    /// The session that a token belongs to, unless it ended. Notes that it is used.
    pub fn session(&self, token: &str, now_ms: u64) -> Option<Session> {
        let mut state = self.lock();
        let kept = state.sessions.get_mut(&key_of(SESSION, token)).filter(|kept| kept.expires_ms > now_ms)?;
        kept.last_used_ms = Some(now_ms);
        Some(Session { token: token.to_owned(), name: kept.name.clone(), may_issue: kept.may_issue })
    }

    /// Signs out.
    ///
    /// # Errors
    /// When the store fails; then the session lasts.
    pub fn end_session(&self, token: &str) -> Result<(), NodeError> {
        let key = key_of(SESSION, token);
        self.store.local().delete(&key)?;
        self.lock().sessions.remove(&key);
        Ok(())
    }

    /// Everything that lets somebody in, the latest first.
    pub fn admissions(&self, now_ms: u64) -> Admissions {
        let state = self.lock();
        let listed = |kept: &Kept, is_valid: fn(&Admission, u64) -> bool| {
            let mut all: Vec<Admission> = kept.values().filter(|one| is_valid(one, now_ms)).cloned().collect();
            all.sort_by(|a, b| (b.since_ms, &a.id).cmp(&(a.since_ms, &b.id)));
            all
        };
        Admissions {
            codes: listed(&state.codes, Admission::is_valid_code),
            sessions: listed(&state.sessions, |session, now_ms| session.expires_ms > now_ms),
        }
    }

    /// Ends the code or session of an id.
    pub(crate) fn end(&self, id: &str) -> Result<(), NodeError> {
        let mut state = self.lock();
        let State { codes, sessions, .. } = &mut *state;
        for kept in [codes, sessions] {
            let keys: Vec<Vec<u8>> = kept.iter().filter(|(_, one)| one.id == id).map(|(key, _)| key.clone()).collect();
            for key in keys {
                self.store.local().delete(&key)?;
                kept.remove(&key);
            }
        }
        Ok(())
    }

    /// Ends every code and session; says how many there were.
    pub(crate) fn end_all(&self) -> Result<usize, NodeError> {
        let mut state = self.lock();
        let State { codes, sessions, .. } = &mut *state;
        let mut ended = 0;
        for kept in [codes, sessions] {
            for key in std::mem::take(kept).into_keys() {
                self.store.local().delete(&key)?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Keeps one more; drops what has expired, and the oldest where there are too many.
    fn keep(&self, all: &mut Kept, key: Vec<u8>, one: Admission, now_ms: u64) -> Result<(), NodeError> {
        let mut by_end: Vec<(u64, Vec<u8>)> = all.iter().map(|(key, kept)| (kept.expires_ms, key.clone())).collect();
        by_end.sort();
        let surplus = by_end.len().saturating_sub(KEPT_MAX - 1);
        for (i, (expires_ms, old)) in by_end.iter().enumerate() {
            if i < surplus || *expires_ms <= now_ms {
                self.store.local().delete(old)?;
                all.remove(old);
            }
        }
        let bytes = serde_json::to_vec(&one).map_err(|e| NodeError::Internal(e.to_string()))?;
        self.store.local().put(&key, &bytes)?;
        all.insert(key, one);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const CODE: &str = "operator/code/";
const SESSION: &str = "operator/session/";
/// Stands as the issuer of the code that a start draws.
pub(crate) const START: &str = "linli serve";

/// What the store keeps. Programs before this list kept a name and an end.
fn read(store: &Store, what: &str) -> Result<Kept, NodeError> {
    let mut kept = Kept::new();
    for (key, bytes) in store.local().scan(what.as_bytes(), None, 2 * KEPT_MAX)? {
        match serde_json::from_slice::<Admission>(&bytes) {
            Ok(mut admission) => {
                if admission.id.is_empty() {
                    admission.id = new_id()?;
                }
                kept.insert(key, admission);
            }
            Err(error) => tracing::warn!(%error, "a code or session that cannot be read lets nobody in"),
        }
    }
    Ok(kept)
}

/// An operator's name as it will stand in events: composed as keyboards compose it, and nothing in it that no screen
/// shows.
///
/// # Errors
/// Says what a name may be.
pub fn checked_name(name: &str) -> Result<String, NodeError> {
    let name = ComposingNormalizerBorrowed::new_nfc().normalize(name.trim()).into_owned();
    let (count, hidden) = (name.chars().count(), name.chars().find(|c| c.is_control() || check::is_unshown(*c)));
    if let Some(hidden) = hidden {
        let code = u32::from(hidden);
        return Err(NodeError::Input(format!(
            "操作人姓名中有看不见的字符 U+{code:04X} / an operator's name holds U+{code:04X}, which no screen shows"
        )));
    }
    if !(1..=NAME_CHARS_MAX).contains(&count) {
        return Err(NodeError::Input(format!(
            "操作人姓名须为 1 至 {NAME_CHARS_MAX} 个字 / an operator's name has 1 to {NAME_CHARS_MAX} characters"
        )));
    }
    Ok(name)
}

/// What was typed, as codes are written.
fn canonical(code: &str) -> Option<String> {
    let typed: String = code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    (typed.len() == 8).then(|| format!("{}-{}", &typed[..4], &typed[4..]))
}

fn key_of(what: &str, secret: &str) -> Vec<u8> {
    let hash = domain_hash("linli/operator/1", &[what.as_bytes(), secret.as_bytes()]);
    format!("{what}{}", HEXLOWER.encode(&hash)).into_bytes()
}

/// A new id of an admission: 16 hexadecimal digits.
pub(crate) fn new_id() -> Result<String, NodeError> {
    Ok(HEXLOWER.encode(&random_bytes::<8>()?))
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

    const EVENT: EventId = EventId::from_bytes([7; 32]);

    fn operators() -> Operators {
        Operators::open(Store::in_memory(), "token".into()).unwrap()
    }

    #[test]
    fn a_code_works_once_and_forgives_typing() {
        let operators = operators();
        let code = operators.start_code("王联络", 1_000).unwrap();
        let typed = code.replace('-', " ").to_lowercase();
        let session = operators.redeem(&typed, EVENT, 2_000).unwrap();
        assert_eq!(session.name, "王联络");
        assert_eq!(operators.session(&session.token, 3_000), Some(session.clone()));
        assert!(matches!(operators.redeem(&code, EVENT, 4_000), Err(RedeemError::Unknown)));
        operators.end_session(&session.token).unwrap();
        assert_eq!(operators.session(&session.token, 5_000), None);
    }

    #[test]
    fn after_a_restore_everybody_signs_in_anew() {
        let store = Store::in_memory();
        let operators = Operators::open(store.clone(), "token".into()).unwrap();
        let session = operators.redeem(&operators.start_code("甲", 1).unwrap(), EVENT, 2).unwrap();
        operators.start_code("乙", 3).unwrap();
        assert_eq!(operators.end_all().unwrap(), 2);
        for operators in [operators, Operators::open(store, "token".into()).unwrap()] {
            assert_eq!(operators.session(&session.token, 4), None);
            assert!(operators.admissions(5).codes.is_empty());
        }
    }

    #[test]
    fn codes_and_sessions_end() {
        let operators = operators();
        let code = operators.start_code("王联络", 0).unwrap();
        assert!(operators.redeem(&code, EVENT, CODE_LIFETIME_MS + 1).is_err());
        let code = operators.start_code("王联络", 0).unwrap();
        let session = operators.redeem(&code, EVENT, 0).unwrap();
        assert!(operators.session(&session.token, SESSION_LIFETIME_MS + 1).is_none());
        assert!(operators.redeem("", EVENT, 0).is_err() && operators.session("guess", 0).is_none());
    }

    #[test]
    fn a_code_that_a_wrong_clock_dated_lets_nobody_in_once_the_clock_is_put_right() {
        const DAY_MS: u64 = 24 * 3_600_000;
        let now = 400 * DAY_MS;
        for (issued, works) in [
            (now + 365 * DAY_MS, false),
            (now + 2 * DAY_MS, false),
            (now + CODE_AHEAD_MS + 1, false),
            // A clock that is put back by minutes ends nothing.
            (now + 600_000, true),
            (now, true),
            (now - DAY_MS, false),
        ] {
            let operators = operators();
            let code = operators.start_code("王联络", issued).unwrap();
            let ahead = i128::from(issued) - i128::from(now);
            assert_eq!(operators.waiting(&code, now).is_some(), works, "issued {ahead} ms ahead");
            assert_eq!(operators.admissions(now).codes.len(), usize::from(works), "issued {ahead} ms ahead");
            assert_eq!(operators.redeem(&code, EVENT, now).is_ok(), works, "issued {ahead} ms ahead");
        }
    }

    #[test]
    fn what_lets_somebody_in_is_listed_ended_and_known_after_a_restart() {
        let store = Store::in_memory();
        let operators = Operators::open(store.clone(), "token".into()).unwrap();
        // given one code that waits, one session, and one session of a program before this list
        operators.start_code("甲", 1).unwrap();
        let code = operators.start_code("乙", 2).unwrap();
        let session = operators.redeem(&code, EVENT, 3).unwrap();
        let old = serde_json::json!({"name": "丙", "expires_ms": 1_000_000});
        store.local().put(&key_of(SESSION, "old"), old.to_string().as_bytes()).unwrap();
        // when the node starts again
        let operators = Operators::open(store.clone(), "token".into()).unwrap();
        // then all are known, and the one of before may not issue
        let listed = operators.admissions(10);
        assert_eq!(listed.codes.iter().map(|code| &*code.name).collect::<Vec<_>>(), ["甲"]);
        assert_eq!(listed.sessions.iter().map(|session| &*session.name).collect::<Vec<_>>(), ["乙", "丙"]);
        assert!(operators.session(&session.token, 11).unwrap().may_issue);
        assert!(!operators.session("old", 12).unwrap().may_issue);
        assert_eq!(operators.admissions(13).sessions[1].last_used_ms, Some(12));
        // and what is ended is ended here and after the next start
        operators.end(&listed.codes[0].id).unwrap();
        operators.end(&listed.sessions[0].id).unwrap();
        for operators in [operators, Operators::open(store, "token".into()).unwrap()] {
            let left = operators.admissions(14);
            assert_eq!((left.codes.len(), left.sessions.len()), (0, 1));
            assert_eq!(operators.session(&session.token, 14), None);
        }
    }

    #[test]
    fn a_name_is_composed_and_shows_all_it_holds() {
        assert_eq!(checked_name(" Re\u{301}mi ").unwrap(), "R\u{e9}mi");
        for name in ["", " ", "\u{200b}", "王\u{202e}芳", "王\n芳", "a\0", &"长".repeat(41)] {
            assert!(matches!(checked_name(name), Err(NodeError::Input(_))), "{name:?}");
        }
    }
}
