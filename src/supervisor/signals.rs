//! The signals of the program: two that ask it to end, and SIGHUP, which never ends it.
//!
//! They are caught from the moment of making: as the first process of a container we would not even get those
//! that nobody catches (pid_namespaces(7)). A terminal and `timeout` send a signal twice, to the process and to
//! its group, so two that come within a moment are one.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

/// A signal that follows another one within this time is the same.
const SIGNAL_MERGE_TIME: Duration = Duration::from_millis(200);

/// What is caught.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Whether a hangup has a file opened anew, which is the access log's to do.
    reopens: bool,
    /// When the last one came that counted.
    last: Option<Instant>,
}

impl Signals {
    /// Begins to catch them; `reopens`: there is a file to open anew at a hangup.
    ///
    /// # Errors
    /// When the system does not let us.
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

    /// Waits for the next one that asks us to end. Cancel safe.
    pub(crate) async fn next_stop_signal(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hangup.recv() => {
                    if !self.reopens {
                        tracing::info!("SIGHUP changes nothing: there is no access-log file to open anew");
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

/// Whether a signal at `now` is another one than the `last` that counted.
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
