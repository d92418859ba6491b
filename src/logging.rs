//! Log lines: written to stderr by a thread of its own behind a bounded queue.
//!
//! The reader of stderr may stop reading (a pager, a stuck log driver) or go away. Neither may stop
//! a worker, the fleet or a signal: a full queue drops lines, and a broken pipe drops all of them.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

use crate::config::LogFormat;

/// Capacity of the queue; further lines are dropped.
const MAX_QUEUED_LINES: usize = 4096;
/// Time limit for the last line.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Starts logging. Dropping the guard writes the queued lines, for at most a second.
pub(crate) fn start(format: LogFormat, level: tracing::Level) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(MAX_QUEUED_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(io::stderr());
    let log = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_max_level(level)
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    guard
}

/// Prints a line on stderr before the program ends. A closed or stuck stderr is ignored.
pub(crate) fn print_line(line: fmt::Arguments<'_>) {
    let line = format!("{line}\n");
    let (done, written) = mpsc::channel();
    thread::spawn(move || {
        let _ = io::stderr().write_all(line.as_bytes());
        let _ = done.send(());
    });
    let _ = written.recv_timeout(LAST_WORD);
}
