//! How a node comes to belong: a new district, a request to join one, the ticket that answers it.
//!
//! No secret ever travels: the newcomer makes its own key and asks with a *request* (public key and proof of
//! possession); a node that may delegate answers with a *ticket* (the charter events that prove the new grant, and
//! where to dial). Both are short texts that fit a chat message, a QR code or a slip of paper read aloud.

use data_encoding::BASE64URL_NOPAD;

use crate::area::Area;
use crate::cbor::{CborError, Reader, Writer};
use crate::chain::{ChainError, verify_single};
use crate::charter::{Charter, Genesis, Grant, KIND_GENESIS, KIND_GRANT, Role, kind};
use crate::event::{EventError, Header, Payload, ReceivedEvent, Slot, VerifiedEvent};
use crate::id::{AuthorKey, EventId, Stream};
use crate::limits;
use crate::sign::{KeyCache, Purpose, SecretKey, Signature, SignatureError, verify};
use crate::time::Hlc;

const REQUEST_PREFIX: &str = "linli-request:";
const TICKET_PREFIX: &str = "linli-ticket:";

/// Why a request or a ticket cannot be used. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// Some other text.
    #[error("this is no {what}: a {what} starts with {prefix:?}")]
    OtherText {
        /// Request or ticket.
        what: &'static str,
        /// How it starts.
        prefix: &'static str,
    },
    /// Letters got lost or changed.
    #[error("the {0} was cut short or mistyped: copy all of it")]
    Damaged(&'static str),
    /// The text decodes to something else.
    #[error("the ticket was cut short or changed on its way: {0}")]
    Malformed(#[from] CborError),
    /// An event in the ticket is malformed.
    #[error("the ticket was changed on its way: {0}")]
    Event(#[from] EventError),
    /// A signature in the ticket is wrong.
    #[error("the ticket was changed on its way: {0}")]
    Chain(#[from] ChainError),
    /// The proof of possession is wrong.
    #[error("the request was mistyped or changed on its way: ask for it again ({0})")]
    Proof(#[from] SignatureError),
    /// The ticket enrols somebody else.
    #[error("this ticket is for another node's key: each ticket answers one request from `linli join`")]
    OtherKey,
}

/// A newcomer's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The newcomer's public key.
    pub key: AuthorKey,
    /// Its signature over that key.
    pub proof: Signature,
}

/// The answer: everything that a newcomer needs to take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The federation: id of the genesis, which is the first of `charter`.
    pub federation: EventId,
    /// Genesis and grants down to the newcomer's own, each with its signature and operational payload.
    pub charter: Vec<ReceivedEvent>,
    /// Where to dial, as multiaddrs.
    pub peers: Vec<String>,
}

impl JoinRequest {
    /// The request of the holder of `key`.
    pub fn of(key: &SecretKey) -> Self {
        Self { key: key.public(), proof: key.prove_possession() }
    }

    /// The text that is passed on.
    pub fn to_text(&self) -> String {
        let mut bytes = self.key.as_bytes().to_vec();
        bytes.extend_from_slice(self.proof.as_bytes());
        format!("{REQUEST_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// Reads the text.
    ///
    /// # Errors
    /// When it is no request, or was cut or mistyped on the way.
    pub fn from_text(text: &str) -> Result<Self, EnrolError> {
        let bytes = decode_text(text, REQUEST_PREFIX, "request")?;
        let damaged = || EnrolError::Damaged("request");
        let (key, proof) = bytes.split_at_checked(32).ok_or_else(damaged)?;
        let key = AuthorKey::from_slice(key).ok_or_else(damaged)?;
        let proof: [u8; 64] = proof.try_into().map_err(|_| damaged())?;
        let request = Self { key, proof: Signature::from_bytes(proof) };
        verify(&key, Purpose::Possession, key.as_bytes(), &request.proof)?;
        Ok(request)
    }
}

impl Ticket {
    /// The text that is passed on.
    pub fn to_text(&self) -> String {
        let mut w = Writer::new();
        w.array(2).array(self.charter.len());
        self.charter.iter().for_each(|event| write_credential(&mut w, event));
        w.array(self.peers.len());
        for peer in &self.peers {
            w.text(peer);
        }
        format!("{TICKET_PREFIX}{}", BASE64URL_NOPAD.encode(&w.into_bytes()))
    }

    /// Reads the text and checks every signature in it.
    ///
    /// # Errors
    /// When it is no ticket, or was cut or changed on the way.
    pub fn from_text(text: &str) -> Result<Self, EnrolError> {
        let bytes = decode_text(text, TICKET_PREFIX, "ticket")?;
        let mut r = Reader::new(&bytes);
        r.array_of(2, "a ticket")?;
        let len = r.array_of_at_most(limits::GRANT_CHAIN_MAX, "number of grants")?;
        let mut charter = Vec::new();
        for _ in 0..len {
            charter.push(read_credential(&mut r)?);
        }
        let len = r.array_of_at_most(limits::TICKET_ADDRESSES_MAX, "number of addresses")?;
        let mut peers = Vec::new();
        for _ in 0..len {
            peers.push(r.text()?.to_owned());
        }
        r.finish()?;
        let federation = charter.first().map(ReceivedEvent::id).ok_or(EnrolError::Damaged("ticket"))?;
        Ok(Self { federation, charter, peers })
    }

    /// The charter events of the ticket, each proven by its own signature.
    ///
    /// # Errors
    /// When a signature is wrong or the ticket does not enrol `key`.
    pub fn verified_for(&self, key: &AuthorKey) -> Result<Vec<VerifiedEvent>, EnrolError> {
        let charter = Charter::evaluate(self.federation, &self.charter);
        if charter.node_grant(key).is_none() {
            return Err(EnrolError::OtherKey);
        }
        let mut keys = KeyCache::default();
        let proven = self.charter.iter().cloned().map(|event| verify_single(event, &mut keys));
        Ok(proven.collect::<Result<_, _>>()?)
    }
}

fn decode_text(text: &str, prefix: &'static str, what: &'static str) -> Result<Vec<u8>, EnrolError> {
    let joined: String = text.split_whitespace().collect();
    let body = joined.strip_prefix(prefix).ok_or(EnrolError::OtherText { what, prefix })?;
    BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| EnrolError::Damaged(what))
}

/// Writes a charter event as it stands in tickets and hellos: header, signature, salt and payload.
pub fn write_credential(w: &mut Writer, event: &ReceivedEvent) {
    w.array(4).bytes(event.header_bytes()).bytes_or_null(event.signature().map(|s| &s.as_bytes()[..]));
    match event.payload(Slot::Op) {
        Some(payload) => drop(w.bytes(&payload.salt).bytes(&payload.bytes)),
        None => drop(w.null().null()),
    }
}

/// Reads what [`write_credential`] wrote.
///
/// # Errors
/// Says what is wrong. The signature is not checked here.
pub fn read_credential(r: &mut Reader<'_>) -> Result<ReceivedEvent, EnrolError> {
    r.array_of(4, "a charter event")?;
    let header = r.bytes()?.to_vec();
    let signature = Signature::from_bytes(r.byte_array()?);
    let payload = Payload { salt: r.byte_array()?, bytes: r.bytes()?.to_vec() };
    Ok(ReceivedEvent::new(header, Some(signature), Some(payload), None)?)
}

/// A district whose root keys enrol its first node.
#[derive(Debug)]
pub struct NewDistrict {
    /// The federation's id.
    pub federation: EventId,
    /// Genesis and the first node's grant, both by the first root key and agreed to by the others.
    pub charter: Vec<ReceivedEvent>,
}

/// What is to be founded.
#[derive(Debug, Clone)]
pub struct Founding {
    /// The district's name.
    pub district: String,
    /// The district's area.
    pub district_area: Area,
    /// The first node's label.
    pub label: String,
    /// The first node's area, within the district's.
    pub area: Area,
    /// How many root keys must agree to what roots do.
    pub threshold: u64,
}

/// Founds a district: the genesis that all `roots` agree to, and the grant of its first node, which asks with
/// `request`. `random` are salts and the root log's incarnation. `None` without a root key.
pub fn found(
    roots: &[SecretKey],
    request: &JoinRequest,
    founding: &Founding,
    now_ms: u64,
    random: [u8; 40],
) -> Option<NewDistrict> {
    let (root, others) = roots.split_first()?;
    let salt = |at: usize| {
        let mut salt = [0; 16];
        salt.copy_from_slice(&random[at..at + 16]);
        salt
    };
    let mut incarnation = [0; 8];
    incarnation.copy_from_slice(&random[32..]);
    let header = Header {
        author: root.public(),
        incarnation: u64::from_be_bytes(incarnation),
        area: founding.district_area.clone(),
        stream: Stream::CHARTER,
        seq: 1,
        prev: None,
        parents: vec![],
        record: None,
        kind: kind(KIND_GENESIS),
        time: Hlc::from_unix_ms(now_ms),
        grant: None,
        op: None,
        pii: None,
    };
    let constitution = Genesis::payload(&founding.district, founding.threshold, roots, &founding.district_area);
    let genesis = ReceivedEvent::sign(header.clone(), Some(Payload { salt: salt(0), bytes: constitution }), None, root);
    let mut terms = node_terms(request, founding.label.clone(), founding.area.clone());
    others.iter().for_each(|other| terms.cosign(other, &genesis.id()));
    let second = Header {
        seq: 2,
        prev: Some(genesis.id()),
        kind: kind(KIND_GRANT),
        time: Hlc::from_unix_ms(now_ms + 1),
        grant: Some(genesis.id()),
        ..header
    };
    let grant = ReceivedEvent::sign(second, Some(Payload { salt: salt(16), bytes: terms.payload() }), None, root);
    Some(NewDistrict { federation: genesis.id(), charter: vec![genesis, grant] })
}

/// The grant of a node: every stream, may pass on a part of it.
pub fn node_terms(request: &JoinRequest, label: String, area: Area) -> Grant {
    Grant {
        subject: request.key,
        proof: request.proof,
        role: Role::Node,
        label,
        area,
        streams: Stream::known().collect(),
        delegate: true,
        not_after: None,
        cosigned: vec![],
    }
}

/// The charter events from the genesis down to a grant: what proves an enrolment to somebody who knows only the
/// federation's id. Empty when a link is missing.
pub fn chain_of_grants(charter_events: &[ReceivedEvent], grant: EventId) -> Vec<ReceivedEvent> {
    let mut chain = vec![];
    let mut next = Some(grant);
    while let Some(id) = next {
        let Some(event) = charter_events.iter().find(|e| e.id() == id) else { return vec![] };
        if chain.len() >= limits::GRANT_CHAIN_MAX {
            return vec![];
        }
        next = event.header().grant;
        chain.push(event.clone());
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u8) -> SecretKey {
        SecretKey::from_seed(&[n; 32])
    }

    fn founded() -> (NewDistrict, SecretKey) {
        let founding = Founding {
            district: "临湖区".into(),
            district_area: "320508".parse().unwrap(),
            label: "应急管理局".into(),
            area: "320508".parse().unwrap(),
            threshold: 2,
        };
        let roots = [key(1), key(3), key(4)];
        (found(&roots, &JoinRequest::of(&key(2)), &founding, 1_790_000_000_000, [7; 40]).unwrap(), key(2))
    }

    #[test]
    fn a_new_district_enrols_its_first_node() {
        let (district, node) = founded();
        let charter = Charter::evaluate(district.federation, &district.charter);
        assert_eq!(charter.node_grant(&node.public()).unwrap().1.label, "应急管理局");
        let chain = chain_of_grants(&district.charter, district.charter[1].id());
        assert_eq!(chain, district.charter);
    }

    #[test]
    fn a_ticket_survives_its_text_form_and_serves_one_key_only() {
        let (district, node) = founded();
        let peers = vec!["/ip4/192.0.2.1/tcp/8421".to_owned()];
        let ticket = Ticket { federation: district.federation, charter: district.charter, peers };
        let text = ticket.to_text();
        let wrapped = format!("{}\n  {}\n", &text[..40], &text[40..]);
        let again = Ticket::from_text(&wrapped).unwrap();
        assert_eq!(again, ticket);
        assert_eq!(again.verified_for(&node.public()).unwrap().len(), 2);
        assert!(again.verified_for(&key(9).public()).unwrap_err().to_string().contains("another node's key"));
        assert!(Ticket::from_text(&text[..text.len() - 9]).is_err());
    }

    #[test]
    fn a_request_that_was_changed_on_its_way_is_refused() {
        let request = JoinRequest::of(&key(3));
        let text = request.to_text();
        assert_eq!(JoinRequest::from_text(&text).unwrap(), request);
        let mut changed = text.clone().into_bytes();
        changed[30] = if changed[30] == b'A' { b'B' } else { b'A' };
        assert!(JoinRequest::from_text(&String::from_utf8(changed).unwrap()).is_err());
        assert!(JoinRequest::from_text("hello").unwrap_err().to_string().contains("linli-request:"));
    }
}
