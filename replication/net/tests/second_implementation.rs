//! The engine replicates with a peer that was written in Python from `docs/sync.md` and `docs/format.md` alone
//! (`ops/verify/sync_peer.py`): what those pages say is enough to take part, and what the engine does is what they say.
//!
//! The two talk through pipes in the envelope of a sync stream. Both stores are proven equal at the end: heads, digests,
//! and a hash over every header, every payload, and the signatures that all must keep.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../core/tests/verifier/mod.rs"]
mod verifier;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use linli_core::area::Area;
use linli_core::cbor::Writer;
use linli_core::event::{ReceivedEvent, Slot};
use linli_core::frame::{PiiScope, encode_frame, write_log_id};
use linli_core::frontier::Frontier;
use linli_core::id::{AuthorKey, Head, LogId, Stream};
use linli_core::limits;
use linli_core::sign::KeyCache;
use linli_core::sync::{Engine, Greeting, Input, Message, Output, ReadFrame, admit};
use linli_core::testkit::{Author, Draft, area, key};
use linli_net::{Packer, unpack};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// How long the two may take to agree. They take a second or two; a busy machine may take longer.
const AGREE_WITHIN: Duration = Duration::from_secs(60);

/// Whose key is the smaller one: that side opens a comparison by ranges.
#[derive(Clone, Copy, PartialEq)]
enum Smaller {
    Engine,
    Python,
}

/// The engine with a store in memory, the other process, and the pipes between them.
struct Meeting {
    engine: Engine,
    logs: BTreeMap<LogId, Vec<ReceivedEvent>>,
    python: AuthorKey,
    child: Child,
    /// None when the stream has ended.
    to_python: Option<ChildStdin>,
    from_python: Receiver<Vec<u8>>,
    packer: Packer,
    /// Where the other side's events come from, and its report goes to.
    directory: tempfile::TempDir,
    imports: usize,
    started: Instant,
    next_tick: Duration,
    /// The last digests that either side told.
    told: [Option<[u8; 32]>; 2],
    /// How many heads were told, in both directions.
    heads_told: usize,
    /// Logs of which the engine says that the other side has another history.
    forked: Vec<LogId>,
}

impl Meeting {
    /// Connects the two, which hold these logs.
    fn new(
        engine_holds: &[Vec<ReceivedEvent>],
        python_holds: &[Vec<ReceivedEvent>],
        smaller: Smaller,
        greeting: Greeting,
        options: &[&str],
    ) -> Self {
        let (first, second) = (key(1).public().min(key(2).public()), key(1).public().max(key(2).public()));
        let (own, python) = if smaller == Smaller::Engine { (first, second) } else { (second, first) };
        let directory = tempfile::tempdir().unwrap();
        for (n, run) in python_holds.iter().enumerate() {
            put(directory.path(), n, run);
        }
        let mut child = verifier::command("sync_peer.py")
            .args([hex(python.as_bytes()), hex(own.as_bytes())])
            .arg(directory.path())
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to_python, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let logs: BTreeMap<_, _> = engine_holds.iter().map(|run| (run[0].header().log_id(), run.clone())).collect();
        let heads: Frontier = logs.iter().map(|(log, run)| (log.clone(), run[run.len() - 1].head())).collect();
        let mut meeting = Self {
            engine: Engine::new(own, heads),
            logs,
            python,
            child,
            to_python: Some(to_python),
            from_python: messages_of(stdout),
            packer: Packer::default(),
            directory,
            imports: python_holds.len(),
            started: Instant::now(),
            next_tick: Duration::ZERO,
            told: [None; 2],
            heads_told: 0,
            forked: vec![],
        };
        let pii_areas: Vec<Area> = vec![area("320508")];
        meeting.input(Input::PeerConnected { peer: python, pii_areas, greeting });
        meeting
    }

    /// An event is written where the engine is.
    fn write(&mut self, run: &[ReceivedEvent]) {
        let (log, head) = (run[0].header().log_id(), run[run.len() - 1].head());
        self.logs.entry(log.clone()).or_default().extend_from_slice(run);
        self.input(Input::Appended { log, head });
    }

    /// An event is written where the other one is.
    fn write_there(&mut self, run: &[ReceivedEvent]) {
        put(self.directory.path(), self.imports, run);
        self.imports += 1;
    }

    /// Lets the two talk until something holds.
    fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = Instant::now() + AGREE_WITHIN;
        while !done(self) {
            assert!(
                Instant::now() < limit,
                "not within {AGREE_WITHIN:?}: {what}; {:?}",
                self.engine.view(&self.python)
            );
            match self.from_python.recv_timeout(Duration::from_millis(20)) {
                Ok(packed) => {
                    let message = unpack(&packed, limits::SYNC_MESSAGE_BYTES_MAX).expect("a body that unpacks");
                    let message = Message::decode(&message).expect("a message as docs/sync.md has it");
                    self.note(1, &message);
                    self.input(Input::Message { peer: self.python, message });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the other side has ended: {:?}", self.child.wait()),
            }
            if self.started.elapsed() >= self.next_tick {
                self.next_tick += Duration::from_secs(1);
                self.input(Input::Tick);
            }
        }
    }

    fn note(&mut self, side: usize, message: &Message) {
        match message {
            Message::Digest { digest, .. } => self.told[side] = Some(*digest),
            Message::Heads { entries, .. } => self.heads_told += entries.len(),
            _ => {}
        }
    }

    /// Whether the last digests of both tell what the engine holds: then both know that they hold the same.
    fn know_that_all_is_equal(&self) -> bool {
        let own = Some(self.engine.frontier().digest());
        self.told == [own, own]
    }

    /// Lets them talk until both hold so many logs and know that they hold the same; then both stores are compared.
    fn agree_on(mut self, logs: usize) -> Counts {
        self.run_until("both know that they hold the same", |m| m.logs.len() == logs && m.know_that_all_is_equal());
        let report = self.end();
        let theirs: BTreeMap<String, Value> = report["logs"].as_array().unwrap().iter().map(named).collect();
        let ours: BTreeMap<String, Value> = self.logs.values().map(|run| named(&held(run))).collect();
        let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        let different: Vec<_> = names.into_iter().filter(|log| theirs.get(*log) != ours.get(*log)).collect();
        assert_eq!(different, Vec::<&String>::new(), "logs that differ");
        assert_eq!(report["digest"], hex(&self.engine.frontier().digest()));
        assert_eq!(report["in_sync"], true);
        assert_eq!((&report["forks"], self.forked.len()), (&Value::Array(vec![]), 0));
        Counts { messages: report["counts"].clone(), heads_told: self.heads_told }
    }

    /// Ends the stream. Gives what the other side reports.
    fn end(&mut self) -> Value {
        self.to_python = None;
        let limit = Instant::now() + AGREE_WITHIN;
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => thread::sleep(Duration::from_millis(20)),
            }
            assert!(Instant::now() < limit, "the other side does not end");
        };
        assert!(status.success(), "the other side found a rule broken");
        let report = std::fs::read(self.directory.path().join("report.json")).unwrap();
        serde_json::from_slice(&report).unwrap()
    }

    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for output in self.engine.handle(self.started.elapsed(), input) {
                inputs.extend(self.carry_out(output));
            }
        }
    }

    fn carry_out(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Send { peer, message } => {
                self.note(0, &message);
                let packed = self.packer.pack(&message.encode());
                let length = u32::try_from(packed.len()).unwrap().to_be_bytes();
                // The other side reads while it writes, so this waits for it and not for ever.
                let pipe = self.to_python.as_mut().unwrap();
                pipe.write_all(&[&length[..], &packed].concat()).expect("the other side reads");
                Some(Input::Written { peer })
            }
            Output::Read { peer, token, log, from_seq, max_events, max_bytes, pii } => {
                let frame = self.read(&log, from_seq, max_events, max_bytes, pii);
                Some(Input::ReadDone { peer, token, frame })
            }
            Output::Append { token, log, frame, .. } => {
                match admit(&log, self.head(&log), &frame, &mut KeyCache::default()) {
                    Ok(verified) => {
                        let events = verified.events.into_iter().map(|event| event.into_event().with_claim());
                        self.logs.entry(log.clone()).or_default().extend(events);
                        Some(Input::FrameAppended { token, head: self.head(&log).unwrap() })
                    }
                    Err(failure) => Some(Input::AppendFailed { token, failure }),
                }
            }
            Output::Forked { log, .. } => {
                self.forked.push(log);
                None
            }
            other => panic!("between honest peers: {other:?}"),
        }
    }

    fn head(&self, log: &LogId) -> Option<Head> {
        self.logs.get(log)?.last().map(ReceivedEvent::head)
    }

    /// A frame of about so many bytes that ends on a signed event, with the signatures that the store kept.
    fn read(&self, log: &LogId, from: u64, max_events: usize, max_bytes: u64, pii: PiiScope) -> Option<ReadFrame> {
        let events = self.logs.get(log)?.get(usize::try_from(from).unwrap() - 1..)?;
        let events = &events[..events.len().min(max_events)];
        let size =
            |event: &ReceivedEvent| event.header_bytes().len() + event.payload(Slot::Op).map_or(0, |p| p.bytes.len());
        let mut bytes = 0;
        let fitting = events.iter().take_while(|event| (bytes += size(event), bytes as u64 <= max_bytes).1).count();
        let signed = |event: &ReceivedEvent| event.signature().is_some();
        let end = events[..fitting].iter().rposition(signed).or_else(|| events.iter().position(signed))?;
        let run = &events[..=end];
        Some(ReadFrame { bytes: encode_frame(run, pii), last_seq: run[end].header().seq })
    }
}

impl Drop for Meeting {
    /// A story that failed leaves no process behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What went between the two.
struct Counts {
    /// Messages by number and direction, as the Python side counts them.
    messages: Value,
    heads_told: usize,
}

impl Counts {
    fn sent(&self, number: u8) -> u64 {
        self.messages["sent"][number.to_string()].as_u64().unwrap_or(0)
    }

    fn received(&self, number: u8) -> u64 {
        self.messages["received"][number.to_string()].as_u64().unwrap_or(0)
    }
}

/// Reads packed messages from a pipe until it ends.
fn messages_of(mut pipe: ChildStdout) -> Receiver<Vec<u8>> {
    let (messages, received) = channel();
    thread::spawn(move || {
        let mut length = [0; 4];
        while pipe.read_exact(&mut length).is_ok() {
            let mut packed = vec![0; u32::from_be_bytes(length) as usize];
            if pipe.read_exact(&mut packed).is_err() || messages.send(packed).is_err() {
                return;
            }
        }
    });
    received
}

/// Puts a run where the Python side finds it, in frames that end on signed events, each under its final name only when
/// it is complete.
fn put(directory: &Path, n: usize, run: &[ReceivedEvent]) {
    let ends = |event: &ReceivedEvent| event.signature().is_some() && event.header().seq.is_multiple_of(64);
    for (part, run) in run.split_inclusive(ends).enumerate() {
        let path = directory.join(format!("{n:05}-{part:05}.frame"));
        std::fs::write(path.with_extension("part"), encode_frame(run, PiiScope::Covered)).unwrap();
        std::fs::rename(path.with_extension("part"), path).unwrap();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A log's name in reports.
fn encoded(log: &LogId) -> String {
    let mut w = Writer::new();
    write_log_id(&mut w, log);
    hex(&w.into_bytes())
}

/// An entry of a report, by the name of its log.
fn named(entry: &Value) -> (String, Value) {
    (entry["log"].as_str().unwrap().to_owned(), entry.clone())
}

/// What the Python side must report of a log: its head, and a hash over all headers, all payloads, and the signatures
/// of the head and of every 64th event.
fn held(run: &[ReceivedEvent]) -> Value {
    let head = run[run.len() - 1].head();
    let mut content = Sha256::new();
    for event in run {
        let mut w = Writer::new();
        w.array(4).bytes(event.header_bytes());
        for slot in Slot::ALL {
            match event.payload(slot) {
                Some(payload) => drop(w.array(2).bytes(&payload.salt).bytes(&payload.bytes)),
                None => drop(w.null()),
            }
        }
        let is_kept = event.head() == head || event.header().seq.is_multiple_of(limits::SIGNATURE_INTERVAL);
        w.bytes_or_null(event.signature().filter(|_| is_kept).map(|signature| &signature.as_bytes()[..]));
        content.update(w.into_bytes());
    }
    serde_json::json!({
        "log": encoded(&run[0].header().log_id()),
        "seq": head.seq,
        "id": hex(head.id.as_bytes()),
        "content": hex(&content.finalize()),
    })
}

/// A log of which only every so manieth event is signed, and the last: frames must reach that far.
fn log_of(author: u16, stream: Stream, events: usize, signed_every: u64) -> Vec<ReceivedEvent> {
    log_with_payloads_of(100, author, stream, events, signed_every)
}

fn log_with_payloads_of(
    bytes: usize,
    author: u16,
    stream: Stream,
    events: usize,
    signed_every: u64,
) -> Vec<ReceivedEvent> {
    let run = Author::new(author, "320508", None).write_many(stream, events, bytes);
    let last = run.len() as u64;
    let kept = |event: ReceivedEvent| match event.header().seq {
        seq if seq == last || seq.is_multiple_of(signed_every) => event,
        _ => event.without_signature(),
    };
    run.into_iter().map(kept).collect()
}

/// Three logs of 200 events. Of the last all are signed and their length is odd, so that frames end anywhere.
fn three_logs() -> Vec<Vec<ReceivedEvent>> {
    vec![
        log_of(11, Stream::ALERTS, 200, 64),
        log_of(12, Stream::TEAMS, 200, 25),
        log_with_payloads_of(171, 13, Stream::WITNESS, 200, 1),
    ]
}

#[test]
fn a_second_implementation_pulls_everything_from_the_engine() {
    let counts = Meeting::new(&three_logs(), &[], Smaller::Engine, Greeting::Slow, &[]).agree_on(3);
    assert_eq!(counts.sent(2), 3, "one want for each log");
    assert!(counts.received(8) > 0, "frames of 64 events came in parts");
    assert_eq!(counts.sent(9), counts.received(4) + counts.received(8), "every piece was confirmed");
}

#[test]
fn the_engine_pulls_everything_from_a_second_implementation() {
    for (greeting, piece) in [(Greeting::Near, "4096"), (Greeting::Slow, "512")] {
        let counts = Meeting::new(&[], &three_logs(), Smaller::Python, greeting, &["--piece", piece]).agree_on(3);
        assert_eq!(counts.received(2), 3, "one want for each log");
        assert!(counts.sent(8) > 0, "frames of 64 events went in parts");
        assert_eq!(counts.received(9), counts.sent(4) + counts.sent(8), "every piece was confirmed");
    }
}

#[test]
fn what_differs_among_many_logs_is_found_by_ranges_whoever_opens() {
    let logs: Vec<_> = (0..300).map(|n| log_of(1_000 + n, Stream::TEAMS, 3, 1)).collect();
    // Ten are behind on either side, five of those not there at all.
    let behind = |first: usize| {
        let short = |(n, run): (usize, &Vec<ReceivedEvent>)| match n.checked_sub(first) {
            Some(0..5) => None,
            Some(5..10) => Some(run[..2].to_vec()),
            _ => Some(run.clone()),
        };
        logs.iter().enumerate().filter_map(short).collect::<Vec<_>>()
    };
    for smaller in [Smaller::Engine, Smaller::Python] {
        let counts = Meeting::new(&behind(0), &behind(100), smaller, Greeting::Near, &[]).agree_on(300);
        assert!(counts.sent(6) > 0 && counts.received(6) > 0, "both compared by ranges");
        assert_eq!((counts.sent(2), counts.received(2)), (10, 10), "ten were lacking on either side");
        // Those that differ, from both sides, and each once more when it is durable.
        assert!(counts.heads_told <= 60, "{} heads were told", counts.heads_told);
    }
}

#[test]
fn a_newcomer_gets_many_logs() {
    let logs: Vec<_> = (0..300).map(|n| log_of(1_000 + n, Stream::TEAMS, 3, 1)).collect();
    for smaller in [Smaller::Engine, Smaller::Python] {
        Meeting::new(&logs, &[], smaller, Greeting::Near, &[]).agree_on(300);
        Meeting::new(&[], &logs, smaller, Greeting::Near, &[]).agree_on(300);
    }
}

#[test]
fn a_log_longer_than_the_credit_of_a_want_goes_either_way() {
    let long = || log_with_payloads_of(1_500, 31, Stream::INCIDENTS, 1_000, 64);
    let bytes: usize = long().iter().map(|event| event.payload(Slot::Op).unwrap().bytes.len()).sum();
    assert!(bytes as u64 > limits::SYNC_CREDIT_BYTES);
    let counts = Meeting::new(&[long()], &[], Smaller::Python, Greeting::Near, &[]).agree_on(1);
    assert!(counts.sent(2) == 1 && counts.sent(3) > 0, "one want, and credit for it");
    let counts = Meeting::new(&[], &[long()], Smaller::Engine, Greeting::Near, &["--piece", "65536"]).agree_on(1);
    assert!(counts.received(2) == 1 && counts.received(3) > 0, "one want, and credit for it");
}

#[test]
fn two_histories_of_one_log_are_told_by_both_and_nothing_else_stops() {
    let history = |kind| Author::new(41, "320508", None).write(Draft::new(Stream::SUPPLIES, kind, None));
    let (ours, theirs) = (history("issued"), history("received"));
    let log = ours.header().log_id();
    let mut meeting = Meeting::new(
        &[vec![ours.clone()], log_of(42, Stream::TEAMS, 5, 1)],
        &[vec![theirs], log_of(43, Stream::TEAMS, 5, 1)],
        Smaller::Engine,
        Greeting::Near,
        &[],
    );
    meeting.run_until("both hold what they can", |m| {
        let lacks = m.engine.view(&m.python).map(|view| view.behind_events + view.ahead_events);
        !m.forked.is_empty() && m.logs.len() == 3 && lacks == Some(0)
    });
    let report = meeting.end();
    assert_eq!(meeting.forked, std::slice::from_ref(&log));
    assert_eq!(report["forks"], serde_json::json!([encoded(&log)]));
    assert_eq!(report["logs"].as_array().unwrap().len(), 3);
    assert_eq!(meeting.head(&log), Some(ours.head()), "neither history is preferred");
}

#[test]
fn what_is_written_during_a_connection_is_announced_both_ways() {
    let logs = three_logs();
    let mut meeting = Meeting::new(&logs, &logs, Smaller::Engine, Greeting::Near, &[]);
    meeting.run_until("both know that they hold the same", Meeting::know_that_all_is_equal);
    let mut here = Author::new(21, "320508", None);
    let draft = Draft { op: Some(vec![0xa0]), pii: Some(vec![0xa0]), ..Draft::new(Stream::ALERTS, "issued", None) };
    let (ours, theirs) = (here.write(draft), log_of(22, Stream::SUPPLIES, 1, 1));
    let log = theirs[0].header().log_id();
    meeting.write(&[ours]);
    meeting.write_there(&theirs);
    meeting.run_until("theirs is here", |meeting| meeting.head(&log).is_some());
    let counts = meeting.agree_on(5);
    assert_eq!((counts.sent(2), counts.received(2)), (1, 1), "one want each way");
    assert_eq!(counts.sent(6) + counts.received(6), 0, "nothing was compared by ranges");
}
