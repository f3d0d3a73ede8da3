//! Who may write what where: the federation's constitution as a pure function of a set of charter events.
//!
//! First cut: a genesis with m of n root keys, and grants. Any arrival order of the same events gives the same
//! charter. Authority only grows here; revocation, handover and forks are not part of this version.
//!
//! Ranks strictly fall along a chain of grants: root 0, node 1, liaison and partner 2, team lead and gateway 3. A
//! child grant only attenuates: its area, streams and rights lie within its parent's. Expiry labels what was written
//! after it and cuts nobody off, because an outage is exactly when nobody can renew.

use std::collections::{BTreeMap, BTreeSet};

use crate::area::Area;
use crate::cbor::Value;
use crate::event::{Header, ReceivedEvent, Slot};
use crate::id::{AuthorKey, EventId, Kind, Stream};
use crate::limits;
use crate::sign::{CheckedKey, Purpose, SecretKey, Signature, verify};

/// Kind of the first event of a federation.
pub const KIND_GENESIS: &str = "genesis";
/// Kind of an event that gives rights.
pub const KIND_GRANT: &str = "grant";

/// What somebody is in the federation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A street's or bureau's node. Rank 1.
    Node,
    /// 应急联络员. Rank 2.
    Liaison,
    /// A partner department. Rank 2.
    Partner,
    /// A team lead. Rank 3.
    Lead,
    /// A sensor gateway. Rank 3.
    Gateway,
}

impl Role {
    const ALL: [(Self, &'static str, u64); 5] = [
        (Self::Node, "node", 1),
        (Self::Liaison, "liaison", 2),
        (Self::Partner, "partner", 2),
        (Self::Lead, "lead", 3),
        (Self::Gateway, "gateway", 3),
    ];

    /// The word in a payload.
    pub fn as_str(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    /// The rank: strictly falls along a chain of grants, except that a node may enrol another node below it.
    pub fn rank(self) -> u64 {
        Self::ALL[self as usize].2
    }

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w, _)| *w == word).map(|(role, _, _)| *role)
    }
}

/// The genesis: who the root is. Its event id is the federation's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The district's name.
    pub name: String,
    /// How many root keys must agree: m, with n/2 < m ≤ n.
    pub threshold: u64,
    /// The root keys, ascending; the first event's author is one of them.
    pub roots: Vec<AuthorKey>,
    /// Each root key's signature over the rest, in the order of `roots`.
    pub agreed: Vec<Signature>,
}

/// Why a genesis or a grant gives nothing. Shown to people as it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CharterError {
    /// The payload lacks a field or has one of the wrong shape.
    #[error("the payload's field {0:?} is missing or malformed")]
    Field(&'static str),
    /// The payload is not here.
    #[error("the payload is missing")]
    NoPayload,
    /// Not a charter event of the expected kind.
    #[error("not a {0} event")]
    OtherKind(&'static str),
    /// m of n does not hold n/2 < m ≤ n, or there are too many keys.
    #[error("a threshold of {threshold} for {roots} root keys is not allowed")]
    Threshold {
        /// m.
        threshold: u64,
        /// n.
        roots: usize,
    },
    /// A key cannot be trusted with rights.
    #[error("key {key}: {source}")]
    Key {
        /// Its first digits.
        key: String,
        /// What is wrong with it.
        source: crate::sign::SignatureError,
    },
    /// The author is not the subject of the grant it names.
    #[error("its author does not hold the grant that it names")]
    NotTheHolder,
    /// Fewer root keys agreed than the threshold asks.
    #[error("{agreed} root keys agreed where {threshold} must")]
    TooFewAgreed {
        /// Distinct root keys that signed.
        agreed: u64,
        /// m.
        threshold: u64,
    },
    /// The parent grant may not delegate.
    #[error("its parent grant may not be passed on")]
    MayNotDelegate,
    /// The child reaches further than its parent.
    #[error("it reaches further than its parent grant: {0}")]
    Widened(&'static str),
    /// Another federation's grant.
    #[error("it belongs to another federation")]
    OtherFederation,
}

/// What a grant gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Who gets it.
    pub subject: AuthorKey,
    /// The subject's signature over its own key.
    pub proof: Signature,
    /// What the subject is.
    pub role: Role,
    /// The place or post, such as 临湖街道: public, so never a person's name. At most [`limits::LABEL_BYTES_MAX`].
    pub label: String,
    /// Where it may write.
    pub area: Area,
    /// What it may write about.
    pub streams: BTreeSet<Stream>,
    /// Whether it may pass on a part of it.
    pub delegate: bool,
    /// Unix milliseconds after which what it writes is labelled as written under an expired grant.
    pub not_after: Option<u64>,
    /// Further root keys that agreed, where the issuer is a root.
    pub cosigned: Vec<(AuthorKey, Signature)>,
}

impl Genesis {
    /// The bytes that each root key signs: everything but the signatures.
    fn agreement(name: &str, threshold: u64, roots: &[AuthorKey], area: &Area) -> Vec<u8> {
        genesis_fields(name, threshold, roots, area).encode()
    }

    /// The payload of a genesis event that all `keys` agree to. `area` is the district of its header.
    pub fn payload(name: &str, threshold: u64, keys: &[SecretKey], area: &Area) -> Vec<u8> {
        let mut keys: Vec<&SecretKey> = keys.iter().collect();
        keys.sort_by_key(|key| key.public());
        let roots: Vec<AuthorKey> = keys.iter().map(|key| key.public()).collect();
        let agreement = Self::agreement(name, threshold, &roots, area);
        let agreed = keys.iter().map(|key| signature_value(&key.sign(Purpose::Genesis, &agreement))).collect();
        with_field(genesis_fields(name, threshold, &roots, area), "agreed", Value::Array(agreed)).encode()
    }

    /// Reads and checks a genesis event. The event's own signature is the caller's to verify.
    ///
    /// # Errors
    /// [`CharterError`] says what is wrong.
    pub fn read(event: &ReceivedEvent) -> Result<Self, CharterError> {
        let header = event.header();
        let is_genesis = header.stream == Stream::CHARTER
            && header.kind.as_str() == KIND_GENESIS
            && header.seq == 1
            && header.prev.is_none()
            && header.grant.is_none();
        if !is_genesis {
            return Err(CharterError::OtherKind(KIND_GENESIS));
        }
        let payload = read_payload(event)?;
        let name = payload.get("name").and_then(Value::as_text).ok_or(CharterError::Field("name"))?.to_owned();
        let threshold = uint_field(&payload, "threshold")?;
        let roots = list_field(&payload, "roots", key_of)?;
        let agreed = list_field(&payload, "agreed", signature_of)?;
        if payload.get("area").and_then(Value::as_text) != Some(header.area.as_str()) {
            return Err(CharterError::Field("area"));
        }
        let allowed = roots.len() <= limits::ROOT_KEYS_MAX
            && threshold <= roots.len() as u64
            && threshold * 2 > roots.len() as u64;
        if !allowed || roots.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(CharterError::Threshold { threshold, roots: roots.len() });
        }
        if agreed.len() != roots.len() {
            return Err(CharterError::TooFewAgreed { agreed: agreed.len() as u64, threshold: roots.len() as u64 });
        }
        if !roots.contains(&header.author) {
            return Err(CharterError::NotTheHolder);
        }
        let agreement = Self::agreement(&name, threshold, &roots, &header.area);
        for (root, signature) in roots.iter().zip(&agreed) {
            CheckedKey::for_grant(root)
                .and_then(|_| verify(root, Purpose::Genesis, &agreement, signature))
                .map_err(|source| CharterError::Key { key: root.short(), source })?;
        }
        Ok(Self { name, threshold, roots, agreed })
    }
}

impl Grant {
    /// The bytes that further root keys sign, bound to one federation.
    fn agreement(&self, federation: &EventId) -> Vec<u8> {
        with_field(self.fields(), "federation", Value::Bytes(federation.as_bytes().to_vec())).encode()
    }

    fn fields(&self) -> Value {
        let streams = self.streams.iter().map(|s| Value::Uint(u64::from(s.code()))).collect();
        Value::map_of([
            ("subject", Value::Bytes(self.subject.as_bytes().to_vec())),
            ("proof", signature_value(&self.proof)),
            ("role", Value::Text(self.role.as_str().to_owned())),
            ("label", Value::Text(self.label.clone())),
            ("rank", Value::Uint(self.role.rank())),
            ("area", Value::Text(self.area.as_str().to_owned())),
            ("streams", Value::Array(streams)),
            ("delegate", Value::Bool(self.delegate)),
            ("not_after", self.not_after.map_or(Value::Null, Value::Uint)),
        ])
    }

    /// Adds a root key's agreement, for federations with a threshold above 1.
    pub fn cosign(&mut self, root: &SecretKey, federation: &EventId) {
        let signature = root.sign(Purpose::Cosign, &self.agreement(federation));
        self.cosigned.push((root.public(), signature));
    }

    /// The payload of a grant event.
    pub fn payload(&self) -> Vec<u8> {
        let pair = |(key, signature): &(AuthorKey, Signature)| {
            Value::Array(vec![Value::Bytes(key.as_bytes().to_vec()), signature_value(signature)])
        };
        with_field(self.fields(), "cosigned", Value::Array(self.cosigned.iter().map(pair).collect())).encode()
    }

    /// Reads a grant event's payload and checks what needs no other event: shape, key, proof of possession.
    ///
    /// # Errors
    /// [`CharterError`] says what is wrong.
    pub fn read(event: &ReceivedEvent) -> Result<Self, CharterError> {
        if event.header().stream != Stream::CHARTER || event.header().kind.as_str() != KIND_GRANT {
            return Err(CharterError::OtherKind(KIND_GRANT));
        }
        let payload = read_payload(event)?;
        let text = |key| payload.get(key).and_then(Value::as_text).ok_or(CharterError::Field(key));
        let grant = Self {
            subject: payload.get("subject").and_then(key_of).ok_or(CharterError::Field("subject"))?,
            proof: payload.get("proof").and_then(signature_of).ok_or(CharterError::Field("proof"))?,
            role: Role::from_word(text("role")?).ok_or(CharterError::Field("role"))?,
            label: text("label")?.to_owned(),
            area: text("area")?.parse().map_err(|_| CharterError::Field("area"))?,
            streams: list_field(&payload, "streams", |v| v.as_uint().and_then(Stream::from_code))?
                .into_iter()
                .collect(),
            delegate: payload.get("delegate").and_then(Value::as_bool).ok_or(CharterError::Field("delegate"))?,
            not_after: match payload.get("not_after") {
                Some(Value::Null) => None,
                Some(Value::Uint(ms)) => Some(*ms),
                _ => return Err(CharterError::Field("not_after")),
            },
            cosigned: list_field(&payload, "cosigned", |pair| match pair.as_array()? {
                [key, signature] => Some((key_of(key)?, signature_of(signature)?)),
                _ => None,
            })?,
        };
        if grant.label.len() > limits::LABEL_BYTES_MAX {
            return Err(CharterError::Field("label"));
        }
        if uint_field(&payload, "rank")? != grant.role.rank() {
            return Err(CharterError::Field("rank"));
        }
        let refused = |source| CharterError::Key { key: grant.subject.short(), source };
        CheckedKey::for_grant(&grant.subject).map_err(refused)?;
        verify(&grant.subject, Purpose::Possession, grant.subject.as_bytes(), &grant.proof).map_err(refused)?;
        Ok(grant)
    }
}

/// What the charter says of one event. A deterministic function of the charter and the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Authorised {
        /// It was written after its grant's `not_after`, by its own clock. It counts and is labelled.
        expired: bool,
    },
    /// The grant that it names has not arrived. It may count later.
    GrantUnknown,
    /// It does not count, and here is why.
    Refused(Refusal),
}

/// Why an event does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The grant is there, and is not valid itself.
    #[error("the grant that it names is not valid")]
    InvalidGrant,
    /// Somebody else's grant.
    #[error("its author does not hold the grant that it names")]
    NotTheHolder,
    /// Outside the granted area.
    #[error("its area lies outside the granted area")]
    OutsideArea,
    /// About something the grant does not cover.
    #[error("its stream is not covered by the grant")]
    OutsideStreams,
    /// Names no grant.
    #[error("it names no grant")]
    NoGrant,
    /// A charter event that gives nothing.
    #[error("this charter event is not valid")]
    InvalidCharterEvent,
}

impl Refusal {
    /// The reason's name in test vectors and JSON, the same for every implementation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid-grant",
            Self::NotTheHolder => "not-the-holder",
            Self::OutsideArea => "outside-area",
            Self::OutsideStreams => "outside-streams",
            Self::NoGrant => "no-grant",
            Self::InvalidCharterEvent => "invalid-charter-event",
        }
    }
}

/// The evaluated constitution of one federation.
#[derive(Debug, Clone, Default)]
pub struct Charter {
    federation: Option<(EventId, Genesis, Area)>,
    valid: BTreeMap<EventId, Grant>,
    invalid: BTreeMap<EventId, CharterError>,
}

impl Charter {
    /// Evaluates a set of charter events of one federation. Order and repetition do not matter; events of other
    /// federations are reported invalid. The events' own signatures were verified before.
    pub fn evaluate<'e>(federation: EventId, events: impl IntoIterator<Item = &'e ReceivedEvent>) -> Self {
        let mut unique: BTreeMap<EventId, &ReceivedEvent> = BTreeMap::new();
        for event in events {
            let known = unique.entry(event.id()).or_insert(event);
            if known.payload(Slot::Op).is_none() {
                *known = event;
            }
        }
        let mut charter = Self::default();
        if let Some(event) = unique.remove(&federation).filter(|event| !is_withheld(event)) {
            match Genesis::read(event) {
                Ok(genesis) => charter.federation = Some((federation, genesis, event.header().area.clone())),
                Err(error) => drop(charter.invalid.insert(federation, error)),
            }
        }
        charter.settle(&unique);
        charter
    }

    /// Judges each event once, as soon as its parent is judged: linear in their number, because a hostile author may
    /// write any number of grants that hang on one another.
    fn settle(&mut self, events: &BTreeMap<EventId, &ReceivedEvent>) {
        let mut children: BTreeMap<EventId, Vec<(&ReceivedEvent, Grant)>> = BTreeMap::new();
        let mut judged: Vec<EventId> = self.federation().into_iter().collect();
        for (id, event) in events {
            let read = match event.header().grant {
                None => Err(CharterError::OtherFederation),
                // Erased or withheld: nobody can say what it gives, so it and what hangs on it wait.
                Some(_) if is_withheld(event) => continue,
                Some(parent) => Grant::read(event).map(|grant| (parent, grant)),
            };
            match read {
                Ok((parent, grant)) => children.entry(parent).or_default().push((event, grant)),
                Err(error) => {
                    self.invalid.insert(*id, error);
                    judged.push(*id);
                }
            }
        }
        while self.federation.is_some()
            && let Some(parent) = judged.pop()
        {
            for (event, grant) in children.remove(&parent).unwrap_or_default() {
                match self.judge(event, grant, &parent) {
                    Ok(grant) => drop(self.valid.insert(event.id(), grant)),
                    Err(error) => drop(self.invalid.insert(event.id(), error)),
                }
                judged.push(event.id());
            }
        }
    }

    /// Judges a grant whose parent is judged.
    fn judge(&self, event: &ReceivedEvent, grant: Grant, parent: &EventId) -> Result<Grant, CharterError> {
        if let Some((federation, genesis, district)) = &self.federation
            && parent == federation
        {
            return self.judge_root_grant(event, grant, genesis, district);
        }
        match self.valid.get(parent) {
            Some(above) => judge_delegated(event.header(), grant, above),
            None => Err(CharterError::Widened("its parent grant is not valid")),
        }
    }

    fn judge_root_grant(
        &self,
        event: &ReceivedEvent,
        grant: Grant,
        genesis: &Genesis,
        district: &Area,
    ) -> Result<Grant, CharterError> {
        let (federation, author) = (event.header().grant.unwrap_or(event.id()), event.header().author);
        if !genesis.roots.contains(&author) {
            return Err(CharterError::NotTheHolder);
        }
        let agreement = grant.agreement(&federation);
        let mut agreed = BTreeSet::from([author]);
        for (root, signature) in &grant.cosigned {
            let counts = genesis.roots.contains(root) && verify(root, Purpose::Cosign, &agreement, signature).is_ok();
            if counts {
                agreed.insert(*root);
            }
        }
        if (agreed.len() as u64) < genesis.threshold {
            return Err(CharterError::TooFewAgreed { agreed: agreed.len() as u64, threshold: genesis.threshold });
        }
        if !district.contains(&grant.area) {
            return Err(CharterError::Widened("area"));
        }
        Ok(grant)
    }

    /// What the charter says of an event with this header.
    pub fn verdict(&self, id: &EventId, header: &Header) -> Verdict {
        if header.stream == Stream::CHARTER {
            return self.charter_verdict(id);
        }
        let Some(grant_id) = header.grant else { return Verdict::Refused(Refusal::NoGrant) };
        if let Some((federation, genesis, district)) = &self.federation
            && grant_id == *federation
        {
            return root_verdict(header, genesis, district);
        }
        if self.invalid.contains_key(&grant_id) {
            return Verdict::Refused(Refusal::InvalidGrant);
        }
        let Some(grant) = self.valid.get(&grant_id) else { return Verdict::GrantUnknown };
        match refusal(header, grant) {
            Some(refusal) => Verdict::Refused(refusal),
            None => Verdict::Authorised { expired: grant.not_after.is_some_and(|end| header.time.unix_ms() > end) },
        }
    }

    fn charter_verdict(&self, id: &EventId) -> Verdict {
        let is_genesis = self.federation.as_ref().is_some_and(|(federation, _, _)| federation == id);
        if is_genesis || self.valid.contains_key(id) {
            Verdict::Authorised { expired: false }
        } else if self.invalid.contains_key(id) {
            Verdict::Refused(Refusal::InvalidCharterEvent)
        } else {
            Verdict::GrantUnknown
        }
    }

    /// The federation's id, once its genesis is here and valid.
    pub fn federation(&self) -> Option<EventId> {
        self.federation.as_ref().map(|(id, _, _)| *id)
    }

    /// The genesis, once it is here and valid.
    pub fn genesis(&self) -> Option<&Genesis> {
        self.federation.as_ref().map(|(_, genesis, _)| genesis)
    }

    /// The district: the area of the genesis.
    pub fn district(&self) -> Option<&Area> {
        self.federation.as_ref().map(|(_, _, area)| area)
    }

    /// Valid grants by their event id.
    pub fn grants(&self) -> impl Iterator<Item = (&EventId, &Grant)> {
        self.valid.iter()
    }

    /// A valid grant.
    pub fn grant(&self, id: &EventId) -> Option<&Grant> {
        self.valid.get(id)
    }

    /// Charter events that give nothing, with the reason.
    pub fn invalid(&self) -> impl Iterator<Item = (&EventId, &CharterError)> {
        self.invalid.iter()
    }

    /// The grant under which `author` may write in `stream` for `area` at a time in Unix milliseconds: one that has not
    /// expired before one that has, then the narrowest area, then the smallest id.
    pub fn grant_for(&self, author: &AuthorKey, area: &Area, stream: Stream, now_ms: u64) -> Option<EventId> {
        let fits = |g: &Grant| g.subject == *author && g.area.contains(area) && g.streams.contains(&stream);
        self.valid
            .iter()
            .filter(|(_, grant)| fits(grant))
            .max_by_key(|(id, grant)| {
                let lasts = grant.not_after.is_none_or(|end| now_ms <= end);
                (lasts, grant.area.as_str().len(), std::cmp::Reverse(**id))
            })
            .map(|(id, _)| *id)
    }

    /// The widest grant of a key in the role of a node, if it is an enrolled node.
    pub fn node_grant(&self, key: &AuthorKey) -> Option<(&EventId, &Grant)> {
        self.valid
            .iter()
            .filter(|(_, grant)| grant.subject == *key && grant.role == Role::Node)
            .min_by_key(|(id, grant)| (grant.area.as_str().len(), **id))
    }

    /// Whether a node may hold personal payloads of `area`.
    pub fn may_hold_pii(&self, node: &AuthorKey, area: &Area) -> bool {
        self.valid.values().any(|g| g.subject == *node && g.role == Role::Node && g.area.contains(area))
    }
}

/// Whether an event may be a genesis or a grant whose payload is not here. One that commits to no payload gives nothing.
fn is_withheld(event: &ReceivedEvent) -> bool {
    let header = event.header();
    let gives = header.stream == Stream::CHARTER && [KIND_GENESIS, KIND_GRANT].contains(&header.kind.as_str());
    gives && header.slot(Slot::Op).is_some() && event.payload(Slot::Op).is_none()
}

fn root_verdict(header: &Header, genesis: &Genesis, district: &Area) -> Verdict {
    if !genesis.roots.contains(&header.author) || genesis.threshold > 1 {
        return Verdict::Refused(Refusal::NotTheHolder);
    }
    if district.contains(&header.area) {
        Verdict::Authorised { expired: false }
    } else {
        Verdict::Refused(Refusal::OutsideArea)
    }
}

fn refusal(header: &Header, grant: &Grant) -> Option<Refusal> {
    if grant.subject != header.author {
        Some(Refusal::NotTheHolder)
    } else if !grant.area.contains(&header.area) {
        Some(Refusal::OutsideArea)
    } else if !grant.streams.contains(&header.stream) {
        Some(Refusal::OutsideStreams)
    } else {
        None
    }
}

/// A child only attenuates. A node may enrol nodes of an area strictly inside its own (a bureau its streets), which
/// is the one case where the rank stays: the area falls instead.
fn judge_delegated(header: &Header, grant: Grant, above: &Grant) -> Result<Grant, CharterError> {
    if above.subject != header.author {
        return Err(CharterError::NotTheHolder);
    }
    if !above.delegate {
        return Err(CharterError::MayNotDelegate);
    }
    if !above.area.contains(&grant.area) || !above.area.contains(&header.area) {
        return Err(CharterError::Widened("area"));
    }
    let node_below = grant.role == Role::Node && above.role == Role::Node && grant.area != above.area;
    if grant.role.rank() <= above.role.rank() && !node_below {
        return Err(CharterError::Widened("rank"));
    }
    if !grant.streams.is_subset(&above.streams) || !above.streams.contains(&Stream::CHARTER) {
        return Err(CharterError::Widened("streams"));
    }
    let outlives = match (grant.not_after, above.not_after) {
        (_, None) => false,
        (None, Some(_)) => true,
        (Some(child), Some(parent)) => child > parent,
    };
    if outlives { Err(CharterError::Widened("not_after")) } else { Ok(grant) }
}

fn genesis_fields(name: &str, threshold: u64, roots: &[AuthorKey], area: &Area) -> Value {
    let roots = roots.iter().map(|key| Value::Bytes(key.as_bytes().to_vec())).collect();
    Value::map_of([
        ("name", Value::Text(name.to_owned())),
        ("threshold", Value::Uint(threshold)),
        ("roots", Value::Array(roots)),
        ("area", Value::Text(area.as_str().to_owned())),
    ])
}

fn with_field(map: Value, key: &str, value: Value) -> Value {
    let Value::Map(mut pairs) = map else { return map };
    pairs.push((Value::Text(key.to_owned()), value));
    Value::Map(pairs).canonical()
}

fn signature_value(signature: &Signature) -> Value {
    Value::Bytes(signature.as_bytes().to_vec())
}

fn key_of(value: &Value) -> Option<AuthorKey> {
    value.as_bytes().and_then(AuthorKey::from_slice)
}

fn signature_of(value: &Value) -> Option<Signature> {
    value.as_bytes().and_then(|b| b.try_into().ok()).map(Signature::from_bytes)
}

fn read_payload(event: &ReceivedEvent) -> Result<Value, CharterError> {
    let payload = event.payload(Slot::Op).ok_or(CharterError::NoPayload)?;
    Value::decode(&payload.bytes).map_err(|_| CharterError::Field("payload"))
}

fn uint_field(payload: &Value, key: &'static str) -> Result<u64, CharterError> {
    payload.get(key).and_then(Value::as_uint).ok_or(CharterError::Field(key))
}

fn list_field<T>(
    payload: &Value,
    key: &'static str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<T>, CharterError> {
    let items = payload.get(key).and_then(Value::as_array).ok_or(CharterError::Field(key))?;
    items.iter().map(read).collect::<Option<_>>().ok_or(CharterError::Field(key))
}

/// The kinds of this stream, for headers.
pub fn kind(word: &'static str) -> Kind {
    // Both words are constants of this file that fit the shape of a kind.
    #[allow(clippy::expect_used)]
    word.parse().expect("charter kinds are well-formed")
}

#[cfg(test)]
mod tests;
