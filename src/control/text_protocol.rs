//! The text protocol, for netcat and scripts: carries out the commands of a line and writes an
//! answer for each (its form is in `text_answer.rs`).
//!
//! Only after `prompt` does it read more than the first line. The caller closes the connection.

use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::client_slot::ClientSlot;
use super::command::{self, ControlCommand, ParsedCommand};
use super::connection::{Connection, Endpoints, PeekedLine};
use super::execute::{self, CommandOutput, CommandResult};
use super::shared::Shared;
use super::text_answer::{self, send_error};
use super::watch;
use crate::access::{AccessKind, Caller};
use crate::orders::OrderError;
use crate::shutdown::Shutdown;

/// Written before each further line.
const PROMPT: &[u8] = b"> ";

/// Next step of a connection after a line.
#[derive(Debug, PartialEq, Eq)]
enum LineOutcome {
    /// Write a prompt and wait for a line.
    Prompt,
    /// Close.
    Close,
}

/// A connection from its first line on.
struct TextSession<'a> {
    conn: &'a mut Connection,
    shared: &'a Shared,
    shutdown: Shutdown,
    /// `true` after `prompt`: further lines are read.
    prompting: bool,
    ends: Endpoints,
    slot: &'a ClientSlot,
    /// `true` after `auth` with the right token.
    trusted: bool,
}

/// Carries out the line that [`Connection::peek_line`] has found, one command after the other, and
/// writes each answer as soon as it is known; after `prompt` also the following lines. A refused
/// command ends its line, since the next may depend on it; a refused `auth` does not. The slot is
/// pinned while an answer is worked out. When the future is dropped, an order already submitted
/// goes on.
///
/// # Errors
/// Errors of the socket, `TimedOut` for a client that does not read, `ConnectionAborted` when the
/// slot was given to another client.
pub(super) async fn run(
    conn: &mut Connection,
    first: Vec<u8>,
    ends: Endpoints,
    shared: &Shared,
    slot: &ClientSlot,
) -> io::Result<()> {
    let mut session = TextSession {
        conn,
        shared,
        shutdown: shared.shutdown.clone(),
        prompting: false,
        ends,
        slot,
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
    async fn run_line(&mut self, line: &[u8]) -> io::Result<LineOutcome> {
        let commands = match command::parse(line) {
            Ok(commands) => commands,
            // An empty line at a prompt only asks for another prompt.
            Err(_) if self.prompting && line.trim_ascii().is_empty() => {
                return Ok(LineOutcome::Prompt);
            }
            Err(sentence) => {
                self.write(text_answer::error(&sentence).as_bytes()).await?;
                return Ok(self.next());
            }
        };
        for ParsedCommand { command, json } in commands {
            if !self.slot.pin() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            let quits = command == Ok(ControlCommand::Quit);
            let is_auth = matches!(command, Ok(ControlCommand::Auth(_)));
            let result = match command {
                Ok(command) if command.streams() => match self.admit_stream(&command) {
                    Ok(_permit) => {
                        self.stream(&command, json).await?;
                        self.slot.unpin();
                        return Ok(self.next());
                    }
                    Err(refusal) => Err(refusal),
                },
                Ok(command) => self.execute(command).await,
                Err(sentence) => Err(OrderError::invalid(sentence)),
            };
            self.slot.unpin();
            // The token may be meant for another balancer, and the next commands may not need it.
            let ends_line = result.is_err() && !is_auth;
            self.write(text_answer::render(result, json).as_bytes())
                .await?;
            if quits {
                return Ok(LineOutcome::Close);
            }
            if ends_line {
                break;
            }
        }
        Ok(self.next())
    }

    /// Writes an answer. After an eviction, only `discard_time` is left for that.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let limit = self.shared.context.limits.discard_time;
        let mut written = std::pin::pin!(self.conn.write_all(bytes));
        tokio::select! {
            biased;
            done = &mut written => done,
            () = self.slot.evicted() => timeout(limit, written)
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

    async fn execute(&mut self, command: ControlCommand) -> CommandResult {
        self.admit(&command)?;
        match command {
            ControlCommand::Auth(token) => {
                let access = &self.shared.context.access;
                let verdict = access.check_token(self.ends.client.ip(), &token);
                // A wrong token revokes the permission that a right one gave.
                self.trusted = verdict.is_ok();
                verdict.map_err(|denial| OrderError::invalid(denial.to_string()))?;
                Ok(CommandOutput::from_word("ok"))
            }
            ControlCommand::Prompt => {
                self.prompting = true;
                Ok(CommandOutput::from_word("ok"))
            }
            ControlCommand::Quit => Ok(CommandOutput::from_word("bye")),
            command => execute::execute(command, self.ends.client, &self.shared.context).await,
        }
    }

    async fn stream(&mut self, command: &ControlCommand, json: bool) -> io::Result<()> {
        let stream = watch::Stream {
            conn: self.conn,
            shared: self.shared,
            client: self.ends.client,
            prompting: self.prompting,
            json,
        };
        stream.run(command).await
    }

    fn admit(&self, command: &ControlCommand) -> Result<(), OrderError> {
        let access = &self.shared.context.access;
        let owner = || self.ends.owner();
        let caller = Caller::at(self.ends.client.ip(), &owner);
        let verdict = match command.required_access() {
            Some((path, kind)) if !self.trusted => access.check(&caller, path, kind),
            Some((_, AccessKind::LocalWrite)) => access.check_local(&caller),
            _ => Ok(()),
        };
        verdict.map_err(|denial| OrderError::invalid(denial.to_string()))
    }

    fn admit_stream(&self, command: &ControlCommand) -> Result<OwnedSemaphorePermit, OrderError> {
        self.admit(command)?;
        self.shared
            .acquire_stream()
            .map_err(OrderError::unavailable)
    }

    /// Waits for the line after a prompt. `None` if there is none; then the client got the reason.
    async fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let limits = &self.shared.context.limits;
        let wait = limits.prompt_timeout;
        let line = tokio::select! {
            biased;
            line = timeout(wait, self.conn.peek_line(limits.line)) => line,
            () = self.slot.evicted() => {
                // The slot is gone, so only one write without waiting is made.
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
            Ok(Ok(PeekedLine::TooLong)) => text_answer::too_long(limits),
            Ok(Err(err)) => return Err(err),
            Err(_) => format!("no line within {} s", wait.as_secs_f32()),
        };
        send_error(self.conn, &sentence).await?;
        Ok(None)
    }
}
