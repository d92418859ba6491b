//! Timer with the resolution of the kernel's clock: a timerfd on `CLOCK_MONOTONIC`, the clock of
//! [`Instant`].
//!
//! Tokio's timers have millisecond resolution. A timerfd expires with nanosecond resolution, and
//! the timer slack of the thread does not apply to it (prctl(2), PR_SET_TIMERSLACK).

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Timer for one waiting task at a time.
#[derive(Debug)]
pub(crate) struct Timer {
    fd: AsyncFd<OwnedFd>,
}

impl Timer {
    /// Returns an unarmed timer, registered with the event loop of the calling thread.
    ///
    /// # Errors
    /// The descriptor limit is reached.
    #[expect(
        deprecated,
        reason = "the successor is unsafe, since a type may change its descriptor; OwnedFd never does"
    )]
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let fd = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        Ok(Self { fd })
    }

    /// Waits until `due`. A time in the past costs no system call. Cancel safe.
    ///
    /// # Errors
    /// The event loop is shutting down.
    pub(crate) async fn wait_until(&self, due: Instant) -> io::Result<()> {
        // A canceled wait can leave its readiness behind, so the clock decides.
        loop {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.arm(left)?;
            // The expiry count is not read: the next arming resets it (timerfd_create(2)).
            self.fd.readable().await?.clear_ready();
        }
    }

    fn arm(&self, left: Duration) -> io::Result<()> {
        let value = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(left).map_err(io::Error::other)?,
        };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &value)?;
        Ok(())
    }
}
