//! Access log: a thread that receives the records of finished requests and writes a line for each.
//!
//! Requests never block on logging. Records go through a bounded queue; when it is full they are
//! dropped and counted. The thread writes all queued records in one piece, pauses for a moment, and
//! continues: workers rarely wake it, and at low load a line appears at once.

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
use crate::config::{AccessLogFormat, AccessLogSettings, LogDestination};
use crate::metrics::DataPortCounters;
use crate::proxy::{AccessLogHandle, AccessRecord};

/// Capacity of the queue; further records are dropped. With the longest values they take about 30
/// MB.
const MAX_QUEUED_RECORDS: usize = 8_192;
/// Largest number of records in one write.
const MAX_BATCH: usize = 512;
/// Pause between two writes when the first emptied the queue.
const FLUSH_INTERVAL: Duration = Duration::from_millis(20);
/// Time limit for the last lines once no more records can come.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// Running writer thread.
#[derive(Debug)]
pub(crate) struct AccessLogWriter(std_mpsc::Receiver<()>);

/// Opens the destination and starts the writer, which counts in `port`.
///
/// # Errors
/// When the target cannot be opened, or the system has no thread, event loop or signal handler
/// left.
pub(crate) fn start(
    settings: &AccessLogSettings,
    port: Arc<DataPortCounters>,
) -> anyhow::Result<(AccessLogHandle, AccessLogWriter)> {
    let AccessLogSettings {
        target,
        format,
        with_query,
    } = settings;
    let (format, with_query) = (*format, *with_query);
    let sink = LogFile::open(target).with_context(|| match target {
        LogDestination::Stdout => "--access-log -: cannot write to standard output".to_owned(),
        LogDestination::File(path) => format!("--access-log {}: cannot open it", path.display()),
    })?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let hangups = sink
        .is_file()
        .then(|| hangup_signals(&runtime))
        .transpose()?;
    let (log, records) = AccessLogHandle::new(MAX_QUEUED_RECORDS, with_query);
    let (done, ended) = std_mpsc::channel();
    let work = move || {
        runtime.block_on(run(records, sink, format, &port, hangups));
        // The starter may have given up waiting.
        let _ = done.send(());
    };
    thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(work)
        .context("no thread for the access log")?;
    Ok((log, AccessLogWriter(ended)))
}

impl AccessLogWriter {
    /// Waits at most a second until the last lines are written; call it when no more records can
    /// come.
    pub(crate) fn flush_and_stop(self) {
        // A thread that panicked has ended, too.
        if let Err(std_mpsc::RecvTimeoutError::Timeout) = self.0.recv_timeout(FINISH_TIMEOUT) {
            tracing::warn!(
                "the last lines of the access log are lost: they could not be written in time"
            );
        }
    }
}

/// SIGHUP: the file was moved away (logrotate).
fn hangup_signals(runtime: &Runtime) -> io::Result<Signal> {
    let _inside = runtime.enter();
    signal(SignalKind::hangup())
}

/// Writes until no more records can come.
async fn run(
    mut records: mpsc::Receiver<AccessRecord>,
    mut sink: LogFile,
    format: AccessLogFormat,
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

/// Waits for the next signal, forever without a handler.
async fn next_hangup(signals: &mut Option<Signal>) {
    let come = match signals {
        Some(signals) => signals.recv().await,
        None => None,
    };
    if come.is_none() {
        std::future::pending().await
    }
}
