//! The table of the text commands: how each is written, what `help` says of it, and how its words are read.
//!
//! Pure. A new command is one more entry here, and one arm in `answer.rs`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::command::{ControlCommand, UsageError, find_command};
use super::suggest::sanitize_echo;
use super::{replica_commands, ring_query, stats};
use crate::orders::{ChangeKind, ChangeRequest};

/// How often `watch` may tell, in seconds between.
const WATCH_INTERVALS: RangeInclusive<f64> = 0.1..=3600.0;

/// What makes a command: a new one is one more entry in [`COMMANDS`].
#[derive(Debug)]
pub struct CommandSpec {
    /// The word it begins with.
    pub name: &'static str,
    /// How to write it.
    pub usage: &'static str,
    /// What it does, in half a line.
    pub about: &'static str,
    /// The rest of what there is to know, in lines.
    pub more: &'static [&'static str],
    pub(super) read: fn(&[&str]) -> Result<ControlCommand, UsageError>,
}

impl PartialEq for CommandSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for CommandSpec {}

/// All commands, in the order in which `help` lists them.
pub const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "help",
        usage: "help [COMMAND]",
        about: "this list, or all about one command",
        more: &[],
        read: |words| match words {
            [] => Ok(ControlCommand::Help(None)),
            [name] => Ok(ControlCommand::Help(Some(
                find_command(name).map_err(UsageError::Reason)?,
            ))),
            _ => Err(UsageError::Usage),
        },
    },
    CommandSpec {
        name: "rep",
        usage: "rep",
        about: "the replicas that have answered and are not dead",
        more: &["The first line is 'N' and their number; then one name a line."],
        read: |words| no_args(words, ControlCommand::Rep),
    },
    replica_commands::SHOW,
    CommandSpec {
        name: "add",
        usage: "add N [NAME...]",
        about: "start N replicas, the first of them under these names",
        more: &[
            "The others get random names. It answers when all of them answer, with the list of 'rep';",
            "when one of them cannot be started, none stays.",
        ],
        read: |words| change(ChangeKind::Add, words),
    },
    CommandSpec {
        name: "rm",
        usage: "rm N [NAME...]",
        about: "remove N replicas, these first and the others at random",
        more: &[
            "It answers when their requests are finished and they are gone, with the list of 'rep'.",
        ],
        read: |words| change(ChangeKind::Rm, words),
    },
    replica_commands::SCALE,
    replica_commands::REPLACE,
    replica_commands::DRAIN,
    replica_commands::READY,
    CommandSpec {
        name: "where",
        usage: "where KEY",
        about: "whose a key is, and who stands in for them",
        more: &[
            "One seat a line with its replica: the home of the key first, then the next in order. KEY may also be",
            "as the access log has it: xxh3: and 16 hexadecimal digits is a hash, and stands for itself.",
            "With a bound, 'home' is the part of all requests that it leaves at home.",
        ],
        read: ring_query::parse_where,
    },
    CommandSpec {
        name: "ring",
        usage: "ring [set SPEC]",
        about: "the ring and the share of each seat; or another ring",
        more: ring_query::RING_COMMANDS,
        read: ring_query::parse_ring,
    },
    CommandSpec {
        name: "bound",
        usage: "bound [X]",
        about: "how far above the mean a load may lie; or another bound",
        more: &[
            "1.03 is 3 % above the mean; 0 is no bound, so that every key stays at its home. What lies above a",
            "bound leaves its home: 'plan bound X' tells how much. Every change counts all loads from 0 again.",
        ],
        read: ring_query::parse_bound,
    },
    CommandSpec {
        name: "plan",
        usage: "plan CHANGE",
        about: "what a change would move, without doing it",
        more: &[
            "CHANGE is add N [NAME...], rm N [NAME...], ring SPEC or bound X. Shares are counted over up to",
            "65536 sample keys. 'home' is the part of many requests that is served where the ring alone would.",
        ],
        read: ring_query::parse_plan,
    },
    stats::STATS,
    CommandSpec {
        name: "watch",
        usage: "watch [SECONDS]",
        about: "the same every second, or as often as said, until you leave",
        more: &[
            "SECONDS is from 0.1 to 3600. After 'prompt', your next line ends it. It is the last of its line;",
            "with ' json' there is one value a line.",
        ],
        read: watch,
    },
    CommandSpec {
        name: "events",
        usage: "events [-w] [NUMBER]",
        about: "what happened of late, the oldest first; -w: and from here on",
        more: &[
            "One line each: number, time, seat, what, who, how many of the wanted are up, and why. With NUMBER:",
            "only those after it; one that no event has yet is of an earlier start, and all are listed. -w goes",
            "on until you leave (or, after 'prompt', until your next line), and is the last of its line.",
        ],
        read: events,
    },
    CommandSpec {
        name: "auth",
        usage: "auth TOKEN",
        about: "show the token of --control-token, for the commands after it",
        more: &["Local peers need none. Example: auth TOKEN; rep"],
        read: |words| match words {
            [token] => Ok(ControlCommand::Auth(
                token
                    .parse()
                    .map_err(|err| UsageError::Reason(format!("{err}")))?,
            )),
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

/// What holds for every command, as `help` ends.
pub const FOOTNOTE: &str =
    "Several in one line: separate them by ';'. As JSON: end a command with ' json'.";

pub(super) fn no_args(
    words: &[&str],
    command: ControlCommand,
) -> Result<ControlCommand, UsageError> {
    words.is_empty().then_some(command).ok_or(UsageError::Usage)
}

/// The words after `events`.
fn events(words: &[&str]) -> Result<ControlCommand, UsageError> {
    let (follow, words) = match words {
        ["-w", words @ ..] => (true, words),
        words => (false, words),
    };
    let since = match words {
        [] => 0,
        [number] => event_number(number).map_err(UsageError::Reason)?,
        _ => return Err(UsageError::Usage),
    };
    Ok(ControlCommand::Events { since, follow })
}

/// The words after `watch`.
fn watch(words: &[&str]) -> Result<ControlCommand, UsageError> {
    let seconds = match words {
        [] => return Ok(ControlCommand::Watch(Duration::from_secs(1))),
        [seconds] => *seconds,
        _ => return Err(UsageError::Usage),
    };
    // Rust takes more for a number than anyone would type.
    let plain = seconds.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: Option<f64> = seconds.parse().ok().filter(|_| plain);
    let pause = number.filter(|number| WATCH_INTERVALS.contains(number));
    let sentence = "SECONDS is a number from 0.1 to 3600";
    let pause = pause.ok_or_else(|| UsageError::Reason(sentence.into()))?;
    Ok(ControlCommand::Watch(Duration::from_secs_f64(pause)))
}

/// The number of an event.
pub(super) fn event_number(word: &str) -> Result<u64, String> {
    parse_int(word)
        .ok_or_else(|| format!("'{}' is not the number of an event", sanitize_echo(word)))
}

/// A whole number. A leading `+` is a number to Rust and none to anyone who types a command.
pub(super) fn parse_int<T: std::str::FromStr>(word: &str) -> Option<T> {
    let digits = word.bytes().all(|b| b.is_ascii_digit());
    word.parse().ok().filter(|_| digits)
}

fn change(kind: ChangeKind, words: &[&str]) -> Result<ControlCommand, UsageError> {
    Ok(ControlCommand::Change(kind, parse_change(kind, words)?))
}

/// A number and names, as `add` and `rm` take them.
pub(super) fn parse_change(kind: ChangeKind, words: &[&str]) -> Result<ChangeRequest, UsageError> {
    let [n, names @ ..] = words else {
        return Err(UsageError::Usage);
    };
    let n = parse_int(n).filter(|n| *n > 0);
    let n = n.ok_or_else(|| UsageError::Reason("n is not a positive integer".into()))?;
    kind.parse_change(n, names)
        .map_err(|refusal| UsageError::Reason(refusal.sentence))
}
