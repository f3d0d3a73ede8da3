//! Who was let in by whom, on record: issuing a sign-in code, revoking one, and ending somebody's session are signed
//! events of this node's log. They belong to no record, and nothing is folded from them.
//!
//! Whoever reads the data directory may issue codes, and so may those whose own code came from there. A code that a
//! person issues makes an operator who issues none.
//!
//! What a node of this node's area, or of a larger one, revokes ends here as well, as soon as its event arrives: a person
//! who must be kept out is kept out wherever they were let in.

use linli_core::charter::{Charter, Verdict};
use linli_core::event::{ReceivedEvent, Slot, domain_hash};
use linli_core::id::{EventId, Kind, Stream};
use linli_core::time::Hlc;
use linli_domain::act::{ActId, ActStamp};
use linli_domain::events::Said;
use linli_domain::payload;
use linli_store::LocalDraft;
use serde::{Deserialize, Serialize};

use crate::cli::now_ms;
use crate::node::{Node, NodeError, SubmitError, random_salt};
use crate::operators::{Admission, CODE_LIFETIME_MS, RedeemError, Session, checked_name, new_id};

/// A code was issued.
pub const KIND_CODE_ISSUED: &str = "operator_code_issued";
/// A code was revoked before anybody used it.
pub const KIND_CODE_REVOKED: &str = "operator_code_revoked";
/// Somebody else's session was ended.
pub const KIND_SESSION_ENDED: &str = "operator_session_ended";

/// The kinds of events that are about a code.
pub(crate) const KINDS: [&str; 3] = [KIND_CODE_ISSUED, KIND_CODE_REVOKED, KIND_SESSION_ENDED];

/// Who issues or revokes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// The name that will stand in the event.
    pub name: String,
    /// Whether this is the command line of this machine.
    pub is_machine: bool,
}

/// A code that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedCode {
    /// Names it in the list, and in the event.
    pub id: String,
    /// The code, to be handed over. Nothing shows it later.
    pub code: String,
    /// The event that has it on record.
    pub event: EventId,
}

/// What the three kinds of events say.
#[derive(Serialize)]
struct AccessSaid<'a> {
    /// For whom the code or session is.
    #[serde(rename = "for")]
    whom: &'a str,
    /// The id of the code, which the session keeps. It says nothing of the code itself.
    code: &'a str,
    /// Whether it lets them issue codes in turn.
    may_issue: bool,
    #[serde(flatten)]
    said: Said,
}

/// What is read of an event that another node wrote.
#[derive(Deserialize)]
struct AccessHeard {
    #[serde(rename = "for")]
    whom: String,
    #[serde(default)]
    may_issue: bool,
}

/// Whether a text is an id of a code, as [`new_id`] draws them.
pub(crate) fn is_code_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Node {
    /// Issues a one-time code: first on record, then valid. An act that is repeated within ten minutes is answered with
    /// the code that it got; later the code cannot be shown again. `clock_checked` says that a person has looked at the
    /// clock, by which the code's day is counted.
    ///
    /// # Errors
    /// When the name cannot stand in an event, the act was answered too long ago, this node's clock cannot be right, or the
    /// store fails.
    pub fn issue_code(
        &self,
        issuer: &Issuer,
        whom: &str,
        act: Option<ActId>,
        clock_checked: bool,
    ) -> Result<IssuedCode, SubmitError> {
        let name = checked_name(whom)?;
        let _one_at_a_time = self.operators().admitting();
        if let Some(act) = act
            && let Some(known) = self.operators().issued_by_act(&act.to_string())
        {
            return Ok(self.issued_before(known, &name)?);
        }
        if let Some(doubt) = self.clock_doubt().filter(|_| !clock_checked) {
            return Err(SubmitError::ClockWrong(doubt));
        }
        let mut said = Said::by(&issuer.name, None);
        said.act = act.map(|id| {
            let hash = domain_hash("linli/operator-code/1", &[issuer.name.as_bytes(), name.as_bytes()]);
            let mut content = [0u8; 8];
            content.copy_from_slice(&hash[..8]);
            ActStamp { id, content, ordinal: 0 }
        });
        let id = new_id()?;
        let fact = AccessSaid { whom: &name, code: &id, may_issue: issuer.is_machine, said };
        let event = self.put_on_record(KIND_CODE_ISSUED, &fact)?;
        let since_ms = now_ms();
        let code = self.operators().keep_code(Admission {
            id: id.clone(),
            issued_by: issuer.name.clone(),
            since_ms,
            expires_ms: since_ms + CODE_LIFETIME_MS,
            last_used_ms: None,
            may_issue: issuer.is_machine,
            event: Some(event),
            act: act.map(|act| act.to_string()),
            name,
        })?;
        Ok(IssuedCode { id, code, event })
    }

    fn issued_before(&self, known: Admission, name: &str) -> Result<IssuedCode, NodeError> {
        let again = self.operators().shown_again(&known.id, now_ms());
        match (again, known.event) {
            (Some(code), Some(event)) if known.name == name => Ok(IssuedCode { id: known.id, code, event }),
            _ => Err(NodeError::Input(format!(
                "这份表单已为“{}”发放过登录码，不再显示。如需再发，请重新打开本页 / \
                 this form has issued a code for “{}” already, which is not shown again. Open the page anew for another",
                known.name, known.name
            ))),
        }
    }

    /// Turns a code into a session. A start code is put on record now, since somebody uses it.
    ///
    /// # Errors
    /// [`RedeemError::Unknown`] for anything that is not a valid unused code.
    pub fn sign_in(&self, code: &str) -> Result<Session, RedeemError> {
        let _one_at_a_time = self.operators().admitting();
        let waiting = self.operators().waiting(code, now_ms()).ok_or(RedeemError::Unknown)?;
        let event = match waiting.event {
            Some(event) => event,
            None => {
                let said = Said::by(&waiting.issued_by, None);
                let may_issue = waiting.may_issue;
                self.put_on_record(
                    KIND_CODE_ISSUED,
                    &AccessSaid { whom: &waiting.name, code: &waiting.id, may_issue, said },
                )?
            }
        };
        self.operators().redeem(code, event, now_ms())
    }

    /// Revokes a code that waits, or ends a session: one of this node, or one that another node of this area issued, which
    /// ends there when the event arrives.
    ///
    /// # Errors
    /// When none of that id is known, or the store fails.
    pub fn revoke(&self, issuer: &Issuer, id: &str) -> Result<EventId, NodeError> {
        let _one_at_a_time = self.operators().admitting();
        let listed = self.operators().admissions(now_ms());
        let code = listed.codes.iter().find(|code| code.id == id).map(|code| (KIND_CODE_REVOKED, code));
        let session = || listed.sessions.iter().find(|session| session.id == id);
        let found = code.or_else(|| session().map(|session| (KIND_SESSION_ENDED, session)));
        let Some((kind, admission)) = found else { return self.revoke_elsewhere(issuer, id) };
        let said = Said::by(&issuer.name, None);
        let fact = AccessSaid { whom: &admission.name, code: id, may_issue: admission.may_issue, said };
        let event = self.put_on_record(kind, &fact)?;
        self.operators().end(id)?;
        Ok(event)
    }

    /// Has it on record that a code of another node is revoked, with all that it let in.
    fn revoke_elsewhere(&self, issuer: &Issuer, id: &str) -> Result<EventId, NodeError> {
        let charter = self.projector.charter();
        let said = if is_code_id(id) { self.projector.said_of_code(id)? } else { vec![] };
        let counts = |event: &&ReceivedEvent| is_authorised(event, &charter) && event.header().author != self.key();
        let issued = |event: &ReceivedEvent| event.header().kind.as_str() == KIND_CODE_ISSUED;
        let of_our_area = |event: &ReceivedEvent| self.area().contains(&event.header().area);
        let mut heard =
            said.iter().filter(counts).filter(|event| issued(event) && of_our_area(event)).filter_map(heard_of);
        let Some(AccessHeard { whom, may_issue }) = heard.next() else {
            return Err(NodeError::Input("没有这个登录码或会话，可能已收回 / there is no such code or session".into()));
        };
        let fact = AccessSaid { whom: &whom, code: id, may_issue, said: Said::by(&issuer.name, None) };
        self.put_on_record(KIND_SESSION_ENDED, &fact)
    }

    /// Ends every code and session here that was revoked on record, at this node or at one of its area or above. Says how
    /// many there were.
    ///
    /// # Errors
    /// When the store fails; then the next call does it.
    pub(crate) fn end_what_was_revoked(&self) -> Result<usize, NodeError> {
        let charter = self.projector.charter();
        let ends = |event: &ReceivedEvent| {
            let header = event.header();
            let revokes = [KIND_CODE_REVOKED, KIND_SESSION_ENDED].contains(&header.kind.as_str());
            revokes && header.area.contains(self.area()) && is_authorised(event, &charter)
        };
        let mut ended = 0;
        for id in self.operators().ids() {
            if self.projector.said_of_code(&id)?.iter().any(ends) {
                self.operators().end(&id)?;
                tracing::info!(id, "a code or session ended: it was revoked on record");
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Signs an event that belongs to no record. Nothing is folded from it.
    ///
    /// # Errors
    /// When the store fails.
    pub(crate) fn put_on_record(&self, kind: &str, fact: &impl Serialize) -> Result<EventId, NodeError> {
        let internal = |error: &dyn std::fmt::Display| NodeError::Internal(error.to_string());
        let (own, kind) = (&self.enrolment, kind.parse::<Kind>().map_err(|e| internal(&e))?);
        let charter = self.projector.charter();
        let grant = charter.grant_for(&own.node, &own.area, Stream::COMMUNITY, now_ms()).unwrap_or(own.grant);
        let draft = LocalDraft {
            area: own.area.clone(),
            stream: Stream::COMMUNITY,
            record: None,
            kind,
            parents: vec![],
            after: Hlc::default(),
            grant: Some(grant),
            op: Some(payload::encode(fact).map_err(|e| internal(&e))?),
            pii: None,
        };
        let event = self.writer.write(draft, now_ms(), &mut random_salt)?;
        self.projector.catch_up_own()?;
        Ok(event.id())
    }
}

fn is_authorised(event: &ReceivedEvent, charter: &Charter) -> bool {
    matches!(charter.verdict(&event.id(), event.header()), Verdict::Authorised { .. })
}

fn heard_of(event: &ReceivedEvent) -> Option<AccessHeard> {
    event.payload(Slot::Op).and_then(|op| payload::decode(&op.bytes).ok())
}
