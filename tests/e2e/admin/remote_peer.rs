//! A remote peer: another host as far as the network can tell. It is a network namespace at the
//! other end of a virtual cable. Every path asks it for the token, except the paths that are open
//! to all.

use std::process::Command;

use serde_json::Value;

use crate::support::{Message, RemoteHost, Ringmaster, TEST_TIMEOUT, end_of, eventually};

impl RemoteHost {
    /// Sends `bytes` to the control port from there, and reads to the close.
    #[track_caller]
    fn ask(&self, program: &Ringmaster, bytes: &str) -> String {
        let script = "exec 3<>/dev/tcp/$0/$1; printf %s \"$2\" >&3; cat <&3";
        let port = program.control.port().to_string();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, "bash", "-c", script]);
        let output = end_of(command.args([&self.here, &port, bytes]));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    #[track_caller]
    fn http(&self, program: &Ringmaster, line: &str, fields: &str, body: &str) -> Message {
        let length = body.len();
        let host = format!("Host: {}\r\nConnection: close\r\n{fields}", self.here);
        let request = format!("{line} HTTP/1.1\r\n{host}Content-Length: {length}\r\n\r\n{body}");
        let answer = self.ask(program, &request);
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        Message {
            head: head.to_owned(),
            body: body.as_bytes().to_vec(),
        }
    }
}

/// Requests that the token opens, each that changes something with a body that does so.
const ASKED: [(&str, &str); 12] = [
    ("GET /rep", ""),
    ("GET /ring", ""),
    ("GET /bound", ""),
    ("GET /where/1", ""),
    ("GET /where?key=1", ""),
    ("GET /plan?add=1", ""),
    ("GET /events", ""),
    ("GET /events?since=1", ""),
    ("POST /add", r#"{"n":1}"#),
    ("DELETE /rm", r#"{"n":1}"#),
    ("POST /ring", r#"{"ring":"classic"}"#),
    ("POST /bound", r#"{"bound":2}"#),
];

/// Every method and path that is described, with the key 1 or the name 1 where one belongs, and
/// whether it is for all.
#[track_caller]
fn described(openapi: &Message) -> Vec<(String, bool)> {
    let all: Value = serde_json::from_slice(&openapi.body).expect("JSON");
    let mut lines = Vec::new();
    for (path, item) in all["paths"].as_object().expect("paths") {
        let pieces = path.split('/').map(|piece| match piece.starts_with('{') {
            true => "1",
            false => piece,
        });
        let path = pieces.collect::<Vec<_>>().join("/");
        for (method, operation) in item.as_object().expect("methods") {
            let for_all = operation["security"] == serde_json::json!([]);
            lines.push((format!("{} {path}", method.to_uppercase()), for_all));
        }
    }
    lines
}

#[test]
fn a_peer_of_another_host_is_asked_for_the_token() {
    let elsewhere = match RemoteHost::make() {
        Ok(elsewhere) => elsewhere,
        Err(reason) => return eprintln!("SKIPPED: no network namespace: {reason}"),
    };
    let from = &elsewhere.there;
    let open = ["--control", "0.0.0.0:0", "--replicas", "1"];
    let program = Ringmaster::start(&open);
    let before = program.command("ring");
    let sentence = format!(" is for local peers, you are {from}; set --control-token");
    let paths = described(&elsewhere.http(&program, "GET /openapi.json", "", ""));
    assert!(ASKED.iter().all(|(line, _)| {
        let path = line.split([' ', '?']).nth(1).unwrap_or_default();
        paths
            .iter()
            .any(|(known, _)| known.ends_with(&format!(" {path}")))
    }));
    for (line, for_all) in paths {
        let answer = elsewhere.http(&program, &line, "", "");
        match for_all {
            // A file of the dashboard of that name there is none.
            true if line.ends_with("/1") => assert_eq!(answer.status(), 404, "{line}"),
            true => assert_eq!(answer.status(), 200, "{line}"),
            false => {
                assert_eq!(answer.status(), 403, "{line}");
                assert!(
                    answer.text().contains(&sentence),
                    "{line}: {}",
                    answer.text()
                );
            }
        }
    }
    let denied = format!("ERR /rep is for local peers, you are {from}; set --control-token\n\n");
    assert_eq!(
        elsewhere.ask(&program, "prompt\nrep\nquit\n"),
        format!("ok\n\n> {denied}> bye\n\n")
    );
    assert_eq!(
        (program.command("ring"), program.rep()),
        (before, vec!["S1".to_owned()])
    );
    drop(program);

    let program = Ringmaster::start(&[&open[..], &["--control-token", "s3cret"]].concat());
    for (line, body) in ASKED {
        for (fields, status) in [
            ("", 403),
            ("Authorization: Bearer guess\r\n", 403),
            ("Authorization: Basic s3cret\r\n", 403),
            ("Authorization: Bearer s3cret\r\n", 200),
        ] {
            // Wrong tokens in a row are answered with 429, and how soon depends on the machine.
            let mut answer = elsewhere.http(&program, line, fields, body);
            eventually(TEST_TIMEOUT, "a verdict on the token", || {
                let early = answer.status() == 429;
                if early {
                    answer = elsewhere.http(&program, line, fields, body);
                }
                !early
            });
            assert_eq!(
                answer.status(),
                status,
                "{line} {fields}: {}",
                answer.text()
            );
        }
    }
    let answer = elsewhere.ask(&program, "auth s3cret; bound 1.5\n");
    assert_eq!(answer, "ok\n\nbound 1.5\n\n");
    // The log names the peer of every change.
    for order in [
        "/add n=1",
        "/rm n=1",
        "ring set classic",
        "bound 2",
        "bound 1.5",
    ] {
        let expected = |line: &str| line.contains(&format!(" order {order} from {from}:"));
        assert!(
            program.log().lines().any(expected),
            "{order}: {}",
            program.log()
        );
    }
    assert!(!program.log().contains("s3cret"));
}
