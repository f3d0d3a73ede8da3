//! How much of a peer's line we occupy, and how fast it is: what keeps a warning from waiting behind a long frame.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;

/// Smallest message that says something about a line's speed; below it latency dominates.
const SAMPLE_BYTES_MIN: u64 = 1024;

/// Messages handed to the driver for one peer and not yet written.
#[derive(Debug)]
pub(super) struct Line {
    unwritten: VecDeque<Unwritten>,
    unwritten_bytes: u64,
    frames: usize,
    busy_since: Duration,
    bytes_per_second: Option<u64>,
}

#[derive(Debug)]
struct Unwritten {
    bytes: u64,
    is_frame: bool,
}

impl Line {
    pub(super) fn new(now: Duration) -> Self {
        Self { unwritten: VecDeque::new(), unwritten_bytes: 0, frames: 0, busy_since: now, bytes_per_second: None }
    }

    /// Notes a message that goes to the driver. False when too many wait already.
    pub(super) fn hand(&mut self, now: Duration, bytes: u64, is_frame: bool) -> bool {
        if self.unwritten.is_empty() {
            self.busy_since = now;
        }
        self.unwritten.push_back(Unwritten { bytes, is_frame });
        self.unwritten_bytes += bytes;
        self.frames += usize::from(is_frame);
        self.unwritten.len() <= limits::SYNC_UNWRITTEN_MESSAGES_MAX
            && self.unwritten_bytes <= limits::SYNC_UNWRITTEN_BYTES_MAX
    }

    /// Notes that the oldest message was written, and learns the line's speed from it.
    pub(super) fn written(&mut self, now: Duration) {
        let Some(Unwritten { bytes, is_frame }) = self.unwritten.pop_front() else { return };
        self.unwritten_bytes -= bytes;
        self.frames -= usize::from(is_frame);
        if bytes >= SAMPLE_BYTES_MIN {
            let micros = now.saturating_sub(self.busy_since).as_micros().max(1);
            let sample = u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX);
            let smoothed = |known: u64| known / 4 * 3 + sample / 4;
            self.bytes_per_second = Some(self.bytes_per_second.map_or(sample, smoothed));
        }
        self.busy_since = now;
    }

    /// Frames handed to the driver and not yet written.
    pub(super) const fn frames(&self) -> usize {
        self.frames
    }

    /// Whether heads may go out now. When they may not they gather, and several rises of a log become one entry.
    pub(super) const fn has_room_for_heads(&self) -> bool {
        self.unwritten_bytes < limits::SYNC_FRAME_BYTES
    }

    /// How long a frame may be, in bytes: all frames in the pipeline together hold the line for
    /// [`limits::SYNC_LINE_HELD_MS`] at most.
    pub(super) fn frame_bytes(&self) -> u64 {
        let Some(speed) = self.bytes_per_second else { return limits::SYNC_FRAME_BYTES_START };
        let held = speed.saturating_mul(limits::SYNC_LINE_HELD_MS) / 1000 / limits::SYNC_FRAMES_IN_PIPELINE as u64;
        held.clamp(limits::SYNC_FRAME_BYTES_MIN, limits::SYNC_FRAME_BYTES)
    }

    /// The measured speed.
    pub(super) const fn bytes_per_second(&self) -> Option<u64> {
        self.bytes_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_shrink_on_a_slow_line_and_grow_on_a_fast_one() {
        let mut slow = Line::new(Duration::ZERO);
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            slow.hand(now, 16_000, true);
            now += Duration::from_secs(1);
            slow.written(now);
        }
        assert_eq!(slow.frame_bytes(), limits::SYNC_FRAME_BYTES_MIN);
        for _ in 0..40 {
            slow.hand(now, 100_000, true);
            now += Duration::from_millis(1);
            slow.written(now);
        }
        assert_eq!(slow.frame_bytes(), limits::SYNC_FRAME_BYTES);
    }

    #[test]
    fn a_peer_that_never_reads_is_noticed() {
        let mut line = Line::new(Duration::ZERO);
        let room = (0..=limits::SYNC_UNWRITTEN_MESSAGES_MAX).map(|_| line.hand(Duration::ZERO, 1, false));
        assert_eq!(room.filter(|ok| !ok).count(), 1);
    }
}
