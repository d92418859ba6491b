//! Streams of the text protocol: `events -w` and `watch`.

use std::io::{BufRead, BufReader};

use super::prompt::{expect, free_again, open};
use super::*;

/// Returns the line of the n-th event.
fn event(n: u32) -> String {
    format!("{n}     1970-01-01T00:00:00.00{n}Z seat {n}   joined    S{n}         {n}/3 up\n")
}

/// Reads an answer, or one piece of a stream, to its empty line.
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
        // The second write after the close fails.
        until("a slot is free", || {
            record_join(&port.journal, 3, "");
            port.ask("rep\n").starts_with("N 3").then_some(())
        });
    }
}

#[test]
fn new_events_are_sent_at_once_in_either_form() {
    let port = port();
    let mut text = open(&port, "events -w 2\n");
    let mut json = open(&port, "events -w 2 json\n");
    for n in 3..6 {
        record_join(&port.journal, n, "x\ny");
        let line = event(n).replace('\n', "  x\\u000ay\n");
        expect(&mut text, &line);
        let list = port.ask(format!("events {} json\n", n - 1));
        let value = list
            .trim_end()
            .trim_start_matches('[')
            .trim_end_matches(']');
        expect(&mut json, &format!("{value}\n"));
    }
}

#[test]
fn a_half_close_ends_no_stream_and_further_input_is_discarded() {
    let port = port();
    let mut stream = open(&port, "events -w\nrep\nadd 1 S9\n");
    stream.shutdown(Half::Write).unwrap();
    expect(&mut stream, &EVENTS[..EVENTS.len() - 1]);
    record_join(&port.journal, 3, "");
    expect(&mut stream, &event(3));
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn a_reset_by_the_client_is_noticed_at_once() {
    for (line, noise) in [("events -w 2\n", 0), ("events -w 2\n", 4096)] {
        let port = port_with(|context| {
            context.limits.connections = 1;
            context.limits.discard_bytes = 1;
        });
        let mut stream = open(&port, line);
        stream.write_all(&vec![b'x'; noise]).unwrap();
        record_join(&port.journal, 3, "");
        expect(&mut stream, &event(3));
        if noise == 0 {
            stream.shutdown(Half::Write).unwrap();
        }
        // A reset, as the kernel sends it for a client that is gone.
        let socket = socket2::SockRef::from(&stream);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        // No further event is recorded.
        free_again(&port);
    }
}

#[test]
fn a_stream_discards_input_up_to_a_limit() {
    let port = port_with(|context| context.limits.discard_bytes = 1);
    let mut stream = open(&port, "events -w 2\n");
    // Further input stays in the buffers of the kernel.
    let noise = vec![b'x'; 64 * 1024];
    stream.set_write_timeout(Some(SOON)).unwrap();
    let full = (0..1000).find_map(|_| stream.write_all(&noise).err());
    assert!(full.is_some(), "all was read");
    record_join(&port.journal, 3, "");
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
    // Recorded events are written before the next line is read.
    stream.write_all(b"events -w 1\nbound\n").unwrap();
    expect(&mut stream, &event(2));
    expect(&mut stream, "> bound 0\n\n> ");
}

#[test]
fn a_stream_above_the_limit_is_refused_and_commands_are_served() {
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
        record_join(&port.journal, 3, "");
        let mut stream = open(&port, "events -w 1\n");
        let mut first = [0; 3];
        stream.read_exact(&mut first).unwrap();
        (&first != b"ERR").then_some(())
    });
}

#[test]
fn watch_repeats_the_statistics() {
    let port = port();
    let mut text = open(&port, "watch 0.1\n");
    let mut json = BufReader::new(open(&port, "watch 0.1 json\n"));
    let once = port.ask("stats\n");
    for _ in 0..3 {
        let stats = answer(&mut text);
        assert_eq!(stats.lines().count(), once.lines().count(), "{stats}");
        assert_eq!(stats.lines().next(), once.lines().next());
        let mut line = String::new();
        json.read_line(&mut line).unwrap();
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"]["seats"][0]["requests"], 4);
    }
}

#[test]
fn at_a_prompt_the_next_line_ends_a_watch_with_a_long_interval() {
    let port = port();
    let mut stream = open(&port, "prompt\nwatch 3600\n");
    expect(&mut stream, "ok\n\n> ");
    assert!(answer(&mut stream).starts_with("N 2 wanted 3 up 1 standby 1\n"));
    stream.write_all(b"quit\n").unwrap();
    assert_eq!(rest(stream), "> bye\n\n");
}

#[test]
fn a_stream_to_a_slow_reader_is_closed() {
    let port = port_with(|context| {
        context.limits.connections = 1;
        context.limits.write_timeout = SOON;
    });
    let _stream = open(&port, "events -w\n");
    let long = "x".repeat(1024 * 1024);
    (3..19).for_each(|n| record_join(&port.journal, n, &long));
    free_again(&port);
}

#[test]
fn prompts_and_streams_do_not_delay_shutdown() {
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
fn a_remote_client_cannot_follow_events_without_the_token() {
    let denied = "ERR /events is for local peers, you are 192.168.65.1; set --control-token\n\n";
    assert_eq!(ask_as("192.168.65.1", None, "events -w\n"), denied);
}
