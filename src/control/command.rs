//! The text commands: what there is to say, in one table, and how a line is read.
//!
//! Pure: it takes the bytes of a line and returns commands, and never asks who sent them or whether
//! they can be carried out. A line may hold several commands, and a fault in one spoils only that one.

use super::hint::{echo, nearest};
use super::question::{self, Question};
use super::stats;
use crate::admin::{Change, Kind, Order};
use crate::peer::Token;

/// How many commands a line may hold, so that a short line cannot make endless work.
pub const MAX_COMMANDS: usize = 64;

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// All commands, or one of them in full.
    Help(Option<&'static Entry>),
    /// The replicas.
    Rep,
    /// More or fewer replicas.
    Change(Kind, Change),
    /// What there is to know of the ring, as it is or as it would be.
    Ask(Question),
    /// A change of the ring or the bound, answered with what there is then.
    Switch(Order, Question),
    /// What was counted, and how fast things go.
    Stats,
    /// What happened of late.
    Events,
    /// Shows a secret, for the commands after it.
    Auth(Token),
    /// No more commands.
    Quit,
}

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for, or what is wrong with it.
    pub command: Result<Command, String>,
    /// Whether the answer is to be JSON.
    pub json: bool,
}

/// What makes a command: a new one is one more entry in [`COMMANDS`].
#[derive(Debug)]
pub struct Entry {
    /// The word it begins with.
    pub name: &'static str,
    /// How to write it.
    pub usage: &'static str,
    /// What it does, in half a line.
    pub about: &'static str,
    /// The rest of what there is to know, in lines.
    pub more: &'static [&'static str],
    pub(super) read: fn(&[&str]) -> Result<Command, Fault>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Entry {}

/// What can be wrong with the words after a command's name.
pub(super) enum Fault {
    /// They do not fit its usage.
    Usage,
    /// They fit, and yet: the sentence.
    Because(String),
}

/// All commands, in the order in which `help` lists them.
pub const COMMANDS: &[Entry] = &[
    Entry {
        name: "help",
        usage: "help [COMMAND]",
        about: "this list, or all about one command",
        more: &[],
        read: |words| match words {
            [] => Ok(Command::Help(None)),
            [name] => Ok(Command::Help(Some(find(name).map_err(Fault::Because)?))),
            _ => Err(Fault::Usage),
        },
    },
    Entry {
        name: "rep",
        usage: "rep",
        about: "the replicas that have answered and are not dead",
        more: &["The first line is 'N' and their number; then one name a line."],
        read: |words| alone(words, Command::Rep),
    },
    Entry {
        name: "add",
        usage: "add N [NAME...]",
        about: "start N replicas, the first of them under these names",
        more: &[
            "The others get random names. It answers when all of them answer, with the list of 'rep';",
            "when one of them cannot be started, none stays.",
        ],
        read: |words| change(Kind::Add, words),
    },
    Entry {
        name: "rm",
        usage: "rm N [NAME...]",
        about: "remove N replicas, these first and the others at random",
        more: &[
            "It answers when their requests are finished and they are gone, with the list of 'rep'.",
        ],
        read: |words| change(Kind::Rm, words),
    },
    Entry {
        name: "where",
        usage: "where KEY",
        about: "whose a key is, and who stands in for them",
        more: &[
            "One seat a line with its replica: the home of the key first, then the next in order.",
        ],
        read: question::whose,
    },
    Entry {
        name: "ring",
        usage: "ring [set SPEC]",
        about: "the ring and the share of each seat; or another ring",
        more: question::RINGS,
        read: question::ring,
    },
    Entry {
        name: "bound",
        usage: "bound [X]",
        about: "how far above the mean a load may lie; or another bound",
        more: &[
            "1.03 is 3 % above the mean; 0 is no bound. Every change counts all loads from 0 again.",
        ],
        read: question::bound,
    },
    Entry {
        name: "plan",
        usage: "plan CHANGE",
        about: "what a change would move, without doing it",
        more: &[
            "CHANGE is add N [NAME...], rm N [NAME...], ring SPEC or bound X. Shares are counted over 65536",
            "sample keys. 'home' is the part of many requests that is served where the ring alone would.",
        ],
        read: question::plan,
    },
    stats::STATS,
    Entry {
        name: "events",
        usage: "events",
        about: "what happened of late, the oldest first, one line each",
        more: &[],
        read: |words| alone(words, Command::Events),
    },
    Entry {
        name: "auth",
        usage: "auth TOKEN",
        about: "show the token of --control-token, for the commands after it",
        more: &["Local peers need none. Example: auth TOKEN; rep"],
        read: |words| match words {
            [token] => Ok(Command::Auth(
                token
                    .parse()
                    .map_err(|err| Fault::Because(format!("{err}")))?,
            )),
            _ => Err(Fault::Usage),
        },
    },
    Entry {
        name: "quit",
        usage: "quit",
        about: "close the connection; what follows in the line is not done",
        more: &[],
        read: |words| alone(words, Command::Quit),
    },
];

/// What holds for every command, as `help` ends.
pub const FOOTNOTE: &str =
    "Several in one line: separate them by ';'. As JSON: end a command with ' json'.";

/// Reads a line that has lost its line ending.
///
/// # Errors
/// A sentence, when there is not one command to find in it.
pub fn parse(line: &[u8]) -> Result<Vec<Request>, String> {
    let line = std::str::from_utf8(line).map_err(|_| "line is not UTF-8 text")?;
    let mut parts = line
        .split(';')
        .map(|part| Vec::from_iter(part.split_ascii_whitespace()))
        .filter(|words| !words.is_empty());
    let requests: Vec<Request> = parts.by_ref().take(MAX_COMMANDS).map(request).collect();
    if requests.is_empty() {
        return Err("line is empty; try 'help'".into());
    }
    match parts.next() {
        None => Ok(requests),
        Some(_) => Err(format!("line holds more than {MAX_COMMANDS} commands")),
    }
}

fn request(mut words: Vec<&str>) -> Request {
    let json = words.len() > 1 && words.last() == Some(&"json");
    if json {
        words.pop();
    }
    let command = find(words[0]).and_then(|entry| {
        (entry.read)(&words[1..]).map_err(|fault| match fault {
            Fault::Usage => format!("usage: {}", entry.usage),
            Fault::Because(sentence) => sentence,
        })
    });
    Request { command, json }
}

fn find(name: &str) -> Result<&'static Entry, String> {
    let known = COMMANDS.iter().find(|entry| entry.name == name);
    known.ok_or_else(|| {
        let names: Vec<&str> = COMMANDS.iter().map(|entry| entry.name).collect();
        let hint = match nearest(name, &names) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None => "try 'help'".into(),
        };
        format!("there is no command '{}'; {hint}", echo(name))
    })
}

pub(super) fn alone(words: &[&str], command: Command) -> Result<Command, Fault> {
    words.is_empty().then_some(command).ok_or(Fault::Usage)
}

fn change(kind: Kind, words: &[&str]) -> Result<Command, Fault> {
    Ok(Command::Change(kind, counted(kind, words)?))
}

/// A number and names, as `add` and `rm` take them.
pub(super) fn counted(kind: Kind, words: &[&str]) -> Result<Change, Fault> {
    let [n, names @ ..] = words else {
        return Err(Fault::Usage);
    };
    // A leading `+` is a number to Rust and none to anyone who types a command.
    let digits = n.bytes().all(|b| b.is_ascii_digit());
    let n = n.parse().ok().filter(|n| digits && *n > 0);
    let n = n.ok_or_else(|| Fault::Because("n is not a positive integer".into()))?;
    kind.check(n, names)
        .map_err(|refusal| Fault::Because(refusal.sentence))
}

#[cfg(test)]
mod tests {
    use super::super::hint::MAX_ECHO;
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn one(line: &str) -> Result<Command, String> {
        let mut requests = parse(line.as_bytes()).unwrap();
        assert_eq!(requests.len(), 1, "{line}");
        requests.remove(0).command
    }

    fn changed(kind: Kind, n: usize, names: &[&str]) -> Result<Command, String> {
        let names = names.iter().map(|name| name.parse().unwrap()).collect();
        Ok(Command::Change(kind, Change { n, names }))
    }

    #[test]
    fn every_command_is_read() {
        let cases = [
            ("help", Ok(Command::Help(None))),
            ("rep", Ok(Command::Rep)),
            (" \t rep \t", Ok(Command::Rep)),
            ("add 1", changed(Kind::Add, 1, &[])),
            ("add 3 S4 S5", changed(Kind::Add, 3, &["S4", "S5"])),
            ("rm 2 S1 S2", changed(Kind::Rm, 2, &["S1", "S2"])),
            ("rm 007", changed(Kind::Rm, 7, &[])),
            ("stats", Ok(Command::Stats)),
            ("events", Ok(Command::Events)),
            ("auth x=1", Ok(Command::Auth("x=1".parse().unwrap()))),
            ("quit", Ok(Command::Quit)),
        ];
        for (line, command) in cases {
            assert_eq!(one(line), command, "{line}");
        }
    }

    #[test]
    fn help_knows_every_command() {
        for entry in COMMANDS {
            let asked = one(&format!("help {}", entry.name));
            assert_eq!(asked, Ok(Command::Help(Some(entry))));
        }
    }

    #[test]
    fn a_fault_is_told_in_a_sentence() {
        let cases = [
            ("rep S1", "usage: rep"),
            ("add", "usage: add N [NAME...]"),
            ("help add rm", "usage: help [COMMAND]"),
            ("auth", "usage: auth TOKEN"),
            ("auth a b", "usage: auth TOKEN"),
            (
                "help frobnicate",
                "there is no command 'frobnicate'; try 'help'",
            ),
            ("add two", "n is not a positive integer"),
            ("add 0", "n is not a positive integer"),
            ("add +1", "n is not a positive integer"),
            ("add -1", "n is not a positive integer"),
            ("rm 1.5", "n is not a positive integer"),
            ("rm 99999999999999999999", "n is not a positive integer"),
            (
                "add 1 a b",
                "Length of hostname list is more than newly added instances",
            ),
            (
                "rm 1 a b",
                "Length of hostname list is more than removable instances",
            ),
            ("add 2 a a", "hostname a is given twice"),
            (
                "auth ä",
                "a token is one or more visible ASCII characters without ';'",
            ),
        ];
        for (line, sentence) in cases {
            assert_eq!(one(line), Err(sentence.into()), "{line}");
        }
        assert!(
            one("add 1 -x")
                .unwrap_err()
                .contains("not a legal replica name")
        );
    }

    #[test]
    fn an_unknown_command_hints_at_the_nearest() {
        let cases = [
            ("ad", "did you mean 'add'?"),
            ("ev", "did you mean 'events'?"),
            ("REP", "did you mean 'rep'?"),
            ("evnets", "did you mean 'events'?"),
            ("rmm", "did you mean 'rm'?"),
            ("exit", "did you mean 'quit'?"),
            ("scale", "try 'help'"),
            ("xx", "try 'help'"),
            ("json", "try 'help'"),
            ("addaddaddadd", "try 'help'"),
        ];
        for (line, hint) in cases {
            let expected = format!("there is no command '{line}'; {hint}");
            assert_eq!(one(line), Err(expected));
        }
    }

    #[test]
    fn foreign_bytes_are_repeated_tamely_and_in_part() {
        let sentence = one("\u{1b}[2J\0").unwrap_err();
        assert!(sentence.contains(r"'\u{1b}[2J\0'"), "{sentence}");
        let sentence = one(&"x".repeat(MAX_ECHO + 1)).unwrap_err();
        assert!(sentence.contains(&format!("'{}...'", "x".repeat(MAX_ECHO))));
    }

    #[test]
    fn json_belongs_to_the_command_it_ends() {
        let line = b"rep json; events; add 2 S4 json ; bogus json";
        let json: Vec<bool> = parse(line).unwrap().iter().map(|r| r.json).collect();
        assert_eq!(json, [true, false, true, true]);
    }

    #[test]
    fn a_fault_spoils_only_its_own_command() {
        let requests = parse(b";rep;; bogus ;events;").unwrap();
        let good: Vec<bool> = requests.iter().map(|r| r.command.is_ok()).collect();
        assert_eq!(good, [true, false, true]);
    }

    #[test]
    fn a_line_without_a_command_is_an_error() {
        for line in ["", " ", ";", " ; ;\t"] {
            assert_eq!(
                parse(line.as_bytes()),
                Err("line is empty; try 'help'".into())
            );
        }
        assert_eq!(parse(b"rep \xff"), Err("line is not UTF-8 text".into()));
    }

    #[test]
    fn a_line_holds_a_limited_number_of_commands() {
        let line = "rep;".repeat(MAX_COMMANDS);
        assert_eq!(parse(line.as_bytes()).unwrap().len(), MAX_COMMANDS);
        let line = line + "rep";
        assert_eq!(
            parse(line.as_bytes()),
            Err("line holds more than 64 commands".into())
        );
    }

    #[test]
    fn no_bytes_make_the_parser_panic() {
        let mut rng = StdRng::seed_from_u64(7);
        let words = [
            "add",
            "rm",
            "rep",
            "help",
            "auth",
            "json",
            ";",
            " ",
            "1",
            "18446744073709551615",
            "S1",
            "é",
            "\u{1b}",
            "\0",
        ];
        for _ in 0..20_000 {
            let mut line = Vec::new();
            for _ in 0..rng.random_range(0..12) {
                match rng.random_range(0..4) {
                    0 => line.push(rng.random()),
                    1 => line.push(b' '),
                    _ => line.extend(words[rng.random_range(0..words.len())].as_bytes()),
                }
            }
            for request in parse(&line).into_iter().flatten() {
                let sentence = request.command.err().unwrap_or_else(|| "ok".into());
                assert!(!sentence.is_empty() && !sentence.contains(char::is_control));
            }
        }
    }
}
