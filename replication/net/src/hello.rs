//! `/linli/hello/2`, and `/1` with older nodes: both sides prove that they belong to the federation before anything else is said.
//!
//! First each shows that it knows the federation's 256-bit id, by a keyed hash over fresh nonces and both keys, which
//! the transport has authenticated. A stranger, or a node of another federation, therefore learns nothing: no heads,
//! no names, not even the id. Then each shows the charter events from the genesis down to its own grant, so that a
//! newcomer can prove a grant that the other has not heard of. At last each tells which heads it knows of the other's
//! own logs, so that a restored node hears of its later heads before it writes more. Since the second edition each side
//! also says which process it is, so that a copy of a node is told from the node that came back, and what its clock says.
//! Normative text: `docs/sync.md`.

use std::time::{Duration, Instant};

use futures::io::{AsyncRead, AsyncWrite};
use hmac::{Hmac, KeyInit, Mac};
use libp2p::Multiaddr;
use linli_core::area::Area;
use linli_core::cbor::{CborError, Problem, Reader, Writer};
use linli_core::chain::verify_single;
use linli_core::charter::{Charter, Role};
use linli_core::enrol::{read_credential, write_credential};
use linli_core::event::ReceivedEvent;
use linli_core::frame::{read_log_id, write_log_id};
use linli_core::id::{AuthorKey, EventId, Head, LogId, Stream};
use linli_core::limits::GRANT_CHAIN_MAX;
use linli_core::sign::KeyCache;
use linli_core::sync::Greeting;
use sha2::Sha256;

use crate::clocks::WallClock;
use crate::limits;
use crate::packing::Packer;
use crate::whereabouts::read_address;
use crate::wire::{self, WireError};

const RESPONDER_DOMAIN: &[u8] = b"linli/hello/1/r";
const INITIATOR_DOMAIN: &[u8] = b"linli/hello/1/i";

type Nonce = [u8; 32];
type Tag = [u8; 32];

/// What one side brings to a hello.
pub(crate) struct Ours {
    pub(crate) key: AuthorKey,
    pub(crate) federation: EventId,
    pub(crate) credentials: Vec<ReceivedEvent>,
    pub(crate) charter: std::sync::Arc<Charter>,
    /// Heads that we know of the peer's own logs.
    pub(crate) heads_of_peer: Vec<(LogId, Head)>,
    /// What only the second edition says; none speaks the first.
    pub(crate) second: Option<Second>,
}

/// Tells one run of a process from another with the same key. Drawn at random when a mesh starts.
pub(crate) type Instance = u64;

/// What is said since the second edition.
pub(crate) struct Second {
    pub(crate) instance: Instance,
    pub(crate) clock: WallClock,
    /// Other processes with the peer's key that we do not speak with, and where the one is that we replicate with.
    pub(crate) refused: Option<(Vec<Instance>, Multiaddr)>,
}

impl Second {
    /// Where the process is that a copy stands back for.
    fn elsewhere(&self, peer: &Present) -> Option<&Multiaddr> {
        let (copies, standing) = self.refused.as_ref()?;
        copies.contains(&peer.instance).then_some(standing)
    }
}

/// What a peer said of itself since the second edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Present {
    pub(crate) instance: Instance,
    /// What its clock said at the moment that this was received, in Unix milliseconds: half a round trip is added.
    pub(crate) clock_ms: u64,
    /// When that was.
    pub(crate) at: Instant,
}

/// What a completed hello has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeted {
    /// Areas of the peer's node grants: personal payloads of these may go to it.
    pub(crate) areas: Vec<Area>,
    /// Heads of our own logs that the peer knows.
    pub(crate) heads_of_ours: Vec<(LogId, Head)>,
    /// What its timing tells of the line.
    pub(crate) greeting: Greeting,
    /// Of a small message and its answer.
    pub(crate) round_trip: Duration,
    /// What it said of itself, in the second edition.
    pub(crate) present: Option<Present>,
}

/// Why a hello was not completed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HelloError {
    /// The stream failed or was closed. A peer that refuses a stranger does just that.
    #[error("the peer ended the hello: {0}")]
    Wire(#[from] WireError),
    /// Bytes that are no hello.
    #[error("not a hello message: {0}")]
    Malformed(#[from] CborError),
    /// The other side does not know the federation's id.
    #[error("not a node of this federation")]
    OtherFederation,
    /// The other side's charter events do not enrol it.
    #[error("its credentials do not enrol it as a node")]
    NotEnrolled,
    /// The other side refuses our charter events.
    #[error("the peer refuses our credentials")]
    RefusedByPeer,
    /// It is a copy of a node that replicates with us from elsewhere.
    #[error("it is another process with the key of a node that replicates with us from {0}")]
    IsCopy(Multiaddr),
    /// The other side replicates with another process that has our key.
    #[error("the peer replicates with a copy of this node at {0}")]
    WeAreCopied(Multiaddr),
    /// Nonces cannot be drawn.
    #[error("no randomness: {0}")]
    Randomness(getrandom::Error),
    /// It took too long.
    #[error("the hello was not completed in time")]
    Timeout,
}

impl HelloError {
    /// A word for metrics.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Wire(_) => "closed",
            Self::Malformed(_) => "malformed",
            Self::OtherFederation => "other_federation",
            Self::NotEnrolled => "not_enrolled",
            Self::RefusedByPeer => "refused_by_peer",
            Self::IsCopy(_) => "copy",
            Self::WeAreCopied(_) => "copy_of_us",
            Self::Randomness(_) => "no_randomness",
            Self::Timeout => "timeout",
        }
    }
}

/// Says hello as the side that opened the connection.
pub(crate) async fn initiate(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: AuthorKey,
    ours: &Ours,
) -> Result<Greeted, HelloError> {
    let round_trip = prove(stream, peer, ours).await?;
    finish(stream, peer, ours, round_trip).await
}

/// The initiator's part of the first three messages: both show that they know the federation. Gives the round trip.
pub(crate) async fn prove(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: AuthorKey,
    ours: &Ours,
) -> Result<Duration, HelloError> {
    let nonce_i = draw_nonce()?;
    send(stream, Writer::new().array(1).bytes(&nonce_i)).await?;
    let asked = Instant::now();
    let answer = receive(stream, limits::HELLO_STRANGER_BYTES_MAX).await?;
    let round_trip = asked.elapsed();
    let (nonce_r, tag_r) = read_nonce_and_tag(&answer)?;
    let transcript = Transcript { federation: ours.federation, nonce_i, nonce_r, initiator: ours.key, responder: peer };
    transcript.check(RESPONDER_DOMAIN, &tag_r)?;
    let tag_i = transcript.tag(INITIATOR_DOMAIN);
    send(stream, Writer::new().array(1).bytes(&tag_i)).await?;
    Ok(round_trip)
}

/// Says hello as the side that accepted the connection. Nothing but a nonce and a keyed hash of it is said before the
/// initiator has proven that it knows the federation.
pub(crate) async fn respond(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: AuthorKey,
    ours: &Ours,
) -> Result<Greeted, HelloError> {
    let request = receive(stream, limits::HELLO_STRANGER_BYTES_MAX).await?;
    let nonce_i = read_one(&request)?;
    let nonce_r = draw_nonce()?;
    let transcript = Transcript { federation: ours.federation, nonce_i, nonce_r, initiator: peer, responder: ours.key };
    let tag_r = transcript.tag(RESPONDER_DOMAIN);
    send(stream, Writer::new().array(2).bytes(&nonce_r).bytes(&tag_r)).await?;
    let asked = Instant::now();
    let proof = receive(stream, limits::HELLO_STRANGER_BYTES_MAX).await?;
    let round_trip = asked.elapsed();
    transcript.check(INITIATOR_DOMAIN, &read_one(&proof)?)?;
    finish(stream, peer, ours, round_trip).await
}

/// Both know the federation: credentials, verdicts, heads. Each side writes first and then reads; what is written is
/// far smaller than any stream window, so neither waits for the other to read.
async fn finish(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: AuthorKey,
    ours: &Ours,
    round_trip: Duration,
) -> Result<Greeted, HelloError> {
    let began = Instant::now();
    send(stream, &mut write_credentials(ours)).await?;
    let shown = read_shown(&receive(stream, limits::HELLO_BYTES_MAX).await?, ours.second.is_some());
    let at = Instant::now();
    let judged = shown.and_then(|shown| {
        let present = shown.present.map(|(instance, clock_ms)| {
            let half = u64::try_from(round_trip.as_millis() / 2).unwrap_or(u64::MAX);
            Present { instance, clock_ms: clock_ms.saturating_add(half), at }
        });
        let areas = enrolled_areas(&peer, ours, &shown.credentials)?;
        let elsewhere = ours.second.as_ref().zip(present.as_ref()).and_then(|(second, of)| second.elsewhere(of));
        elsewhere.map_or(Ok((areas, present)), |standing| Err(HelloError::IsCopy(standing.clone())))
    });
    send(stream, &mut write_verdict(&judged, ours)).await?;
    let verdict = receive(stream, limits::HELLO_BYTES_MAX);
    let (areas, present) = match judged {
        Ok(judged) => judged,
        Err(refused) => {
            // It shall hear ours before the connection ends, but its silence is no reason to forget why it was refused.
            let _ = tokio::time::timeout(limits::VERDICT_WAIT, verdict).await;
            return Err(refused);
        }
    };
    let verdict = verdict.await;
    let credentials_took = began.elapsed();
    let verdict = read_verdict(&verdict?, ours.second.is_some())?;
    if !verdict.accepted {
        return Err(verdict.elsewhere.map_or(HelloError::RefusedByPeer, HelloError::WeAreCopied));
    }
    let heads_of_ours = verdict.heads.into_iter().filter(|(log, _)| log.author == ours.key).collect();
    let greeting = Greeting::of(round_trip, credentials_took);
    tracing::debug!(peer = %peer.short(), ?round_trip, ?credentials_took, ?greeting, "said hello");
    Ok(Greeted { areas, heads_of_ours, greeting, round_trip, present })
}

/// The areas in which the peer is enrolled as a node, by what we know or by what it shows.
fn enrolled_areas(peer: &AuthorKey, ours: &Ours, shown: &[ReceivedEvent]) -> Result<Vec<Area>, HelloError> {
    let mut keys = KeyCache::default();
    let verified: Result<Vec<_>, _> = shown.iter().map(|event| verify_single(event.clone(), &mut keys)).collect();
    let verified = verified.map_err(|_| HelloError::NotEnrolled)?;
    let of_charter = verified.iter().map(|event| event.event()).filter(|e| e.header().stream == Stream::CHARTER);
    let by_shown = Charter::evaluate(ours.federation, of_charter);
    let areas: Vec<Area> = node_areas(&ours.charter, peer).chain(node_areas(&by_shown, peer)).collect();
    if areas.is_empty() { Err(HelloError::NotEnrolled) } else { Ok(areas) }
}

/// Areas of the valid node grants of a key.
pub(crate) fn node_areas<'c>(charter: &'c Charter, key: &'c AuthorKey) -> impl Iterator<Item = Area> + 'c {
    charter.grants().filter(|(_, g)| g.subject == *key && g.role == Role::Node).map(|(_, grant)| grant.area.clone())
}

/// What both tags are computed over.
struct Transcript {
    federation: EventId,
    nonce_i: Nonce,
    nonce_r: Nonce,
    initiator: AuthorKey,
    responder: AuthorKey,
}

impl Transcript {
    fn mac(&self, domain: &[u8]) -> Hmac<Sha256> {
        // HMAC takes keys of any length, so this cannot fail.
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(self.federation.as_bytes()).expect("any key length will do");
        mac.update(domain);
        mac.update(&self.nonce_i);
        mac.update(&self.nonce_r);
        mac.update(self.initiator.as_bytes());
        mac.update(self.responder.as_bytes());
        mac
    }

    fn tag(&self, domain: &[u8]) -> Tag {
        self.mac(domain).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    fn check(&self, domain: &[u8], tag: &Tag) -> Result<(), HelloError> {
        self.mac(domain).verify_slice(tag).map_err(|_| HelloError::OtherFederation)
    }
}

fn draw_nonce() -> Result<Nonce, HelloError> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(HelloError::Randomness)?;
    Ok(nonce)
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &mut Writer) -> Result<(), HelloError> {
    let bytes = std::mem::take(message).into_bytes();
    Ok(wire::write(stream, &Packer::default().pack_for_stream(&bytes)).await?)
}

async fn receive(stream: &mut (impl AsyncRead + Unpin), max: usize) -> Result<Vec<u8>, HelloError> {
    Ok(wire::read(stream, max, || ()).await?.0)
}

fn read_one(message: &[u8]) -> Result<[u8; 32], CborError> {
    let mut r = Reader::new(message);
    r.array_of(1, "an array of one")?;
    let value = r.byte_array()?;
    r.finish()?;
    Ok(value)
}

fn read_nonce_and_tag(message: &[u8]) -> Result<(Nonce, Tag), CborError> {
    let mut r = Reader::new(message);
    r.array_of(2, "an array of two")?;
    let both = (r.byte_array()?, r.byte_array()?);
    r.finish()?;
    Ok(both)
}

/// What a peer shows in its fourth message.
struct Shown {
    credentials: Vec<ReceivedEvent>,
    /// Which process it is, and its clock in Unix milliseconds.
    present: Option<(Instance, u64)>,
}

fn write_credentials(ours: &Ours) -> Writer {
    let mut w = Writer::new();
    if let Some(second) = &ours.second {
        w.array(3).bytes(&second.instance.to_be_bytes()).uint((second.clock)());
    }
    w.array(ours.credentials.len());
    for event in &ours.credentials {
        write_credential(&mut w, event);
    }
    w
}

fn read_shown(message: &[u8], second: bool) -> Result<Shown, HelloError> {
    let mut r = Reader::new(message);
    let mut present = None;
    if second {
        r.array_of(3, "a process, a clock and credentials")?;
        present = Some((u64::from_be_bytes(r.byte_array()?), r.uint()?));
    }
    let len = r.array_of_at_most(GRANT_CHAIN_MAX, "number of credentials")?;
    let mut credentials = Vec::with_capacity(len);
    for _ in 0..len {
        credentials.push(read_credential(&mut r).map_err(|_| HelloError::NotEnrolled)?);
    }
    r.finish()?;
    Ok(Shown { credentials, present })
}

/// What a peer says in its last message.
struct Verdict {
    accepted: bool,
    heads: Vec<(LogId, Head)>,
    /// Where another process with the receiver's key is, for whose sake it is not accepted.
    elsewhere: Option<Multiaddr>,
}

fn write_verdict<T>(judged: &Result<T, HelloError>, ours: &Ours) -> Writer {
    let heads: &[(LogId, Head)] = if judged.is_ok() { &ours.heads_of_peer } else { &[] };
    let heads = &heads[..heads.len().min(limits::HELLO_HEADS_MAX)];
    let mut w = Writer::new();
    w.array(if ours.second.is_some() { 3 } else { 2 }).bool(judged.is_ok()).array(heads.len());
    for (log, head) in heads {
        w.array(3);
        write_log_id(&mut w, log);
        w.uint(head.seq).bytes(head.id.as_bytes());
    }
    if ours.second.is_some() {
        let elsewhere = if let Err(HelloError::IsCopy(standing)) = judged { Some(standing) } else { None };
        w.bytes_or_null(elsewhere.map(AsRef::as_ref));
    }
    w
}

fn read_verdict(message: &[u8], second: bool) -> Result<Verdict, CborError> {
    let mut r = Reader::new(message);
    r.array_of(if second { 3 } else { 2 }, "a verdict and what belongs to it")?;
    let accepted = r.bool()?;
    let len = r.array_of_at_most(limits::HELLO_HEADS_MAX, "number of heads")?;
    let mut heads = Vec::with_capacity(len);
    for _ in 0..len {
        r.array_of(3, "a log, a seq and an id")?;
        let log = read_log_id(&mut r)?;
        let start = r.offset();
        let seq = r.uint()?;
        if seq == 0 || seq == u64::MAX {
            return Err(Reader::error(start, Problem::OutOfRange("seq")));
        }
        heads.push((log, Head { seq, id: EventId::from_bytes(r.byte_array()?) }));
    }
    let elsewhere = if !second || r.null() { None } else { Some(read_address(&mut r)?) };
    r.finish()?;
    Ok(Verdict { accepted, heads, elsewhere })
}

#[cfg(test)]
mod tests;
