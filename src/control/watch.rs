//! Text commands that stream until the client leaves: `events -w` and `watch`.
//!
//! New output is written before input is read. After `prompt` the client's next line ends the
//! stream; otherwise input is discarded. The end of input does not end the stream, since
//! `echo … | nc -N` half-closes at once: a client that has left is detected by a failed write or by
//! keep-alive probes.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::command::ControlCommand;
use super::connection::{Connection, PeekedLine};
use super::execute;
use super::journal_follower::JournalFollower;
use super::shared::Shared;
use super::text_answer;
use crate::wire::peer_addr::PeerAddr;

/// Source of a stream's pieces.
enum StreamSource {
    /// New events, one line each.
    Events(JournalFollower),
    /// The statistics at each tick.
    Stats(Interval),
}

impl StreamSource {
    /// Waits until there is a piece to write. Cancel safe.
    async fn ready(&mut self) {
        match self {
            Self::Events(follower) => follower.changed().await,
            Self::Stats(ticks) => {
                ticks.tick().await;
            }
        }
    }
}

/// Input of a client during a stream.
enum ClientInput {
    /// Number of bytes that were discarded.
    Discarded(usize),
    /// A line, which is carried out next unless it is empty.
    Line,
    /// End of input.
    End,
}

/// A connection while it streams.
pub(super) struct Stream<'a> {
    pub(super) conn: &'a mut Connection,
    pub(super) shared: &'a Shared,
    pub(super) client: PeerAddr,
    /// `true` after `prompt`: the client's next line ends the stream.
    pub(super) prompting: bool,
    pub(super) json: bool,
}

impl Stream<'_> {
    /// Writes pieces until the client leaves or, after `prompt`, sends its next line, or until
    /// shutdown.
    ///
    /// # Errors
    /// Errors of the socket; `TimedOut` for a client that does not read.
    pub(super) async fn run(self, command: &ControlCommand) -> io::Result<()> {
        let mut source = match command {
            ControlCommand::Events { since, .. } => {
                StreamSource::Events(JournalFollower::after(*since, &self.shared.context.journal))
            }
            ControlCommand::Watch(pause) => {
                let mut ticks = interval(*pause);
                // A slow reader does not get missed answers in a burst.
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                StreamSource::Stats(ticks)
            }
            _ => return Ok(()),
        };
        let limits = &self.shared.context.limits;
        let mut shutdown = self.shared.shutdown.clone();
        let (mut reads, mut allowance) = (true, limits.discard_bytes);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                () = source.ready() => {
                    let piece = self.next_piece(&mut source).await;
                    self.conn.write_all(piece.as_bytes()).await?;
                }
                input = read_client(self.conn, reads, self.prompting, limits.line) => match input? {
                    ClientInput::Line => return Ok(()),
                    ClientInput::End => reads = false,
                    ClientInput::Discarded(bytes) => {
                        allowance = allowance.saturating_sub(bytes);
                        reads = allowance > 0;
                    }
                }
            }
        }
    }

    /// Returns the next piece. As JSON it is one value a line, without an empty line.
    async fn next_piece(&self, source: &mut StreamSource) -> String {
        let mut piece = String::new();
        match source {
            StreamSource::Events(follower) => {
                for event in follower.take_new() {
                    let line = match self.json {
                        true => event.to_json().to_string(),
                        false => event.to_string(),
                    };
                    text_answer::push_line(&mut piece, &line);
                }
            }
            StreamSource::Stats(_) => {
                let context = &self.shared.context;
                let result = execute::execute(ControlCommand::Stats, self.client, context).await;
                piece = text_answer::render(result, self.json);
                if self.json {
                    piece.pop();
                }
            }
        }
        piece
    }
}

/// Reads input of the client, or only waits for the connection to break if `reads` is false. Cancel
/// safe.
async fn read_client(
    conn: &mut Connection,
    reads: bool,
    prompting: bool,
    max_line: usize,
) -> io::Result<ClientInput> {
    if !reads {
        return Err(conn.disconnected().await);
    }
    if !prompting {
        return Ok(match conn.drop_input().await? {
            0 => ClientInput::End,
            dropped => ClientInput::Discarded(dropped),
        });
    }
    Ok(match conn.peek_line(max_line).await? {
        PeekedLine::Nothing => ClientInput::End,
        PeekedLine::Whole(line) if line.trim_ascii().is_empty() => {
            // An empty line only ends the stream, so it is consumed here.
            conn.skip_line();
            ClientInput::Line
        }
        PeekedLine::Whole(_) | PeekedLine::TooLong => ClientInput::Line,
    })
}
