//! A client that leaves while its replica is silent has ended its request itself.

use super::{Log, expect};
use crate::support::{Backend, Ringmaster, TEST_TIMEOUT, eventually};

#[test]
fn a_client_that_leaves_before_or_amid_the_reply_has_ended_the_request() {
    let log = Log::new();
    let backend = Backend::scripted(|mut conversation| {
        let request = conversation.request()?;
        if request.start_line().starts_with("GET /silent ") {
            let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
            conversation.wire.write(begun)?;
        }
        conversation.wire.rest().map(drop)
    });
    let args = ["--access-log", log.path(), "--half-close-grace", "50ms"];
    let program = Ringmaster::before(backend.addr, &args);
    let mut asked = 0;
    for (path, status) in [("/none", "-"), ("/silent", "200")] {
        for resets in [true, false] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
            let mut client = program.client_after(request);
            if status == "200" {
                client.take(1);
            }
            asked += 1;
            eventually(TEST_TIMEOUT, "the backend has it", || {
                backend.requests().len() == asked
            });
            if resets {
                client.reset();
            } else {
                drop(client);
            }
            let line = log.expect(asked).pop().expect("a line");
            let expected = [("path", path), ("status", status), ("seat", "1")];
            expect(&line, &expected);
            expect(&line, &[("ended", "client")]);
        }
    }
}
