//! What containers wrote, which the engine keeps as long as it keeps the container: the last words of one that
//! has ended, and the seat that a standby was given.
//!
//! Both are had if they can be had soon; nobody waits long for words. Surprising: a label cannot change once
//! a container is made, so what a standby writes when it gets its seat is all that tells of it when both it
//! and we have ended.

use std::time::Duration;

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::api::{Api, Id};
use crate::ring::Seat;

/// How long what a container wrote may take to come.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);
/// How many of its last lines are asked for.
const LOG_TAIL_LINES: &str = "10";
/// How much of them is kept, in bytes.
const LOG_TAIL_BYTES: usize = 4096;
/// How the bundled replica's own lines begin, which say where it listens and which seat it was given.
const REPLICA_STATUS_LINES: [&[u8]; 2] = [b"{\"listen\":", b"{\"seat\":"];

impl Api {
    /// What it wrote last; empty if that cannot be had.
    pub(super) async fn last_words(&self, id: &Id) -> Vec<u8> {
        let mut words = Vec::new();
        self.read_log(id, |line| {
            if !REPLICA_STATUS_LINES.iter().any(|own| line.starts_with(own)) {
                words.extend_from_slice(line);
                words.drain(..words.len().saturating_sub(LOG_TAIL_BYTES));
            }
        })
        .await;
        words
    }

    /// The seat that a standby wrote it was given; `None` if it was given none, or that cannot be had.
    pub(super) async fn seat_from_log(&self, id: &Id) -> Option<Seat> {
        let mut told = SeatFromLog::default();
        self.read_log(id, |line| told.read(line)).await;
        told.seat
    }

    async fn read_log(&self, id: &Id, mut read: impl FnMut(&[u8])) {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail(LOG_TAIL_LINES)
            .build();
        let mut lines = Box::pin(self.client.logs(id.as_str(), Some(options)));
        // Whoever sends without end is stopped by the deadline.
        let _ = timeout(LOG_TIMEOUT, async {
            while let Some(Ok(line)) = lines.next().await {
                read(line.as_ref());
            }
        })
        .await;
    }
}

/// What the lines of a standby tell of its seat.
#[derive(Debug, Default)]
struct SeatFromLog {
    /// Whether it is the bundled replica: that says first where it listens. Somebody's own server may write of
    /// seats of its own.
    is_bundled: bool,
    seat: Option<Seat>,
}

impl SeatFromLog {
    fn read(&mut self, line: &[u8]) {
        self.is_bundled |= line.starts_with(REPLICA_STATUS_LINES[0]);
        if self.is_bundled {
            self.seat = seat(line).or(self.seat);
        }
    }
}

/// The seat that a line tells of, if it is such a line.
fn seat(line: &[u8]) -> Option<Seat> {
    let line: serde_json::Value = serde_json::from_slice(line).ok()?;
    let seat = u32::try_from(line.get("seat")?.as_u64()?).ok()?;
    (seat > 0).then_some(Seat(seat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bundled_replica_tells_of_its_seat() {
        let told = |lines: &[&[u8]]| {
            let mut told = SeatFromLog::default();
            lines.iter().for_each(|line| told.read(line));
            told.seat
        };
        let (listens, seated) = (
            &b"{\"listen\":\"0.0.0.0:5000\"}\n"[..],
            &b"{\"seat\":3}\n"[..],
        );
        assert_eq!(told(&[listens, seated, b"words\n"]), Some(Seat(3)));
        assert_eq!(told(&[b"words\n", seated]), None);
        assert_eq!(told(&[listens]), None);
    }

    #[test]
    fn a_line_tells_of_a_seat() {
        assert_eq!(seat(b"{\"seat\":3}\n"), Some(Seat(3)));
        for other in [
            &b"{\"seat\":0}\n"[..],
            b"{\"seat\":\"3\"}\n",
            b"{\"seat\":4294967296}\n",
            b"{\"listen\":\"127.0.0.1:1\"}\n",
            b"seat 3\n",
            b"",
        ] {
            assert_eq!(seat(other), None, "{}", String::from_utf8_lossy(other));
        }
    }
}
