//! Access log lines of requests that the balancer cuts off when it stops. Each line tells the phase
//! of the request, the bytes sent so far, and that the balancer ended it.

use std::io;

use serde_json::Value;

use super::{ASK, Line, Log, OK, expect};
use crate::support::{Backend, Client, Conversation, Ringmaster, Signal, TEST_TIMEOUT, eventually};

/// The head of a reply of which more is announced than will come.
const LONG: &str = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: 100000000\r\n\r\n";
/// Number of bytes of that body that are sent.
const PART: usize = 3_000_000;

/// Answers by the path: never; with a part of a body; with a tunnel that sends back what it gets.
fn unfinished(mut conversation: Conversation) -> io::Result<()> {
    loop {
        let request = conversation.head()?;
        match request.start_line().split(' ').nth(1) {
            Some("/never" | "/upload") => break,
            Some("/half") => {
                conversation.wire.write(LONG)?;
                conversation.wire.write(vec![b'x'; PART])?;
                break;
            }
            Some("/tunnel") => {
                let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
                conversation.wire.write(switch)?;
                let bytes = conversation.wire.take(7)?;
                conversation.wire.write(bytes)?;
                break;
            }
            _ => conversation.wire.write(OK)?,
        }
    }
    // Until it is cut off, however.
    let _ = conversation.wire.rest();
    Ok(())
}

/// Clients whose requests do not end by themselves, and the expected fields of their lines.
struct UnderWay {
    clients: Vec<Client>,
    lines: Vec<[(&'static str, String); 5]>,
}

impl UnderWay {
    #[track_caller]
    fn begin(program: &Ringmaster, backend: &Backend) -> Self {
        let fields = "Host: a\r\nX-Request-ID: 5\r\n";
        let row = |path: &str, status: &str, from: usize, to: usize| {
            [
                ("path", path.to_owned()),
                ("status", status.to_owned()),
                ("seat", "1".to_owned()),
                ("from_client", from.to_string()),
                ("to_client", to.to_string()),
            ]
        };
        // A kept connection: its first request is through and has a line of its own.
        let never = format!("GET /never HTTP/1.1\r\n{fields}\r\n");
        let mut waiting = program.client();
        assert_eq!(waiting.ask(ASK).status(), 200);
        waiting.send(&never);

        let half = format!("GET /half HTTP/1.1\r\n{fields}\r\n");
        let mut reading = program.client_after(&half);
        // The balancer adds fields to the head.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(reading.take(1));
        }
        reading.take(PART);

        let upload = format!("POST /upload HTTP/1.1\r\n{fields}Content-Length: 100000000\r\n\r\n");
        let mut sending = program.client_after(&upload);
        sending.send(vec![b'y'; PART]);

        let tunnel =
            format!("GET /tunnel HTTP/1.1\r\n{fields}Connection: upgrade\r\nUpgrade: echo\r\n\r\n");
        let mut talking = program.client_after(&tunnel);
        let mut switch = Vec::new();
        while !switch.ends_with(b"\r\n\r\n") {
            switch.extend(talking.take(1));
        }
        talking.send("1234567");
        assert_eq!(talking.take(7), b"1234567");

        eventually(TEST_TIMEOUT, "all requests at the backend", || {
            backend.requests().len() == 5
        });
        let sent = [
            never.len(),
            half.len(),
            upload.len() + PART,
            tunnel.len() + 7,
        ];
        let all = ASK.len() + sent.iter().sum::<usize>();
        eventually(
            TEST_TIMEOUT,
            "all that was sent, passed on and counted",
            || {
                let stats: Value =
                    serde_json::from_str(&program.command("stats json")).expect("JSON");
                stats["message"]["totals"]["bytes_from_client"] == all
            },
        );
        Self {
            clients: vec![waiting, reading, sending, talking],
            lines: vec![
                row("/never", "-", sent[0], 0),
                row("/half", "200", sent[1], head.len() + PART),
                row("/upload", "-", sent[2], 0),
                row("/tunnel", "101", sent[3], switch.len() + 7),
            ],
        }
    }

    /// Each has its line, and none has two.
    #[track_caller]
    fn expect(&self, log: &Log) {
        let lines = log.expect(self.lines.len() + 1);
        for wanted in &self.lines {
            let path = &wanted[0].1;
            let found: Vec<&Line> = lines.iter().filter(|line| line["path"] == *path).collect();
            let [line] = found[..] else {
                panic!("{path}: {lines:?}")
            };
            for (name, value) in wanted {
                expect(line, &[(name, value)]);
            }
            expect(line, &[("key", "5"), ("way", "home"), ("ended", "us")]);
        }
    }
}

#[test]
fn the_end_of_the_drain_timeout() {
    let (log, backend) = (Log::new(), Backend::scripted(unfinished));
    let args = ["--access-log", log.path(), "--drain-timeout", "100ms"];
    let mut program = Ringmaster::before(backend.addr, &args);
    let under_way = UnderWay::begin(&program, &backend);
    program.signal(Signal::TERM);
    assert!(program.wait().success());
    under_way.expect(&log);
    program.expect_log("the drain timeout is over");
}

#[test]
fn a_second_signal() {
    let (log, backend) = (Log::new(), Backend::scripted(unfinished));
    let args = ["--access-log", log.path(), "--drain-timeout", "1h"];
    let mut program = Ringmaster::before(backend.addr, &args);
    let mut under_way = UnderWay::begin(&program, &backend);
    program.signal(Signal::TERM);
    program.expect_log("draining");
    program.signal_again(Signal::INT);
    assert_eq!(program.wait().code(), Some(1));
    under_way.expect(&log);
    // The client whose request got no reply is closed, too.
    under_way.clients.drain(..1).for_each(|mut client| {
        client.expect_closed();
    });
}

#[test]
fn a_connection_that_is_balanced_whole() {
    let backend = Backend::scripted(|mut conversation| {
        conversation.wire.write("hello")?;
        let bytes = conversation.wire.take(3)?;
        conversation.wire.write(bytes)?;
        conversation.wire.rest().map(|_| ())
    });
    for (balance, words) in [("source", "abc"), ("connection", ASK)] {
        let log = Log::new();
        let args = ["--access-log", log.path(), "--balance", balance];
        let args = [&args[..], &["--drain-timeout", "100ms"]].concat();
        let mut program = Ringmaster::before(backend.addr, &args);
        let mut client = program.client_after(words);
        assert_eq!(client.take(5), b"hello");
        assert_eq!(client.take(3), &words.as_bytes()[..3]);
        program.signal(Signal::TERM);
        assert!(program.wait().success());
        let line = log.expect(1).remove(0);
        let sent = words.len().to_string();
        expect(&line, &[("seat", "1"), ("from_client", &sent)]);
        expect(&line, &[("to_client", "8"), ("ended", "us")]);
    }
}

#[test]
fn a_client_that_reads_no_more() {
    const LEN: usize = 64 * 1024 * 1024;
    let backend = Backend::scripted(|mut conversation| {
        conversation.request()?;
        let head = format!("HTTP/1.1 200 OK\r\nDate: x\r\nContent-Length: {LEN}\r\n\r\n");
        conversation.wire.write(head)?;
        conversation.wire.write(vec![b'x'; LEN])
    });
    let log = Log::new();
    let args = ["--access-log", log.path(), "--drain-timeout", "100ms"];
    let mut program = Ringmaster::before(backend.addr, &args);
    let mut client = program.client_after(ASK);
    let mut got = client.take(1_000_000).len();
    program.signal(Signal::TERM);
    assert!(program.wait().success());
    // Bytes in flight still arrive, and the line counts every one of them.
    got += client.rest().len();
    assert!(got < LEN, "{got}");
    let line = log.expect(1).remove(0);
    expect(&line, &[("status", "200"), ("to_client", &got.to_string())]);
    expect(&line, &[("seat", "1"), ("ended", "us")]);
}
