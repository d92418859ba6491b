//! SIGHUP, which never ends the program, and two signals that are one.

use crate::support::{
    Backend, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, fresh_path, stands_still,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_hangup_never_ends_the_program() {
    let backend = Backend::answering(OK);
    let file = fresh_path("access");
    let path = file.to_str().expect("UTF-8");
    let cases: [(&[&str], &str); 3] = [
        (&[], "there is no access-log file to reopen"),
        (
            &["--access-log", "-"],
            "there is no access-log file to reopen",
        ),
        (&["--access-log", path], "was reopened"),
    ];
    for (args, line) in cases {
        let program = Ringmaster::before(backend.addr, args);
        for nth in 1..=3 {
            program.signal(Signal::HUP);
            eventually(TEST_TIMEOUT, line, || {
                program.log().matches(line).count() == nth
            });
        }
        assert_eq!(exchange(program.listen, GET).text(), "ok");
        assert!(program.stop().success(), "{args:?}");
    }
    std::fs::remove_file(file).expect("a file less");
}

#[test]
fn two_signals_at_once_are_one() {
    let backend = Backend::answering(OK);
    for both in [[Signal::TERM, Signal::INT], [Signal::TERM, Signal::TERM]] {
        let mut program = Ringmaster::before(backend.addr, &["--drain-timeout", "60s"]);
        let mut client = program.client();
        let (begin, rest) = GET.split_at(10);
        client.send(begin);
        // The head has been begun once a request after it is served by the same worker, and both
        // are.
        for _ in 0..8 {
            assert_eq!(exchange(program.listen, GET).status(), 200);
        }
        // They come at the same moment, when it goes on.
        program.signal(Signal::STOP);
        eventually(TEST_TIMEOUT, "it stands still", || {
            stands_still(program.pid())
        });
        both.into_iter().for_each(|word| program.signal(word));
        program.signal(Signal::CONT);
        program.expect_log("draining");
        client.send(rest);
        assert_eq!(client.reply().text(), "ok", "{both:?}");
        assert_eq!(
            program.wait().code(),
            Some(0),
            "{both:?}: {}",
            program.log()
        );
    }
}
