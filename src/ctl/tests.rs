//! The printed answers, and the result of a line.

use super::*;

/// Returns the result, and the text printed to stdout and stderr.
fn shown(line: &str, answers: &str, token: bool) -> (io::Result<bool>, String, String) {
    let output = || ColoredStream {
        to: Vec::new(),
        paint: ColorMode::Plain,
    };
    let mut printer = Printer {
        out: output(),
        errors: output(),
        begun: false,
        gap: false,
        redraw: None,
    };
    let succeeded = printer.print_all(
        &mut AnswerReader::new(answers.as_bytes()),
        token,
        &ExpectedAnswers::for_line(line),
    );
    let text = |output: ColoredStream<Vec<u8>>| String::from_utf8(output.to).unwrap();
    (succeeded, text(printer.out), text(printer.errors))
}

#[test]
fn answers_are_separated_by_an_empty_line() {
    let (succeeded, out, errors) = shown("rep; bound", "N 1\nS1\n\nbound 1.03\n\n", false);
    assert!(succeeded.unwrap());
    assert_eq!(
        (out.as_str(), errors.as_str()),
        ("N 1\nS1\n\nbound 1.03\n", "")
    );
    let (_, out, _) = shown("a; b", "{}\n\n[]\n\n", false);
    assert_eq!(out, "{}\n[]\n");
    let (succeeded, out, _) = shown("events", "\n", false);
    assert!(succeeded.unwrap() && out.is_empty());
}

#[test]
fn one_refusal_fails_the_line() {
    let (succeeded, out, errors) = shown("a; rep", "ERR no\n\nN 0\n\n", false);
    assert!(!succeeded.unwrap());
    assert_eq!((out.as_str(), errors.as_str()), ("N 0\n", "ERR no\n"));
    let failure = r#"{"message":"<Error> no","status":"failure"}"#;
    let (succeeded, out, errors) = shown("a", &format!("{failure}\n\n"), false);
    assert!(!succeeded.unwrap());
    assert_eq!((out, errors.as_str()), (format!("{failure}\n"), ""));
}

#[test]
fn a_refused_token_is_reported_only_with_a_refused_command() {
    let (succeeded, out, errors) = shown("rep", "ok\n\nN 0\n\n", true);
    assert!(succeeded.unwrap());
    assert_eq!((out.as_str(), errors.as_str()), ("N 0\n", ""));
    let (succeeded, out, errors) = shown("rep", "ERR no token is set\n\nN 0\n\n", true);
    assert!(succeeded.unwrap());
    assert_eq!((out.as_str(), errors.as_str()), ("N 0\n", ""));
    let (succeeded, out, errors) = shown("rep", "ERR wrong\n\nERR denied\n\n", true);
    assert!(!succeeded.unwrap());
    assert_eq!(
        (out.as_str(), errors.as_str()),
        ("", "ERR wrong\nERR denied\n")
    );
}

#[test]
fn an_incomplete_answer_is_an_error() {
    for (line, answers, token) in [
        ("rep", "", false),
        ("rep", "N 1\nS1\n", false),
        ("rep", "N 1\nS", false),
        ("rep", "ok\n\n", true),
        ("rep; add 1", "N 1\nS1\n\n", false),
        ("watch", "N 1\n\nN 1\n\n", false),
        ("watch json", "{}\n{}\n", false),
        ("events -w", "", false),
        ("rep; events -w json", "N 1\nS1\n\n", false),
        ("events -w", "1 a\n", false),
    ] {
        let (succeeded, ..) = shown(line, answers, token);
        let kind = succeeded.map_err(|err| err.kind());
        assert_eq!(kind, Err(ErrorKind::UnexpectedEof), "{line}: {answers:?}");
    }
    // Complete or refused.
    for (line, answers, done) in [
        ("quit; rep", "bye\n\n", true),
        ("prompt", "ok\n\n> ", true),
        ("rep; watch 0", "N 0\n\nERR no\n\n", false),
    ] {
        let (succeeded, ..) = shown(line, answers, false);
        assert_eq!(succeeded.unwrap(), done, "{line}: {answers:?}");
    }
}

/// An output whose reader has closed it.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_output_that_is_closed_by_its_reader_is_no_error() {
    let mut printer = Printer {
        out: ColoredStream {
            to: Closed,
            paint: ColorMode::Plain,
        },
        errors: ColoredStream {
            to: Closed,
            paint: ColorMode::Plain,
        },
        begun: false,
        gap: false,
        redraw: None,
    };
    assert!(
        printer
            .print_all(
                &mut AnswerReader::new(&b"a\nb\n"[..]),
                false,
                &ExpectedAnswers::for_line("rep")
            )
            .unwrap()
    );
}
