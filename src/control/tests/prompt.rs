//! Text connections that stay open after `prompt`.

use super::*;

/// Reads exactly `expected`.
#[track_caller]
pub(super) fn expect(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

pub(super) fn open(port: &Fixture, line: &str) -> TcpStream {
    let mut stream = port.connect();
    stream.write_all(line.as_bytes()).unwrap();
    stream
}

pub(super) fn free_again(port: &Fixture) {
    until("a slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn a_prompt_takes_line_after_line() {
    let port = port();
    let mut stream = open(&port, "prompt\n");
    expect(&mut stream, "ok\n\n> ");
    stream.write_all(b"rep\r\n").unwrap();
    expect(&mut stream, "N 3\nS1\nS2\nS3\n\n> ");
    stream.write_all(b"\n  \nbogus; bound\n").unwrap();
    expect(
        &mut stream,
        "> > ERR there is no command 'bogus'; try 'help'\n\n> ",
    );
    stream.write_all(b"prompt json\n").unwrap();
    expect(
        &mut stream,
        "{\"message\":\"ok\",\"status\":\"successful\"}\n\n> ",
    );
    stream.write_all(b"rep\xff\n").unwrap();
    expect(&mut stream, "ERR line is not UTF-8 text\n\n> ");
    stream.write_all(b"quit\nrep\n").unwrap();
    assert_eq!(rest(stream), "bye\n\n");
}

#[test]
fn lines_sent_ahead_are_answered_and_the_end_of_input_closes() {
    let port = port();
    let answer = port.ask_and_half_close("rep; prompt\nbound\n;\nrep json");
    let blank = "ERR line is empty; try 'help'\n\n";
    let expected = format!("N 3\nS1\nS2\nS3\n\nok\n\n> bound 0\n\n> {blank}> {REP}\n\n> ");
    assert_eq!(answer, expected);
}

#[test]
fn a_token_is_valid_for_the_lines_after_it() {
    let answer = ask_as(
        "192.168.65.1",
        Some("s3cret"),
        "prompt\nauth s3cret\nbound\nquit\n",
    );
    assert_eq!(answer, "ok\n\n> ok\n\n> bound 0\n\n> bye\n\n");
}

#[test]
fn a_line_at_a_prompt_has_at_most_64_kib() {
    let port = port();
    let line = |length: usize| format!("prompt\nrep{}\nquit\n", " ".repeat(length - 3));
    let answer = port.ask(line(65536));
    assert_eq!(answer, "ok\n\n> N 3\nS1\nS2\nS3\n\n> bye\n\n");
    let answer = port.ask(line(65537));
    assert_eq!(answer, "ok\n\n> ERR line is longer than 65536 bytes\n\n");
}

#[test]
fn a_client_that_is_idle_at_a_prompt_is_closed_with_an_error() {
    let port = port_with(|context| context.limits.prompt_timeout = SOON);
    assert_eq!(
        port.ask("prompt\n"),
        "ok\n\n> ERR no line within 0.05 s\n\n"
    );
}

#[test]
fn a_client_that_is_idle_at_a_prompt_is_evicted() {
    let port = port_with(|context| context.limits.connections = 1);
    let mut stream = open(&port, "prompt\n");
    expect(&mut stream, "ok\n\n> ");
    // The slot may become evictable only after the answer was written.
    free_again(&port);
    let last = rest(stream);
    assert_eq!(
        last,
        "ERR 1 connections are open, and you were silent longest\n\n"
    );
}

#[test]
fn a_client_that_is_owed_an_answer_at_a_prompt_is_not_evicted() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.slot_timeout = SOON;
    });
    let mut stream = open(&port, "prompt\nadd 1 hold\n");
    let call = port.held();
    assert_eq!(port.ask("rep\n"), "ERR 1 connections are open already\n\n");
    call.reply.send(Ok(Vec::new())).unwrap();
    expect(&mut stream, "ok\n\n> N 0\n\n> ");
}
