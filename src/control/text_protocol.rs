//! The text protocol, for people with netcat and for scripts: has the commands of a line carried out and
//! writes an answer for each. Every answer ends with an empty line, and none contains one.
//!
//! It closes nothing, and only after `prompt` does it read more than the line its caller has found. In an answer every text that came
//! from elsewhere is one line: control characters are escaped, so that no name, event or sentence can
//! break the framing or move a terminal's cursor.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::Limits;
use super::command::{self, Command, Request};
use super::connection::{Conn, Line};
use super::execute::{self, Answer, Outcome};
use super::http_slot::Room;
use super::server::{Ends, Shared};
use crate::access::Caller;
use crate::orders::{self, OrderError};
use crate::shutdown::Shutdown;

/// What is written when the next line is waited for.
const PROMPT: &[u8] = b"> ";

/// What a connection does next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// It shows a prompt and waits for a line.
    Prompt,
    /// It closes.
    Close,
}

/// A connection from its first line on.
pub(super) struct Session<'a> {
    pub(super) conn: &'a mut Conn,
    pub(super) shared: &'a Shared,
    pub(super) shutdown: Shutdown,
    /// Whether more lines are taken.
    pub(super) prompting: bool,
    ends: Ends,
    pub(super) room: &'a Room,
    /// Whether the right token was shown.
    trusted: bool,
}

/// Carries out the line that [`Conn::peek_line`] has found, a command after the other, and writes each answer
/// when it is there; after `prompt` also the lines that follow. Its place is held while an answer is worked out.
/// When the future is dropped, an order already handed to the fleet goes on.
///
/// # Errors
/// What the socket says, a client too slow to read included, or `ConnectionAborted` when another client has its
/// place.
pub(super) async fn session(
    conn: &mut Conn,
    first: Vec<u8>,
    ends: Ends,
    shared: &Shared,
    room: &Room,
) -> io::Result<()> {
    let mut session = Session {
        conn,
        shared,
        shutdown: shared.shutdown.clone(),
        prompting: false,
        ends,
        room,
        trusted: false,
    };
    let mut line = first;
    loop {
        session.conn.skip_line();
        if session.obey(&line).await? == Next::Close {
            return session.conn.flush().await;
        }
        session.write(PROMPT).await?;
        match session.next_line().await? {
            Some(next) => line = next,
            None => return Ok(()),
        }
    }
}

impl Session<'_> {
    /// Carries out one line.
    async fn obey(&mut self, line: &[u8]) -> io::Result<Next> {
        let requests = match command::parse(line) {
            Ok(requests) => requests,
            // At a prompt, to press Enter asks for nothing but another prompt.
            Err(_) if self.prompting && line.trim_ascii().is_empty() => return Ok(Next::Prompt),
            Err(sentence) => {
                self.write(refusal(&sentence).as_bytes()).await?;
                return Ok(self.next());
            }
        };
        for Request { command, json } in requests {
            if !self.room.enter() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let quits = command == Ok(Command::Quit);
            let outcome = match command {
                Ok(command) if command.streams() => match self.admit_stream(&command) {
                    Ok(_permit) => {
                        self.stream(&command, json).await?;
                        self.room.rest();
                        return Ok(self.next());
                    }
                    Err(refusal) => Err(refusal),
                },
                Ok(command) => self.answer(command).await,
                Err(sentence) => Err(OrderError::invalid(sentence)),
            };
            self.room.rest();
            self.write(render(outcome, json).as_bytes()).await?;
            if quits {
                return Ok(Next::Close);
            }
        }
        Ok(self.next())
    }

    /// Writes an answer. Once another client has the place, there is little time left for that.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let limit = self.shared.context.limits.discard_time;
        let mut written = std::pin::pin!(self.conn.write_all(bytes));
        tokio::select! {
            biased;
            done = &mut written => done,
            () = self.room.lost() => timeout(limit, written)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn next(&self) -> Next {
        match self.prompting {
            true => Next::Prompt,
            false => Next::Close,
        }
    }

    async fn answer(&mut self, command: Command) -> Outcome {
        self.admit(&command)?;
        match command {
            Command::Auth(token) => {
                let access = &self.shared.context.access;
                let verdict = access.check_token(self.ends.client.ip(), &token);
                // A wrong one takes back what a right one gave.
                self.trusted = verdict.is_ok();
                verdict.map_err(|denial| OrderError::invalid(denial.to_string()))?;
                Ok(Answer::word("ok"))
            }
            Command::Prompt => {
                self.prompting = true;
                Ok(Answer::word("ok"))
            }
            Command::Quit => Ok(Answer::word("bye")),
            command => self.carry_out(command).await,
        }
    }

    /// Has a command carried out that was admitted.
    pub(super) async fn carry_out(&self, command: Command) -> Outcome {
        execute::carry_out(command, self.ends.client, &self.shared.context).await
    }

    fn admit(&self, command: &Command) -> Result<(), OrderError> {
        let access = &self.shared.context.access;
        let owner = || self.ends.owner();
        let asker = Caller::at(self.ends.client.ip(), &owner);
        match execute::needs(command) {
            Some((path, effect)) if !self.trusted => access
                .check(&asker, path, effect)
                .map_err(|denial| OrderError::invalid(denial.to_string())),
            _ => Ok(()),
        }
    }

    fn admit_stream(&self, command: &Command) -> Result<OwnedSemaphorePermit, OrderError> {
        self.admit(command)?;
        self.shared.stream().map_err(OrderError::unavailable)
    }

    /// Waits for the line after a prompt; `None`: there is none, and the client was told why.
    async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let limits = &self.shared.context.limits;
        let wait = limits.prompt_timeout;
        let line = tokio::select! {
            biased;
            line = timeout(wait, self.conn.peek_line(limits.line)) => line,
            () = self.room.lost() => {
                // It has no place any more, so it may not take its time about reading this.
                let sentence = format!(
                    "{} connections are open, and you were silent longest",
                    limits.connections
                );
                let _ = timeout(Duration::ZERO, fail(self.conn, &sentence)).await;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            () = self.shutdown.cancelled() => return Ok(None),
        };
        let sentence = match line {
            Ok(Ok(Line::Whole(line))) => return Ok(Some(line)),
            Ok(Ok(Line::Nothing)) => return Ok(None),
            Ok(Ok(Line::TooLong)) => too_long(limits),
            Ok(Err(err)) => return Err(err),
            Err(_) => format!("no line within {} s", wait.as_secs_f32()),
        };
        fail(self.conn, &sentence).await?;
        Ok(None)
    }
}

/// Answers a line that is none.
///
/// # Errors
/// What the socket says.
pub(super) async fn fail(conn: &mut Conn, sentence: &str) -> io::Result<()> {
    conn.write_all(refusal(sentence).as_bytes()).await
}

fn refusal(sentence: &str) -> String {
    render(Err(OrderError::invalid(sentence)), false)
}

/// What is said about a line of too many bytes.
pub(super) fn too_long(limits: &Limits) -> String {
    format!("line is longer than {} bytes", limits.line)
}

/// The text of an answer, its empty line included.
pub(super) fn render(outcome: Outcome, as_json: bool) -> String {
    let mut text = String::new();
    match outcome {
        Ok(answer) if as_json => say(&mut text, &answer.json()),
        Ok(answer) => {
            let lines = answer.lines();
            let spoken = lines.iter().filter(|line| !line.trim().is_empty());
            spoken.for_each(|line| say(&mut text, line));
        }
        Err(refusal) if as_json => say(&mut text, &orders::failure(&refusal.sentence)),
        Err(refusal) => say(&mut text, &format!("ERR {}", refusal.sentence)),
    }
    text.push('\n');
    text
}

/// Adds one line. A character that moves the cursor, turns the direction of the line around or cannot be seen is
/// written as JSON would, so that JSON stays JSON: in it they occur within strings only.
pub(super) fn say(text: &mut String, line: &str) {
    // Nearly every line is such a one.
    if line.is_ascii() && !line.bytes().any(|byte| byte.is_ascii_control()) {
        text.push_str(line);
        text.push('\n');
        return;
    }
    for c in line.chars() {
        match is_plain(c) {
            true => text.push(c),
            false => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    text.push('\n');
}

/// Whether a character shows as itself: the standard library escapes none but those that do not, and quotes.
fn is_plain(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\') || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Outcome {
        Ok(Answer::Told {
            lines: lines.iter().map(ToString::to_string).collect(),
            json: "[]".into(),
        })
    }

    #[test]
    fn an_answer_ends_with_its_only_empty_line() {
        let cases = [
            (lines(&["N 1", "S1"]), "N 1\nS1\n\n"),
            (lines(&[]), "\n"),
            (lines(&["a", "", " ", "b"]), "a\nb\n\n"),
            (
                lines(&["a\n\nb\u{1b}[2J"]),
                "a\\u000a\\u000ab\\u001b[2J\n\n",
            ),
            (Err(OrderError::invalid("no\n")), "ERR no\\u000a\n\n"),
            (
                lines(&["\u{e9}'\"\\ \u{202e}\u{200b}\u{2028}\u{e0041}"]),
                "\u{e9}'\"\\ \\u202e\\u200b\\u2028\\udb40\\udc41\n\n",
            ),
        ];
        for (outcome, text) in cases {
            assert_eq!(render(outcome, false), text);
        }
    }

    #[test]
    fn json_is_one_value_on_one_line() {
        assert_eq!(render(lines(&["x"]), true), "[]\n\n");
        assert_eq!(
            render(Err(OrderError::invalid("a \"b\"\n\u{9b}")), true),
            "{\"message\":\"<Error> a \\\"b\\\"\\n\\u009b\",\"status\":\"failure\"}\n\n"
        );
        let ok = "{\"message\":\"ok\",\"status\":\"successful\"}\n\n";
        assert_eq!(render(Ok(Answer::word("ok")), true), ok);
    }
}
