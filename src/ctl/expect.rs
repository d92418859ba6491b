//! The answers that a line of commands gets, as far as the command table knows.
//!
//! The balancer may be newer than this program. A command that this table refuses gets one answer
//! too: a refusal, or the answer of a command that is unknown here.

use crate::access::AccessKind;
use crate::control::command::{self, ControlCommand, ParsedCommand};

/// The answers to a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExpectedAnswers {
    /// Number of answers.
    pub(super) count: usize,
    /// `true` if the last answer streams: it ends only when the connection does.
    pub(super) streams: bool,
    /// `true` if the last answer is lines that are repeated with other values.
    pub(super) repeats: bool,
    /// `true` if every command only reads, so that the answers come soon. The answer to a change
    /// takes as long as the change.
    pub(super) soon: bool,
}

impl ExpectedAnswers {
    pub(super) fn for_line(line: &str) -> Self {
        let Ok(commands) = command::parse(line.as_bytes()) else {
            // A line without a command is refused at once. Others a newer balancer may carry out.
            return Self {
                count: 1,
                streams: false,
                repeats: false,
                soon: line.trim().is_empty(),
            };
        };
        let quit = Ok(ControlCommand::Quit);
        let quits = commands.iter().position(|parsed| parsed.command == quit);
        let answered = &commands[..quits.map_or(commands.len(), |at| at + 1)];
        let streams = answered.last().is_some_and(streams);
        Self {
            count: answered.len().max(1),
            streams,
            repeats: answered.last().is_some_and(repeats),
            soon: !streams && answered.iter().all(reads),
        }
    }
}

fn streams(parsed: &ParsedCommand) -> bool {
    parsed.command.as_ref().is_ok_and(ControlCommand::streams)
}

fn repeats(parsed: &ParsedCommand) -> bool {
    matches!(parsed.command, Ok(ControlCommand::Watch(_))) && !parsed.json
}

fn reads(parsed: &ParsedCommand) -> bool {
    parsed.command.as_ref().is_ok_and(|command| {
        let access = command.required_access();
        access.is_none_or(|(_, kind)| kind == AccessKind::Read)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(count: usize, streams: bool, soon: bool) -> ExpectedAnswers {
        ExpectedAnswers {
            count,
            streams,
            repeats: false,
            soon,
        }
    }

    #[test]
    fn every_command_has_an_answer_and_reads_are_answered_soon() {
        for (line, count, soon) in [
            ("rep", 1, true),
            ("show S1 json; stats", 2, true),
            ("show config", 1, true),
            (" where 5 ;; rep", 2, true),
            ("events 7; ring; bound", 3, true),
            ("plan add 2", 1, true),
            ("quit; rm 1", 1, true),
            ("add 1", 1, false),
            ("rep; add 1 S4 ;; stats json", 3, false),
            ("replace all", 1, false),
            ("ring set jump", 1, false),
            ("newer-than-this-program", 1, false),
            ("events json -w", 1, false),
            ("watch; rep", 2, false),
            ("", 1, true),
        ] {
            let answers = ExpectedAnswers::for_line(line);
            assert_eq!(answers, expected(count, false, soon), "{line}");
        }
    }

    #[test]
    fn a_stream_has_no_end() {
        for (line, count, repeats) in [
            ("watch", 1, true),
            ("rep; watch 5", 2, true),
            ("watch json", 1, false),
            ("rep; events -w json", 2, false),
            ("events -w 7", 1, false),
        ] {
            let answers = ExpectedAnswers::for_line(line);
            let stream = ExpectedAnswers {
                repeats,
                ..expected(count, true, false)
            };
            assert_eq!(answers, stream, "{line}");
        }
    }
}
