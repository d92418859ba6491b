//! Signals of the program: two request its end, and SIGHUP never ends it.
//!
//! The handlers are registered at construction: the first process of a container receives only
//! signals that it handles (pid_namespaces(7)). A terminal and `timeout` send a signal twice, to
//! the process and to its group, so two signals within [`SIGNAL_MERGE_TIME`] count as one.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// A signal within this time after another one is the same signal.
const SIGNAL_MERGE_TIME: Duration = Duration::from_millis(200);

/// Registered signal handlers.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// `true` if SIGHUP reopens the access log, which the log's own thread does.
    reopens: bool,
    /// Time of the last signal that counted.
    last: Option<Instant>,
}

impl Signals {
    /// Registers the handlers; `reopens`: SIGHUP reopens an access-log file.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn register(runtime: &Runtime, reopens: bool) -> io::Result<Self> {
        let _inside = runtime.enter();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            reopens,
            last: None,
        })
    }

    /// Waits for the next signal that requests the end of the program. Cancel safe.
    pub(crate) async fn next_stop_signal(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hangup.recv() => {
                    if !self.reopens {
                        tracing::info!("SIGHUP ignored: there is no access-log file to reopen");
                    }
                    continue;
                }
            }
            let now = Instant::now();
            if is_another(self.last, now) {
                self.last = Some(now);
                return;
            }
        }
    }
}

/// Returns `true` if a signal at `now` differs from the `last` one that counted.
fn is_another(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= SIGNAL_MERGE_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_signals_within_a_moment_are_one() {
        let first = Instant::now();
        assert!(is_another(None, first));
        assert!(!is_another(Some(first), first));
        let edge = first + SIGNAL_MERGE_TIME;
        assert!(!is_another(Some(first), edge - Duration::from_millis(1)));
        assert!(is_another(Some(first), edge));
    }
}
