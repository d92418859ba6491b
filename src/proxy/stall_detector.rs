//! Detection of stalled writes. A write fails not after a long wait, but when nothing moves.
//!
//! The kernel accepts more only after a third of its buffer is free (sk_stream_is_writeable in
//! sock.h), which can be megabytes. A slow but steady reader thus looks as if it had stopped. So a
//! blocked write has its time in two halves, and each half with progress is followed by another.

use std::time::Duration;

/// Time of one blocked write.
#[derive(Debug)]
pub(super) struct StallDetector {
    half: Duration,
    /// Bytes in the kernel's queue at the last check.
    queued: Option<u32>,
}

impl StallDetector {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            half: limit / 2,
            queued: None,
        }
    }

    /// Returns the time until the next check.
    pub(super) fn check_interval(&self) -> Duration {
        self.half
    }

    /// Checks the bytes in the kernel's queue. Returns `true` if nothing has moved for the whole
    /// time.
    pub(super) fn has_stalled(&mut self, queued: Option<u32>) -> bool {
        // If the kernel does not report the queue, the second check is the last.
        let now = queued.unwrap_or(u32::MAX);
        self.queued.replace(now).is_some_and(|before| now >= before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_check_decides_and_any_progress_gives_another() {
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
