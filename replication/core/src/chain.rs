//! Authentication by the tail: a run of consecutive events of one log is proven by the signature of its last event.
//!
//! `prev` commits each event to all that came before it, so ten thousand events cost ten thousand hashes and one
//! strict signature check. Nothing of a run counts before that check has passed. Other signatures of a run prove nothing
//! more: [`verify_run`] checks them for whoever looks at a history as a whole, [`verify_by_tail`] keeps them as claims,
//! to be checked by whoever ends a run there.

use crate::event::{ReceivedEvent, VerifiedEvent};
use crate::id::{EventId, Head, LogId};
use crate::sign::{KeyCache, SignatureError};

/// Why a run of events is refused. Every variant means that its sender is faulty, never that our store is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// Nothing was sent.
    #[error("the run is empty")]
    Empty,
    /// An event of another log among the others.
    #[error("event at seq {seq} belongs to another log than the run's first event")]
    OtherLog {
        /// Its claimed position.
        seq: u64,
    },
    /// A gap or a repeat.
    #[error("gap or repeat: expected seq {expected}, found {found}")]
    Gap {
        /// The position that had to come next.
        expected: u64,
        /// The position that came.
        found: u64,
    },
    /// `prev` does not name the event before.
    #[error("prev of seq {seq} does not name the event before it")]
    BrokenLink {
        /// The position of the event with the wrong link.
        seq: u64,
    },
    /// The run does not end on a signature, so nothing in it is proven.
    #[error("the run ends at seq {seq} without a signature")]
    UnsignedEnd {
        /// Position of the run's last event.
        seq: u64,
    },
    /// A signature or its key is refused.
    #[error("seq {seq}: {source}")]
    Signature {
        /// Position of the event that carries it.
        seq: u64,
        /// What is wrong.
        source: SignatureError,
    },
}

/// Where a run has to join what is already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// The log is new here: the run starts at seq 1 and its `prev` is the author's own affair.
    Start,
    /// The run continues after this head.
    After(Head),
    /// The run may start anywhere; only its inside is checked. For proofs and tools, never for a store.
    Anywhere,
}

/// Proves a run of consecutive events of one log, every signature in it included.
///
/// # Errors
/// [`ChainError`] names the first position that is wrong. Nothing of a refused run may be used.
pub fn verify_run(join: Join, run: Vec<ReceivedEvent>, keys: &mut KeyCache) -> Result<Vec<VerifiedEvent>, ChainError> {
    check_links(join, &run)?;
    check_tail(&run, keys)?;
    for event in run.iter().rev().skip(1) {
        check_signature(event, keys)?;
    }
    Ok(run.into_iter().map(VerifiedEvent::proven).collect())
}

/// Proves a run of consecutive events of one log by the signature of its last event. Signatures of the others, one check
/// each, become claims ([`ReceivedEvent::claim`]): in a catch-up they would cost more than hashing all the events.
///
/// # Errors
/// As [`verify_run`].
pub fn verify_by_tail(
    join: Join,
    run: Vec<ReceivedEvent>,
    keys: &mut KeyCache,
) -> Result<Vec<VerifiedEvent>, ChainError> {
    check_links(join, &run)?;
    check_tail(&run, keys)?;
    let tail = run.len() - 1;
    let proven = |(at, event): (usize, ReceivedEvent)| if at == tail { event } else { event.into_claimed() };
    Ok(run.into_iter().enumerate().map(proven).map(VerifiedEvent::proven).collect())
}

fn check_tail(run: &[ReceivedEvent], keys: &mut KeyCache) -> Result<(), ChainError> {
    let last = run.last().ok_or(ChainError::Empty)?;
    if last.signature().is_none() {
        return Err(ChainError::UnsignedEnd { seq: last.header().seq });
    }
    check_signature(last, keys)
}

/// An event without a signature of its own passes.
fn check_signature(event: &ReceivedEvent, keys: &mut KeyCache) -> Result<(), ChainError> {
    let Some(signature) = event.signature() else { return Ok(()) };
    keys.get(&event.header().author)
        .and_then(|key| key.verify(&event.to_be_signed(), signature))
        .map_err(|source| ChainError::Signature { seq: event.header().seq, source })
}

/// Proves a single event by its own signature, wherever it stands in its log.
///
/// # Errors
/// [`ChainError::UnsignedEnd`] or [`ChainError::Signature`].
pub fn verify_single(event: ReceivedEvent, keys: &mut KeyCache) -> Result<VerifiedEvent, ChainError> {
    check_tail(std::slice::from_ref(&event), keys)?;
    Ok(VerifiedEvent::proven(event))
}

fn check_links(join: Join, run: &[ReceivedEvent]) -> Result<(), ChainError> {
    let Some(first) = run.first() else { return Err(ChainError::Empty) };
    let log: LogId = first.header().log_id();
    let (mut expected_seq, mut expected_prev): (u64, Option<EventId>) = match join {
        Join::Start => (1, first.header().prev),
        // A head of the highest number cannot be continued: the run is then refused as a gap.
        Join::After(head) => (head.seq.saturating_add(1), Some(head.id)),
        Join::Anywhere => (first.header().seq, first.header().prev),
    };
    for event in run {
        let header = event.header();
        if !same_log(&log, event) {
            return Err(ChainError::OtherLog { seq: header.seq });
        }
        if header.seq != expected_seq {
            return Err(ChainError::Gap { expected: expected_seq, found: header.seq });
        }
        if header.prev != expected_prev {
            return Err(ChainError::BrokenLink { seq: header.seq });
        }
        expected_seq = header.seq + 1;
        expected_prev = Some(event.id());
    }
    Ok(())
}

fn same_log(log: &LogId, event: &ReceivedEvent) -> bool {
    let h = event.header();
    h.author == log.author && h.incarnation == log.incarnation && h.stream == log.stream && h.area == log.area
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Header, StoredEvent};
    use crate::id::{AuthorKey, Stream};
    use crate::sign::SecretKey;
    use crate::time::Hlc;

    fn event(key: &SecretKey, seq: u64, prev: Option<EventId>, stream: Stream) -> ReceivedEvent {
        let header = Header {
            author: AuthorKey::from_bytes([0; 32]),
            incarnation: 1,
            area: "320508".parse().unwrap(),
            stream,
            seq,
            prev,
            parents: vec![],
            record: None,
            kind: "reported".parse().unwrap(),
            time: Hlc::default(),
            grant: Some(EventId::from_bytes([1; 32])),
            op: None,
            pii: None,
        };
        ReceivedEvent::sign(header, None, None, key)
    }

    fn unsigned(event: &ReceivedEvent) -> ReceivedEvent {
        ReceivedEvent::new(event.header_bytes().to_vec(), None, None, None).unwrap()
    }

    fn chain_of(key: &SecretKey, len: u64) -> Vec<ReceivedEvent> {
        let mut out: Vec<ReceivedEvent> = vec![];
        for seq in 1..=len {
            out.push(event(key, seq, out.last().map(ReceivedEvent::id), Stream::INCIDENTS));
        }
        out
    }

    fn verify(join: Join, run: Vec<ReceivedEvent>) -> Result<usize, ChainError> {
        verify_run(join, run, &mut KeyCache::default()).map(|v| v.len())
    }

    #[test]
    fn one_signature_at_the_end_proves_the_whole_run() {
        let mut run: Vec<_> = chain_of(&SecretKey::from_seed(&[1; 32]), 5);
        for event in &mut run[..4] {
            *event = unsigned(event);
        }
        assert_eq!(verify(Join::Start, run.clone()), Ok(5));
        let head = run[1].head();
        assert_eq!(verify(Join::After(head), run[2..].to_vec()), Ok(3));
        run[4] = unsigned(&run[4]);
        assert_eq!(verify(Join::Start, run), Err(ChainError::UnsignedEnd { seq: 5 }));
    }

    #[test]
    fn by_the_tail_a_signature_inside_is_a_claim_that_whoever_needs_it_checks() {
        let mut run = chain_of(&SecretKey::from_seed(&[1; 32]), 4);
        let wrong = run[0].signature().copied();
        run[1] = ReceivedEvent::new(run[1].header_bytes().to_vec(), wrong, None, None).unwrap();
        let refused = ChainError::Signature { seq: 2, source: SignatureError::Invalid };
        assert_eq!(verify(Join::Start, run.clone()), Err(refused));
        let keys = &mut KeyCache::default();
        let proven = verify_by_tail(Join::Start, run.clone(), keys).unwrap();
        let [checked, claims] = [ReceivedEvent::signature, ReceivedEvent::claim]
            .map(|of| proven.iter().map(|event| of(event.event()).is_some()).collect::<Vec<_>>());
        assert_eq!((checked, claims), (vec![false, false, false, true], vec![true, true, true, false]));
        let stored = |event: &ReceivedEvent| {
            let signature = event.claim().or(event.signature()).copied();
            let claimed = event.claim().is_some();
            StoredEvent::read_back(event.header_bytes().to_vec(), signature, claimed, None, None).unwrap()
        };
        let confirmed = proven.iter().map(|event| stored(event.event()).confirm(keys)).collect::<Vec<_>>();
        assert_eq!(confirmed, [true, false, true, true]);
        assert_eq!(proven[1].event().clone().with_claim(), run[1]);
        run[3] = unsigned(&run[3]);
        assert_eq!(verify_by_tail(Join::Start, run, keys).unwrap_err(), ChainError::UnsignedEnd { seq: 4 });
        assert_eq!(verify_by_tail(Join::Start, vec![], keys).unwrap_err(), ChainError::Empty);
    }

    #[test]
    fn rejects_gaps_repeats_and_wrong_links() {
        let key = SecretKey::from_seed(&[1; 32]);
        let run = chain_of(&key, 4);
        let gap = vec![run[0].clone(), run[2].clone()];
        assert_eq!(verify(Join::Start, gap), Err(ChainError::Gap { expected: 2, found: 3 }));
        let repeat = vec![run[0].clone(), run[0].clone()];
        assert_eq!(verify(Join::Start, repeat), Err(ChainError::Gap { expected: 2, found: 1 }));
        let relinked = vec![run[0].clone(), event(&key, 2, Some(run[3].id()), Stream::INCIDENTS)];
        assert_eq!(verify(Join::Start, relinked), Err(ChainError::BrokenLink { seq: 2 }));
        assert_eq!(verify(Join::Start, vec![]), Err(ChainError::Empty));
    }

    #[test]
    fn rejects_replay_into_another_log_and_a_foreign_signature() {
        let key = SecretKey::from_seed(&[1; 32]);
        let run = chain_of(&key, 2);
        let mixed = vec![run[0].clone(), event(&key, 2, Some(run[0].id()), Stream::TEAMS)];
        assert_eq!(verify(Join::Start, mixed), Err(ChainError::OtherLog { seq: 2 }));
        let stolen = ReceivedEvent::new(run[1].header_bytes().to_vec(), run[0].signature().copied(), None, None);
        let refused = verify(Join::Start, vec![run[0].clone(), stolen.unwrap()]);
        assert_eq!(refused, Err(ChainError::Signature { seq: 2, source: SignatureError::Invalid }));
    }
}
