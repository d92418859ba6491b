//! What is shown of answers, and what counts as done.

use super::*;

/// Whether all was done, and what was shown on either outlet.
fn shown(line: &str, answers: &str, token: bool) -> (io::Result<bool>, String, String) {
    let outlet = || ColoredStream {
        to: Vec::new(),
        paint: ColorMode::Plain,
    };
    let mut show = Printer {
        out: outlet(),
        errors: outlet(),
        begun: false,
        gap: false,
    };
    let good = show.print_all(
        &mut AnswerReader::new(answers.as_bytes()),
        token,
        &ExpectedAnswers::for_line(line),
    );
    let text = |outlet: ColoredStream<Vec<u8>>| String::from_utf8(outlet.to).unwrap();
    (good, text(show.out), text(show.errors))
}

#[test]
fn answers_are_parted_by_an_empty_line() {
    let (good, out, errors) = shown("rep; bound", "N 1\nS1\n\nbound 1.03\n\n", false);
    assert!(good.unwrap());
    assert_eq!(
        (out.as_str(), errors.as_str()),
        ("N 1\nS1\n\nbound 1.03\n", "")
    );
    let (_, out, _) = shown("a; b", "{}\n\n[]\n\n", false);
    assert_eq!(out, "{}\n[]\n");
    let (good, out, _) = shown("events", "\n", false);
    assert!(good.unwrap() && out.is_empty());
}

#[test]
fn one_refusal_is_enough() {
    let (good, out, errors) = shown("a; rep", "ERR no\n\nN 0\n\n", false);
    assert!(!good.unwrap());
    assert_eq!((out.as_str(), errors.as_str()), ("N 0\n", "ERR no\n"));
    let failure = r#"{"message":"<Error> no","status":"failure"}"#;
    let (good, out, errors) = shown("a", &format!("{failure}\n\n"), false);
    assert!(!good.unwrap());
    assert_eq!((out, errors.as_str()), (format!("{failure}\n"), ""));
}

#[test]
fn the_word_about_the_token_is_shown_when_it_matters() {
    let (good, out, errors) = shown("rep", "ok\n\nN 0\n\n", true);
    assert!(good.unwrap());
    assert_eq!((out.as_str(), errors.as_str()), ("N 0\n", ""));
    let (good, out, errors) = shown("rep", "ERR no token is set\n\nN 0\n\n", true);
    assert!(good.unwrap());
    assert_eq!((out.as_str(), errors.as_str()), ("N 0\n", ""));
    let (good, out, errors) = shown("rep", "ERR wrong\n\nERR stranger\n\n", true);
    assert!(!good.unwrap());
    assert_eq!(
        (out.as_str(), errors.as_str()),
        ("", "ERR wrong\nERR stranger\n")
    );
}

#[test]
fn what_breaks_off_is_an_error() {
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
        let (good, ..) = shown(line, answers, token);
        let kind = good.map_err(|err| err.kind());
        assert_eq!(kind, Err(ErrorKind::UnexpectedEof), "{line}: {answers:?}");
    }
    // Said and done, or refused: nothing is missing.
    for (line, answers, done) in [
        ("quit; rep", "bye\n\n", true),
        ("prompt", "ok\n\n> ", true),
        ("rep; watch 0", "N 0\n\nERR no\n\n", false),
    ] {
        let (good, ..) = shown(line, answers, false);
        assert_eq!(good.unwrap(), done, "{line}: {answers:?}");
    }
}

/// An outlet whose reader has gone.
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
fn whoever_reads_no_more_ends_it_quietly() {
    let mut show = Printer {
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
    };
    assert!(
        show.print_all(
            &mut AnswerReader::new(&b"a\nb\n"[..]),
            false,
            &ExpectedAnswers::for_line("rep")
        )
        .unwrap()
    );
}
