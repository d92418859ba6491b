//! Connections that stay open in text: `prompt`, and streams that go on until the client leaves.

use std::io::{BufRead, BufReader};

use super::*;

/// Reads exactly `expected`.
#[track_caller]
fn expect(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

fn open(port: &Fixture, line: &str) -> TcpStream {
    let mut stream = port.connect();
    stream.write_all(line.as_bytes()).unwrap();
    stream
}

/// The line of the n-th event.
fn event(n: u32) -> String {
    format!("{n}     1970-01-01T00:00:00.00{n}Z seat {n}   joined    S{n}         {n}/3 up\n")
}

fn free_again(port: &Fixture) {
    until("the place is free", || {
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
        "> > ERR there is no command 'bogus'; try 'help'\n\nbound 0\n\n> ",
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
fn lines_sent_ahead_are_each_answered_and_the_end_of_input_ends_it() {
    let port = port();
    let answer = port.ask_and_half_close("rep; prompt\nbound\n;\nrep json");
    let blank = "ERR line is empty; try 'help'\n\n";
    let expected = format!("N 3\nS1\nS2\nS3\n\nok\n\n> bound 0\n\n> {blank}> {REP}\n\n> ");
    assert_eq!(answer, expected);
}

#[test]
fn a_token_holds_for_the_lines_after_it() {
    let said = ask_as(
        "192.168.65.1",
        Some("s3cret"),
        "prompt\nauth s3cret\nbound\nquit\n",
    );
    assert_eq!(said, "ok\n\n> ok\n\n> bound 0\n\n> bye\n\n");
}

#[test]
fn a_line_at_a_prompt_may_have_64_kib_and_no_byte_more() {
    let port = port();
    let line = |length: usize| format!("prompt\nrep{}\nquit\n", " ".repeat(length - 3));
    let answer = port.ask(line(65536));
    assert_eq!(answer, "ok\n\n> N 3\nS1\nS2\nS3\n\n> bye\n\n");
    let answer = port.ask(line(65537));
    assert_eq!(answer, "ok\n\n> ERR line is longer than 65536 bytes\n\n");
}

#[test]
fn who_says_nothing_at_a_prompt_is_told_and_left() {
    let port = port_with(|context| context.limits.prompt_timeout = SOON);
    assert_eq!(
        port.ask("prompt\n"),
        "ok\n\n> ERR no line within 0.05 s\n\n"
    );
}

#[test]
fn who_waits_at_a_prompt_makes_room() {
    let port = port_with(|context| context.limits.connections = 1);
    let mut stream = open(&port, "prompt\n");
    expect(&mut stream, "ok\n\n> ");
    // One who has just been answered may not be silent yet.
    free_again(&port);
    let said = rest(stream);
    assert_eq!(
        said,
        "ERR 1 connections are open, and you were silent longest\n\n"
    );
}

#[test]
fn who_is_being_answered_at_a_prompt_does_not_make_room() {
    let port = port_with(|context| context.limits.connections = 1);
    let mut stream = open(&port, "prompt\nadd 1 hold\n");
    let call = port.held();
    assert_eq!(port.ask("rep\n"), "ERR 1 connections are open already\n\n");
    call.reply.send(Ok(Vec::new())).unwrap();
    expect(&mut stream, "ok\n\n> N 0\n\n> ");
}

#[test]
fn events_are_followed_until_the_client_leaves() {
    for (line, first) in [
        ("events -w\n", 1),
        ("events -w 1\n", 2),
        ("rep; events -w 9\n", 1),
    ] {
        let port = port_with(|context| context.limits.connections = 1);
        let mut stream = open(&port, line);
        if line.starts_with("rep") {
            expect(&mut stream, "N 3\nS1\nS2\nS3\n\n");
        }
        (first..=2).for_each(|n| expect(&mut stream, &event(n)));
        drop(stream);
        // The next event but one that nobody reads tells it.
        until("the place is free", || {
            happen(&port.journal, 3, "");
            port.ask("rep\n").starts_with("N 3").then_some(())
        });
    }
}

#[test]
fn what_happens_is_told_as_it_happens_in_either_form() {
    let port = port();
    let mut text = open(&port, "events -w 2\n");
    let mut json = open(&port, "events -w 2 json\n");
    for n in 3..6 {
        happen(&port.journal, n, "x\ny");
        let line = event(n).replace('\n', "  x\\u000ay\n");
        expect(&mut text, &line);
        let told = port.ask(format!("events {} json\n", n - 1));
        let value = told
            .trim_end()
            .trim_start_matches('[')
            .trim_end_matches(']');
        expect(&mut json, &format!("{value}\n"));
    }
}

#[test]
fn an_ended_input_ends_no_stream_and_further_input_is_dropped() {
    let port = port();
    let mut stream = open(&port, "events -w\nrep\nadd 1 S9\n");
    stream.shutdown(Half::Write).unwrap();
    expect(&mut stream, &EVENTS[..EVENTS.len() - 1]);
    happen(&port.journal, 3, "");
    expect(&mut stream, &event(3));
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn a_client_that_breaks_off_after_its_input_is_noticed_at_once() {
    for (line, noise) in [("events -w 2\n", 0), ("events -w 2\n", 4096)] {
        let port = port_with(|context| {
            context.limits.connections = 1;
            context.limits.discard_bytes = 1;
        });
        let mut stream = open(&port, line);
        stream.write_all(&vec![b'x'; noise]).unwrap();
        happen(&port.journal, 3, "");
        expect(&mut stream, &event(3));
        if noise == 0 {
            stream.shutdown(Half::Write).unwrap();
        }
        // A reset, as the kernel sends it for a client who is gone.
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        // No event happens any more.
        free_again(&port);
    }
}

#[test]
fn a_stream_listens_to_noise_up_to_a_limit() {
    let port = port_with(|context| context.limits.discard_bytes = 1);
    let mut stream = open(&port, "events -w 2\n");
    // The rest stays in the buffers of the system, for ever.
    let noise = vec![b'x'; 64 * 1024];
    stream.set_write_timeout(Some(SOON)).unwrap();
    let full = (0..1000).find_map(|_| stream.write_all(&noise).err());
    assert!(full.is_some(), "all was read");
    happen(&port.journal, 3, "");
    expect(&mut stream, &event(3));
}

#[test]
fn at_a_prompt_the_next_line_ends_a_stream() {
    let port = port();
    let mut stream = open(&port, "prompt\n");
    expect(&mut stream, "ok\n\n> ");
    stream.write_all(b"events -w 1\n").unwrap();
    expect(&mut stream, &event(2));
    stream.write_all(b"\n").unwrap();
    expect(&mut stream, "> ");
    // What is there is told before the next line is looked at.
    stream.write_all(b"events -w 1\nbound\n").unwrap();
    expect(&mut stream, &event(2));
    expect(&mut stream, "> bound 0\n\n> ");
}

#[test]
fn one_stream_too_many_is_told_so_and_commands_are_served() {
    let port = port_with(|context| context.limits.streams = 2);
    let mut streams = [open(&port, "events -w 1\n"), open(&port, "events -w 1\n")];
    streams
        .iter_mut()
        .for_each(|stream| expect(stream, &event(2)));
    let sentence = "bound 0\n\nERR 2 streams are open already\n\n";
    assert_eq!(port.ask("bound; events -w\n"), sentence);
    assert!(port.ask("rep\n").starts_with("N 3"));
    drop(streams);
    until("a stream may begin", || {
        happen(&port.journal, 3, "");
        let mut stream = open(&port, "events -w 1\n");
        let mut first = [0; 3];
        stream.read_exact(&mut first).unwrap();
        (&first != b"ERR").then_some(())
    });
}

/// Reads an answer, or what stands for one in a stream, to its empty line.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\n\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn watch_tells_the_statistics_again_and_again() {
    let port = port();
    let mut text = open(&port, "watch 0.1\n");
    let mut json = BufReader::new(open(&port, "watch 0.1 json\n"));
    let once = port.ask("stats\n");
    for _ in 0..3 {
        let told = answer(&mut text);
        assert_eq!(told.lines().count(), once.lines().count(), "{told}");
        assert_eq!(told.lines().next(), once.lines().next());
        let mut line = String::new();
        json.read_line(&mut line).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"]["seats"][0]["requests"], 4);
    }
}

#[test]
fn at_a_prompt_the_next_line_ends_a_watch_however_long_its_pause() {
    let port = port();
    let mut stream = open(&port, "prompt\nwatch 3600\n");
    expect(&mut stream, "ok\n\n> ");
    assert!(answer(&mut stream).starts_with("N 2 wanted 3 up 1 standby 1\n"));
    stream.write_all(b"quit\n").unwrap();
    assert_eq!(rest(stream), "> bye\n\n");
}

#[test]
fn a_slow_reader_of_a_stream_is_cut() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.write_timeout = SOON;
    });
    let _stream = open(&port, "events -w\n");
    let long = "x".repeat(1024 * 1024);
    (3..19).for_each(|n| happen(&port.journal, n, &long));
    free_again(&port);
}

#[test]
fn prompts_and_streams_do_not_delay_the_end() {
    let mut port = port();
    let mut prompt = open(&port, "prompt\n");
    expect(&mut prompt, "ok\n\n> ");
    let mut stream = open(&port, "events -w 1\n");
    expect(&mut stream, &event(2));
    let took = port.stop();
    assert!(took < Duration::from_millis(500), "{took:?}");
    assert_eq!((rest(prompt), rest(stream)), (String::new(), String::new()));
}

#[test]
fn a_stranger_follows_nothing_without_the_token() {
    let denied = "ERR /events is for local peers, you are 192.168.65.1; set --control-token\n\n";
    assert_eq!(ask_as("192.168.65.1", None, "events -w\n"), denied);
}
