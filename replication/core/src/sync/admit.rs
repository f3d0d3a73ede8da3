//! From the bytes of a frame to events that may go through the store's door, or to whose fault it is that they may not.

use super::AppendFailure;
use crate::chain::{Join, verify_by_tail, verify_run};
use crate::event::{Payload, ReceivedEvent, VerifiedEvent};
use crate::frame::decode_frame;
use crate::id::{Head, LogId, Stream};
use crate::payloads::{PayloadFrame, decode_payloads};
use crate::sign::KeyCache;

/// What a frame brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The events that were not there yet, in order, each proven.
    pub events: Vec<VerifiedEvent>,
    /// How many were there already and have crossed the line in vain. Only an import that overtook the frame explains it.
    pub held: usize,
}

/// Decodes and proves a frame of `log` against the log's head in our store. Events that are there already are left
/// out, because an import may have overtaken the frame; nothing may remain.
///
/// # Errors
/// [`AppendFailure::BadPeer`] or [`AppendFailure::Forked`].
pub fn admit(log: &LogId, head: Option<Head>, frame: &[u8], keys: &mut KeyCache) -> Result<Admitted, AppendFailure> {
    let mut run = decode_frame(frame).map_err(|error| AppendFailure::BadPeer(error.to_string()))?;
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Err(bad("the frame is empty")) };
    if first.header().log_id() != *log {
        return Err(bad("the frame is of another log"));
    }
    let Some(head) = head else { return Ok(Admitted { events: prove(Join::Start, run, keys)?, held: 0 }) };
    let (first_seq, last_seq) = (first.header().seq, last.header().seq);
    if last_seq < head.seq {
        return Ok(Admitted { events: vec![], held: run.len() });
    }
    if first_seq > head.seq + 1 {
        return Err(bad("the frame leaves a gap"));
    }
    if joins(&run, head) {
        let held = usize::try_from(head.seq + 1 - first_seq).unwrap_or(usize::MAX).min(run.len());
        run.drain(..held);
        let events = if run.is_empty() { vec![] } else { prove(Join::After(head), run, keys)? };
        return Ok(Admitted { events, held });
    }
    let theirs = last.head();
    prove(Join::Anywhere, run, keys)?;
    Err(AppendFailure::Forked { theirs })
}

/// Decodes a payload frame that answers a question for these events of `log`. Whether the payloads are those that the
/// headers commit to is for the store to say, which holds the headers.
///
/// # Errors
/// [`AppendFailure::BadPeer`].
pub fn admit_payloads(log: &LogId, asked: &[u64], frame: &[u8]) -> Result<Vec<(u64, Payload)>, AppendFailure> {
    let PayloadFrame { log: of, payloads } =
        decode_payloads(frame).map_err(|error| AppendFailure::BadPeer(error.to_string()))?;
    if of != *log {
        return Err(bad("the payloads are of another log"));
    }
    if payloads.iter().any(|(seq, _)| asked.binary_search(seq).is_err()) {
        return Err(bad("a payload was not asked for"));
    }
    Ok(payloads)
}

/// Whether a run that covers or touches the position of `head` agrees with it.
fn joins(run: &[ReceivedEvent], head: Head) -> bool {
    let at_head = run.iter().find(|event| event.header().seq == head.seq).map(ReceivedEvent::id);
    let before_first = || run.first().and_then(|first| first.header().prev);
    at_head.or_else(before_first) == Some(head.id)
}

/// Charter events are shown singly as credentials: each has to have a signature that was checked.
fn prove(join: Join, run: Vec<ReceivedEvent>, keys: &mut KeyCache) -> Result<Vec<VerifiedEvent>, AppendFailure> {
    let is_charter = run.first().is_some_and(|event| event.header().stream == Stream::CHARTER);
    let verify = if is_charter { verify_run } else { verify_by_tail };
    verify(join, run, keys).map_err(|error| AppendFailure::BadPeer(error.to_string()))
}

fn bad(what: &str) -> AppendFailure {
    AppendFailure::BadPeer(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{PiiScope, encode_frame};
    use crate::id::Stream;
    use crate::testkit::{Author, Draft};

    /// How many events of a run are new, and how many held already.
    fn admitted(log: &LogId, head: Option<Head>, run: &[ReceivedEvent]) -> Result<(usize, usize), AppendFailure> {
        let admitted = admit(log, head, &encode_frame(run, PiiScope::Covered), &mut KeyCache::default())?;
        Ok((admitted.events.len(), admitted.held))
    }

    #[test]
    fn what_is_there_already_is_left_out() {
        let mut author = Author::new(1, "320508", None);
        let run = author.write_many(Stream::TEAMS, 6, 40);
        let log = author.log_id(Stream::TEAMS);
        assert_eq!(admitted(&log, None, &run), Ok((6, 0)));
        assert_eq!(admitted(&log, Some(run[2].head()), &run), Ok((3, 3)));
        assert_eq!(admitted(&log, Some(run[2].head()), &run[3..]), Ok((3, 0)));
        assert_eq!(admitted(&log, Some(run[5].head()), &run), Ok((0, 6)));
        assert_eq!(admitted(&log, Some(run[5].head()), &run[..3]), Ok((0, 3)));
        assert!(matches!(admitted(&log, Some(run[2].head()), &run[4..]), Err(AppendFailure::BadPeer(_))));
        let other = author.log_id(Stream::ALERTS);
        assert!(matches!(admitted(&other, None, &run), Err(AppendFailure::BadPeer(_))));
    }

    #[test]
    fn payloads_of_another_log_or_not_asked_for_are_the_peers_fault() {
        let author = Author::new(1, "320508", None);
        let (log, other) = (author.log_id(Stream::TEAMS), author.log_id(Stream::COMMUNITY));
        let payloads = [2, 5].map(|seq| (seq, Payload { salt: [1; 16], bytes: vec![0xa0] }));
        let frame = crate::payloads::encode_payloads(&log, &payloads);
        assert_eq!(admit_payloads(&log, &[1, 2, 5], &frame), Ok(payloads.to_vec()));
        for (log, asked) in [(&log, &[1, 2][..]), (&log, &[5]), (&other, &[2, 5])] {
            assert!(matches!(admit_payloads(log, asked, &frame), Err(AppendFailure::BadPeer(_))), "{log} {asked:?}");
        }
        assert!(matches!(admit_payloads(&log, &[2, 5], &frame[1..]), Err(AppendFailure::BadPeer(_))));
    }

    #[test]
    fn a_second_history_is_the_authors_fault_and_a_forged_one_the_peers() {
        let mut author = Author::new(1, "320508", None);
        let shared = author.write_many(Stream::TEAMS, 2, 40);
        let mut other = author.clone();
        let ours = author.write(Draft::new(Stream::TEAMS, "deployed", None));
        let theirs = [0, 1].map(|_| other.write(Draft::new(Stream::TEAMS, "released", None)));
        let log = author.log_id(Stream::TEAMS);
        let forked = Err(AppendFailure::Forked { theirs: theirs[1].head() });
        assert_eq!(admitted(&log, Some(ours.head()), &theirs[1..]), forked);
        let whole: Vec<_> = shared.iter().chain(&theirs).cloned().collect();
        assert_eq!(admitted(&log, Some(ours.head()), &whole), forked);
        let unsigned = ReceivedEvent::new(theirs[1].header_bytes().to_vec(), None, None, None).unwrap();
        assert!(matches!(admitted(&log, Some(ours.head()), &[unsigned]), Err(AppendFailure::BadPeer(_))));
    }
}
