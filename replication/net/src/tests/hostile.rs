//! An enrolled node that misbehaves, over real sockets, while an honest neighbour replicates with the same node: the node
//! lives, nothing invented is stored, the offender is named, left and let in again, and the neighbour notices nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use linli_core::event::Slot;
use linli_core::limits as bounds;
use linli_core::sync::ranges::Range;
use linli_core::sync::{List, Sums};
use linli_core::testkit::Draft;
use tokio::task::JoinHandle;

use super::*;
use crate::door::{Job, append_batch, read_frame};

const TCP: usize = 0;
const QUIC: usize = 1;

/// What an event written on the attacked node may take to the neighbour. Usually it is some milliseconds.
const UNHARMED: Duration = Duration::from_secs(5);

/// A node under attack, its honest neighbour, and an author whose events both should have.
struct Siege {
    scene: Scene,
    neighbour: MeshHandle,
    neighbour_store: Store,
    author: Author,
    /// Events that a story wrote on the attacked node itself.
    written_besides: u64,
}

/// The offender's end of a sync stream, and whether its connection still stands.
struct Guest {
    stream: Substream,
    open: Arc<AtomicBool>,
    driving: JoinHandle<()>,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.driving.abort();
    }
}

impl Siege {
    async fn begin() -> Self {
        let district = District::with_nodes(&["320508005", "320508006", "320508007"]);
        let mut order = [0usize, 1, 2];
        order.sort_by_key(|n| district.nodes[*n].key.public());
        let [hostile, victim, neighbour] = order;
        let store = Store::in_memory();
        put(&store, &district.charter_events());
        put(&store, &Author::new(50, "320508", None).write_many(Stream::PLANS, 4, 50));
        let node = parts(&district, victim, &store);
        let registry = node.registry.clone();
        let listen = LISTEN.iter().map(|address| address.parse().unwrap()).collect();
        let honest = Mesh::spawn(MeshConfig { listen, ..MeshConfig::default() }, node).await.unwrap();
        let mut addresses = honest.listen_addrs();
        addresses.sort_by_key(|address| address.to_string().contains("quic"));
        let neighbour_store = Store::in_memory();
        put(&neighbour_store, &district.charter_events());
        let config = MeshConfig { peers: vec![addresses[QUIC].clone()], ..MeshConfig::default() };
        let neighbour = Mesh::spawn(config, parts(&district, neighbour, &neighbour_store)).await.unwrap();
        let author = Author::new(51, "320508", None);
        let mut siege = Self {
            scene: Scene { district, honest, store, registry, addresses, hostile },
            neighbour,
            neighbour_store,
            author,
            written_besides: 0,
        };
        siege.neighbour_hears("before anything").await;
        siege
    }

    async fn guest(&self, address: usize) -> Guest {
        self.try_guest(address).await.expect("the enrolled node gets in")
    }

    async fn try_guest(&self, address: usize) -> Option<Guest> {
        let calling = self.scene.sync_as_enrolled(self.scene.addresses[address].clone());
        let (peer, stream) = tokio::time::timeout(UNHARMED, calling).await.ok()??;
        let open = Arc::new(AtomicBool::new(true));
        let (mut swarm, still_open) = (peer.swarm, Arc::clone(&open));
        let driving = tokio::spawn(async move {
            while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
            still_open.store(false, Ordering::Relaxed);
        });
        Some(Guest { stream, open, driving })
    }

    /// Writes an event on the attacked node and waits until the neighbour has it.
    async fn neighbour_hears(&mut self, when: &str) {
        let run = self.author.write_many(Stream::INCIDENTS, 1, 100);
        let (log, head, start) = (self.author.log_id(Stream::INCIDENTS), run[0].head(), Instant::now());
        put(&self.scene.store, &run);
        // The first time includes finding each other.
        let most = if head.seq == 1 { UNHARMED * 3 } else { UNHARMED };
        while self.neighbour_store.frontier().head(&log) != Some(head) {
            assert!(start.elapsed() < most, "the neighbour waits {:?}: {when}", start.elapsed());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        println!("the neighbour hears after {:?}: {when}", start.elapsed());
    }

    fn refused(&self) -> Option<String> {
        let key = self.scene.hostile_key().public();
        self.scene.honest.peers().into_iter().find(|peer| peer.key == key).and_then(|peer| peer.refused)
    }

    /// Waits until the status of the attacked node names the offence.
    async fn named(&self, reason: &str, most: Duration) {
        let start = Instant::now();
        while !self.refused().is_some_and(|refused| refused.contains(reason)) {
            assert!(start.elapsed() < most, "expected {reason:?}, the status says {:?}", self.refused());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        println!("named after {:?}: {}", start.elapsed(), self.refused().unwrap_or_default());
    }

    /// The offender was left for this reason, is not spoken to now, and all others are as they should be.
    async fn ends(mut self, reason: &str) {
        self.named(reason, Duration::from_secs(10)).await;
        self.neighbour_hears(reason).await;
        assert!(self.try_guest(TCP).await.is_none(), "not spoken to for a while: {reason}");
        self.nothing_invented(0);
    }

    /// The store holds what the district and the author wrote, and `more` events that the offender was entitled to bring.
    fn nothing_invented(&self, more: u64) {
        let written = self.author.clone().write_many(Stream::INCIDENTS, 1, 100)[0].head().seq - 1;
        assert_eq!(self.scene.store.frontier().events(), 4 + 4 + written + self.written_besides + more);
        assert!(!self.scene.honest.is_closed() && !self.neighbour.is_closed());
    }
}

impl Guest {
    /// Says something; the node may have hung up.
    async fn say(&mut self, message: &Message) -> bool {
        self.say_bytes(&message.encode()).await
    }

    async fn say_bytes(&mut self, message: &[u8]) -> bool {
        wire::write(&mut self.stream, &Packer::default().pack_for_stream(message)).await.is_ok()
    }

    async fn want(&mut self) -> Option<u64> {
        loop {
            let (bytes, _) = wire::read(&mut self.stream, 1 << 21, || ()).await.ok()?;
            if let Message::Want { want, .. } = Message::decode(&bytes).unwrap() {
                return Some(want);
            }
        }
    }

    /// Announces a log of its own making and waits to be asked for it.
    async fn is_asked_for(&mut self, log: &LogId, head: Head) -> u64 {
        assert!(self.say(&hint(log, head)).await);
        self.want().await.unwrap()
    }
}

fn hint(log: &LogId, head: Head) -> Message {
    Message::Heads { coverage: Coverage::Hint, entries: vec![(log.clone(), head)] }
}

fn invented(seq: u64) -> Head {
    Head { seq, id: linli_core::id::EventId::from_bytes([9; 32]) }
}

/// Somebody's log that only the offender has.
fn a_log() -> (LogId, Vec<ReceivedEvent>) {
    let mut author = Author::new(60, "320508", None);
    (author.log_id(Stream::SUPPLIES), author.write_many(Stream::SUPPLIES, 20, 100))
}

/// Events of 50 kB that do not compress.
fn noisy(author: &mut Author, count: usize) -> Vec<ReceivedEvent> {
    let payload = || {
        let mut bytes = vec![0; 50_000];
        getrandom::fill(&mut bytes).unwrap();
        let mut w = Writer::new();
        w.map(1).text("x").bytes(&bytes);
        w.into_bytes()
    };
    let draft = || Draft { op: Some(payload()), ..Draft::new(Stream::COMMUNITY, "reported", None) };
    (0..count).map(|_| author.write(draft())).collect()
}

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap();
    status.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_nobody_asked_for() {
    let siege = Siege::begin().await;
    let mut guest = siege.guest(QUIC).await;
    let (_, run) = a_log();
    let frame = encode_frame(&run, PiiScope::Covered);
    guest.say(&Message::Frame { want: 12_345, last: true, frame }).await;
    siege.ends("frames that were not asked for").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_repeated_a_thousand_times() {
    let siege = Siege::begin().await;
    let mut guest = siege.guest(TCP).await;
    let (log, run) = a_log();
    let mut want = guest.is_asked_for(&log, invented(1_000_000)).await;
    let frame = encode_frame(&run, PiiScope::Covered);
    let (mut reader, mut writer) = {
        let Guest { stream, .. } = &mut guest;
        futures::AsyncReadExt::split(stream)
    };
    let (sender, mut wants) = tokio::sync::mpsc::unbounded_channel();
    let reading = async move {
        while let Ok((bytes, _)) = wire::read(&mut reader, 1 << 21, || ()).await {
            if let Ok(Message::Want { want, .. }) = Message::decode(&bytes) {
                let _ = sender.send(want);
            }
        }
    };
    let repeating = async move {
        for _ in 0..1000 {
            while let Ok(newer) = wants.try_recv() {
                want = newer;
            }
            let message = Message::Frame { want, last: false, frame: frame.clone() }.encode();
            if wire::write(&mut writer, &Packer::default().pack_for_stream(&message)).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::select! { () = reading => {}, () = repeating => {} }
    drop(guest);
    siege.named("sends again what was sent already", Duration::from_secs(10)).await;
    assert_eq!(siege.scene.store.frontier().height(&log), 20, "taken once");
    siege.nothing_invented(20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_do_not_hold() {
    let (log, run) = a_log();
    let mut other = Author::new(61, "320508", None);
    let elsewhere = other.write_many(Stream::SUPPLIES, 20, 100);
    let unsigned_end: Vec<_> = run[..19].iter().cloned().chain([run[19].clone().without_signature()]).collect();
    // What a frame leaves out is derived from what it says: here one payload, and with it everything after, is another.
    let mut wrong_inside = encode_frame(&signed_at_the_end(&run), PiiScope::Covered);
    let middle = wrong_inside.len() / 2;
    wrong_inside[middle] ^= 1;
    let encoded = |run: &[ReceivedEvent]| encode_frame(run, PiiScope::Covered);
    let stories = [
        (encoded(&unsigned_end), "bad frame", TCP),
        (encoded(&run[5..]), "bad frame", QUIC),
        (wrong_inside, "bad frame", TCP),
        (encoded(&elsewhere), "another log", QUIC),
        (vec![0xff; 100], "bad frame", TCP),
    ];
    let lived = stories.map(|(frame, reason, address)| {
        let (log, head) = (log.clone(), run[19].head());
        async move {
            let siege = Siege::begin().await;
            let mut guest = siege.guest(address).await;
            let want = guest.is_asked_for(&log, head).await;
            guest.say(&Message::Frame { want, last: true, frame }).await;
            siege.ends(reason).await;
        }
    });
    futures::future::join_all(lived).await;
}

/// As frames go: the last signature proves all.
fn signed_at_the_end(run: &[ReceivedEvent]) -> Vec<ReceivedEvent> {
    let (last, before) = run.split_last().unwrap();
    before.iter().cloned().map(ReceivedEvent::without_signature).chain([last.clone()]).collect()
}

#[test]
fn a_wrong_signature_inside_a_frame_hurts_nobody_who_gets_the_events_from_us() {
    // Given a member that changes the signature of an event within a frame,
    let mut author = Author::new(60, "320508", None);
    let mut run = author.write_many(Stream::SUPPLIES, 130, 100);
    let signed = run.clone();
    let log = author.log_id(Stream::SUPPLIES);
    let (header, wrong) = (run[63].header_bytes().to_vec(), run[62].signature().copied());
    run[63] = ReceivedEvent::new(header, wrong, run[63].payload(Slot::Op).cloned(), None).unwrap();
    let frame = encode_frame(&run, PiiScope::Covered);
    // when it is taken in, then the events are there, for the last signature proves them,
    let store = Store::in_memory();
    let done = append_batch(&store, vec![Job { token: (), log: log.clone(), frame }]);
    assert_eq!(done.outcomes, [((), Ok(run[129].head()))]);
    // and no frame of ours ends on the changed one, and whoever gets ours takes it.
    let given = read_frame(&store, &log, 1, 64, 1 << 20, PiiScope::Covered).unwrap();
    assert_eq!(given.last_seq, 63);
    let next = Store::in_memory();
    for from_seq in [1, 64] {
        let frame = read_frame(&store, &log, from_seq, 64, 1 << 20, PiiScope::Covered).unwrap().bytes;
        let done = append_batch(&next, vec![Job { token: (), log: log.clone(), frame }]);
        assert!(matches!(done.outcomes[..], [((), Ok(_))]), "{done:?}");
    }
    assert_eq!(next.head(&log), Some(signed[126].head()));
}

#[test]
fn a_frame_that_is_cut_or_changed_at_any_byte_is_refused_and_nothing_of_it_stored() {
    let (log, run) = a_log();
    let store = Store::in_memory();
    let frame = encode_frame(&signed_at_the_end(&run[..5]), PiiScope::Covered);
    let refused = |frame: Vec<u8>, at: usize| {
        let done = append_batch(&store, vec![Job { token: (), log: log.clone(), frame }]);
        assert!(
            matches!(&done.outcomes[..], [((), Err(linli_core::sync::AppendFailure::BadPeer(_)))]),
            "{at}: {done:?}"
        );
    };
    for at in 0..frame.len() {
        refused(frame[..at].to_vec(), at);
        let mut changed = frame.clone();
        changed[at] ^= 0x10;
        refused(changed, at);
    }
    assert_eq!(store.frontier().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_cut_anywhere_leaves_nothing_behind() {
    let mut siege = Siege::begin().await;
    let (log, run) = a_log();
    let frame = encode_frame(&run, PiiScope::Covered);
    for part in 0..12 {
        let mut guest = siege.guest(part % 2).await;
        let want = guest.is_asked_for(&log, run[19].head()).await;
        let message = Message::Frame { want, last: true, frame: frame.clone() };
        let packed = Packer::default().pack_for_stream(&message.encode());
        guest.stream.write_all(&packed[..packed.len() * part / 12]).await.unwrap();
        guest.stream.close().await.unwrap();
    }
    siege.neighbour_hears("messages cut").await;
    siege.nothing_invented(0);
    // A line that breaks is nobody's fault: the thirteenth time all of it comes.
    let mut guest = siege.guest(QUIC).await;
    let want = guest.is_asked_for(&log, run[19].head()).await;
    guest.say(&Message::Frame { want, last: true, frame }).await;
    let start = Instant::now();
    while siege.neighbour_store.frontier().height(&log) < 20 {
        assert!(start.elapsed() < UNHARMED, "what it brought reaches the neighbour");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    siege.nothing_invented(20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_message() {
    let zeros = zstd::bulk::compress(&vec![0; 30_000_000], 1).unwrap();
    let packed =
        |announced: u32| [&(zeros.len() as u32 + 5).to_be_bytes()[..], &[1], &announced.to_be_bytes(), &zeros].concat();
    let say = |message: &[u8]| Packer::default().pack_for_stream(message);
    let mut seq_at_the_end = hint(&a_log().0, invented(u64::MAX - 1)).encode();
    let at = seq_at_the_end.windows(8).position(|w| w == (u64::MAX - 1).to_be_bytes()).unwrap();
    seq_at_the_end[at..at + 8].copy_from_slice(&u64::MAX.to_be_bytes());
    let everything = Range::ALL;
    let twice = vec![List { range: everything, items: vec![] }, List { range: everything, items: vec![] }];
    let stories = [
        (packed(30_000_000), "30000000 bytes"),
        (packed(1_000_000), "announced length"),
        ([&u32::MAX.to_be_bytes()[..], &[0; 1000]].concat(), "4294967294 bytes"),
        ([&0u32.to_be_bytes()[..], &[0; 1000]].concat(), "no message"),
        (say(&Message::Credit { want: 1, bytes: u64::MAX }.encode()), "credit"),
        (say(&seq_at_the_end), "seq"),
        (say(&Message::Ranges { sums: vec![], lists: twice }.encode()), "order of ranges"),
    ];
    let lived = stories.into_iter().enumerate().map(|(n, (bytes, reason))| async move {
        let siege = Siege::begin().await;
        let mut guest = siege.guest(n % 2).await;
        // The node may hang up before it has read everything.
        let _ = wire::write(&mut guest.stream, &bytes).await;
        siege.ends(reason).await;
    });
    futures::future::join_all(lived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_that_are_broken() {
    let credits = |siege: &mut Siege| {
        // Long enough that the want is still open when the credit comes.
        let mut much = Author::new(63, "320508", None);
        put(&siege.scene.store, &much.write_many(Stream::COMMUNITY, 60, 50_000));
        siege.written_besides += 60;
        let log = much.log_id(Stream::COMMUNITY);
        let credit = bounds::SYNC_CREDIT_BYTES_MAX;
        let want = Message::Want { want: 7, log, from_seq: 1, credit };
        vec![want, Message::Credit { want: 7, bytes: credit }]
    };
    let wants = |siege: &mut Siege| {
        let log = siege.author.log_id(Stream::INCIDENTS);
        let open = |want| Message::Want { want, log: log.clone(), from_seq: 1, credit: 1 };
        (0..10_000).map(open).collect()
    };
    let ranges = |_: &mut Siege| {
        let sums = vec![Sums { first: Range::ALL, fingerprints: vec![1] }];
        (0..100).map(|_| Message::Ranges { sums: sums.clone(), lists: vec![] }).collect()
    };
    let tells = |_: &mut Siege| (0..200).map(|_| Message::Tell { keys: vec![] }).collect();
    let digests = |siege: &mut Siege| {
        let digest = siege.scene.store.frontier().digest();
        (0..200).map(|_| Message::Digest { digest, logs: 3 }).collect()
    };
    type Story = (fn(&mut Siege) -> Vec<Message>, &'static str);
    let stories: [Story; 5] = [
        (credits, "more credit than allowed"),
        (wants, "asks for the same again"),
        (ranges, "compares without end"),
        (tells, "compares without end"),
        (digests, "compares without end"),
    ];
    let lived = stories.into_iter().enumerate().map(|(n, (messages, reason))| async move {
        let mut siege = Siege::begin().await;
        let mut guest = siege.guest(n % 2).await;
        let messages = messages(&mut siege);
        // What was written for the story is known to the node when the neighbour has what was written after it.
        siege.neighbour_hears(reason).await;
        for message in messages {
            if !guest.say(&message).await {
                break;
            }
        }
        siege.ends(reason).await;
    });
    futures::future::join_all(lived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_logs_than_anybody_remembers_are_no_fault_and_nobody_waits_for_them() {
    // Given a member that announces 66,560 logs,
    let mut siege = Siege::begin().await;
    let mut guest = siege.guest(TCP).await;
    let log = a_log().0;
    for part in 0..65u64 {
        let log = |n| LogId { incarnation: part << 16 | n, ..log.clone() };
        let entries = (0..1024).map(|n| (log(n), invented(5))).collect();
        assert!(guest.say(&Message::Heads { coverage: Coverage::Part, entries }).await);
    }
    // then the neighbour hears what is written, nobody is left for it, and nothing that was invented is here.
    siege.neighbour_hears("while somebody announces without end").await;
    assert_eq!(siege.refused(), None);
    siege.nothing_invented(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_promises_trickles_or_does_not_read_is_left_in_half_a_minute() {
    let promises = async {
        let mut siege = Siege::begin().await;
        let mut guest = siege.guest(TCP).await;
        let mut author = Author::new(62, "320508", None);
        // Warnings that an honest author will write: announced before they exist, and kept back.
        let alerts = author.log_id(Stream::ALERTS);
        guest.say(&hint(&alerts, invented(u64::MAX - 1))).await;
        for n in 0..100 {
            guest.say(&hint(&LogId { incarnation: n, ..a_log().0 }, invented(1_000))).await;
        }
        siege.neighbour_hears("while somebody promises").await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        put(&siege.neighbour_store, &author.write_many(Stream::ALERTS, 1, 50));
        let start = Instant::now();
        while siege.scene.store.frontier().height(&alerts) < 1 {
            assert!(start.elapsed() < UNHARMED, "a warning is held up");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("a warning that somebody keeps back comes from the neighbour after {:?}", start.elapsed());
        siege.named("did not answer our wants in time", Duration::from_secs(40)).await;
        siege.neighbour_hears("after somebody promised").await;
        siege.nothing_invented(1);
    };
    let trickles = async {
        let mut siege = Siege::begin().await;
        let mut guest = siege.guest(QUIC).await;
        let message = [&1_000_000u32.to_be_bytes()[..], &[0; 100]].concat();
        for byte in message {
            if !guest.open.load(Ordering::Relaxed) || guest.stream.write_all(&[byte]).await.is_err() {
                break;
            }
            let _ = guest.stream.flush().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        siege.named("begun and not continued", Duration::from_secs(5)).await;
        siege.neighbour_hears("after somebody trickled").await;
        siege.nothing_invented(0);
    };
    let deaf = async {
        let mut siege = Siege::begin().await;
        // 30 MB that it asks for and does not read. Over QUIC its own machine would take what its credit covers.
        let mut much = Author::new(63, "320508", None);
        for _ in 0..10 {
            put(&siege.scene.store, &noisy(&mut much, 60));
        }
        siege.neighbour_hears("before somebody does not read").await;
        let mut guest = siege.guest(TCP).await;
        let before = resident_bytes();
        let (log, credit) = (much.log_id(Stream::COMMUNITY), bounds::SYNC_CREDIT_BYTES_MAX);
        guest.say(&Message::Want { want: 1, log, from_seq: 1, credit }).await;
        siege.neighbour_hears("while somebody does not read").await;
        let (start, mut peak) = (Instant::now(), 0);
        while guest.open.load(Ordering::Relaxed) && start.elapsed() < Duration::from_secs(60) {
            peak = peak.max(resident_bytes().saturating_sub(before));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("somebody who does not read for {:?} costs at most {} KiB", start.elapsed(), peak / 1024);
        siege.named("does not read", Duration::from_secs(5)).await;
        siege.neighbour_hears("after somebody did not read").await;
        siege.nothing_invented(600);
    };
    futures::join!(promises, trickles, deaf);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_small_messages_slow_down_nobody_else() {
    let mut siege = Siege::begin().await;
    let mut guest = siege.guest(TCP).await;
    let one = Packer::default().pack_for_stream(&Message::Unknown { number: 99 }.encode());
    let flood = tokio::spawn(async move {
        let thousand = one.repeat(1000);
        for _ in 0..100 {
            if wire::write(&mut guest.stream, &thousand).await.is_err() {
                break;
            }
        }
        guest
    });
    for n in 0..10 {
        siege.neighbour_hears(&format!("during a flood, {n}")).await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _guest = tokio::time::timeout(Duration::from_secs(30), flood).await.unwrap().unwrap();
    println!("slowed after {} messages", siege.scene.counted("linli_mesh_slowed_messages_total"));
    siege.nothing_invented(0);
}

/// Opens streams of a protocol until the node has enough; says how many.
async fn open_streams(peer: &mut Hostile, protocol: Protocol, most: usize) -> (usize, Vec<Substream>) {
    let mut streams = vec![];
    for n in 0..most {
        match tokio::time::timeout(Duration::from_secs(5), peer.open(protocol)).await {
            Ok(Some(stream)) => streams.push(stream),
            _ => return (n, streams),
        }
    }
    (most, streams)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_without_end() {
    let lived = [(TCP, Protocol::Hello), (QUIC, Protocol::Hello), (TCP, Protocol::Sync), (QUIC, Protocol::Sync)];
    let lived = lived.map(|(address, protocol)| async move {
        let mut siege = Siege::begin().await;
        let (mut peer, _stream) = siege
            .scene
            .sync_as_enrolled(siege.scene.addresses[address].clone())
            .await
            .expect("the enrolled node gets in");
        let (opened, _streams) = open_streams(&mut peer, protocol, 1000).await;
        println!("{opened} streams of {protocol:?}");
        assert!(opened <= 2 * limits::STRAY_STREAMS_MAX as usize + 8, "{opened}");
        siege.neighbour_hears("after streams without end").await;
        siege.ends("opens streams without end").await;
    });
    futures::future::join_all(lived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hellos_that_stop_half_way_or_say_much() {
    let half_way = async {
        let mut siege = Siege::begin().await;
        let address = siege.scene.addresses[QUIC].clone();
        let mut peer = Hostile::call(&siege.scene.hostile_key(), address).await.unwrap();
        let mut stream = peer.open(Protocol::Hello).await.unwrap();
        let mut nonce = Writer::new();
        nonce.array(1).bytes(&[1; 32]);
        stream.write_all(&Packer::default().pack_for_stream(&nonce.into_bytes())).await.unwrap();
        stream.flush().await.unwrap();
        siege.neighbour_hears("during half a hello").await;
        let driving = tokio::spawn(peer.hung_up());
        siege.named("not completed in time", limits::HELLO_TIMEOUT + Duration::from_secs(3)).await;
        driving.await.unwrap();
        siege.nothing_invented(0);
    };
    let garbage = async {
        let siege = Siege::begin().await;
        let address = siege.scene.addresses[TCP].clone();
        let mut peer = Hostile::call(&siege.scene.hostile_key(), address).await.unwrap();
        let mut stream = peer.open(Protocol::HelloOfOld).await.unwrap();
        // It knows the federation, so it gets as far as the credentials.
        let ours = Ours {
            key: siege.scene.hostile_key().public(),
            federation: siege.scene.district.federation(),
            credentials: vec![],
            charter: Arc::new(Charter::default()),
            heads_of_peer: vec![],
            second: None,
        };
        hello::prove(&mut stream, siege.scene.honest.key(), &ours).await.unwrap();
        let noise: Vec<u8> =
            (0..limits::HELLO_BYTES_MAX as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let _ = wire::write(&mut stream, &Packer::default().pack_for_stream(&noise)).await;
        siege.ends("not a hello message").await;
    };
    futures::join!(half_way, garbage);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_strangers_keep_nobody_out() {
    let mut siege = Siege::begin().await;
    let before = resident_bytes();
    // Strangers who complete the encryption and then say nothing, ever new ones,
    let mut strangers = vec![];
    for n in 0..150 {
        let (stranger, address) = (key(1_000 + n), siege.scene.addresses[usize::from(n % 2)].clone());
        let call = Hostile::call(&stranger, address);
        if let Ok(Some(stranger)) = tokio::time::timeout(Duration::from_secs(5), call).await {
            strangers.push(stranger);
        }
    }
    println!("{} strangers, {} KiB more", strangers.len(), resident_bytes().saturating_sub(before) / 1024);
    siege.neighbour_hears("with strangers").await;
    // keep nobody out: who is enrolled gets in at once, and replicates.
    let start = Instant::now();
    let mut guest = siege.guest(QUIC).await;
    let (log, run) = a_log();
    let want = guest.is_asked_for(&log, run[19].head()).await;
    guest.say(&Message::Frame { want, last: true, frame: encode_frame(&run, PiiScope::Covered) }).await;
    while siege.scene.store.frontier().height(&log) < 20 {
        assert!(start.elapsed() < UNHARMED, "strangers keep an enrolled node out");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("an enrolled node gets in and is heard after {:?}", start.elapsed());
    drop((guest, strangers));
    // A thousand sockets of one machine on which not even the encryption is begun fill that machine's share of the room
    // for those that are being set up, and keep nobody else out.
    let tcp = |part| if let libp2p::multiaddr::Protocol::Tcp(port) = part { Some(port) } else { None };
    let port = siege.scene.addresses[TCP].iter().find_map(tcp).unwrap();
    let mut sockets = vec![];
    for _ in 0..1000 {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
        sockets.extend(socket.connect(([127, 0, 0, 1], port).into()).await);
    }
    let start = Instant::now();
    siege.neighbour_hears("with a thousand silent sockets").await;
    assert!(siege.try_guest(QUIC).await.is_some(), "silent sockets keep an enrolled node out");
    println!("with {} silent sockets an enrolled node gets in after {:?}", sockets.len(), start.elapsed());
    siege.nothing_invented(20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_left_is_let_in_later_each_time_and_replicates_when_it_behaves() {
    let mut siege = Siege::begin().await;
    let mut pauses = vec![];
    for _ in 0..2 {
        let mut guest = siege.guest(TCP).await;
        let frame = vec![1; 100];
        guest.say(&Message::Frame { want: 99, last: true, frame }).await;
        siege.named("not asked for", UNHARMED).await;
        let left = Instant::now();
        while siege.try_guest(TCP).await.is_none() {
            assert!(left.elapsed() < Duration::from_secs(15));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        pauses.push(left.elapsed());
        siege.neighbour_hears("after a pause").await;
    }
    println!("not spoken to for {pauses:?}");
    assert!(
        pauses[0] >= limits::SHUN_MIN - Duration::from_secs(1)
            && pauses[1] >= limits::SHUN_MIN * 2 - Duration::from_secs(1)
    );
    let mut guest = siege.guest(QUIC).await;
    let (log, run) = a_log();
    let want = guest.is_asked_for(&log, run[19].head()).await;
    guest.say(&Message::Frame { want, last: true, frame: encode_frame(&run, PiiScope::Covered) }).await;
    let start = Instant::now();
    while siege.neighbour_store.frontier().height(&log) < 20 {
        assert!(start.elapsed() < UNHARMED);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    siege.nothing_invented(20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_peer_again_and_again() {
    let mut siege = Siege::begin().await;
    let mut visits = 0;
    while visits < 2 * limits::VISITS_MAX && siege.try_guest(QUIC).await.is_some() {
        visits += 1;
        if visits % 10 == 0 {
            siege.neighbour_hears("between visits").await;
        }
    }
    println!("{visits} visits");
    assert!(visits <= limits::VISITS_MAX);
    siege.ends("connects again and again").await;
}
