//! The access log's writer: a thread that takes the records of finished requests and writes a line for each.
//!
//! Nobody waits for it. Records come through a bounded queue, which loses those that it has no room for; so a full
//! disk or a slow reader costs lines, all of them counted, and never a request. It writes what has come
//! together in one piece, rests a moment, and writes again: so workers wake it rarely, and nothing is held
//! back while little is to do.

mod file;
mod format;

use std::io;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::sleep;

use self::file::LogFile;
use crate::config::{LogDestination, LogFormat};
use crate::metrics::DataPortCounters;
use crate::proxy::{AccessLogHandle, AccessRecord};

/// Records that may wait to be written; more are lost. With the longest paths they take some 12 MB.
const MAX_QUEUED_RECORDS: usize = 8_192;
/// The most that are written in one piece.
const MAX_BATCH: usize = 512;
/// Between two pieces when the first was all there was.
const FLUSH_INTERVAL: Duration = Duration::from_millis(20);
/// How long the last lines may take once no more can come.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// The running writer.
#[derive(Debug)]
pub(crate) struct AccessLogWriter(std_mpsc::Receiver<()>);

/// Opens `target` and starts the writer. What it counts is in `port`.
///
/// # Errors
/// When the target cannot be opened, or the system has no thread, event loop or signal for us.
pub(crate) fn start(
    target: &LogDestination,
    format: LogFormat,
    port: Arc<DataPortCounters>,
) -> anyhow::Result<(AccessLogHandle, AccessLogWriter)> {
    let sink = LogFile::open(target).with_context(|| match target {
        LogDestination::Stdout => "--access-log -: cannot write to standard output".to_owned(),
        LogDestination::File(path) => format!("--access-log {}: cannot open it", path.display()),
    })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let hangups = sink
        .is_file()
        .then(|| hangup_signals(&runtime))
        .transpose()?;
    let (log, records) = AccessLogHandle::new(MAX_QUEUED_RECORDS);
    let (done, ended) = std_mpsc::channel();
    let work = move || {
        runtime.block_on(run(records, sink, format, &port, hangups));
        // Whoever started us may have given up waiting.
        let _ = done.send(());
    };
    thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(work)
        .context("no thread for the access log")?;
    Ok((log, AccessLogWriter(ended)))
}

impl AccessLogWriter {
    /// Waits until the last lines are written, for at most a second: to be called when no more can come.
    pub(crate) fn flush_and_stop(self) {
        // One that has panicked is at its end, too.
        if let Err(std_mpsc::RecvTimeoutError::Timeout) = self.0.recv_timeout(FINISH_TIMEOUT) {
            tracing::warn!(
                "the last lines of the access log are lost: they could not be written in time"
            );
        }
    }
}

/// SIGHUP, which says that the file was moved away (logrotate).
fn hangup_signals(runtime: &Runtime) -> io::Result<Signal> {
    let _inside = runtime.enter();
    signal(SignalKind::hangup())
}

/// Writes until no more records can come.
async fn run(
    mut records: mpsc::Receiver<AccessRecord>,
    mut sink: LogFile,
    format: LogFormat,
    port: &DataPortCounters,
    mut hangups: Option<Signal>,
) {
    let (mut batch, mut lines) = (Vec::with_capacity(MAX_BATCH), String::new());
    loop {
        let come = tokio::select! {
            biased;
            () = next_hangup(&mut hangups) => {
                sink.reopen();
                continue;
            }
            come = records.recv_many(&mut batch, MAX_BATCH) => come,
        };
        if come == 0 {
            return;
        }
        batch
            .drain(..)
            .for_each(|record| format::write(&record, format, &mut lines));
        sink.write(&lines, port.log());
        lines.clear();
        if records.is_empty() {
            sleep(FLUSH_INTERVAL).await;
        }
    }
}

/// The next of these signals, which may never come.
async fn next_hangup(signals: &mut Option<Signal>) {
    let come = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if come.is_none() {
        std::future::pending().await
    }
}
