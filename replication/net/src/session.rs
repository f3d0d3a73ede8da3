//! The sync stream with one peer: a task that reads and a task that writes, so that neither direction waits for the
//! other. Over yamux, two sides that both write before they read stall.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::io::{AsyncReadExt, ReadHalf, WriteHalf};
use libp2p::swarm::{ConnectionId, Stream};
use linli_core::id::AuthorKey;
use linli_core::limits::{SYNC_MESSAGE_BYTES_MAX, SYNC_UNWRITTEN_MESSAGES_MAX};
use linli_core::sync::Message;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::driver::Happened;
use crate::limits;
use crate::metrics::Metrics;
use crate::packing::{self, Packer};
use crate::wire::{self, WireError};

/// Replication with one peer over one connection. Ends its tasks when dropped.
pub(crate) struct Session {
    /// Tells sessions with the same peer apart.
    pub(crate) number: u64,
    pub(crate) connection: ConnectionId,
    pub(crate) since_unix_ms: u64,
    pub(crate) traffic: Arc<Traffic>,
    /// When the time that its messages took of the loop is made up for, at the share that a peer may have.
    even_at: Instant,
    outbox: mpsc::Sender<Message>,
    tasks: [JoinHandle<()>; 2],
}

/// What went over a session, and when last.
#[derive(Debug)]
pub(crate) struct Traffic {
    start: Instant,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    last_received_ms: AtomicU64,
    /// A part of a long message has come since somebody asked.
    arriving: AtomicBool,
}

impl Traffic {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            last_received_ms: AtomicU64::new(0),
            arriving: AtomicBool::new(false),
        }
    }

    fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        self.heard();
    }

    fn arrives(&self) {
        self.arriving.store(true, Ordering::Relaxed);
        self.heard();
    }

    /// Whether a part of a long message has come since this was asked last.
    pub(crate) fn was_arriving(&self) -> bool {
        self.arriving.swap(false, Ordering::Relaxed)
    }

    fn heard(&self) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_received_ms.store(ms, Ordering::Relaxed);
    }

    /// Bytes received so far, as on the wire.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.received_bytes.load(Ordering::Relaxed)
    }

    /// Bytes sent so far, as on the wire.
    pub(crate) fn sent_bytes(&self) -> u64 {
        self.sent_bytes.load(Ordering::Relaxed)
    }

    /// How long ago a message or a part of a long one was received, or the session began.
    pub(crate) fn silent_for(&self) -> Duration {
        let last = Duration::from_millis(self.last_received_ms.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }
}

/// Why a session ended by itself.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// The connection is gone.
    Lost(String),
    /// The peer said something that is no message.
    Garbage(String),
    /// The peer lets a message trickle.
    Trickles(String),
    /// The peer does not read.
    NotReading(String),
}

impl From<WireError> for SessionEnd {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Io(error) => Self::Lost(error.to_string()),
            WireError::Trickles => Self::Trickles(error.to_string()),
            WireError::NotRead => Self::NotReading(error.to_string()),
            WireError::Packing(error) => Self::Garbage(error.to_string()),
        }
    }
}

/// What both tasks need.
struct Shared {
    number: u64,
    peer: AuthorKey,
    traffic: Arc<Traffic>,
    metrics: Metrics,
    queue: mpsc::Sender<Happened>,
}

impl Session {
    /// Starts both tasks.
    pub(crate) fn start(
        number: u64,
        peer: AuthorKey,
        connection: ConnectionId,
        stream: Stream,
        metrics: &Metrics,
        queue: &mpsc::Sender<Happened>,
    ) -> Self {
        let traffic = Arc::new(Traffic::new());
        let shared =
            || Shared { number, peer, traffic: Arc::clone(&traffic), metrics: metrics.clone(), queue: queue.clone() };
        let (reader, writer) = stream.split();
        let (outbox, inbox) = mpsc::channel(SYNC_UNWRITTEN_MESSAGES_MAX + 1);
        let span = tracing::debug_span!("sync_session", peer = %peer.short(), number);
        let reading = read_all(shared(), reader).instrument(span.clone());
        let writing = write_all(shared(), writer, inbox).instrument(span);
        let tasks = [tokio::spawn(reading), tokio::spawn(writing)];
        let even_at = Instant::now();
        Self { number, connection, since_unix_ms: unix_ms(), traffic, even_at, outbox, tasks }
    }

    /// Notes how long the loop was busy with a message of this peer, and says how long to wait before its next one.
    pub(crate) fn took(&mut self, now: Instant, busy: Duration) -> Option<Duration> {
        self.even_at = self.even_at.max(now) + busy * limits::LOOP_SHARE;
        self.even_at.duration_since(now).checked_sub(limits::LOOP_BURST).filter(|wait| !wait.is_zero())
    }

    /// Queues a message. False if there is no room, which the engine's own bound prevents, or the stream is gone.
    pub(crate) fn send(&self, message: Message) -> bool {
        self.outbox.try_send(message).is_ok()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Milliseconds since 1970 by this machine's clock, for display.
pub(crate) fn unix_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

async fn read_all(shared: Shared, mut stream: ReadHalf<Stream>) {
    let in_hand = Arc::new(Semaphore::new(limits::MESSAGES_IN_HAND));
    let end = loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&in_hand).acquire_owned().await else { return };
        match read_message(&shared, &mut stream).await {
            Ok(message) => {
                if deliver(&shared, message, permit).await.is_none() {
                    return;
                }
            }
            Err(end) => break end,
        }
    };
    // A driver that is gone needs no telling.
    let _ = shared.queue.send(Happened::SessionEnded { number: shared.number, peer: shared.peer, end }).await;
}

async fn read_message(shared: &Shared, stream: &mut ReadHalf<Stream>) -> Result<Message, SessionEnd> {
    let reading = wire::read(stream, SYNC_MESSAGE_BYTES_MAX, || shared.traffic.arrives());
    let (bytes, on_wire) = reading.await.map_err(SessionEnd::from)?;
    shared.traffic.received(on_wire);
    shared.metrics.received_bytes.inc_by(on_wire as u64);
    Message::decode(&bytes).map_err(|error| SessionEnd::Garbage(error.to_string()))
}

async fn deliver(shared: &Shared, message: Message, permit: OwnedSemaphorePermit) -> Option<()> {
    if matches!(message, Message::Frame { .. }) {
        shared.metrics.received_frames.inc();
    }
    let happened = Happened::Message { number: shared.number, peer: shared.peer, message, permit };
    shared.queue.send(happened).await.ok()
}

async fn write_all(shared: Shared, mut stream: WriteHalf<Stream>, mut inbox: mpsc::Receiver<Message>) {
    let mut packer = Packer::default();
    while let Some(message) = inbox.recv().await {
        let packed = packer.pack_in_place(message.encode_after(packing::ROOM.to_vec()));
        if let Err(error) = wire::write(&mut stream, &packed).await {
            let end = SessionEnd::from(error);
            let _ = shared.queue.send(Happened::SessionEnded { number: shared.number, peer: shared.peer, end }).await;
            return;
        }
        shared.traffic.sent_bytes.fetch_add(packed.len() as u64, Ordering::Relaxed);
        shared.metrics.sent_bytes.inc_by(packed.len() as u64);
        if matches!(message, Message::Frame { .. }) {
            shared.metrics.sent_frames.inc();
        }
        let written = Happened::Written { number: shared.number, peer: shared.peer };
        if shared.queue.send(written).await.is_err() {
            return;
        }
    }
}
