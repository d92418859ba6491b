//! Signals of the program: two request its end, and so does SIGHUP when the terminal was closed.
//! SIGUSR2 requests a reload, and SIGHUP does if there is a configuration file that has changed.
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

/// Bit of SIGHUP (signal 1) in the masks of /proc/PID/status.
const SIGHUP_BIT: u64 = 1;

/// Registered signal handlers.
pub(crate) struct Signals {
    stop: StopSignals,
    reload: Signal,
}

/// Request of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// End the program.
    Stop,
    /// Have a new process take over.
    Reload,
    /// The same, if the configuration file has changed.
    ReloadIfChanged,
}

impl Signals {
    /// Registers the handlers; `reopens`: SIGHUP reopens an access-log file, `rereads`: it reads
    /// the configuration file again.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn register(
        runtime: &Runtime,
        (reopens, rereads): (bool, bool),
    ) -> io::Result<Self> {
        let _inside = runtime.enter();
        // Before the handler: `nohup` starts programs with SIGHUP ignored.
        let follows_terminal = has_terminal() && !ignores_hangup();
        Ok(Self {
            stop: StopSignals {
                terminate: signal(SignalKind::terminate())?,
                interrupt: signal(SignalKind::interrupt())?,
                hangup: signal(SignalKind::hangup())?,
                reopens,
                rereads,
                follows_terminal,
                last: None,
            },
            reload: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next signal that requests the end of the program. Cancel safe.
    pub(crate) async fn next_stop_signal(&mut self) {
        while self.stop.next().await != SignalRequest::Stop {}
    }

    /// Waits for the next signal. Cancel safe.
    pub(super) async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            biased;
            request = self.stop.next() => request,
            _ = self.reload.recv() => SignalRequest::Reload,
        }
    }
}

/// Handlers of the signals that request the end of the program, SIGHUP among them.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// `true` if SIGHUP reopens the access log, which the log's own thread does.
    reopens: bool,
    /// `true` if there is a configuration file to be read again at SIGHUP.
    rereads: bool,
    /// `true` if the end of the terminal ends the program.
    follows_terminal: bool,
    /// Time of the last signal that counted.
    last: Option<Instant>,
}

impl StopSignals {
    /// Waits for the next signal that counts. Cancel safe.
    async fn next(&mut self) -> SignalRequest {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.hangup.recv() => {
                    if self.follows_terminal && !has_terminal() {
                        tracing::info!("the terminal was closed");
                    } else if self.rereads {
                        return SignalRequest::ReloadIfChanged;
                    } else {
                        if !self.reopens {
                            tracing::info!("SIGHUP ignored: there is no access-log file to reopen");
                        }
                        continue;
                    }
                }
            }
            let now = Instant::now();
            if is_another(self.last, now) {
                self.last = Some(now);
                return SignalRequest::Stop;
            }
        }
    }
}

/// Returns `true` if this process has a controlling terminal: field 7 of /proc/PID/stat, `tty_nr`,
/// is not 0 (proc_pid_stat(5)). It is 0 from the hang-up of the terminal on.
fn has_terminal() -> bool {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    terminal_number(&stat).is_some_and(|number| number != 0)
}

fn terminal_number(stat: &str) -> Option<i64> {
    // The second field is the name of the program in parentheses, and may contain anything.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(4)?.parse().ok()
}

/// Returns `true` if this process was started with SIGHUP ignored.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status).is_some_and(|mask| mask & SIGHUP_BIT != 0)
}

fn ignored_signals(status: &str) -> Option<u64> {
    let mut lines = status.lines();
    let mask = lines.find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Returns `true` if a signal at `now` differs from the `last` one that counted.
fn is_another(last: Option<Instant>, now: Instant) -> bool {
    last.is_none_or(|last| now.duration_since(last) >= SIGNAL_MERGE_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_and_the_ignored_signals_are_read_from_proc() {
        let stat = "4711 (a) 7 b) S 1 4711 4711 34816 4711 4194560";
        assert_eq!(terminal_number(stat), Some(34816));
        assert_eq!(terminal_number("4711 (x) S 1 4711 4711 0 -1 0"), Some(0));
        assert_eq!(terminal_number(""), None);
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000001\n";
        assert_eq!(ignored_signals(status), Some(0x1001));
    }

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
