//! What one peer wants from us and in which order it gets it: charter and alerts strictly first, the other streams by
//! weight, the logs of a stream in turn.

use std::collections::BTreeMap;

use super::Violation;
use crate::id::{LogId, Stream};
use crate::limits;

/// The wants of one peer that are open at us.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    serves: BTreeMap<LogId, Serve>,
    by_want: BTreeMap<u64, LogId>,
    reads: BTreeMap<u64, LogId>,
    /// Virtual time per stream, as in stride scheduling: bytes sent over the stream's weight.
    pass: BTreeMap<Stream, u64>,
    virtual_time: u64,
    /// The log of each stream that was served last, to take turns.
    last_served: BTreeMap<Stream, LogId>,
}

#[derive(Debug)]
struct Serve {
    want: u64,
    next_seq: u64,
    /// Below zero after a frame that overran it: what was overrun is made up for before the next frame, on both sides
    /// alike, in whatever order frames and credit pass each other.
    credit: i64,
    reading: bool,
}

/// A frame was read for this want.
pub(super) struct Answer {
    pub(super) want: u64,
    pub(super) log: LogId,
}

impl Schedule {
    /// Opens a want; an earlier one for the same log gives way.
    pub(super) fn open(&mut self, want: u64, log: LogId, from_seq: u64, credit: u64) -> Result<(), Violation> {
        if self.by_want.contains_key(&want) {
            return Err(Violation::WantTwice);
        }
        self.close(&log);
        if self.serves.len() >= limits::SYNC_SERVES_PER_PEER_MAX {
            return Err(Violation::TooManyWants);
        }
        self.by_want.insert(want, log.clone());
        self.serves.insert(log, Serve { want, next_seq: from_seq, credit: credit as i64, reading: false });
        Ok(())
    }

    /// Adds credit. A want that has just been closed is no error: the messages crossed.
    pub(super) fn add_credit(&mut self, want: u64, bytes: u64) -> Result<(), Violation> {
        let Some(serve) = self.by_want.get(&want).and_then(|log| self.serves.get_mut(log)) else { return Ok(()) };
        serve.credit += bytes as i64;
        if serve.credit > limits::SYNC_CREDIT_BYTES_MAX as i64 { Err(Violation::TooMuchCredit) } else { Ok(()) }
    }

    /// The next run to read: its log and first seq. `token` names the read, `bytes` is what it will about cost.
    pub(super) fn next(&mut self, token: u64, bytes: u64) -> Option<(LogId, u64)> {
        let log = self.pick()?;
        let serve = self.serves.get_mut(&log)?;
        serve.reading = true;
        let from_seq = serve.next_seq;
        let pass = self.pass.entry(log.stream).or_default();
        let start = (*pass).max(self.virtual_time);
        *pass = start.saturating_add(bytes / weight(log.stream));
        if log.stream.code() >= limits::SYNC_URGENT_STREAMS {
            self.virtual_time = start;
        }
        self.last_served.insert(log.stream, log.clone());
        self.reads.insert(token, log.clone());
        Some((log, from_seq))
    }

    fn pick(&self) -> Option<LogId> {
        let ready = |serve: &Serve| serve.credit > 0 && !serve.reading;
        let mut streams: Vec<Stream> =
            self.serves.iter().filter(|(_, s)| ready(s)).map(|(log, _)| log.stream).collect();
        streams.dedup();
        let urgent = |stream: &Stream| stream.code() < limits::SYNC_URGENT_STREAMS;
        let pass = |stream: &Stream| self.pass.get(stream).copied().unwrap_or(0).max(self.virtual_time);
        let stream = match streams.first() {
            Some(first) if urgent(first) => *first,
            _ => *streams.iter().min_by_key(|stream| (pass(stream), **stream))?,
        };
        let of_stream = || self.serves.iter().filter(|(log, serve)| log.stream == stream && ready(serve));
        let after_last = |log: &LogId| self.last_served.get(&stream).is_some_and(|last| log > last);
        let next = of_stream().find(|(log, _)| after_last(log)).or_else(|| of_stream().next());
        next.map(|(log, _)| log.clone())
    }

    /// A read is done: what it was for, unless the want has been closed or replaced since.
    pub(super) fn read_done(&mut self, token: u64) -> Option<Answer> {
        let log = self.reads.remove(&token)?;
        let serve = self.serves.get_mut(&log).filter(|serve| serve.reading)?;
        serve.reading = false;
        Some(Answer { want: serve.want, log })
    }

    /// A frame of `bytes` up to `last_seq` goes out for a log.
    pub(super) fn sent(&mut self, log: &LogId, bytes: u64, last_seq: u64) {
        if let Some(serve) = self.serves.get_mut(log) {
            serve.credit -= bytes as i64;
            serve.next_seq = last_seq.saturating_add(1);
        }
    }

    /// Closes the want for a log, if one is open.
    pub(super) fn close(&mut self, log: &LogId) {
        if let Some(serve) = self.serves.remove(log) {
            self.by_want.remove(&serve.want);
            self.reads.retain(|_, reading| reading != log);
        }
    }

    /// Reads that the driver has not answered.
    pub(super) fn reads(&self) -> usize {
        self.reads.len()
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

    /// Serves everything in frames of 1000 bytes and says which streams went in which order.
    fn order(schedule: &mut Schedule, frames: u64) -> Vec<Stream> {
        let serve = |token| {
            let (log, from_seq) = schedule.next(token, 1000)?;
            let answer = schedule.read_done(token)?;
            assert_eq!(answer.log, log);
            schedule.sent(&log, 1000, from_seq);
            Some(log.stream)
        };
        (0..frames).map_while(serve).collect()
    }

    #[test]
    fn warnings_overtake_and_the_others_share_by_weight() {
        let mut schedule = Schedule::default();
        schedule.open(1, log(1, Stream::WITNESS), 1, 100_000).unwrap();
        schedule.open(2, log(1, Stream::INCIDENTS), 1, 100_000).unwrap();
        let shared = order(&mut schedule, 20);
        let incidents = shared.iter().filter(|s| **s == Stream::INCIDENTS).count();
        assert!((14..=18).contains(&incidents), "{incidents} of 20");
        schedule.open(3, log(2, Stream::ALERTS), 1, 3_000).unwrap();
        schedule.open(4, log(2, Stream::CHARTER), 1, 2_000).unwrap();
        let urgent = [Stream::CHARTER, Stream::CHARTER, Stream::ALERTS, Stream::ALERTS, Stream::ALERTS];
        assert_eq!(order(&mut schedule, 5), urgent);
    }

    #[test]
    fn logs_of_one_stream_take_turns_and_stop_without_credit() {
        let mut schedule = Schedule::default();
        for n in 1..=3 {
            schedule.open(u64::from(n), log(n, Stream::TEAMS), 1, 2_000).unwrap();
        }
        let mut turns = vec![];
        while let Some((log, seq)) = schedule.next(9, 1000) {
            schedule.read_done(9).unwrap();
            schedule.sent(&log, 1000, seq);
            turns.push(log);
        }
        assert_eq!(turns.len(), 6);
        assert_eq!(turns[..3], turns[3..]);
        schedule.add_credit(2, 1).unwrap();
        assert_eq!(schedule.next(10, 1000), Some((log(2, Stream::TEAMS), 3)));
    }

    #[test]
    fn a_replaced_want_gets_no_answer_of_the_old_one() {
        let mut schedule = Schedule::default();
        schedule.open(1, log(1, Stream::TEAMS), 1, 2_000).unwrap();
        schedule.next(5, 1000).unwrap();
        schedule.open(2, log(1, Stream::TEAMS), 4, 2_000).unwrap();
        assert!(schedule.read_done(5).is_none());
        assert_eq!(schedule.open(2, log(2, Stream::TEAMS), 1, 1), Err(Violation::WantTwice));
        for n in 3..=64 {
            schedule.open(u64::from(n), log(n, Stream::TEAMS), 1, 1).unwrap();
        }
        schedule.open(65, log(65, Stream::TEAMS), 1, 1).unwrap();
        assert_eq!(schedule.open(66, log(66, Stream::TEAMS), 1, 1), Err(Violation::TooManyWants));
    }
}
