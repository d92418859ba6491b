//! `ringmaster ctl`: sends a running balancer one line of text commands, prints each answer as it
//! comes, and returns whether every command succeeded.
//!
//! The command table tells how many answers come and whether they come soon. Other answers have no
//! deadline: the balancer limits changes itself, and `watch` has no end. A refused token is
//! reported only if a command was refused too, because the variable that holds it may be meant for
//! another balancer.

mod all_nodes;
mod color;
mod expect;
mod reader;
mod redraw;

use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::access::Token;
use crate::config::ControlAddrs;
use crate::wire::socket::loopback_if_unspecified;
use crate::wire::stream_addr::UnixPath;
use crate::wire::unix_socket;
pub(crate) use all_nodes::ask_all_nodes;
use color::ColorMode;
use expect::ExpectedAnswers;
use reader::{AnswerPart, AnswerReader};
use redraw::{Redraw, TerminalSize};

/// Timeout of connecting and of each write.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Timeout of each read, if every command of the line only reads.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends `line`, which may hold several commands, to the control port at `control` (host and port),
/// after the `token` if there is one. Answers go to stdout, refusals to stderr unless they are
/// JSON. Returns `true` if nothing was refused.
///
/// # Errors
/// A sentence, when the balancer does not answer or an answer is incomplete.
pub(crate) fn send(
    control: &ControlAddrs,
    token: Option<&Token>,
    line: &str,
) -> Result<bool, String> {
    let (stream, control) = connect(control)?;
    let expected = ExpectedAnswers::for_line(line);
    let answers = &mut request(stream, token, line, &expected)
        .map_err(|err| format!("cannot send to {control}: {err}"))?;
    let mut printer = Printer {
        out: ColoredStream::new(io::stdout().lock()),
        errors: ColoredStream::new(io::stderr().lock()),
        begun: false,
        gap: false,
        redraw: Redraw::for_stdout(),
    };
    let printed = printer.print_all(answers, token.is_some(), &expected);
    printed.map_err(|err| describe(&control, &err))
}

/// Returns `true` if every command of `line` only reads, and has an end.
pub(crate) fn only_reads(line: &str) -> bool {
    ExpectedAnswers::for_line(line).soon
}

/// Sends `line` after the token, and returns the reader of its answers.
fn request(
    stream: TcpStream,
    token: Option<&Token>,
    line: &str,
    expected: &ExpectedAnswers,
) -> io::Result<AnswerReader<BufReader<TcpStream>>> {
    let token = token.map(|token| format!("auth {}; ", token.reveal()));
    let request = format!("{}{line}\n", token.as_deref().unwrap_or_default());
    (&stream).write_all(request.as_bytes())?;
    // There is no second line, so 'prompt' need not wait for one. If this fails, the balancer has
    // closed the connection, and reading returns the reason.
    let _ = stream.shutdown(Shutdown::Write);
    stream.set_read_timeout(expected.soon.then_some(ANSWER_TIMEOUT))?;
    Ok(AnswerReader::new(BufReader::new(stream)))
}

/// Describes an error of reading the answers of `control`.
fn describe(control: &str, err: &io::Error) -> String {
    match err.kind() {
        ErrorKind::UnexpectedEof => {
            format!("{control} closed the connection before its answer was whole")
        }
        ErrorKind::WouldBlock => format!("{control} gave no answer within {ANSWER_TIMEOUT:?}"),
        _ => format!("{control}: {err}"),
    }
}

/// Connects, and returns the name of the address for sentences.
fn connect(control: &ControlAddrs) -> Result<(TcpStream, String), String> {
    let unix = control.unix.as_ref().map(|path| (connect_unix(path), path));
    match (unix, &control.host) {
        (Some((Ok(stream), path)), _) => Ok((stream, path.to_string())),
        (_, Some(host)) => connect_tcp(host).map(|stream| (stream, host.clone())),
        (Some((Err(err), _)), None) => Err(err),
        (None, None) => Err("there is no address (--control)".to_owned()),
    }
}

fn connect_unix(path: &UnixPath) -> Result<TcpStream, String> {
    let stream = unix_socket::connect_blocking(path, CONNECT_TIMEOUT);
    stream.map_err(|err| match err.kind() {
        ErrorKind::ConnectionRefused => format!("nothing listens on {path} (--control)"),
        _ => format!("cannot reach {path} (--control): {err}"),
    })
}

fn connect_tcp(control: &str) -> Result<TcpStream, String> {
    let mut error = format!("{control} has no address (--control)");
    for addr in addresses(control)? {
        match open(addr) {
            Ok(stream) => return Ok(stream),
            Err(sentence) => error = sentence,
        }
    }
    Err(error)
}

/// Returns the addresses of a host and port.
fn addresses(control: &str) -> Result<Vec<SocketAddr>, String> {
    let addrs = control
        .to_socket_addrs()
        .map_err(|err| format!("cannot find {control} (--control): {err}"))?;
    Ok(addrs.map(loopback_if_unspecified).collect())
}

fn open(addr: SocketAddr) -> Result<TcpStream, String> {
    let open = || {
        let stream = TcpStream::connect_timeout(&addr, CONNECT_TIMEOUT)?;
        stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
        Ok(stream)
    };
    open().map_err(|err: io::Error| match err.kind() {
        ErrorKind::ConnectionRefused => format!("nothing listens on {addr} (--control)"),
        _ => format!("cannot reach {addr} (--control): {err}"),
    })
}

/// An output and its colours.
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
        self.write(&(self.paint.paint_line(line) + "\n"))
    }

    /// Writes `text`, colours included. A part of a stream is shown at once.
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())?;
        self.to.flush()
    }
}

/// Prints answers with an empty line between them.
struct Printer<O, E> {
    out: ColoredStream<O>,
    errors: ColoredStream<E>,
    /// `true` once a line was printed to `out`.
    begun: bool,
    /// `true` if an empty line precedes the next one.
    gap: bool,
    /// Redraws the answers of `watch` in place; `None` prints them one below the other.
    redraw: Option<Redraw>,
}

impl<O: Write, E: Write> Printer<O, E> {
    /// Prints all answers except the first one about the token. Ends without an error when the
    /// reader of the output closes it.
    fn print_all(
        &mut self,
        answers: &mut AnswerReader<impl BufRead>,
        token: bool,
        expected: &ExpectedAnswers,
    ) -> io::Result<bool> {
        let refused = match token {
            true => first_refusal(answers)?,
            false => None,
        };
        match self.print_rest(answers, refused, expected) {
            // Only writing fails with this error, so it is not the connection's.
            Err(err) if err.kind() == ErrorKind::BrokenPipe => Ok(true),
            printed => printed,
        }
    }

    fn print_rest(
        &mut self,
        answers: &mut AnswerReader<impl BufRead>,
        mut token_refused: Option<String>,
        expected: &ExpectedAnswers,
    ) -> io::Result<bool> {
        let (mut succeeded, mut ended) = (true, 0);
        let mut frame = Vec::new();
        while let Some(part) = answers.next()? {
            let redraws = expected.repeats && ended + 1 == expected.count && self.redraw.is_some();
            match part {
                AnswerPart::Line(line) if redraws => frame.push(line),
                AnswerPart::End if redraws => self.draw(&std::mem::take(&mut frame))?,
                AnswerPart::End => (self.gap, ended) = (self.begun, ended + 1),
                AnswerPart::Refusal(line) => {
                    succeeded = false;
                    self.redraw.iter_mut().for_each(Redraw::forget);
                    for line in token_refused.take().iter().chain([&line]) {
                        self.errors.write_line(line)?;
                    }
                }
                AnswerPart::Failure(line) => {
                    succeeded = false;
                    self.print_answer(&line)?;
                }
                AnswerPart::Line(line) => self.print_answer(&line)?,
            }
        }
        // After a refusal the exit code is 1 anyway, and a refused stream is complete.
        match succeeded && (expected.streams || ended < expected.count) {
            true => Err(ErrorKind::UnexpectedEof.into()),
            false => Ok(succeeded),
        }
    }

    /// Draws an answer of `watch` over the one before it.
    fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let (Some(redraw), Some(size)) = (&mut self.redraw, TerminalSize::of_stdout()) else {
            lines.iter().try_for_each(|line| self.print_answer(line))?;
            self.gap = self.begun;
            return Ok(());
        };
        if std::mem::take(&mut self.gap) {
            self.out.write_line("")?;
        }
        self.out.write(&redraw.frame(lines, size, self.out.paint))
    }

    fn print_answer(&mut self, line: &str) -> io::Result<()> {
        // JSON values are one line each and need no empty line between them.
        if std::mem::take(&mut self.gap) && !line.starts_with(['{', '[']) {
            self.out.write_line("")?;
        }
        self.begun = true;
        self.out.write_line(line)
    }
}

/// Reads one answer and returns its refusal.
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
