//! Destination of the lines: a file, which may be reopened under its name, or standard output.
//!
//! Writes may block; they run on the log's own thread. Each line is counted, as written or as
//! failed. A full disk can take half of a line: the next line then begins with a line feed, so that
//! only one line is spoilt.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::config::LogDestination;
use crate::metrics::AccessLogCounters;

/// Delay before a full pipe is written to again.
const PIPE_FULL_DELAY: Duration = Duration::from_millis(10);

/// Open destination.
#[derive(Debug)]
pub(super) struct LogFile<W = File> {
    out: W,
    /// Name under which the file is reopened.
    path: Option<PathBuf>,
    /// `true` if the destination ends in half of a line.
    torn: bool,
    /// Number of lines that failed since the last written one.
    failing: u64,
}

impl LogFile {
    /// Opens `target` for appending.
    pub(super) fn open(target: &LogDestination) -> io::Result<Self> {
        let (out, path) = match target {
            // Unbuffered: lines come in batches.
            LogDestination::Stdout => {
                (File::from(io::stdout().as_fd().try_clone_to_owned()?), None)
            }
            LogDestination::File(path) => (append_to(path)?, Some(path.clone())),
        };
        Ok(Self {
            out,
            path,
            torn: false,
            failing: 0,
        })
    }

    /// Returns `true` if the destination is a file, which can be reopened.
    pub(super) fn is_file(&self) -> bool {
        self.path.is_some()
    }

    /// Reopens the file after it was moved away (logrotate). If that fails, lines still go to the
    /// old file.
    pub(super) fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append_to(path) {
            Ok(file) => {
                self.out = file;
                self.torn = false;
                tracing::info!("the access log {} was reopened", path.display());
            }
            Err(err) => tracing::warn!(
                "cannot reopen the access log {}, lines still go to the old file: {err}",
                path.display()
            ),
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    // O_NONBLOCK: opening a named pipe without a reader fails instead of waiting (fifo(7)).
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

impl<W: Write> LogFile<W> {
    /// Writes whole lines, or counts those that cannot be written as failed.
    pub(super) fn write(&mut self, lines: &str, counters: &AccessLogCounters) {
        let mut rest = lines.as_bytes();
        let done = self.end_broken_line().and_then(|()| {
            while !rest.is_empty() {
                let written = self.try_write(rest)?;
                self.torn = rest[written - 1] != b'\n';
                counters.written.add(count_lines(&rest[..written]));
                rest = &rest[written..];
            }
            Ok(())
        });
        match done {
            Ok(()) if self.failing > 0 => {
                let lost = std::mem::take(&mut self.failing);
                tracing::info!("the access log can be written again; {lost} lines were lost");
            }
            Ok(()) => {}
            Err(err) => {
                let lost = count_lines(rest);
                counters.failed.add(lost);
                if self.failing == 0 {
                    tracing::warn!("cannot write the access log, lines are lost: {err}");
                }
                self.failing += lost;
            }
        }
    }

    /// Ends a line of which only a part was written.
    fn end_broken_line(&mut self) -> io::Result<()> {
        if self.torn {
            self.try_write(b"\n")?;
            self.torn = false;
        }
        Ok(())
    }

    /// Writes some bytes, at least one.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.out.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => return Ok(written),
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                // A pipe with a slow reader.
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(PIPE_FULL_DELAY)
                }
                Err(err) => return Err(err),
            }
        }
    }
}

/// Counts the line ends in `bytes`.
fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes this many bytes in all; each write takes at most five.
    struct Disk {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let room = self.room - self.taken.len();
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let len = bytes.len().min(room).min(5);
            self.taken.extend(&bytes[..len]);
            Ok(len)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink(room: usize) -> LogFile<Disk> {
        LogFile {
            out: Disk {
                taken: Vec::new(),
                room,
            },
            path: None,
            torn: false,
            failing: 0,
        }
    }

    fn counts(counters: &AccessLogCounters) -> (u64, u64) {
        (counters.written.get(), counters.failed.get())
    }

    #[test]
    fn a_full_disk_spoils_one_line_and_loses_those_that_follow() {
        // Room for the third line without its end, then for none of it, then for all.
        for (room, kept) in [(17, "line1\nline2\nline3"), (12, "line1\nline2\n")] {
            let (mut sink, counters) = (sink(room), AccessLogCounters::default());
            sink.write("line1\nline2\nline3\nline4\n", &counters);
            assert_eq!(counts(&counters), (2, 2));
            assert_eq!(sink.out.taken, kept.as_bytes());
            sink.write("line5\n", &counters);
            assert_eq!((counts(&counters), sink.failing), ((2, 3), 3));
            sink.out.room = 100;
            sink.write("line6\n", &counters);
            assert_eq!((counts(&counters), sink.failing), ((3, 3), 0));
            let mended = kept.trim_end().to_owned() + "\nline6\n";
            assert_eq!(sink.out.taken, mended.as_bytes());
        }
    }

    #[test]
    fn a_disk_with_room_to_the_byte_takes_all() {
        let (mut sink, counters) = (sink(12), AccessLogCounters::default());
        sink.write("line1\nline2\n", &counters);
        assert_eq!((counts(&counters), sink.torn), ((2, 0), false));
    }
}
