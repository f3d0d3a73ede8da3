//! What one peer wants from us and in which order it gets it: charter and alerts strictly first, the other streams by
//! weight, the logs of a stream in turn.

use std::collections::BTreeMap;

use super::pull::signed;
use super::{Message, Moved, ReadFrame, Violation};
use crate::id::{LogId, Stream};
use crate::limits;

/// The wants of one peer that are open at us.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    serves: BTreeMap<LogId, Serve>,
    by_want: BTreeMap<u64, LogId>,
    /// Reads that the driver has not answered, for which log; none where the want has been closed or replaced since.
    /// These count as well: a peer that replaces its want again and again must not make us read without end.
    reads: BTreeMap<u64, Reading>,
    /// Virtual time per stream, as in stride scheduling: bytes sent over the stream's weight.
    pass: BTreeMap<Stream, u64>,
    virtual_time: u64,
    moved: Moved,
    /// The log of each stream that was served last, to take turns.
    last_served: BTreeMap<Stream, LogId>,
}

#[derive(Debug)]
struct Serve {
    want: u64,
    asked: Asked,
    /// Bytes that may still be sent; below zero after a frame that was longer.
    credit: i64,
    reading: bool,
    /// A frame that was read and is not wholly sent.
    outgoing: Option<Outgoing>,
}

/// What a want is for.
#[derive(Debug)]
enum Asked {
    /// Events, from this seq on.
    From(u64),
    /// Payloads of these events. One frame answers.
    Payloads(Vec<u64>),
}

/// A read that the driver has not answered.
#[derive(Debug)]
struct Reading {
    urgent: bool,
    /// None when the want has been closed or replaced since: nobody gets it, but it occupies the disk.
    log: Option<LogId>,
}

#[derive(Debug)]
struct Outgoing {
    frame: Vec<u8>,
    sent: usize,
    /// Whether it ends at our head.
    last: bool,
}

impl Outgoing {
    /// The next piece, of about `most` bytes: a part, or the end of the frame. An end that is short is not left over.
    fn take(&mut self, want: u64, most: usize) -> Message {
        let rest = self.frame.len() - self.sent;
        let (most, whole) = (most.max(limits::SYNC_PART_BYTES_MIN), self.sent == 0);
        if rest > most + most / 4 {
            let bytes = self.frame[self.sent..self.sent + most].to_vec();
            self.sent += most;
            return Message::Part { want, bytes };
        }
        let frame = std::mem::take(&mut self.frame);
        let frame = if whole { frame } else { frame[self.sent..].to_vec() };
        Message::Frame { want, last: self.last, frame }
    }
}

/// What to do next for a peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Read a run of this log, from this seq on.
    Read(LogId, u64),
    /// Read payloads of these events of this log.
    ReadPayloads(LogId, Vec<u64>),
    /// Send this piece of a frame.
    Send(Message),
}

impl Serve {
    fn may_be_read(&self) -> bool {
        self.credit > 0 && !self.reading && self.outgoing.is_none()
    }
}

fn is_urgent(log: &LogId) -> bool {
    log.stream.code() < limits::SYNC_URGENT_STREAMS
}

impl Schedule {
    /// Opens a want; an earlier one for the same log gives way.
    pub(super) fn open(&mut self, want: u64, log: LogId, from_seq: u64, credit: u64) -> Result<(), Violation> {
        self.open_for(want, log, Asked::From(from_seq), credit)
    }

    /// Opens a want for payloads; an earlier one for the same log gives way.
    pub(super) fn open_fill(&mut self, want: u64, log: LogId, seqs: Vec<u64>, credit: u64) -> Result<(), Violation> {
        self.open_for(want, log, Asked::Payloads(seqs), credit)
    }

    fn open_for(&mut self, want: u64, log: LogId, asked: Asked, credit: u64) -> Result<(), Violation> {
        if self.by_want.contains_key(&want) {
            return Err(Violation::WantTwice);
        }
        self.close(&log);
        if self.serves.len() >= limits::SYNC_SERVES_PER_PEER_MAX {
            return Err(Violation::TooManyWants);
        }
        self.by_want.insert(want, log.clone());
        self.serves.insert(log, Serve { want, asked, credit: signed(credit), reading: false, outgoing: None });
        Ok(())
    }

    /// Adds credit. A want that has just been closed is no error: the messages crossed.
    pub(super) fn add_credit(&mut self, want: u64, bytes: u64) -> Result<(), Violation> {
        let Some(serve) = self.by_want.get(&want).and_then(|log| self.serves.get_mut(log)) else { return Ok(()) };
        serve.credit = serve.credit.saturating_add(signed(bytes));
        if serve.credit > signed(limits::SYNC_CREDIT_BYTES_MAX) { Err(Violation::TooMuchCredit) } else { Ok(()) }
    }

    /// What to do next: send a piece of about `piece_bytes` if there is `room` for one, or read ahead; `token` names the
    /// read.
    pub(super) fn next(&mut self, token: u64, room: bool, piece_bytes: u64) -> Option<Next> {
        let log = self.pick(room)?;
        let serve = self.serves.get_mut(&log)?;
        let Some(outgoing) = &mut serve.outgoing else {
            serve.reading = true;
            self.reads.insert(token, Reading { urgent: is_urgent(&log), log: Some(log.clone()) });
            return Some(match &serve.asked {
                Asked::From(seq) => Next::Read(log, *seq),
                Asked::Payloads(seqs) => Next::ReadPayloads(log, seqs.clone()),
            });
        };
        let message = outgoing.take(serve.want, usize::try_from(piece_bytes).unwrap_or(usize::MAX));
        let bytes = match &message {
            Message::Part { bytes, .. } => bytes.len() as u64,
            Message::Frame { frame, last, .. } => {
                serve.outgoing = None;
                let bytes = frame.len() as u64;
                if *last {
                    self.close(&log);
                }
                bytes
            }
            _ => 0,
        };
        self.account(&log, bytes);
        Some(Next::Send(message))
    }

    /// Whose turn it is: among the logs that can be sent, if there is room, or read ahead.
    fn pick(&self, room: bool) -> Option<LogId> {
        let reading = |urgent| self.reads.values().filter(move |read| read.urgent == urgent).count();
        let waits =
            |urgent| move |(log, serve): &(&LogId, &Serve)| is_urgent(log) == urgent && serve.outgoing.is_some();
        let in_pipeline = |urgent| reading(urgent) + self.serves.iter().filter(waits(urgent)).count();
        let may_read = [false, true].map(|urgent| in_pipeline(urgent) < limits::SYNC_FRAMES_IN_PIPELINE);
        let ready = |log: &LogId, serve: &Serve| {
            room && serve.outgoing.is_some() || serve.may_be_read() && may_read[usize::from(is_urgent(log))]
        };
        let mut streams: Vec<Stream> =
            self.serves.iter().filter(|(log, serve)| ready(log, serve)).map(|(log, _)| log.stream).collect();
        streams.dedup();
        let pass = |stream: &Stream| self.pass.get(stream).copied().unwrap_or(0).max(self.virtual_time);
        let stream = match streams.first() {
            Some(first) if first.code() < limits::SYNC_URGENT_STREAMS => *first,
            _ => *streams.iter().min_by_key(|stream| (pass(stream), **stream))?,
        };
        let of_stream = || self.serves.iter().filter(|(log, serve)| log.stream == stream && ready(log, serve));
        // A frame that is half sent is finished first: the peer holds its parts in memory.
        let begun = of_stream().find(|(_, serve)| serve.outgoing.as_ref().is_some_and(|outgoing| outgoing.sent > 0));
        let after_last = |log: &LogId| self.last_served.get(&stream).is_some_and(|last| log > last);
        let in_turn = || of_stream().find(|(log, _)| after_last(log)).or_else(|| of_stream().next());
        begun.or_else(in_turn).map(|(log, _)| log.clone())
    }

    /// Bytes of a log went out: its stream stands back for as long as its weight says.
    fn account(&mut self, log: &LogId, bytes: u64) {
        let pass = self.pass.entry(log.stream).or_default();
        let start = (*pass).max(self.virtual_time);
        *pass = start.saturating_add(bytes / weight(log.stream));
        if !is_urgent(log) {
            self.virtual_time = start;
        }
        self.last_served.insert(log.stream, log.clone());
    }

    /// A read is done: its frame, up to `last_seq`, waits for its turn. Gives the want that has nothing to wait for,
    /// because there is no frame.
    pub(super) fn read_done(
        &mut self,
        token: u64,
        frame: Option<ReadFrame>,
        height: impl Fn(&LogId) -> u64,
    ) -> Option<u64> {
        let log = self.reads.remove(&token)?.log?;
        let serve = self.serves.get_mut(&log).filter(|serve| serve.reading)?;
        serve.reading = false;
        let want = serve.want;
        let Some(ReadFrame { bytes: frame, last_seq }) = frame else {
            self.close(&log);
            return Some(want);
        };
        let mut last = true;
        if let Asked::From(from_seq) = &mut serve.asked {
            let next_seq = last_seq.saturating_add(1);
            self.moved.add(next_seq.saturating_sub(*from_seq), frame.len() as u64);
            *from_seq = next_seq;
            last = last_seq >= height(&log);
        }
        serve.credit = serve.credit.saturating_sub(signed(frame.len() as u64));
        serve.outgoing = Some(Outgoing { frame, sent: 0, last });
        None
    }

    /// Closes the want for a log, if one is open.
    pub(super) fn close(&mut self, log: &LogId) {
        if let Some(serve) = self.serves.remove(log) {
            self.by_want.remove(&serve.want);
            self.reads.values_mut().filter(|read| read.log.as_ref() == Some(log)).for_each(|read| read.log = None);
        }
    }

    /// What was read to be sent.
    pub(super) const fn moved(&self) -> Moved {
        self.moved
    }

    /// Whether nothing is on its way from the disk, or read and not sent.
    pub(super) fn is_idle(&self) -> bool {
        self.reads.is_empty() && self.serves.values().all(|serve| serve.outgoing.is_none())
    }

    /// Whether a want for this log is open.
    pub(super) fn has(&self, log: &LogId) -> bool {
        self.serves.contains_key(log)
    }

    /// Open wants.
    pub(super) fn len(&self) -> usize {
        self.serves.len()
    }
}

/// Share of the line among the streams that are not urgent: what people act on before what they study.
const fn weight(stream: Stream) -> u64 {
    match stream.code() {
        2..=4 => 4,
        5..=7 => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::Author;

    fn log(n: u16, stream: Stream) -> LogId {
        Author::new(n, "320508", None).log_id(stream)
    }

    /// Serves everything in frames of 1000 bytes and says which logs went in which order.
    fn order(schedule: &mut Schedule, frames: u64) -> Vec<LogId> {
        let mut sent = vec![];
        let mut token = 0;
        while (sent.len() as u64) < frames {
            token += 1;
            match schedule.next(token, true, 1000) {
                Some(Next::Read(log, from_seq)) => {
                    let frame = ReadFrame { bytes: vec![log.stream.code(); 1000], last_seq: from_seq };
                    assert_eq!(schedule.read_done(token, Some(frame), |_| u64::MAX), None);
                    sent.push(log);
                }
                Some(Next::Send(Message::Frame { frame, .. })) => assert_eq!(frame.len(), 1000),
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
        sent
    }

    fn streams(logs: &[LogId]) -> Vec<Stream> {
        logs.iter().map(|log| log.stream).collect()
    }

    #[test]
    fn warnings_overtake_and_the_others_share_by_weight() {
        let mut schedule = Schedule::default();
        schedule.open(1, log(1, Stream::WITNESS), 1, 100_000).unwrap();
        schedule.open(2, log(1, Stream::INCIDENTS), 1, 100_000).unwrap();
        let shared = streams(&order(&mut schedule, 20));
        let incidents = shared.iter().filter(|s| **s == Stream::INCIDENTS).count();
        assert!((14..=18).contains(&incidents), "{incidents} of 20");
        schedule.open(3, log(2, Stream::ALERTS), 1, 3_000).unwrap();
        schedule.open(4, log(2, Stream::CHARTER), 1, 2_000).unwrap();
        let urgent = [Stream::CHARTER, Stream::CHARTER, Stream::ALERTS, Stream::ALERTS, Stream::ALERTS];
        assert_eq!(streams(&order(&mut schedule, 5)), urgent);
    }

    #[test]
    fn logs_of_one_stream_take_turns_and_stop_without_credit() {
        let mut schedule = Schedule::default();
        for n in 1..=3 {
            schedule.open(u64::from(n), log(n, Stream::TEAMS), 1, 2_000).unwrap();
        }
        let turns = order(&mut schedule, 100);
        assert_eq!(turns.len(), 6);
        assert_eq!(turns[..3], turns[3..]);
        schedule.add_credit(2, 1).unwrap();
        assert_eq!(schedule.next(10, true, 1000), Some(Next::Read(log(2, Stream::TEAMS), 3)));
    }

    #[test]
    fn a_long_frame_goes_out_in_pieces_and_a_warning_goes_in_between() {
        let mut schedule = Schedule::default();
        schedule.open(1, log(1, Stream::TEAMS), 1, 100_000).unwrap();
        assert!(matches!(schedule.next(1, true, 2_000), Some(Next::Read(..))));
        let bytes: Vec<u8> = (0..9_100).map(|n| (n % 251) as u8).collect();
        schedule.read_done(1, Some(ReadFrame { bytes: bytes.clone(), last_seq: 64 }), |_| 64);
        let mut arrived = vec![];
        let Some(Next::Send(Message::Part { want: 1, bytes: part })) = schedule.next(2, true, 2_000) else { panic!() };
        arrived.extend(part);
        schedule.open(2, log(2, Stream::ALERTS), 1, 2_000).unwrap();
        assert_eq!(
            schedule.next(3, false, 2_000),
            Some(Next::Read(log(2, Stream::ALERTS), 1)),
            "though the line is full"
        );
        schedule.read_done(3, Some(ReadFrame { bytes: vec![7; 300], last_seq: 1 }), |_| 1);
        assert!(matches!(schedule.next(4, true, 2_000), Some(Next::Send(Message::Frame { want: 2, last: true, .. }))));
        assert_eq!(schedule.next(4, false, 2_000), None);
        loop {
            match schedule.next(5, true, 2_000) {
                Some(Next::Send(Message::Part { want: 1, bytes })) => arrived.extend(bytes),
                Some(Next::Send(Message::Frame { want: 1, last: true, frame })) => break arrived.extend(frame),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(arrived, bytes);
        assert_eq!(schedule.len(), 0);
    }

    #[test]
    fn a_replaced_want_gets_no_answer_of_the_old_one() {
        let mut schedule = Schedule::default();
        schedule.open(1, log(1, Stream::TEAMS), 1, 2_000).unwrap();
        assert!(matches!(schedule.next(5, true, 1000), Some(Next::Read(..))));
        schedule.open(2, log(1, Stream::TEAMS), 4, 2_000).unwrap();
        let late = ReadFrame { bytes: vec![1; 10], last_seq: 3 };
        assert_eq!(schedule.read_done(5, Some(late), |_| 9), None);
        assert_eq!(schedule.next(6, true, 1000), Some(Next::Read(log(1, Stream::TEAMS), 4)));
        assert_eq!(schedule.open(2, log(2, Stream::TEAMS), 1, 1), Err(Violation::WantTwice));
        for n in 3..=64 {
            schedule.open(u64::from(n), log(n, Stream::TEAMS), 1, 1).unwrap();
        }
        schedule.open(65, log(65, Stream::TEAMS), 1, 1).unwrap();
        assert_eq!(schedule.open(66, log(66, Stream::TEAMS), 1, 1), Err(Violation::TooManyWants));
    }
}
