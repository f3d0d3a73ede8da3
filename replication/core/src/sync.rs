//! The replication protocol as a state machine without I/O: the libp2p driver and the simulator run this very code.
//!
//! Each peer says which heads it has; whoever lacks events asks for them (`Want`) and gets frames. Heads are hints:
//! lost, repeated, late or forged they cost only time, because events are verified chain by chain at the one door and
//! the frontiers are compared again and again. A log is pulled from one peer at a time; credit bounds what is on the
//! way; after each durable frame the height is where a broken pull goes on.
//!
//! [`Engine::handle`] takes one [`Input`] and the time and says what to do. The driver carries out every [`Output`] in
//! order and answers reads and appends. It never calls back from within; there is no clock, no randomness and no
//! unordered map in here, so a run is a function of its inputs. Normative text: `docs/sync.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::area::Area;
use crate::frame::PiiScope;
use crate::id::{AuthorKey, Head, LogId};

mod admit;
mod allowance;
mod engine;
mod fill;
mod hints;
mod incoming;
mod known;
mod line;
mod message;
mod moved;
mod outgoing;
mod overflow;
mod pull;
pub mod ranges;
mod reconcile;
mod serve;
mod strangers;
#[cfg(test)]
mod tests;

pub use admit::{Admitted, admit, admit_payloads};
pub use engine::Engine;
pub use line::Greeting;
pub use message::{Coverage, List, Message, Sums};
pub use strangers::{Bounds, Introduced, Quota};

/// Names a read or an append until the driver answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(u64);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A peer has proven that it is enrolled and its sync stream is open. Replaces an earlier connection to it.
    PeerConnected {
        /// Its key.
        peer: AuthorKey,
        /// Areas whose personal payloads it may have.
        pii_areas: Vec<Area>,
        /// What is known of the line.
        greeting: Greeting,
    },
    /// The charter has changed what a connected peer may have.
    PiiAreas {
        /// The peer.
        peer: AuthorKey,
        /// Areas whose personal payloads it may have from now on.
        pii_areas: Vec<Area>,
    },
    /// The connection to a peer is gone.
    PeerDisconnected {
        /// The peer.
        peer: AuthorKey,
    },
    /// A message from a connected peer.
    Message {
        /// Who sent it.
        peer: AuthorKey,
        /// What it says.
        message: Message,
    },
    /// The store holds a log up to this head, durably: typed here, replicated or imported. May repeat or come late.
    Appended {
        /// The log.
        log: LogId,
        /// Its head.
        head: Head,
    },
    /// Who has a grant, by all that the charter says now. Before the first time everybody has one.
    Granted {
        /// Their keys.
        authors: Arc<BTreeSet<AuthorKey>>,
    },
    /// People had logs of authors without a grant removed from the store.
    Discarded {
        /// The logs.
        logs: Vec<LogId>,
    },
    /// The store holds events of a log without personal payloads that this node may have: events that have just come
    /// that way, or earlier ones since it was entitled. May repeat.
    Lacks {
        /// The log.
        log: LogId,
    },
    /// Answers [`Output::Read`] and [`Output::ReadPayloads`].
    ReadDone {
        /// The peer that the read was for.
        peer: AuthorKey,
        /// The read.
        token: Token,
        /// The frame, or nothing if the store could not give one.
        frame: Option<ReadFrame>,
    },
    /// The oldest message handed out for this peer by [`Output::Send`] has been written to its connection.
    Written {
        /// The peer.
        peer: AuthorKey,
    },
    /// A good part of a message from a peer has come, and the rest has not yet. On a slow line a long frame takes minutes;
    /// the peer is answering all the while.
    Arriving {
        /// The peer.
        peer: AuthorKey,
    },
    /// Answers [`Output::Append`]: the frame's events are durable, or were already.
    FrameAppended {
        /// The append.
        token: Token,
        /// The log's head in the store now.
        head: Head,
    },
    /// Answers [`Output::ListLacking`].
    Lacking {
        /// The question.
        token: Token,
        /// Positions, ascending; none if nothing is lacking there that this node may have.
        seqs: Vec<u64>,
    },
    /// Answers [`Output::Fill`]: what was lacking of the frame's payloads is durable.
    Filled {
        /// The fill.
        token: Token,
        /// How many payloads were written.
        payloads: u64,
    },
    /// Answers [`Output::Append`] and [`Output::Fill`]: nothing of the frame was taken.
    AppendFailed {
        /// The append or fill.
        token: Token,
        /// Whose fault it is.
        failure: AppendFailure,
    },
    /// Time has passed. The driver sends one about every second.
    Tick,
}

/// A frame that was read from the store for a peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFrame {
    /// A frame as [`crate::frame::encode_frame`] makes it, ending on a signed event, or as
    /// [`crate::payloads::encode_payloads`] does.
    pub bytes: Vec<u8>,
    /// Position of its last event.
    pub last_seq: u64,
}

/// Whose fault it is that a frame was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendFailure {
    /// The bytes are no frame of this log, do not continue it, or prove nothing. Text for logs.
    BadPeer(String),
    /// The frame is proven and contradicts what we hold: its author signed two histories.
    Forked {
        /// The last event of the other history that the frame proves.
        theirs: Head,
    },
    /// Our store failed. No peer is blamed.
    Store,
}

/// What the driver has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Queue a message for a peer, in order, and answer [`Input::Written`] when it is on its connection.
    Send {
        /// To whom.
        peer: AuthorKey,
        /// What to say.
        message: Message,
    },
    /// Read a run, encode it as a frame and answer [`Input::ReadDone`].
    Read {
        /// For whom.
        peer: AuthorKey,
        /// To be answered with.
        token: Token,
        /// The log.
        log: LogId,
        /// Position of the first event.
        from_seq: u64,
        /// Most events.
        max_events: usize,
        /// Bytes to aim at. One event or one signature interval may be longer.
        max_bytes: u64,
        /// Whether personal payloads go along.
        pii: PiiScope,
    },
    /// Read the personal payloads of these events, those that are there and not erased, up to so many bytes or one
    /// payload, encode them as a payload frame and answer [`Input::ReadDone`]. The peer may have them.
    ReadPayloads {
        /// For whom.
        peer: AuthorKey,
        /// To be answered with.
        token: Token,
        /// The log.
        log: LogId,
        /// Positions of the events, ascending. Not all need be held.
        seqs: Vec<u64>,
        /// Most bytes of the frame, unless one payload is longer.
        max_bytes: u64,
    },
    /// List up to [`crate::limits::FILL_EVENTS_MAX`] events of a log, past a position, whose personal payload is lacking,
    /// if this node may have it, and answer [`Input::Lacking`].
    ListLacking {
        /// To be answered with.
        token: Token,
        /// The log.
        log: LogId,
        /// Position before the first that may be listed; 0 for all.
        after: u64,
    },
    /// Check a payload frame by [`admit_payloads`] and against the headers that the store holds, write what is lacking,
    /// and answer [`Input::Filled`] or [`Input::AppendFailed`].
    Fill {
        /// To be answered with.
        token: Token,
        /// The log that was asked for.
        log: LogId,
        /// The positions that were asked for.
        seqs: Vec<u64>,
        /// The frame as it came.
        frame: Vec<u8>,
    },
    /// Decode, verify and append a frame, frames of one log in the order given, and answer
    /// [`Input::FrameAppended`] or [`Input::AppendFailed`]. Events that the store already holds are skipped.
    Append {
        /// Who sent it.
        peer: AuthorKey,
        /// To be answered with.
        token: Token,
        /// The log that was asked for. A frame of another log is the peer's fault.
        log: LogId,
        /// The frame as it came.
        frame: Vec<u8>,
    },
    /// End the connection. The engine has forgotten the peer already.
    Disconnect {
        /// The peer.
        peer: AuthorKey,
        /// Why.
        reason: DisconnectReason,
    },
    /// So much is charged for a log of an author without a grant from now on. To be kept, and told to the next engine by
    /// [`Engine::with_strangers`].
    Introduced(Introduced),
    /// A peer knows a later head of a log that carries our own signature: our store is behind what we once published.
    /// Whoever writes must open a new incarnation.
    PeerReportsOurHead {
        /// Who says so. Nothing proves it.
        peer: AuthorKey,
        /// Our log.
        log: LogId,
        /// What the peer says its head is.
        head: Head,
    },
    /// One author signed two histories of a log, or a peer says so. Neither is picked and the log is not pulled from
    /// this peer any more.
    Forked {
        /// Who has the other history.
        peer: AuthorKey,
        /// The log.
        log: LogId,
        /// Our head.
        ours: Head,
        /// A head of the other history.
        theirs: Head,
        /// Whether signatures prove it, or the peer only says so.
        proven: bool,
    },
}

/// Why a connection is ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// It broke a rule of the protocol.
    #[error("broke the protocol: {0}")]
    Violation(#[from] Violation),
    /// It sent a frame that does not hold.
    #[error("sent a bad frame of {log}: {what}")]
    BadFrame {
        /// The log.
        log: LogId,
        /// What was wrong.
        what: String,
    },
    /// It left our wants without any answer for [`crate::limits::SYNC_ANSWER_TIMEOUT_MS`].
    #[error("did not answer our wants in time")]
    Stalled,
    /// It does not read what we send.
    #[error("does not read what is sent to it")]
    NotReading,
}

/// A rule of the protocol that a peer broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// More wants than [`crate::limits::SYNC_SERVES_PER_PEER_MAX`].
    #[error("opened too many wants")]
    TooManyWants,
    /// The same want number twice.
    #[error("used the number of an open want again")]
    WantTwice,
    /// More credit than [`crate::limits::SYNC_CREDIT_BYTES_MAX`].
    #[error("gave more credit than allowed")]
    TooMuchCredit,
    /// A frame beyond the credit that it had, or after its own last one.
    #[error("sent more than it had credit for")]
    CreditOverrun,
    /// More messages of a comparison than [`crate::limits::SYNC_RECONCILE_MESSAGES_MAX`].
    #[error("compares without end")]
    ComparesWithoutEnd,
    /// Parts that together are longer than [`crate::limits::FRAME_BYTES_MAX`].
    #[error("sent a frame that is too long")]
    FrameTooLong,
    /// Confirmed more pieces of frames than it was sent.
    #[error("confirmed what was never sent")]
    ConfirmedUnsent,
    /// Frames that nobody asked for.
    #[error("sent frames that were not asked for")]
    Unasked,
    /// More wants that replaced an open one than [`crate::limits::SYNC_REPLACED_WANTS_BURST`].
    #[error("asks for the same again before it is answered")]
    ReplacesWants,
    /// More frames that brought nothing than [`crate::limits::SYNC_IDLE_FRAMES_BURST`].
    #[error("sends again what was sent already")]
    SendsWhatIsThere,
    /// More pulls that brought nothing than [`crate::limits::SYNC_EMPTY_PULLS_BURST`].
    #[error("announces heads that it never sends")]
    BrokenPromises,
}

/// What went over a connection in frames, in one direction. Bytes are those that the speed of a line counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Events.
    pub events: u64,
    /// Bytes of the frames that held them.
    pub bytes: u64,
}

/// What the engine knows of one connected peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// Whether the frontiers have been compared on this connection. Before that nobody may say "up to date".
    pub compared: bool,
    /// Events that the peer says it has and we lack.
    pub behind_events: u64,
    /// Events that we have and the peer, as far as it said, lacks.
    pub ahead_events: u64,
    /// Logs that we are pulling from it.
    pub pulling: usize,
    /// Logs that it is pulling from us.
    pub serving: usize,
    /// Measured speed of the line to it.
    pub bytes_per_second: Option<u64>,
    /// Measured speed at which its frames come in while we wait for them; none before enough have come.
    pub received_bytes_per_second: Option<u64>,
    /// Frames that it was sent on this connection.
    pub sent: Moved,
    /// Frames that it sent on this connection.
    pub received: Moved,
    /// Messages of unknown numbers that were ignored.
    pub unknown_messages: u64,
    /// Logs of which it holds another history than we do.
    pub forked_logs: usize,
}
