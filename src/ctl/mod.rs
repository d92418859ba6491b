//! `ringmaster ctl`: sends a running balancer one line of text commands, shows each answer as it comes,
//! and tells by the exit code whether all was done.
//!
//! It knows how answers are framed, and of commands only which of them just ask: their answers must come soon. For
//! the others it waits as long as it takes: the balancer has limits of its own, and `watch` has none. Surprising: a token that was refused is
//! told of only when the command was refused too, because the variable that holds it may be meant for
//! another balancer.

mod color;
mod expect;
mod reader;

use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::access::Token;
use crate::wire::socket::loopback_if_unspecified;
use color::ColorMode;
use expect::{ExpectedAnswers, is_read_only};
use reader::{AnswerPart, AnswerReader};

/// Connecting, and each write.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest silence of a balancer that is only asked.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends `line`, which may hold several commands, to the control port at `control` (host and port), after
/// the `token` if there is one. Answers go to stdout; refusals to stderr, unless they are JSON. Whether
/// nothing was refused.
///
/// # Errors
/// A sentence, when nobody answers or an answer breaks off.
pub(crate) fn send(control: &str, token: Option<&Token>, line: &str) -> Result<bool, String> {
    let stream = connect(control)?;
    let token = token.map(|token| format!("auth {}; ", token.reveal()));
    let words = format!("{}{line}\n", token.as_deref().unwrap_or_default());
    (&stream)
        .write_all(words.as_bytes())
        .map_err(|err| format!("cannot send to {control}: {err}"))?;
    // There is no second line: whoever waits for one ('prompt') need not. It fails when the other side has
    // gone, and then there is something to read about that.
    let _ = stream.shutdown(Shutdown::Write);
    let limit = is_read_only(line).then_some(ANSWER_TIMEOUT);
    stream
        .set_read_timeout(limit)
        .map_err(|err| format!("{control}: {err}"))?;
    let mut show = Printer {
        out: ColoredStream::new(io::stdout().lock()),
        errors: ColoredStream::new(io::stderr().lock()),
        begun: false,
        gap: false,
    };
    let answers = &mut AnswerReader::new(BufReader::new(stream));
    let shown = show.print_all(answers, token.is_some(), &ExpectedAnswers::for_line(line));
    shown.map_err(|err| match err.kind() {
        ErrorKind::UnexpectedEof => {
            format!("{control} closed the connection before its answer was whole")
        }
        ErrorKind::WouldBlock => format!("{control} gave no answer within {ANSWER_TIMEOUT:?}"),
        _ => format!("{control}: {err}"),
    })
}

fn connect(control: &str) -> Result<TcpStream, String> {
    let addrs = control
        .to_socket_addrs()
        .map_err(|err| format!("cannot find {control} (--control): {err}"))?;
    let mut fault = format!("{control} has no address (--control)");
    for addr in addrs.map(loopback_if_unspecified) {
        match open(addr) {
            Ok(stream) => return Ok(stream),
            Err(err) if err.kind() == ErrorKind::ConnectionRefused => {
                fault = format!("nothing listens on {addr} (--control)");
            }
            Err(err) => fault = format!("cannot reach {addr} (--control): {err}"),
        }
    }
    Err(fault)
}

fn open(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT)?;
    stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
    Ok(stream)
}

/// Where lines go, and how they look there.
struct ColoredStream<W> {
    to: W,
    paint: ColorMode,
}

impl<W: Write + IsTerminal> ColoredStream<W> {
    fn new(to: W) -> Self {
        let paint = ColorMode::for_output(to.is_terminal(), |name| std::env::var_os(name));
        Self { to, paint }
    }
}

impl<W: Write> ColoredStream<W> {
    fn write_line(&mut self, line: &str) -> io::Result<()> {
        let line = self.paint.paint_line(line) + "\n";
        self.to.write_all(line.as_bytes())?;
        // Whoever watches a stream must not wait for more of it.
        self.to.flush()
    }
}

/// What is shown, and where.
struct Printer<O, E> {
    out: ColoredStream<O>,
    errors: ColoredStream<E>,
    /// Whether anything was shown on `out`, and its answer has ended since: an empty line parts answers.
    begun: bool,
    gap: bool,
}

impl<O: Write, E: Write> Printer<O, E> {
    /// Shows all answers, but for a first one about the token. It ends early when nobody reads on.
    fn print_all(
        &mut self,
        answers: &mut AnswerReader<impl BufRead>,
        token: bool,
        due: &ExpectedAnswers,
    ) -> io::Result<bool> {
        let refused = match token {
            true => first_refusal(answers)?,
            false => None,
        };
        match self.print_rest(answers, refused, due) {
            // Told apart from a broken connection, which has no such error for readers.
            Err(err) if err.kind() == ErrorKind::BrokenPipe => Ok(true),
            shown => shown,
        }
    }

    fn print_rest(
        &mut self,
        answers: &mut AnswerReader<impl BufRead>,
        mut token_refused: Option<String>,
        due: &ExpectedAnswers,
    ) -> io::Result<bool> {
        let (mut good, mut ended) = (true, 0);
        while let Some(part) = answers.next()? {
            match part {
                AnswerPart::End => (self.gap, ended) = (self.begun, ended + 1),
                AnswerPart::Refusal(line) => {
                    good = false;
                    for line in token_refused.take().iter().chain([&line]) {
                        self.errors.write_line(line)?;
                    }
                }
                AnswerPart::Failure(line) => {
                    good = false;
                    self.print_answer(&line)?;
                }
                AnswerPart::Line(line) => self.print_answer(&line)?,
            }
        }
        // What was refused is 1 already, and a refused stream has ended by that.
        match good && (due.streams || ended < due.answers) {
            true => Err(ErrorKind::UnexpectedEof.into()),
            false => Ok(good),
        }
    }

    fn print_answer(&mut self, line: &str) -> io::Result<()> {
        // Values are told apart by their lines.
        if std::mem::take(&mut self.gap) && !line.starts_with(['{', '[']) {
            self.out.write_line("")?;
        }
        self.begun = true;
        self.out.write_line(line)
    }
}

/// Reads one answer and keeps of it what refuses.
fn first_refusal(answers: &mut AnswerReader<impl BufRead>) -> io::Result<Option<String>> {
    let mut refused = None;
    while let Some(part) = answers.next()? {
        match part {
            AnswerPart::End => break,
            AnswerPart::Refusal(line) => refused = Some(line),
            AnswerPart::Line(_) | AnswerPart::Failure(_) => {}
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests;
