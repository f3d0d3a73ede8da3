//! Other nodes as this one knows them: how far apart, how fast the line is, what went wrong. Unknown stays unknown.

use std::collections::BTreeMap;
use std::time::Duration;

use linli_core::area::Area;
use linli_core::charter::Role;
use linli_core::id::{AuthorKey, LogId};
use linli_core::sync::Violation;
use linli_net::{LinkEstimate, Misbehaviour, PeerStatus, Reason};
use serde::Serialize;
use utoipa::ToSchema;

use crate::node::Node;
use crate::words::Word;

/// How long a receipt waits for the mesh to say who holds an event. It answers within a millisecond unless it is busy.
const HOLDERS_PATIENCE: Duration = Duration::from_millis(250);

/// Another node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PeerLine {
    /// Its key.
    #[schema(value_type = String)]
    pub node: AuthorKey,
    /// Its public name.
    pub name: String,
    /// Where it works, if its grant is known.
    #[schema(value_type = Option<String>)]
    pub area: Option<Area>,
    /// Where it is or was dialled.
    pub address: String,
    /// Whether there is a live connection.
    pub connected: bool,
    /// Whether that goes through another node's relay.
    pub relayed: bool,
    /// When it was last heard, in Unix milliseconds.
    pub last_heard_ms: Option<u64>,
    /// Round trip, in milliseconds.
    pub rtt_ms: Option<u64>,
    /// Events that it has and we lack, as far as it told us.
    pub behind_events: Option<u64>,
    /// Events that we have and it lacks, as far as it told us.
    pub ahead_events: Option<u64>,
    /// As of when the figures of the line stand, in Unix milliseconds; none if the mesh knows nothing of the node.
    pub as_of_ms: Option<u64>,
    /// The line to it, while it is connected.
    pub to_peer: Option<LinkLine>,
    /// The line from it, while it is connected.
    pub from_peer: Option<LinkLine>,
    /// Why the last attempt to talk failed, in the words of the log.
    pub refused: Option<String>,
    /// The same, told to people.
    pub refused_for: Option<ReasonLine>,
    /// What it did lately that no honest node does, whether or not it is connected again.
    pub misbehaved: Option<MisbehavedLine>,
    /// When it is spoken to again, in Unix milliseconds, while it is left alone.
    pub let_back_ms: Option<u64>,
    /// By how much its clock is ahead of this node's, in milliseconds; less than nothing if it is behind, null if it has
    /// not said lately what its clock shows.
    pub clock_ahead_ms: Option<i64>,
}

/// One direction of a connection. Whatever was not measured or said is null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct LinkLine {
    /// Measured speed, in bytes a second.
    pub bytes_per_second: Option<u64>,
    /// Events that wait.
    pub waiting_events: Option<u64>,
    /// About how many bytes these are.
    pub waiting_bytes: Option<u64>,
    /// About how many seconds they will take.
    pub seconds: Option<u64>,
}

/// A reason in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReasonLine {
    /// A short name for programs, such as `credit_overrun`.
    pub code: &'static str,
    /// In Chinese.
    pub zh: &'static str,
    /// In English.
    pub en: &'static str,
}

/// A peer that broke a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MisbehavedLine {
    /// What it did last.
    pub reason: ReasonLine,
    /// When it began, in Unix milliseconds.
    pub since_ms: u64,
    /// When it did so last, in Unix milliseconds.
    pub last_ms: u64,
    /// How often since it began.
    pub times: u64,
}

impl From<LinkEstimate> for LinkLine {
    fn from(link: LinkEstimate) -> Self {
        Self {
            bytes_per_second: link.bytes_per_second,
            waiting_events: link.waiting_events,
            waiting_bytes: link.waiting_bytes,
            seconds: link.seconds,
        }
    }
}

impl From<Reason> for ReasonLine {
    fn from(reason: Reason) -> Self {
        let word = word_of(reason);
        Self { code: reason.code(), zh: word.zh(), en: word.en() }
    }
}

impl From<Misbehaviour> for MisbehavedLine {
    fn from(misbehaved: Misbehaviour) -> Self {
        Self {
            reason: misbehaved.reason.into(),
            since_ms: misbehaved.since_ms,
            last_ms: misbehaved.last_ms,
            times: misbehaved.times,
        }
    }
}

/// What people read of a reason.
const fn word_of(reason: Reason) -> Word {
    match reason {
        Reason::Lost => Word::ReasonLinkLost,
        Reason::NoProtocol => Word::ReasonNoProtocol,
        Reason::HelloClosed => Word::ReasonHelloClosed,
        Reason::HelloMalformed => Word::ReasonHelloMalformed,
        Reason::OtherFederation => Word::ReasonOtherFederation,
        Reason::NotEnrolled => Word::ReasonNotEnrolled,
        Reason::RefusedByPeer => Word::ReasonRefusedByPeer,
        Reason::IsCopy => Word::ReasonIsCopy,
        Reason::WeAreCopied => Word::ReasonWeAreCopied,
        Reason::NoRandomness => Word::ReasonNoRandomness,
        Reason::HelloTimeout => Word::ReasonHelloTimeout,
        Reason::Garbage => Word::ReasonGarbage,
        Reason::Violation(Violation::TooManyWants) => Word::ReasonTooManyWants,
        Reason::Violation(Violation::WantTwice) => Word::ReasonWantTwice,
        Reason::Violation(Violation::TooMuchCredit) => Word::ReasonTooMuchCredit,
        Reason::Violation(Violation::CreditOverrun) => Word::ReasonCreditOverrun,
        Reason::Violation(Violation::ComparesWithoutEnd) => Word::ReasonComparesWithoutEnd,
        Reason::Violation(Violation::Unasked) => Word::ReasonUnasked,
        Reason::Violation(Violation::FrameTooLong) => Word::ReasonFrameTooLong,
        Reason::Violation(Violation::ConfirmedUnsent) => Word::ReasonConfirmedUnsent,
        Reason::Violation(Violation::ReplacesWants) => Word::ReasonReplacesWants,
        Reason::Violation(Violation::SendsWhatIsThere) => Word::ReasonSendsWhatIsThere,
        Reason::Violation(Violation::BrokenPromises) => Word::ReasonBrokenPromises,
        Reason::BadFrame => Word::ReasonBadFrame,
        Reason::Stalled => Word::ReasonStalled,
        Reason::NotReading => Word::ReasonNotReading,
        Reason::Trickles => Word::ReasonTrickles,
        Reason::Visits => Word::ReasonVisits,
        Reason::Streams => Word::ReasonStreams,
    }
}

impl PeerLine {
    /// A node of which nothing was heard.
    pub(crate) const fn silent(node: AuthorKey, name: String, area: Option<Area>) -> Self {
        Self {
            node,
            name,
            area,
            address: String::new(),
            connected: false,
            relayed: false,
            last_heard_ms: None,
            rtt_ms: None,
            behind_events: None,
            ahead_events: None,
            as_of_ms: None,
            to_peer: None,
            from_peer: None,
            refused: None,
            refused_for: None,
            misbehaved: None,
            let_back_ms: None,
            clock_ahead_ms: None,
        }
    }

    fn heed(&mut self, peer: PeerStatus) {
        self.address = peer.addresses.join(" ");
        self.connected = peer.connected;
        self.relayed = peer.relayed;
        self.last_heard_ms = peer.last_heard_ms;
        self.rtt_ms = peer.rtt_ms;
        self.behind_events = peer.behind_events;
        self.ahead_events = peer.ahead_events;
        self.as_of_ms = Some(peer.as_of_ms);
        self.to_peer = peer.to_peer.map(LinkLine::from);
        self.from_peer = peer.from_peer.map(LinkLine::from);
        self.refused = peer.refused;
        self.refused_for = peer.refused_for.map(ReasonLine::from);
        self.misbehaved = peer.misbehaved.map(MisbehavedLine::from);
        self.let_back_ms = peer.let_back_ms;
        self.clock_ahead_ms = peer.clock_ahead_ms;
    }
}

impl Node {
    /// How many connected nodes say that they hold all these events durably, each a log and a position in it: what a
    /// receipt may count. For threads that may block; a mesh that is too busy to answer soon, or has none, counts nobody.
    pub fn holders(&self, events: &[(LogId, u64)]) -> usize {
        let mesh = self.mesh.get().filter(|_| !events.is_empty());
        let holders = mesh.and_then(|mesh| mesh.holders_within(events.to_vec(), HOLDERS_PATIENCE));
        holders.map_or(0, |holders| holders.len())
    }

    /// Every other enrolled node and every address that was tried, connected or silent.
    pub fn peers(&self) -> Vec<PeerLine> {
        let charter = self.projector.charter();
        let others = charter
            .grants()
            .filter(|(_, grant)| grant.role == Role::Node && grant.subject != self.enrolment.node)
            .map(|(_, grant)| PeerLine::silent(grant.subject, grant.label.clone(), Some(grant.area.clone())));
        let mut lines: BTreeMap<AuthorKey, PeerLine> = others.map(|line| (line.node, line)).collect();
        for peer in self.mesh.get().map(linli_net::MeshHandle::peers).unwrap_or_default() {
            let unknown = || PeerLine::silent(peer.key, peer.key.short(), None);
            lines.entry(peer.key).or_insert_with(unknown).heed(peer);
        }
        lines.into_values().collect()
    }
}

/// A number of bytes as people say it: `1.4 MB`. Powers of ten, as lines are measured in.
pub fn bytes_text(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000 => return format!("{bytes} B"),
        1_000..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    match bytes / unit {
        whole @ 0..10 => format!("{whole}.{} {name}", bytes % unit * 10 / unit),
        whole => format!("{whole} {name}"),
    }
}

/// A round trip in whole milliseconds: on a LAN one takes less than that, never nothing.
pub fn round_trip_text(ms: u64) -> String {
    if ms == 0 { "< 1 ms".to_owned() } else { format!("{ms} ms") }
}

/// About how long something takes, as a person says it, and in which unit.
pub const fn span_text(seconds: u64) -> (Word, u64) {
    match seconds {
        0..90 => (Word::AboutSeconds, seconds),
        90..5_400 => (Word::AboutMinutes, seconds.div_ceil(60)),
        _ => (Word::AboutHours, seconds.div_ceil(3_600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_spans_are_said_as_people_say_them() {
        let told = [999, 1_000, 8_200, 12_345, 1_440_000, 5_000_000_000].map(bytes_text);
        assert_eq!(told, ["999 B", "1.0 kB", "8.2 kB", "12 kB", "1.4 MB", "5.0 GB"]);
        assert!(bytes_text(u64::MAX).ends_with("GB"));
        assert_eq!(span_text(20), (Word::AboutSeconds, 20));
        assert_eq!(span_text(178), (Word::AboutMinutes, 3));
        assert_eq!(span_text(9_000), (Word::AboutHours, 3));
    }

    #[test]
    fn every_reason_has_words_of_its_own() {
        let violations = [
            Violation::TooManyWants,
            Violation::WantTwice,
            Violation::TooMuchCredit,
            Violation::CreditOverrun,
            Violation::ComparesWithoutEnd,
            Violation::Unasked,
            Violation::FrameTooLong,
            Violation::ConfirmedUnsent,
            Violation::ReplacesWants,
            Violation::SendsWhatIsThere,
            Violation::BrokenPromises,
        ];
        let others = [
            Reason::Lost,
            Reason::NoProtocol,
            Reason::HelloClosed,
            Reason::HelloMalformed,
            Reason::OtherFederation,
            Reason::NotEnrolled,
            Reason::RefusedByPeer,
            Reason::IsCopy,
            Reason::WeAreCopied,
            Reason::NoRandomness,
            Reason::HelloTimeout,
            Reason::Garbage,
            Reason::BadFrame,
            Reason::Stalled,
            Reason::NotReading,
            Reason::Trickles,
            Reason::Visits,
            Reason::Streams,
        ];
        let all: Vec<ReasonLine> =
            others.into_iter().chain(violations.map(Reason::Violation)).map(ReasonLine::from).collect();
        for line in &all {
            let same = |other: &&ReasonLine| other.code == line.code || other.zh == line.zh || other.en == line.en;
            assert_eq!(all.iter().filter(same).count(), 1, "{line:?}");
        }
    }
}
