//! `ctl --all-nodes`: the same line to every balancer that DNS knows under one name, such as the
//! tasks of a swarm's service.
//!
//! Balancers with the same answer are listed together, and the largest group comes first. So a
//! balancer that differs stands out.

use std::io::{self, BufRead, ErrorKind, Write};
use std::net::SocketAddr;
use std::thread;

use super::expect::ExpectedAnswers;
use super::reader::{AnswerPart, AnswerReader};
use super::{ColoredStream, addresses, describe, first_refusal, open, request};
use crate::access::Token;
use crate::config::ControlAddrs;

/// Largest number of balancers that are asked.
const MAX_NODES: usize = 64;

/// Answer of a balancer: its lines, and `true` unless a command was refused.
type Answer = (Vec<String>, bool);
/// Answer of a balancer, or the sentence of a failure.
type NodeAnswer = Result<Answer, String>;

/// Sends `line` to every address of the control port's host, and prints each distinct answer with
/// the balancers that gave it. Returns `true` if all of them gave the same one, without a refusal.
///
/// # Errors
/// A sentence, when there is no name to look up, or too many addresses.
pub(crate) fn ask_all_nodes(
    control: &ControlAddrs,
    token: Option<&Token>,
    line: &str,
) -> Result<bool, String> {
    let host = control.host.as_ref();
    let host = host.ok_or("--all-nodes needs a host and a port (--control)")?;
    let mut nodes = addresses(host)?;
    nodes.sort_unstable();
    nodes.dedup();
    match nodes.len() {
        0 => return Err(format!("{host} has no address (--control)")),
        1..=MAX_NODES => {}
        n => {
            return Err(format!(
                "{host} has {n} addresses: at most {MAX_NODES} are asked"
            ));
        }
    }
    // Each has its own deadlines, so that one which hangs holds up no other.
    let answers: Vec<(SocketAddr, NodeAnswer)> = thread::scope(|scope| {
        let asked = nodes
            .iter()
            .map(|node| (*node, scope.spawn(|| ask(*node, token, line))));
        let asked: Vec<_> = asked.collect();
        let gone = || Err("the thread of this answer has ended".to_owned());
        let asked = asked.into_iter();
        asked
            .map(|(node, answer)| (node, answer.join().unwrap_or_else(|_| gone())))
            .collect()
    });
    let (mut out, mut errors) = (
        ColoredStream::new(io::stdout().lock()),
        ColoredStream::new(io::stderr().lock()),
    );
    let printed = print(&answers, &mut out, &mut errors);
    printed.map_err(|err| format!("cannot print the answers: {err}"))
}

fn ask(node: SocketAddr, token: Option<&Token>, line: &str) -> NodeAnswer {
    let expected = ExpectedAnswers::for_line(line);
    let stream = open(node)?;
    let answers = request(stream, token, line, &expected);
    let mut answers = answers.map_err(|err| format!("cannot send to {node}: {err}"))?;
    let refused = match token {
        Some(_) => first_refusal(&mut answers),
        None => Ok(None),
    };
    let collected = refused.and_then(|refused| collect(&mut answers, refused, expected.count));
    collected.map_err(|err| describe(&node.to_string(), &err))
}

/// Reads `count` answers. The refusal of the token is reported only with a refused command.
fn collect(
    answers: &mut AnswerReader<impl BufRead>,
    token_refused: Option<String>,
    count: usize,
) -> io::Result<Answer> {
    let (mut lines, mut succeeded, mut ended) = (Vec::new(), true, 0);
    while let Some(part) = answers.next()? {
        match part {
            AnswerPart::Line(line) => lines.push(line),
            AnswerPart::Refusal(line) | AnswerPart::Failure(line) => {
                succeeded = false;
                lines.push(line);
            }
            AnswerPart::End => ended += 1,
        }
    }
    if succeeded && ended < count {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if !succeeded {
        lines.splice(0..0, token_refused);
    }
    Ok((lines, succeeded))
}

/// Prints the answers, those of most balancers first. Returns `true` if all are the same and none
/// is a refusal.
fn print<O: Write, E: Write>(
    answers: &[(SocketAddr, NodeAnswer)],
    out: &mut ColoredStream<O>,
    errors: &mut ColoredStream<E>,
) -> io::Result<bool> {
    let mut groups: Vec<(&Answer, Vec<String>)> = Vec::new();
    let mut all_answered = true;
    for (node, answer) in answers {
        match answer {
            Ok(answer) => {
                let node = node.to_string();
                match groups.iter_mut().find(|(same, _)| *same == answer) {
                    Some((_, nodes)) => nodes.push(node),
                    None => groups.push((answer, vec![node])),
                }
            }
            Err(sentence) => {
                all_answered = false;
                errors.write_line(sentence)?;
            }
        }
    }
    groups.sort_by_key(|(_, nodes)| std::cmp::Reverse(nodes.len()));
    for (at, ((lines, _), nodes)) in groups.iter().enumerate() {
        if at > 0 {
            out.write_line("")?;
        }
        let (same, all) = (nodes.len(), answers.len());
        out.write_line(&format!("{same} of {all}: {}", nodes.join(" ")))?;
        lines.iter().try_for_each(|line| out.write_line(line))?;
    }
    let succeeded = groups.iter().all(|((_, succeeded), _)| *succeeded);
    Ok(all_answered && groups.len() == 1 && succeeded)
}

#[cfg(test)]
mod tests {
    use super::super::ColorMode;
    use super::*;

    fn shown(answers: &[(&str, NodeAnswer)]) -> (bool, String, String) {
        let output = || ColoredStream {
            to: Vec::new(),
            paint: ColorMode::Plain,
        };
        let answers = answers.iter();
        let answers = answers.map(|(node, answer)| (node.parse().unwrap(), answer.clone()));
        let (mut out, mut errors) = (output(), output());
        let same = print(&answers.collect::<Vec<_>>(), &mut out, &mut errors).unwrap();
        let text = |output: ColoredStream<Vec<u8>>| String::from_utf8(output.to).unwrap();
        (same, text(out), text(errors))
    }

    fn answer(line: &str) -> NodeAnswer {
        Ok((vec![line.to_owned()], !line.starts_with("ERR ")))
    }

    #[test]
    fn equal_answers_are_one_and_others_follow() {
        let (same, out, errors) = shown(&[
            ("10.0.0.1:5001", answer("hash a")),
            ("10.0.0.2:5001", answer("hash b")),
            ("10.0.0.3:5001", answer("hash b")),
        ]);
        let text = "2 of 3: 10.0.0.2:5001 10.0.0.3:5001\nhash b\n\n1 of 3: 10.0.0.1:5001\nhash a\n";
        assert_eq!((same, out.as_str(), errors.as_str()), (false, text, ""));
        let all = [
            ("10.0.0.1:5001", answer("a")),
            ("10.0.0.2:5001", answer("a")),
        ];
        let (same, out, _) = shown(&all);
        let text = "2 of 2: 10.0.0.1:5001 10.0.0.2:5001\na\n";
        assert_eq!((same, out.as_str()), (true, text));
    }

    #[test]
    fn a_balancer_without_an_answer_or_a_refusal_is_no_agreement() {
        let failed = Err("nothing listens on 10.0.0.2:5001 (--control)".to_owned());
        let (same, out, errors) =
            shown(&[("10.0.0.1:5001", answer("a")), ("10.0.0.2:5001", failed)]);
        assert_eq!((same, out.as_str()), (false, "1 of 2: 10.0.0.1:5001\na\n"));
        assert_eq!(errors, "nothing listens on 10.0.0.2:5001 (--control)\n");
        let (same, ..) = shown(&[("10.0.0.1:5001", answer("ERR no"))]);
        assert!(!same);
    }

    #[test]
    fn a_refused_token_is_told_with_a_refused_command() {
        let collected = |text: &str| {
            let refused = Some("ERR wrong token".to_owned());
            let collected = collect(&mut AnswerReader::new(text.as_bytes()), refused, 1);
            collected.map_err(|err| err.kind())
        };
        assert_eq!(collected("a\n\n"), Ok((vec!["a".to_owned()], true)));
        let both = ["ERR wrong token", "ERR no"].map(str::to_owned).to_vec();
        assert_eq!(collected("ERR no\n\n"), Ok((both, false)));
        assert_eq!(collected(""), Err(ErrorKind::UnexpectedEof));
    }
}
