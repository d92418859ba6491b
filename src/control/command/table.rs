//! The table of the text commands: syntax, help and parser of each.
//!
//! A new command is one more entry here, a variant of [`ControlCommand`] and an arm in
//! `execute.rs`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::arguments::{UsageError, event_number, no_args, parse_value};
use super::control_command::{CommandSpec, ControlCommand};
use super::{replace_command, replica_commands, ring_commands};
use crate::suggest::nearest;
use crate::terminal;

/// Intervals that `watch` accepts, in seconds.
const WATCH_INTERVALS: RangeInclusive<f64> = 0.1..=3600.0;

/// All commands, in the order in which `help` lists them.
pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "help",
        usage: "help [COMMAND]",
        about: "this list, or all about one command",
        more: &[],
        read: |words| match words {
            [] => Ok(ControlCommand::Help(None)),
            [name] => Ok(ControlCommand::Help(Some(find_command(name)?))),
            _ => Err(UsageError::Usage),
        },
    },
    replica_commands::REP,
    replica_commands::SHOW,
    replica_commands::ADD,
    replica_commands::RM,
    replica_commands::SET,
    replica_commands::SCALE,
    replace_command::REPLACE,
    replica_commands::DRAIN,
    replica_commands::READY,
    replica_commands::WEIGHT,
    replica_commands::KILL,
    ring_commands::WHERE,
    ring_commands::RING,
    ring_commands::BOUND,
    ring_commands::PLAN,
    CommandSpec {
        name: "reload",
        usage: "reload",
        about: "a new process takes over, with the settings as they are now",
        more: &[
            "It reads the configuration file again, and an error there changes nothing. The answer is what",
            "has changed, sent when the new process serves. No request fails meanwhile.",
        ],
        read: |words| no_args(words, ControlCommand::Reload),
    },
    CommandSpec {
        name: "stats",
        usage: "stats",
        about: "what each seat and the port have served, and how fast",
        more: &[
            "Lines begin with load, time and way: one of each for a seat and one for all, under a line with",
            "their names. Counts are since the start; req/s, home-share and times are of the last 5 seconds.",
        ],
        read: |words| no_args(words, ControlCommand::Stats),
    },
    CommandSpec {
        name: "watch",
        usage: "watch [SECONDS]",
        about: "the same every second, or every SECONDS, until you leave",
        more: &[
            "SECONDS is from 0.1 to 3600. After 'prompt', your next line ends it. It must be the last command",
            "of its line; with ' json' each line is one value.",
        ],
        read: watch,
    },
    CommandSpec {
        name: "events",
        usage: "events [-w] [NUMBER]",
        about: "recent events, the oldest first; -w: also those to come",
        more: &[
            "One line each: number, time, seat, event, replica, how many of the wanted are up, and why. With",
            "NUMBER: only later events; a number above the newest is from an earlier start, and all are listed.",
            "-w goes on until you leave (after 'prompt': until your next line), and must be the last command",
            "of its line.",
        ],
        read: events,
    },
    CommandSpec {
        name: "auth",
        usage: "auth TOKEN",
        about: "show the token of --control-token, for the commands after it",
        more: &["Local peers need none. Example: auth TOKEN; rep"],
        read: |words| match words {
            [token] => Ok(ControlCommand::Auth(parse_value(token)?)),
            _ => Err(UsageError::Usage),
        },
    },
    CommandSpec {
        name: "prompt",
        usage: "prompt",
        about: "keep the connection open for more lines, and show '> ' before each",
        more: &["'quit' or the end of the input ends it."],
        read: |words| no_args(words, ControlCommand::Prompt),
    },
    CommandSpec {
        name: "quit",
        usage: "quit",
        about: "close the connection; what follows in the line is not done",
        more: &[],
        read: |words| no_args(words, ControlCommand::Quit),
    },
];

/// Rules that hold for every command; the last line of `help`.
pub const FOOTNOTE: &str =
    "Several in one line: separate them by ';'. As JSON: end a command with ' json'.";

/// First words of HAProxy's runtime commands, and the commands that do the same here.
const FOREIGN_WORDS: [(&str, &str); 4] = [
    ("disable", "'drain NAME'"),
    ("enable", "'ready NAME'"),
    ("del", "'rm NAME'"),
    ("shutdown", "'rm NAME' or 'drain NAME'"),
];

/// Returns the entry of this name.
///
/// # Errors
/// A sentence with the nearest name, when there is none.
pub(super) fn find_command(name: &str) -> Result<&'static CommandSpec, String> {
    let known = COMMANDS.iter().find(|spec| spec.name == name);
    known.ok_or_else(|| {
        let names: Vec<&str> = COMMANDS.iter().map(|spec| spec.name).collect();
        let foreign = FOREIGN_WORDS.iter().find(|(word, _)| *word == name);
        let hint = match (foreign, nearest(name, &names)) {
            (Some((_, ours)), _) => format!("HAProxy's is {ours} here"),
            (None, Some(meant)) => format!("did you mean '{meant}'?"),
            (None, None) => "try 'help'".into(),
        };
        format!("there is no command '{}'; {hint}", terminal::echo(name))
    })
}

fn events(words: &[&str]) -> Result<ControlCommand, UsageError> {
    let (follow, words) = match words {
        ["-w", words @ ..] => (true, words),
        words => (false, words),
    };
    let since = match words {
        [] => 0,
        [number] => event_number(number)?,
        _ => return Err(UsageError::Usage),
    };
    Ok(ControlCommand::Events { since, follow })
}

fn watch(words: &[&str]) -> Result<ControlCommand, UsageError> {
    let seconds = match words {
        [] => return Ok(ControlCommand::Watch(Duration::from_secs(1))),
        [seconds] => *seconds,
        _ => return Err(UsageError::Usage),
    };
    // Rust also parses signs, exponents, "inf" and "NaN".
    let is_decimal = seconds.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: Option<f64> = seconds.parse().ok().filter(|_| is_decimal);
    let interval = number.filter(|number| WATCH_INTERVALS.contains(number));
    let interval = interval.ok_or_else(|| "SECONDS is a number from 0.1 to 3600".to_owned())?;
    Ok(ControlCommand::Watch(Duration::from_secs_f64(interval)))
}
