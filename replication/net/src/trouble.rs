//! Why a peer does not replicate with us, as something that can be counted and said in any language; and what is
//! remembered of peers that broke a rule.

use std::time::Instant;

use linli_core::id::AuthorKey;
use linli_core::sync::{DisconnectReason, Violation};

use crate::driver::Driver;
use crate::hello::HelloError;
use crate::limits;
use crate::session::unix_ms;

/// Why a peer does not replicate with us, or did not when that was tried last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The connection ended. Nobody's fault that we know of.
    Lost,
    /// It does not speak the hello protocol.
    NoProtocol,
    /// It ended the hello, or the connection before it, as a node does that takes us for a stranger or does not speak with
    /// us for a while.
    HelloClosed,
    /// What it said in the hello is no hello.
    HelloMalformed,
    /// It does not know our federation.
    OtherFederation,
    /// Its credentials do not enrol it as a node.
    NotEnrolled,
    /// It refuses our credentials.
    RefusedByPeer,
    /// It is another process with the key of one that replicates with us.
    IsCopy,
    /// It replicates with another process that has our key.
    WeAreCopied,
    /// This machine has no randomness to say hello with.
    NoRandomness,
    /// The hello was not completed in time.
    HelloTimeout,
    /// It sent bytes that are no message.
    Garbage,
    /// It broke a rule of the sync protocol.
    Violation(Violation),
    /// It sent a frame that does not hold.
    BadFrame,
    /// It left what we asked for without any answer.
    Stalled,
    /// It does not read what is sent to it.
    NotReading,
    /// It began a message and does not finish it.
    Trickles,
    /// It connects again and again.
    Visits,
    /// It opens stream after stream.
    Streams,
}

impl Reason {
    /// A short name, for programs and labels.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::NoProtocol => "no_protocol",
            Self::HelloClosed => "closed",
            Self::HelloMalformed => "malformed",
            Self::OtherFederation => "other_federation",
            Self::NotEnrolled => "not_enrolled",
            Self::RefusedByPeer => "refused_by_peer",
            Self::IsCopy => "copy",
            Self::WeAreCopied => "copy_of_us",
            Self::NoRandomness => "no_randomness",
            Self::HelloTimeout => "timeout",
            Self::Garbage => "garbage",
            Self::Violation(Violation::TooManyWants) => "too_many_wants",
            Self::Violation(Violation::WantTwice) => "want_twice",
            Self::Violation(Violation::TooMuchCredit) => "too_much_credit",
            Self::Violation(Violation::CreditOverrun) => "credit_overrun",
            Self::Violation(Violation::ComparesWithoutEnd) => "compares_without_end",
            Self::Violation(Violation::Unasked) => "unasked",
            Self::Violation(Violation::FrameTooLong) => "frame_too_long",
            Self::Violation(Violation::ConfirmedUnsent) => "confirmed_unsent",
            Self::Violation(Violation::ReplacesWants) => "replaces_wants",
            Self::Violation(Violation::SendsWhatIsThere) => "sends_what_is_there",
            Self::Violation(Violation::BrokenPromises) => "broken_promises",
            Self::BadFrame => "bad_frame",
            Self::Stalled => "stalled",
            Self::NotReading => "not_reading",
            Self::Trickles => "trickles",
            Self::Visits => "visits",
            Self::Streams => "streams",
        }
    }

    /// Whether an honest node that works would not have done this. A stranger is no member, which is another matter.
    pub const fn is_misbehaviour(self) -> bool {
        match self {
            Self::HelloMalformed
            | Self::Garbage
            | Self::Violation(_)
            | Self::BadFrame
            | Self::Stalled
            | Self::NotReading
            | Self::Trickles
            | Self::Visits
            | Self::Streams => true,
            Self::Lost
            | Self::NoProtocol
            | Self::HelloClosed
            | Self::OtherFederation
            | Self::NotEnrolled
            | Self::RefusedByPeer
            | Self::IsCopy
            | Self::WeAreCopied
            | Self::NoRandomness
            | Self::HelloTimeout => false,
        }
    }
}

impl From<&HelloError> for Reason {
    fn from(error: &HelloError) -> Self {
        match error {
            HelloError::Wire(_) => Self::HelloClosed,
            HelloError::Malformed(_) => Self::HelloMalformed,
            HelloError::OtherFederation => Self::OtherFederation,
            HelloError::NotEnrolled => Self::NotEnrolled,
            HelloError::RefusedByPeer => Self::RefusedByPeer,
            HelloError::IsCopy(_) => Self::IsCopy,
            HelloError::WeAreCopied(_) => Self::WeAreCopied,
            HelloError::Randomness(_) => Self::NoRandomness,
            HelloError::Timeout => Self::HelloTimeout,
        }
    }
}

impl From<&DisconnectReason> for Reason {
    fn from(reason: &DisconnectReason) -> Self {
        match reason {
            DisconnectReason::Violation(violation) => Self::Violation(*violation),
            DisconnectReason::BadFrame { .. } => Self::BadFrame,
            DisconnectReason::Stalled => Self::Stalled,
            DisconnectReason::NotReading => Self::NotReading,
        }
    }
}

/// What a peer did that no honest node does. Told until it has behaved for [`limits::MISBEHAVIOUR_TOLD`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misbehaviour {
    /// What it did last.
    pub reason: Reason,
    /// When it began, in Unix milliseconds.
    pub since_ms: u64,
    /// When it did so last, in Unix milliseconds.
    pub last_ms: u64,
    /// How often since it began.
    pub times: u64,
}

impl Misbehaviour {
    fn again(before: Option<Self>, reason: Reason, now_ms: u64) -> Self {
        match before.filter(|before| before.is_told(now_ms)) {
            Some(before) => Self { reason, last_ms: now_ms, times: before.times.saturating_add(1), ..before },
            None => Self { reason, since_ms: now_ms, last_ms: now_ms, times: 1 },
        }
    }

    /// Whether people should still hear of it.
    pub(crate) fn is_told(&self, now_ms: u64) -> bool {
        u128::from(now_ms.saturating_sub(self.last_ms)) < limits::MISBEHAVIOUR_TOLD.as_millis()
    }
}

impl Driver {
    /// Remembers why a peer does not replicate with us.
    pub(crate) fn note_trouble(&mut self, peer: AuthorKey, reason: Reason, text: String) {
        let note = self.book.note(peer);
        note.refused = Some(text);
        note.refused_for = Some(reason);
        if reason.is_misbehaviour() {
            note.misbehaved = Some(Misbehaviour::again(note.misbehaved, reason, unix_ms()));
        }
    }

    /// When a peer that is left alone is spoken to again, in Unix milliseconds.
    pub(crate) fn let_back_ms(&self, peer: &AuthorKey) -> Option<u64> {
        let left = self.book.shunned_until(peer)?.checked_duration_since(Instant::now())?;
        Some(unix_ms().saturating_add(u64::try_from(left.as_millis()).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misbehaviour_adds_up_until_the_peer_has_behaved_for_a_while() {
        let told_ms = u64::try_from(limits::MISBEHAVIOUR_TOLD.as_millis()).unwrap();
        let first = Misbehaviour::again(None, Reason::Garbage, 1_000);
        let second = Misbehaviour::again(Some(first), Reason::BadFrame, 2_000);
        assert_eq!(second, Misbehaviour { reason: Reason::BadFrame, since_ms: 1_000, last_ms: 2_000, times: 2 });
        assert!(second.is_told(2_000 + told_ms - 1) && !second.is_told(2_000 + told_ms));
        let later = Misbehaviour::again(Some(second), Reason::Stalled, 2_000 + told_ms);
        assert_eq!((later.since_ms, later.times), (2_000 + told_ms, 1));
    }
}
