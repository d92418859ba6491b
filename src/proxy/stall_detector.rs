//! When a write is given up: not when it has waited for long, but when nothing moves.
//!
//! The kernel takes more only once a third of what it may hold is gone, which can be megabytes
//! (sk_stream_is_writeable in its sock.h): a reader that is slow and steady looks from here as if it had
//! stopped. So a write that blocks has its time in two halves, and each half in which something was read
//! is followed by another.

use std::time::Duration;

/// The time that one blocked write has.
#[derive(Debug)]
pub(super) struct StallDetector {
    half: Duration,
    /// What waited in the kernel at the last look.
    queued: Option<u32>,
}

impl StallDetector {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            half: limit / 2,
            queued: None,
        }
    }

    /// How long the write may wait before a look.
    pub(super) fn check_interval(&self) -> Duration {
        self.half
    }

    /// Looks how much waits now. Whether the write has stood still for its whole time.
    pub(super) fn has_stalled(&mut self, queued: Option<u32>) -> bool {
        // Where the kernel does not tell, the second look is the last.
        let now = queued.unwrap_or(u32::MAX);
        self.queued.replace(now).is_some_and(|before| now >= before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_look_decides_and_any_byte_gives_another() {
        let mut stall = StallDetector::new(Duration::from_secs(2));
        assert!(!stall.has_stalled(Some(10)));
        assert!(!stall.has_stalled(Some(9)));
        assert!(!stall.has_stalled(Some(8)));
        assert!(stall.has_stalled(Some(8)));
        let mut untold = StallDetector::new(Duration::from_secs(2));
        assert!(!untold.has_stalled(None));
        assert!(untold.has_stalled(None));
    }
}
