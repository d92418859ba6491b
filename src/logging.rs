//! Log lines: written to stderr by a thread of its own behind a bounded queue.
//!
//! The reader of stderr may stop reading (a pager, a stuck log driver) or go away. Neither may stop
//! a worker, the fleet or a signal: a full queue drops lines, and a broken pipe drops all of them.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;

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
    let to_journal = is_journal();
    let log = tracing_subscriber::fmt()
        .with_writer(PriorityWriter { writer, to_journal })
        .with_max_level(level)
        .log_internal_errors(false)
        .with_target(false);
    match format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    guard
}

/// Returns `true` if stderr is the journal of systemd: `JOURNAL_STREAM` names its device and inode
/// (systemd.exec(5)).
fn is_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let stderr = std::fs::metadata("/proc/self/fd/2");
    stderr.is_ok_and(|stderr| stream == format!("{}:{}", stderr.dev(), stderr.ino()))
}

/// Writer that begins each line for the journal with its priority (sd-daemon(3)).
struct PriorityWriter {
    writer: NonBlocking,
    to_journal: bool,
}

impl<'a> MakeWriter<'a> for PriorityWriter {
    type Writer = PriorityLine;

    fn make_writer(&'a self) -> PriorityLine {
        PriorityLine {
            writer: self.writer.clone(),
            priority: None,
        }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> PriorityLine {
        let priority = self.to_journal.then(|| match *meta.level() {
            Level::ERROR => "<3>",
            Level::WARN => "<4>",
            Level::INFO => "<6>",
            Level::DEBUG | Level::TRACE => "<7>",
        });
        PriorityLine {
            writer: self.writer.clone(),
            priority,
        }
    }
}

/// Line that gets its priority before its first bytes.
struct PriorityLine {
    writer: NonBlocking,
    priority: Option<&'static str>,
}

impl io::Write for PriorityLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.priority.take() {
            None => self.writer.write(bytes),
            Some(priority) => {
                // In one piece: the queue drops whole pieces.
                let line = [priority.as_bytes(), bytes].concat();
                self.writer.write_all(&line)?;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
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
