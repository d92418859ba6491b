//! Commands that go on until the client leaves, in text: `events -w` and `watch`.
//!
//! What is told comes first, and only then is listened to the client: after `prompt` its next line ends the
//! stream, otherwise what it sends is dropped. The surprise: the end of its input is no leaving, since
//! `echo … | nc -N` ends its input at once; who really leaves shows when something is written, or by
//! the keep-alive probes of the socket.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::command::ControlCommand;
use super::connection::{Connection, PeekedLine};
use super::journal_follower::JournalFollower;
use super::text_protocol::{self, TextSession};

/// What a stream tells, piece by piece.
enum StreamSource {
    /// Events as they happen, in lines.
    Events(JournalFollower),
    /// The answer of a command again and again, each ended as in text.
    Again(Interval, ControlCommand),
}

impl StreamSource {
    /// Waits until there is a piece to tell. Cancel safe.
    async fn ready(&mut self) {
        match self {
            Self::Events(follower) => follower.changed().await,
            Self::Again(ticks, _) => {
                ticks.tick().await;
            }
        }
    }
}

/// What was heard of the client.
enum ClientInput {
    /// So many bytes that are not to be answered.
    Discarded(usize),
    /// Its next line, which waits to be carried out unless it is empty.
    Line,
    /// Nothing will come any more.
    End,
}

impl TextSession<'_> {
    /// Tells until the client leaves or, after `prompt`, says its next line; or the port is stopped.
    ///
    /// # Errors
    /// What the socket says, a client too slow to read included.
    pub(super) async fn stream(&mut self, command: &ControlCommand, json: bool) -> io::Result<()> {
        let mut source = match command {
            ControlCommand::Events { since, .. } => {
                StreamSource::Events(JournalFollower::after(*since, &self.shared.context.journal))
            }
            ControlCommand::Watch(pause) => {
                let mut ticks = interval(*pause);
                // To one who reads slowly there is no hurry to catch up.
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                StreamSource::Again(ticks, ControlCommand::Stats)
            }
            _ => return Ok(()),
        };
        let limits = &self.shared.context.limits;
        let (mut listens, mut allowance) = (true, limits.discard_bytes);
        loop {
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(()),
                () = source.ready() => {
                    let piece = self.next_piece(&mut source, json).await;
                    self.conn.write_all(piece.as_bytes()).await?;
                }
                heard = read_client(self.conn, listens, self.prompting, limits.line) => match heard? {
                    ClientInput::Line => return Ok(()),
                    ClientInput::End => listens = false,
                    ClientInput::Discarded(bytes) => {
                        allowance = allowance.saturating_sub(bytes);
                        listens = allowance > 0;
                    }
                }
            }
        }
    }

    /// What there is to tell, ready to be written. As JSON it is one value a line, without an end.
    async fn next_piece(&mut self, source: &mut StreamSource, json: bool) -> String {
        let mut piece = String::new();
        match source {
            StreamSource::Events(follower) => {
                for event in follower.take_new() {
                    match json {
                        true => {
                            text_protocol::push_escaped(&mut piece, &event.to_json().to_string())
                        }
                        false => text_protocol::push_escaped(&mut piece, &event.to_string()),
                    }
                }
            }
            StreamSource::Again(_, command) => {
                let outcome = self.execute(command.clone()).await;
                piece = text_protocol::render(outcome, json);
                if json {
                    piece.pop();
                }
            }
        }
        piece
    }
}

/// Listens to the client, or no more than whether the connection breaks. Cancel safe.
async fn read_client(
    conn: &mut Connection,
    listens: bool,
    prompting: bool,
    longest: usize,
) -> io::Result<ClientInput> {
    if !listens {
        return Err(conn.disconnected().await);
    }
    if !prompting {
        return Ok(match conn.drop_input().await? {
            0 => ClientInput::End,
            dropped => ClientInput::Discarded(dropped),
        });
    }
    Ok(match conn.peek_line(longest).await? {
        PeekedLine::Nothing => ClientInput::End,
        PeekedLine::Whole(line) if line.trim_ascii().is_empty() => {
            // It has done what it was for.
            conn.skip_line();
            ClientInput::Line
        }
        PeekedLine::Whole(_) | PeekedLine::TooLong => ClientInput::Line,
    })
}
