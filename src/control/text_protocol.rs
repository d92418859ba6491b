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

use super::ControlLimits;
use super::command::{self, ControlCommand, ParsedCommand};
use super::connection::{Connection, PeekedLine};
use super::execute::{self, CommandOutput, CommandResult};
use super::http_slot::HttpSlot;
use super::server::{Endpoints, Shared};
use crate::access::Caller;
use crate::orders::{self, OrderError};
use crate::shutdown::Shutdown;

/// What is written when the next line is waited for.
const PROMPT: &[u8] = b"> ";

/// What a connection does next.
#[derive(Debug, PartialEq, Eq)]
enum LineOutcome {
    /// It shows a prompt and waits for a line.
    Prompt,
    /// It closes.
    Close,
}

/// A connection from its first line on.
pub(super) struct TextSession<'a> {
    pub(super) conn: &'a mut Connection,
    pub(super) shared: &'a Shared,
    pub(super) shutdown: Shutdown,
    /// Whether more lines are taken.
    pub(super) prompting: bool,
    ends: Endpoints,
    pub(super) room: &'a HttpSlot,
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
pub(super) async fn run(
    conn: &mut Connection,
    first: Vec<u8>,
    ends: Endpoints,
    shared: &Shared,
    room: &HttpSlot,
) -> io::Result<()> {
    let mut session = TextSession {
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
        if session.run_line(&line).await? == LineOutcome::Close {
            return session.conn.flush().await;
        }
        session.write(PROMPT).await?;
        match session.next_line().await? {
            Some(next) => line = next,
            None => return Ok(()),
        }
    }
}

impl TextSession<'_> {
    /// Carries out one line.
    async fn run_line(&mut self, line: &[u8]) -> io::Result<LineOutcome> {
        let requests = match command::parse(line) {
            Ok(requests) => requests,
            // At a prompt, to press Enter asks for nothing but another prompt.
            Err(_) if self.prompting && line.trim_ascii().is_empty() => {
                return Ok(LineOutcome::Prompt);
            }
            Err(sentence) => {
                self.write(error_line(&sentence).as_bytes()).await?;
                return Ok(self.next());
            }
        };
        for ParsedCommand { command, json } in requests {
            if !self.room.busy() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let quits = command == Ok(ControlCommand::Quit);
            let outcome = match command {
                Ok(command) if command.streams() => match self.admit_stream(&command) {
                    Ok(_permit) => {
                        self.stream(&command, json).await?;
                        self.room.idle();
                        return Ok(self.next());
                    }
                    Err(refusal) => Err(refusal),
                },
                Ok(command) => self.execute_checked(command).await,
                Err(sentence) => Err(OrderError::invalid(sentence)),
            };
            self.room.idle();
            self.write(render(outcome, json).as_bytes()).await?;
            if quits {
                return Ok(LineOutcome::Close);
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
            () = self.room.evicted() => timeout(limit, written)
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::ConnectionAborted.into())),
        }
    }

    fn next(&self) -> LineOutcome {
        match self.prompting {
            true => LineOutcome::Prompt,
            false => LineOutcome::Close,
        }
    }

    async fn execute_checked(&mut self, command: ControlCommand) -> CommandResult {
        self.admit(&command)?;
        match command {
            ControlCommand::Auth(token) => {
                let access = &self.shared.context.access;
                let verdict = access.check_token(self.ends.client.ip(), &token);
                // A wrong one takes back what a right one gave.
                self.trusted = verdict.is_ok();
                verdict.map_err(|denial| OrderError::invalid(denial.to_string()))?;
                Ok(CommandOutput::from_word("ok"))
            }
            ControlCommand::Prompt => {
                self.prompting = true;
                Ok(CommandOutput::from_word("ok"))
            }
            ControlCommand::Quit => Ok(CommandOutput::from_word("bye")),
            command => self.execute(command).await,
        }
    }

    /// Has a command carried out that was admitted.
    pub(super) async fn execute(&self, command: ControlCommand) -> CommandResult {
        execute::execute(command, self.ends.client, &self.shared.context).await
    }

    fn admit(&self, command: &ControlCommand) -> Result<(), OrderError> {
        let access = &self.shared.context.access;
        let owner = || self.ends.owner();
        let asker = Caller::at(self.ends.client.ip(), &owner);
        match execute::required_access(command) {
            Some((path, effect)) if !self.trusted => access
                .check(&asker, path, effect)
                .map_err(|denial| OrderError::invalid(denial.to_string())),
            _ => Ok(()),
        }
    }

    fn admit_stream(&self, command: &ControlCommand) -> Result<OwnedSemaphorePermit, OrderError> {
        self.admit(command)?;
        self.shared
            .acquire_stream()
            .map_err(OrderError::unavailable)
    }

    /// Waits for the line after a prompt; `None`: there is none, and the client was told why.
    async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let limits = &self.shared.context.limits;
        let wait = limits.prompt_timeout;
        let line = tokio::select! {
            biased;
            line = timeout(wait, self.conn.peek_line(limits.line)) => line,
            () = self.room.evicted() => {
                // It has no place any more, so it may not take its time about reading this.
                let sentence = format!(
                    "{} connections are open, and you were silent longest",
                    limits.connections
                );
                let _ = timeout(Duration::ZERO, send_error(self.conn, &sentence)).await;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            () = self.shutdown.cancelled() => return Ok(None),
        };
        let sentence = match line {
            Ok(Ok(PeekedLine::Whole(line))) => return Ok(Some(line)),
            Ok(Ok(PeekedLine::Nothing)) => return Ok(None),
            Ok(Ok(PeekedLine::TooLong)) => too_long(limits),
            Ok(Err(err)) => return Err(err),
            Err(_) => format!("no line within {} s", wait.as_secs_f32()),
        };
        send_error(self.conn, &sentence).await?;
        Ok(None)
    }
}

/// Answers a line that is none.
///
/// # Errors
/// What the socket says.
pub(super) async fn send_error(conn: &mut Connection, sentence: &str) -> io::Result<()> {
    conn.write_all(error_line(sentence).as_bytes()).await
}

fn error_line(sentence: &str) -> String {
    render(Err(OrderError::invalid(sentence)), false)
}

/// What is said about a line of too many bytes.
pub(super) fn too_long(limits: &ControlLimits) -> String {
    format!("line is longer than {} bytes", limits.line)
}

/// The text of an answer, its empty line included.
pub(super) fn render(outcome: CommandResult, as_json: bool) -> String {
    let mut text = String::new();
    match outcome {
        Ok(answer) if as_json => push_escaped(&mut text, &answer.json()),
        Ok(answer) => {
            let lines = answer.lines();
            let spoken = lines.iter().filter(|line| !line.trim().is_empty());
            spoken.for_each(|line| push_escaped(&mut text, line));
        }
        Err(refusal) if as_json => push_escaped(&mut text, &orders::failure(&refusal.sentence)),
        Err(refusal) => push_escaped(&mut text, &format!("ERR {}", refusal.sentence)),
    }
    text.push('\n');
    text
}

/// Adds one line. A character that moves the cursor, turns the direction of the line around or cannot be seen is
/// written as JSON would, so that JSON stays JSON: in it they occur within strings only.
pub(super) fn push_escaped(text: &mut String, line: &str) {
    // Nearly every line is such a one.
    if line.is_ascii() && !line.bytes().any(|byte| byte.is_ascii_control()) {
        text.push_str(line);
        text.push('\n');
        return;
    }
    for c in line.chars() {
        match is_printable(c) {
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
fn is_printable(c: char) -> bool {
    matches!(c, '\'' | '"' | '\\') || c.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> CommandResult {
        Ok(CommandOutput::Report {
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
        assert_eq!(render(Ok(CommandOutput::from_word("ok")), true), ok);
    }
}
