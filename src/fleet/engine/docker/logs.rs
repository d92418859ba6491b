//! The logs of containers, which the engine keeps as long as the container: the last output of a
//! container that has ended, and the seat that a standby was assigned.
//!
//! Both are read under a short deadline and may be missing. A label cannot change after a container
//! was created. So when both the standby and the balancer have ended, only the line that the
//! standby logged tells its seat.

use std::time::Duration;

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::api::Api;
use super::container_id::ContainerId;
use crate::ring::Seat;

/// Maximum time to read a log.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);
/// Number of last lines that are requested.
const LOG_TAIL_LINES: &str = "10";
/// Maximum amount of last output that is kept, in bytes.
const LOG_TAIL_BYTES: usize = 4096;
/// Beginnings of the bundled replica's own lines: its listen address, and its assigned seat.
const REPLICA_STATUS_LINES: [&[u8]; 2] = [b"{\"listen\":", b"{\"seat\":"];

impl Api {
    /// Returns the last output of a container; empty if it cannot be read.
    pub(super) async fn last_output(&self, id: &ContainerId) -> Vec<u8> {
        let mut output = Vec::new();
        self.read_log(id, |line| {
            if !REPLICA_STATUS_LINES.iter().any(|own| line.starts_with(own)) {
                output.extend_from_slice(line);
                output.drain(..output.len().saturating_sub(LOG_TAIL_BYTES));
            }
        })
        .await;
        output
    }

    /// Returns the seat that a standby logged as assigned. `None` if none was assigned, or the log
    /// cannot be read.
    pub(super) async fn seat_from_log(&self, id: &ContainerId) -> Option<Seat> {
        let mut parser = SeatFromLog::default();
        self.read_log(id, |line| parser.read_line(line)).await;
        parser.seat
    }

    async fn read_log(&self, id: &ContainerId, mut on_line: impl FnMut(&[u8])) {
        let options = LogsOptionsBuilder::new()
            .stdout(true)
            .stderr(true)
            .tail(LOG_TAIL_LINES)
            .build();
        let mut lines = Box::pin(self.client.logs(id.as_str(), Some(options)));
        // The deadline also ends a log without end.
        let _ = timeout(LOG_TIMEOUT, async {
            while let Some(Ok(line)) = lines.next().await {
                on_line(line.as_ref());
            }
        })
        .await;
    }
}

/// The seat in the log lines of a standby.
#[derive(Debug, Default)]
struct SeatFromLog {
    /// `true` if the lines come from the bundled replica, which logs its listen address first.
    /// Another server may log lines about seats of its own.
    is_bundled: bool,
    seat: Option<Seat>,
}

impl SeatFromLog {
    fn read_line(&mut self, line: &[u8]) {
        self.is_bundled |= line.starts_with(REPLICA_STATUS_LINES[0]);
        if self.is_bundled {
            self.seat = parse_seat(line).or(self.seat);
        }
    }
}

/// Parses the seat of a line such as `{"seat":3}`.
fn parse_seat(line: &[u8]) -> Option<Seat> {
    let line: serde_json::Value = serde_json::from_slice(line).ok()?;
    let seat = u32::try_from(line.get("seat")?.as_u64()?).ok()?;
    (seat > 0).then_some(Seat(seat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bundled_replicas_seat_line_counts() {
        let seat = |lines: &[&[u8]]| {
            let mut parser = SeatFromLog::default();
            lines.iter().for_each(|line| parser.read_line(line));
            parser.seat
        };
        let (listens, seated) = (
            &b"{\"listen\":\"0.0.0.0:5000\"}\n"[..],
            &b"{\"seat\":3}\n"[..],
        );
        assert_eq!(seat(&[listens, seated, b"words\n"]), Some(Seat(3)));
        assert_eq!(seat(&[b"words\n", seated]), None);
        assert_eq!(seat(&[listens]), None);
    }

    #[test]
    fn a_seat_line_is_parsed_strictly() {
        assert_eq!(parse_seat(b"{\"seat\":3}\n"), Some(Seat(3)));
        for other in [
            &b"{\"seat\":0}\n"[..],
            b"{\"seat\":\"3\"}\n",
            b"{\"seat\":4294967296}\n",
            b"{\"listen\":\"127.0.0.1:1\"}\n",
            b"seat 3\n",
            b"",
        ] {
            assert_eq!(
                parse_seat(other),
                None,
                "{}",
                String::from_utf8_lossy(other)
            );
        }
    }
}
