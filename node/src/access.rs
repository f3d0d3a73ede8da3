//! Who was let in by whom, on record: issuing a sign-in code, revoking one, and ending somebody's session are signed
//! events of this node's log. They belong to no record, and nothing is folded from them.
//!
//! Whoever reads the data directory may issue codes, and so may those whose own code came from there. A code that a
//! person issues makes an operator who issues none.

use linli_core::event::domain_hash;
use linli_core::id::{EventId, Kind, Stream};
use linli_core::time::Hlc;
use linli_domain::act::{ActId, ActStamp};
use linli_domain::events::Said;
use linli_domain::payload;
use linli_store::LocalDraft;
use serde::Serialize;

use crate::cli::now_ms;
use crate::node::{Node, NodeError, random_salt};
use crate::operators::{Admission, CODE_LIFETIME_MS, RedeemError, Session, checked_name, new_id};

/// A code was issued.
pub const KIND_CODE_ISSUED: &str = "operator_code_issued";
/// A code was revoked before anybody used it.
pub const KIND_CODE_REVOKED: &str = "operator_code_revoked";
/// Somebody else's session was ended.
pub const KIND_SESSION_ENDED: &str = "operator_session_ended";

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

impl Node {
    /// Issues a one-time code: first on record, then valid. An act that is repeated within ten minutes is answered with
    /// the code that it got; later the code cannot be shown again.
    ///
    /// # Errors
    /// When the name cannot stand in an event, the act was answered too long ago, or the store fails.
    pub fn issue_code(&self, issuer: &Issuer, whom: &str, act: Option<ActId>) -> Result<IssuedCode, NodeError> {
        let name = checked_name(whom)?;
        let _one_at_a_time = self.operators().admitting();
        if let Some(act) = act
            && let Some(known) = self.operators().issued_by_act(&act.to_string())
        {
            return self.issued_before(known, &name);
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

    /// Revokes a code that waits, or ends a session.
    ///
    /// # Errors
    /// When there is none of that id, or the store fails.
    pub fn revoke(&self, issuer: &Issuer, id: &str) -> Result<EventId, NodeError> {
        let _one_at_a_time = self.operators().admitting();
        let listed = self.operators().admissions(now_ms());
        let code = listed.codes.iter().find(|code| code.id == id).map(|code| (KIND_CODE_REVOKED, code));
        let session = || listed.sessions.iter().find(|session| session.id == id);
        let found = code.or_else(|| session().map(|session| (KIND_SESSION_ENDED, session)));
        let Some((kind, admission)) = found else {
            return Err(NodeError::Input("没有这个登录码或会话，可能已收回 / there is no such code or session".into()));
        };
        let said = Said::by(&issuer.name, None);
        let fact = AccessSaid { whom: &admission.name, code: id, may_issue: admission.may_issue, said };
        let event = self.put_on_record(kind, &fact)?;
        self.operators().end(id)?;
        Ok(event)
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
