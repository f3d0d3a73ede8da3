//! How fast a peer's line is and how much of ours is on it: what keeps a warning from waiting behind a backlog.
//!
//! What was written has not arrived: sockets and routers hold many seconds of a slow line. So the peer says of each
//! piece of a frame that it has read it ([`super::Message::Received`]), and no more pieces are on their way than the
//! line carries in one round trip and [`limits::SYNC_LINE_HELD_MS`]. The speed is the delivery rate of BBR
//! (draft-cardwell-iccrg-bbr-congestion-control): what arrived between two confirmations, the best of the last samples.

use std::collections::VecDeque;
use std::time::Duration;

use super::Violation;
use crate::limits;

/// How long a sample of the speed counts: a line that has become slower is believed to be after twice this time.
const WINDOW: Duration = Duration::from_secs(5);

/// How long a round trip is believed before it is measured anew, as BBR does: what was measured while the line was busy
/// with other things would keep too much on it for good.
const ROUND_TRIP_BELIEVED: Duration = Duration::from_secs(10);

/// Pieces that go alone to measure it; the quickest counts. One of them may meet a cut.
const PROBES: u8 = 2;

/// Into so many pieces is divided what may be on its way before anything was measured.
const FIRST_PIECES: u64 = 8;

/// What the greeting has told of a line: all that is known before frames go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Greeting {
    /// All of it came at once.
    Near,
    /// It took a while, and its longer messages no longer than its shorter ones.
    Far,
    /// The line is slow, or cannot be told from a slow one.
    Slow,
}

impl Greeting {
    /// What it tells that short messages took so long there and back, and after them so long the credentials of both
    /// sides and what was said to them.
    pub fn of(round_trip: Duration, credentials: Duration) -> Self {
        if round_trip + credentials < Duration::from_millis(limits::SYNC_NEAR_GREETING_MS) {
            Self::Near
        } else if round_trip.abs_diff(credentials) <= Duration::from_millis(limits::SYNC_WIDE_GREETING_MS) {
            Self::Far
        } else {
            Self::Slow
        }
    }

    /// What may be on its way before anything was measured, in bytes.
    const fn on_way_bytes(self) -> u64 {
        match self {
            Self::Near => limits::SYNC_ON_WAY_BYTES_NEAR,
            Self::Far => limits::SYNC_ON_WAY_BYTES_FAR,
            Self::Slow => limits::SYNC_ON_WAY_BYTES_MIN,
        }
    }
}

/// Messages handed to the driver for one peer and not yet written, and pieces of frames that it has not confirmed.
#[derive(Debug)]
pub(super) struct Line {
    unwritten: VecDeque<u64>,
    unwritten_bytes: u64,
    /// What may be on its way before anything was measured, in bytes.
    start_bytes: u64,
    on_way: VecDeque<Piece>,
    on_way_bytes: u64,
    confirmed_pieces: u64,
    confirmed_bytes: u64,
    confirmed_at: Duration,
    /// When the piece was sent that was confirmed last.
    confirmed_sent_at: Duration,
    /// Up to so many bytes there was not enough to send: what arrives of them says less than the line could carry.
    starved_until: u64,
    speed: Best,
    round_trip: Option<Duration>,
    /// When it was last seen to be as short.
    round_trip_at: Duration,
    /// While the round trip is measured anew the line is let run empty and pieces go alone.
    probing: Option<Probing>,
}

/// Pieces that are still to go alone, and the quickest of those that did.
#[derive(Debug)]
struct Probing {
    left: u8,
    quickest: Option<Duration>,
}

/// A piece of a frame on its way, and how things stood when it was sent.
#[derive(Debug)]
struct Piece {
    bytes: u64,
    sent_at: Duration,
    confirmed_bytes: u64,
    confirmed_at: Duration,
    confirmed_sent_at: Duration,
    starved: bool,
    /// Nothing else was on its way.
    alone: bool,
}

/// The largest of the samples of the last one to two windows.
#[derive(Debug, Default)]
struct Best {
    since: Duration,
    current: Option<u64>,
    before: Option<u64>,
}

impl Best {
    fn sample(&mut self, now: Duration, value: u64) {
        if now.saturating_sub(self.since) >= WINDOW {
            (self.since, self.before) = (now, self.current.take());
        }
        self.current = self.current.max(Some(value));
    }

    fn get(&self) -> Option<u64> {
        self.current.max(self.before)
    }
}

impl Line {
    /// A line that was greeted on.
    pub(super) fn new(greeting: Greeting) -> Self {
        Self {
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            start_bytes: greeting.on_way_bytes(),
            on_way: VecDeque::new(),
            on_way_bytes: 0,
            confirmed_pieces: 0,
            confirmed_bytes: 0,
            confirmed_at: Duration::ZERO,
            confirmed_sent_at: Duration::ZERO,
            starved_until: 0,
            speed: Best::default(),
            round_trip: None,
            round_trip_at: Duration::ZERO,
            probing: None,
        }
    }

    /// Notes a message that goes to the driver. False when too many wait already.
    pub(super) fn hand(&mut self, bytes: u64) -> bool {
        self.unwritten.push_back(bytes);
        self.unwritten_bytes += bytes;
        self.unwritten.len() <= limits::SYNC_UNWRITTEN_MESSAGES_MAX
            && self.unwritten_bytes <= limits::SYNC_UNWRITTEN_BYTES_MAX
    }

    /// Notes that the oldest message was written.
    pub(super) fn written(&mut self) {
        self.unwritten_bytes -= self.unwritten.pop_front().unwrap_or(0);
    }

    /// Notes a piece of a frame that goes out.
    pub(super) fn piece_sent(&mut self, now: Duration, bytes: u64) {
        let alone = self.on_way.is_empty();
        if alone {
            (self.confirmed_at, self.confirmed_sent_at) = (now, now);
        }
        self.on_way.push_back(Piece {
            bytes,
            sent_at: now,
            confirmed_bytes: self.confirmed_bytes,
            confirmed_at: self.confirmed_at,
            confirmed_sent_at: self.confirmed_sent_at,
            starved: self.confirmed_bytes < self.starved_until,
            alone,
        });
        self.on_way_bytes += bytes;
    }

    /// The peer has read so many pieces since the connection began.
    ///
    /// # Errors
    /// [`Violation::ConfirmedUnsent`].
    pub(super) fn pieces_received(&mut self, now: Duration, pieces: u64) -> Result<(), Violation> {
        let mut latest = None;
        for _ in self.confirmed_pieces..pieces {
            let piece = self.on_way.pop_front().ok_or(Violation::ConfirmedUnsent)?;
            self.confirmed_pieces += 1;
            self.confirmed_bytes += piece.bytes;
            self.on_way_bytes -= piece.bytes;
            latest = Some(piece);
        }
        let Some(piece) = latest else { return Ok(()) };
        self.confirmed_at = now;
        self.confirmed_sent_at = piece.sent_at;
        self.measure(now, &piece);
        self.sample(now, &piece);
        Ok(())
    }

    fn measure(&mut self, now: Duration, piece: &Piece) {
        let trip = now.saturating_sub(piece.sent_at);
        let mut measured = Some(trip).filter(|trip| self.round_trip.is_none_or(|known| *trip <= known));
        if let Some(probing) = self.probing.as_mut().filter(|_| piece.alone) {
            probing.left -= 1;
            let quickest = probing.quickest.map_or(trip, |known| known.min(trip));
            probing.quickest = Some(quickest);
            measured = measured.or(Some(quickest).filter(|_| probing.left == 0));
        }
        if measured.is_some() {
            (self.round_trip, self.round_trip_at, self.probing) = (measured, now, None);
        } else if now.saturating_sub(self.round_trip_at) > ROUND_TRIP_BELIEVED {
            self.probing.get_or_insert(Probing { left: PROBES, quickest: None });
        }
    }

    /// Pieces may leave in bursts and be confirmed in bursts: the longer of the two times is the honest one.
    fn sample(&mut self, now: Duration, piece: &Piece) {
        let confirming = now.saturating_sub(piece.confirmed_at);
        let sending = piece.sent_at.saturating_sub(piece.confirmed_sent_at);
        let micros = confirming.max(sending).as_micros().max(1);
        let bytes = u128::from(self.confirmed_bytes - piece.confirmed_bytes);
        let speed = u64::try_from(bytes * 1_000_000 / micros).unwrap_or(u64::MAX);
        if !piece.starved || self.speed.get().is_none_or(|known| speed > known) {
            self.speed.sample(now, speed);
        }
    }

    /// Since when the peer has confirmed nothing of what is on its way to it.
    pub(super) fn unconfirmed_since(&self) -> Option<Duration> {
        (!self.on_way.is_empty()).then_some(self.confirmed_at)
    }

    /// Nothing more is there to be sent, though there would be room.
    pub(super) fn starves(&mut self) {
        self.starved_until = self.confirmed_bytes + self.on_way_bytes.max(1);
    }

    /// Whether another piece may go out: one always, more while the line holds them without a queue that overflows.
    pub(super) fn has_room(&self) -> bool {
        if self.probing.is_some() {
            return self.on_way.is_empty();
        }
        self.on_way_bytes_max().map_or(self.on_way_bytes < self.start_bytes, |most| {
            self.on_way.is_empty() || self.on_way_bytes + self.piece_bytes() <= most
        })
    }

    /// None before anything was measured.
    fn on_way_bytes_max(&self) -> Option<u64> {
        let held = self.round_trip? + Duration::from_millis(limits::SYNC_LINE_HELD_MS);
        let bytes = u128::from(self.speed.get()?) * held.as_micros() / 1_000_000;
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Some(bytes.clamp(limits::SYNC_ON_WAY_BYTES_MIN, limits::SYNC_ON_WAY_BYTES_MAX))
    }

    /// How long a piece may be, in bytes: two of them hold the line for [`limits::SYNC_LINE_HELD_MS`] at most. Before
    /// anything was measured they are short, for the first confirmation to come early: a transport begins with few packets.
    pub(super) fn piece_bytes(&self) -> u64 {
        let piece = self.held_bytes().map_or(self.start_bytes / FIRST_PIECES, |held| held / 2);
        piece.clamp(limits::SYNC_PIECE_BYTES_MIN, limits::SYNC_FRAME_BYTES)
    }

    /// How long a frame should be, in bytes. One that cannot be as short goes out in pieces.
    pub(super) fn frame_bytes(&self) -> u64 {
        let frame = self.held_bytes().unwrap_or(self.start_bytes) / 2;
        frame.clamp(limits::SYNC_FRAME_BYTES_MIN, limits::SYNC_FRAME_BYTES)
    }

    /// What the line carries in [`limits::SYNC_LINE_HELD_MS`]. None before anything was measured.
    fn held_bytes(&self) -> Option<u64> {
        self.speed.get().map(|speed| speed.saturating_mul(limits::SYNC_LINE_HELD_MS) / 1000)
    }

    /// Whether heads may go out now. When they may not they gather, and several rises of a log become one entry.
    pub(super) const fn has_room_for_heads(&self) -> bool {
        self.unwritten_bytes < limits::SYNC_FRAME_BYTES
    }

    /// The measured speed.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        self.speed.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lies between two nodes.
    struct Path {
        bytes_per_second: u64,
        delay: Duration,
        /// How much longer everything takes in the first five seconds, behind what others send.
        others: Duration,
    }

    impl Path {
        const RADIO: Self = Self { bytes_per_second: 8_000, delay: Duration::from_millis(40), others: Duration::ZERO };

        /// Sends all it may for a while; the most that was on its way in the last half of it, in bytes.
        fn fill(&self, line: &mut Line, span: Duration) -> u64 {
            let (mut now, mut free_at, mut pieces, mut most) = (Duration::ZERO, Duration::ZERO, 0, 0);
            let mut arrivals: VecDeque<Duration> = VecDeque::new();
            while now < span {
                while line.has_room() {
                    let bytes = line.piece_bytes();
                    line.piece_sent(now, bytes);
                    free_at = free_at.max(now) + Duration::from_micros(bytes * 1_000_000 / self.bytes_per_second);
                    let others = if now < Duration::from_secs(5) { self.others } else { Duration::ZERO };
                    let after = arrivals.back().copied().unwrap_or_default();
                    arrivals.push_back(after.max(free_at + self.delay * 2 + others));
                }
                if now >= span / 2 {
                    most = most.max(line.on_way_bytes);
                }
                now = arrivals.pop_front().unwrap();
                pieces += 1;
                line.pieces_received(now, pieces).unwrap();
            }
            most
        }
    }

    #[test]
    fn a_slow_line_is_not_taken_for_a_near_or_a_wide_one() {
        let greeting = |round_trip, credentials| {
            Greeting::of(Duration::from_millis(round_trip), Duration::from_millis(credentials))
        };
        assert_eq!(greeting(1, 3), Greeting::Near);
        assert_eq!(greeting(100, 103), Greeting::Far);
        // Seen at 64 kbit/s, over TCP, and over QUIC, whose handshake was still on its way while the round trip was taken.
        for (round_trip, credentials) in [(67, 194), (85, 131), (106, 129), (257, 363), (366, 229), (612, 476)] {
            assert_eq!(greeting(round_trip, credentials), Greeting::Slow, "{round_trip} {credentials}");
        }
    }

    #[test]
    fn a_radio_of_64_kbit_a_second_never_holds_more_than_a_second_of_ours() {
        let mut line = Line::new(Greeting::Slow);
        let most = Path::RADIO.fill(&mut line, Duration::from_secs(60));
        assert!(most < 8_000, "{most} bytes on their way");
        assert!((7_000..9_000).contains(&line.bytes_per_second().unwrap()), "{:?}", line.bytes_per_second());
    }

    #[test]
    fn a_line_that_is_fast_and_far_is_filled() {
        let mut line = Line::new(Greeting::Near);
        let speed = 5_000_000;
        let path = Path { bytes_per_second: speed, delay: Duration::from_millis(60), others: Duration::ZERO };
        path.fill(&mut line, Duration::from_secs(2));
        assert!(line.bytes_per_second().unwrap() > speed * 9 / 10, "{:?}", line.bytes_per_second());
    }

    #[test]
    fn a_round_trip_that_was_taken_while_others_filled_the_line_is_measured_anew() {
        let most = |seconds| {
            // Given a line that looked wide, and on which everything comes half a second late at first,
            let mut line = Line::new(Greeting::Far);
            let path = Path { others: Duration::from_millis(500), ..Path::RADIO };
            path.fill(&mut line, Duration::from_secs(seconds))
        };
        // when that is over, less is kept on it than then.
        let (then, later) = (most(8), most(40));
        assert!(then > 6_000 && later < 3_500, "{then} and then {later} bytes on their way");
    }

    #[test]
    fn a_piece_that_met_a_cut_while_it_measured_the_line_does_not_make_it_look_long() {
        let mut line = Line::new(Greeting::Slow);
        Path::RADIO.fill(&mut line, Duration::from_secs(20));
        let known = line.round_trip.unwrap();
        let confirm = |line: &mut Line, now| line.pieces_received(now, line.confirmed_pieces + 1).unwrap();
        while !line.on_way.is_empty() {
            confirm(&mut line, Duration::from_secs(40));
        }
        let mut now = Duration::from_secs(40);
        for trip in [Duration::from_secs(5), known + Duration::from_millis(10)] {
            assert!(line.probing.is_some() && line.has_room());
            line.piece_sent(now, 1_024);
            assert!(!line.has_room(), "another one beside it");
            now += trip;
            confirm(&mut line, now);
        }
        assert!(line.probing.is_none());
        assert_eq!(line.round_trip, Some(known + Duration::from_millis(10)));
    }

    #[test]
    fn little_to_send_does_not_make_a_line_look_slow() {
        let mut line = Line::new(Greeting::Near);
        let path = Path { bytes_per_second: 5_000_000, delay: Duration::from_millis(1), others: Duration::ZERO };
        path.fill(&mut line, Duration::from_secs(1));
        let (known, mut now, first) = (line.bytes_per_second(), Duration::from_secs(2), line.confirmed_pieces);
        // What was on its way arrives.
        line.pieces_received(now, first + line.on_way.len() as u64).unwrap();
        for _ in 0..20 {
            now += WINDOW;
            line.starves();
            line.piece_sent(now, 300);
            line.pieces_received(now + Duration::from_millis(3), line.confirmed_pieces + 1).unwrap();
        }
        assert_eq!(line.bytes_per_second(), known);
    }

    #[test]
    fn what_was_never_sent_cannot_be_confirmed() {
        let mut line = Line::new(Greeting::Near);
        let soon = Duration::from_millis(5);
        line.piece_sent(soon, 100);
        line.pieces_received(soon * 2, 1).unwrap();
        line.pieces_received(soon * 2, 1).unwrap();
        assert_eq!(line.pieces_received(soon * 2, u64::MAX), Err(Violation::ConfirmedUnsent));
    }

    #[test]
    fn a_peer_that_never_reads_is_noticed() {
        let mut line = Line::new(Greeting::Near);
        let room = (0..=limits::SYNC_UNWRITTEN_MESSAGES_MAX).map(|_| line.hand(1));
        assert_eq!(room.filter(|ok| !ok).count(), 1);
    }
}
