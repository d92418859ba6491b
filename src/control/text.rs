//! The text protocol, for people with netcat and for scripts: carries out the commands of one line and
//! writes an answer for each. Every answer ends with an empty line, and none contains one.
//!
//! It reads nothing (its caller holds the line) and closes nothing. In an answer every text that came
//! from elsewhere is one line: control characters are escaped, so that no name, event or sentence can
//! break the framing or move a terminal's cursor.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::command::{self, COMMANDS, Command, Entry};
use super::conn::Conn;
use super::outlook::{self, Outlook};
use super::{Context, Limits, path, stats};
use crate::admin;
use crate::peer::{Asker, Denial, Effect};

/// What a command brought: the same in lines and in JSON. A failure is a sentence.
type Outcome = Result<Answer, String>;

struct Answer {
    lines: Vec<String>,
    json: String,
}

/// Carries out `line`, a command after the other, and writes each answer when it is there. When the
/// future is dropped, an order already handed to the fleet goes on.
///
/// # Errors
/// What the socket says, a client too slow to read included.
pub(super) async fn session(
    conn: &mut Conn,
    line: &[u8],
    peer: SocketAddr,
    context: &Context,
) -> io::Result<()> {
    let requests = match command::parse(line) {
        Ok(requests) => requests,
        Err(sentence) => return fail(conn, &sentence).await,
    };
    let mut trusted = false;
    for request in requests {
        let last = request.command == Ok(Command::Quit);
        let outcome = match request.command {
            Ok(command) => run(command, peer, context, &mut trusted).await,
            Err(sentence) => Err(sentence),
        };
        conn.write_all(render(&outcome, request.json).as_bytes())
            .await?;
        if last {
            break;
        }
    }
    conn.flush().await
}

/// Answers a line that is none.
///
/// # Errors
/// What the socket says.
pub(super) async fn fail(conn: &mut Conn, sentence: &str) -> io::Result<()> {
    let answer = render(&Err(sentence.into()), false);
    conn.write_all(answer.as_bytes()).await
}

/// What is said about a line of too many bytes.
pub(super) fn too_long(limits: &Limits) -> String {
    format!("line is longer than {} bytes", limits.line)
}

async fn run(command: Command, peer: SocketAddr, context: &Context, trusted: &mut bool) -> Outcome {
    let admit = |path: &str, effect| match trusted {
        true => Ok(()),
        false => said(context.access.check(&Asker::at(peer.ip()), path, effect)),
    };
    match command {
        Command::Help(None) => Ok(help()),
        Command::Help(Some(entry)) => Ok(help_about(entry)),
        Command::Rep => {
            admit("/rep", Effect::Reads)?;
            listed(context.rep(peer).await)
        }
        Command::Change(kind, change) => {
            admit(path(kind), Effect::Changes)?;
            listed(context.change(kind, change, peer).await)
        }
        Command::Ask(question) => {
            admit("/ring", Effect::Reads)?;
            told(outlook::look(context, question).await)
        }
        Command::Switch(order, then) => {
            admit("/ring", Effect::Changes)?;
            let done = context.desk.ask(order, peer.to_string()).await;
            done.map_err(|refusal| refusal.sentence)?;
            told(outlook::look(context, then).await)
        }
        Command::Stats => {
            admit("/stats", Effect::Reads)?;
            told(stats::look(context).await)
        }
        Command::Events => {
            admit("/events", Effect::Reads)?;
            Ok(events(context))
        }
        Command::Auth(token) => {
            said(context.access.check_token(&token))?;
            *trusted = true;
            Ok(word("ok"))
        }
        Command::Quit => Ok(word("bye")),
    }
}

fn told(outlook: Result<Outlook, String>) -> Outcome {
    let (lines, message) = outlook?;
    let json = admin::success(&message);
    Ok(Answer { lines, json })
}

fn said(verdict: Result<(), Denial>) -> Result<(), String> {
    verdict.map_err(|denial| denial.to_string())
}

fn listed(answer: admin::Answer) -> Outcome {
    let json = admin::render(&answer).1;
    let names = answer.map_err(|refusal| refusal.sentence)?;
    let mut lines = vec![format!("N {}", names.len())];
    lines.extend(names.iter().map(ToString::to_string));
    Ok(Answer { lines, json })
}

fn events(context: &Context) -> Answer {
    let (lines, json): (_, Vec<Value>) = (context.events)()
        .into_iter()
        .map(|event| (event.text, event.json))
        .unzip();
    Answer {
        lines,
        json: Value::from(json).to_string(),
    }
}

fn help() -> Answer {
    let width = COMMANDS.iter().map(|entry| entry.usage.len()).max();
    let width = width.unwrap_or(0);
    let line = |entry: &Entry| format!("{:width$}  {}", entry.usage, entry.about);
    let mut lines: Vec<String> = COMMANDS.iter().map(line).collect();
    lines.push(command::FOOTNOTE.into());
    let json = COMMANDS.iter().map(described).collect::<Vec<_>>();
    Answer {
        lines,
        json: Value::from(json).to_string(),
    }
}

fn help_about(entry: &Entry) -> Answer {
    let mut lines = vec![entry.usage.into(), format!("  {}", entry.about)];
    lines.extend(entry.more.iter().map(|line| format!("  {line}")));
    Answer {
        lines,
        json: described(entry).to_string(),
    }
}

fn described(entry: &Entry) -> Value {
    json!({"command": entry.name, "usage": entry.usage, "about": entry.about, "more": entry.more.join(" ")})
}

fn word(word: &str) -> Answer {
    Answer {
        lines: vec![word.into()],
        json: json!({"message": word, "status": "successful"}).to_string(),
    }
}

fn render(outcome: &Outcome, as_json: bool) -> String {
    let mut text = String::new();
    match outcome {
        Ok(answer) if as_json => say(&mut text, &answer.json),
        Ok(answer) => {
            let spoken = answer.lines.iter().filter(|line| !line.trim().is_empty());
            spoken.for_each(|line| say(&mut text, line));
        }
        Err(sentence) if as_json => say(&mut text, &admin::failure(sentence)),
        Err(sentence) => say(&mut text, &format!("ERR {sentence}")),
    }
    text.push('\n');
    text
}

/// Adds one line. A control character is written as JSON would, so that JSON stays JSON: in it they
/// occur within strings only.
fn say(text: &mut String, line: &str) {
    for c in line.chars() {
        match c.is_control() {
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Outcome {
        Ok(Answer {
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
            (Err("no\n".into()), "ERR no\\u000a\n\n"),
        ];
        for (outcome, text) in cases {
            assert_eq!(render(&outcome, false), text);
        }
    }

    #[test]
    fn json_is_one_value_on_one_line() {
        assert_eq!(render(&lines(&["x"]), true), "[]\n\n");
        assert_eq!(
            render(&Err("a \"b\"\n\u{9b}".into()), true),
            "{\"message\":\"<Error> a \\\"b\\\"\\n\\u009b\",\"status\":\"failure\"}\n\n"
        );
        for answer in [help(), help_about(&COMMANDS[2]), word("ok")] {
            let text = render(&Ok(answer), true);
            let (json, end) = text.split_once('\n').unwrap();
            assert!(serde_json::from_str::<Value>(json).is_ok() && end == "\n");
        }
    }

    #[test]
    fn help_is_aligned_and_fits_a_terminal() {
        let text = render(&Ok(help()), false);
        assert!(
            text.contains("\nadd N [NAME...]  start N replicas"),
            "{text}"
        );
        assert!(text.contains("\nrep              the replicas"), "{text}");
        for entry in COMMANDS {
            let text = render(&Ok(help_about(entry)), false);
            assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        }
    }
}
