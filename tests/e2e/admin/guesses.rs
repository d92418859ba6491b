//! Wrong tokens: after a few from one address the next request with a token is refused for a
//! moment.

use super::{failure, request};
use crate::support::{Client, Ringmaster, TEST_TIMEOUT, eventually, exchange};

const TOO_MANY: &str = "too many wrong tokens from 127.0.0.1; wait 1 s";

/// An order that comes as far as the checks of its body, once its token is right.
fn order(token: &str) -> String {
    let fields = format!("Origin: null\r\nAuthorization: Bearer {token}\r\n");
    request("POST /add", &fields, "{}")
}

#[test]
fn wrong_tokens_are_slowed_down_on_both_ports_together() {
    let program = Ringmaster::start(&["--replicas", "1", "--control-token", "s3cret"]);
    for (at, other) in [
        (program.listen, program.control),
        (program.control, program.listen),
    ] {
        let mut shown = 0;
        eventually(TEST_TIMEOUT, "it is refused", || {
            shown += 1;
            let reply = exchange(at, order("wrong"));
            if reply.status() == 429 {
                assert_eq!(reply.field("retry-after"), Some("1"));
                assert_eq!(reply.text().trim_end(), failure(TOO_MANY));
            }
            reply.status() == 429
        });
        println!("refused after {shown}");
        // Requests that need no token are not affected, on either port.
        for port in [at, other] {
            let rep = "GET /rep HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer wrong\r\n\r\n";
            assert_eq!(exchange(port, rep).status(), 200);
        }
        // The right one does not count either, and does a moment later.
        eventually(TEST_TIMEOUT, "the right one passes", || {
            let reply = exchange(other, order("s3cret"));
            assert!([400, 429].contains(&reply.status()), "{}", reply.head);
            reply.status() == 400
        });
    }
    let log = program.log();
    assert!(log.contains("127.0.0.1 showed a wrong token"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn a_wrong_token_in_text_gets_a_sentence() {
    let program = Ringmaster::start(&["--replicas", "1", "--control-token", "s3cret"]);
    let mut client = Client::connect(program.control);
    client.send(format!("{}auth s3cret\n", "auth no; ".repeat(40)));
    let answer = String::from_utf8(client.rest()).expect("UTF-8");
    let wrong = answer.matches("ERR the token is wrong\n\n").count();
    let refused = answer.matches(&format!("ERR {TOO_MANY}\n\n")).count();
    assert!(
        wrong >= 10 && refused > 0 && wrong + refused >= 40,
        "{answer}"
    );
    eventually(TEST_TIMEOUT, "the right one passes", || {
        program.command("auth s3cret; bound 2") == "ok\n\nbound 2\n\n"
    });
}
