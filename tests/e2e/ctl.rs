//! `ringmaster ctl` as people and scripts run it: its output, its streams and its exit code.

mod all_nodes;
mod terminal;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Output, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use crate::support::{
    Ringmaster, TEST_TIMEOUT, end_of, program, reachable_by_remote_peers, run_to_end,
};

/// `ctl` before this balancer.
fn ctl(program: &Ringmaster, words: &[&str]) -> Output {
    let control = program.control.to_string();
    run_to_end(&[&["ctl", "--control", &control], words].concat())
}

/// Exit code, stdout and stderr.
#[track_caller]
pub(super) fn outcome(output: &Output) -> (i32, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).expect("text");
    (
        output.status.code().expect("no signal"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn the_exit_code_tells_whether_the_command_succeeded() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let cases: [(&[&str], i32, &str, &str); 9] = [
        (&["rep"], 0, "N 1\nS1\n", ""),
        (&["add", "1", "S2"], 0, "N 2\nS1\nS2\n", ""),
        (
            &["rm", "1", "S9"],
            1,
            "",
            "ERR there is no replica named S9\n",
        ),
        (&["rm", "1", "S1"], 0, "N 1\nS2\n", ""),
        (
            &["ad"],
            1,
            "",
            "ERR there is no command 'ad'; did you mean 'add'?\n",
        ),
        (&["bound; rep"], 0, "bound 0\n\nN 1\nS2\n", ""),
        (&["add 0; rep"], 1, "", "ERR n is not a positive integer\n"),
        (&["quit; rep"], 0, "bye\n", ""),
        (&["prompt"], 0, "ok\n", ""),
    ];
    for (words, code, out, errors) in cases {
        assert_eq!(
            outcome(&ctl(&program, words)),
            (code, out, errors),
            "{words:?}"
        );
    }
}

#[test]
fn json_comes_by_flag_and_by_word() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let rep = "{\"message\":{\"N\":1,\"replicas\":[\"S1\"]},\"status\":\"successful\"}\n";
    for words in [&["--json", "rep"][..], &["rep", "--json"], &["rep", "json"]] {
        assert_eq!(outcome(&ctl(&program, words)), (0, rep, ""), "{words:?}");
    }
    // A refusal is a result, too: it goes to standard output.
    let refused = ctl(&program, &["--json", "rm", "1", "S9"]);
    let (code, out, errors) = outcome(&refused);
    let failure: Value = serde_json::from_str(out).expect("JSON");
    assert_eq!((code, errors), (1, ""));
    assert_eq!(failure["message"], "<Error> there is no replica named S9");
}

#[test]
fn bad_usage_is_2_and_sends_nothing() {
    let usages: [&[&str]; 6] = [
        &["ctl"],
        &["ctl", ""],
        &["ctl", ";"],
        &["ctl", "rep\nadd 1"],
        &["ctl", "--control", "5001", "rep"],
        &["ctl", "--control-token", "a b", "rep"],
    ];
    for usage in usages {
        let output = run_to_end(usage);
        let (code, out, errors) = outcome(&output);
        assert_eq!((code, out), (2, ""), "{usage:?}");
        assert!(errors.starts_with("error: "), "{errors}");
    }
}

#[test]
fn an_unreachable_balancer_is_named_in_a_sentence() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for host in ["127.0.0.1", "0.0.0.0"] {
        let control = format!("{host}:{port}");
        let output = run_to_end(&["ctl", "--control", &control, "rep"]);
        let sentence = format!("ringmaster: nothing listens on 127.0.0.1:{port} (--control)\n");
        assert_eq!(outcome(&output), (1, "", sentence.as_str()));
    }
    let output = run_to_end(&["ctl", "--control", "absent.invalid:1", "rep"]);
    let (code, _, errors) = outcome(&output);
    assert_eq!(code, 1);
    assert!(
        errors.starts_with("ringmaster: cannot find absent.invalid:1"),
        "{errors}"
    );
    let program = Ringmaster::start(&["--replicas", "1"]);
    let output = run_to_end(&["ctl", "--control", &program.listen.to_string(), "rep"]);
    let (code, out, errors) = outcome(&output);
    assert_eq!((code, out), (1, ""));
    assert!(
        errors.contains("it answers in HTTP: is this the data port?"),
        "{errors}"
    );
}

#[test]
fn a_name_is_looked_up() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let control = format!("localhost:{}", program.control.port());
    let output = run_to_end(&["ctl", "--control", &control, "rep"]);
    assert_eq!(outcome(&output), (0, "N 1\nS1\n", ""));
}

#[test]
fn the_token_opens_and_is_never_shown() {
    let Some((balancer, ip)) = reachable_by_remote_peers(&["--control-token", "s3cret"]) else {
        return;
    };
    let control = format!("{ip}:{}", balancer.control.port());
    let ask = |token: &str| {
        let mut command = program();
        command
            .env("RINGMASTER_CONTROL", &control)
            .env("RINGMASTER_CONTROL_TOKEN", token);
        end_of(command.args(["ctl", "rep"]))
    };
    assert_eq!(outcome(&ask("s3cret")), (0, "N 1\nS1\n", ""));
    let refusal =
        format!("ERR /rep is for local peers or a bearer token, you are {ip} without one\n");
    assert_eq!(outcome(&ask("")), (1, "", refusal.as_str()));
    let wrong = format!("ERR the token is wrong\n{refusal}");
    assert_eq!(outcome(&ask("0ther")), (1, "", wrong.as_str()));
    // This balancer needs no token, and has none to compare it with.
    let other = Ringmaster::start(&["--replicas", "1"]);
    let output = ctl(&other, &["--control-token", "s3cret", "rep"]);
    assert_eq!(outcome(&output), (0, "N 1\nS1\n", ""));
    assert!(!balancer.log().contains("s3cret") && !other.log().contains("s3cret"));
}

#[test]
fn lines_are_shown_as_they_come() {
    // The pieces that are sent, and the lines that are shown after each. The third answer never
    // ends.
    const PIECES: [(&str, &[&str]); 3] = [
        ("one\n", &["one"]),
        ("two\n\nthr", &["two"]),
        ("ee\n", &["", "three"]),
    ];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let control = listener.local_addr().unwrap().to_string();
    let (go_on, may_go_on) = mpsc::channel();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        for (piece, _) in PIECES {
            stream.write_all(piece.as_bytes()).unwrap();
            may_go_on.recv_timeout(TEST_TIMEOUT).expect("a word");
        }
        line
    });
    let mut child = program()
        .args(["ctl", "--control", &control, "events", "-w"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    for (_, shown) in PIECES {
        for line in shown {
            assert_eq!(lines.next().expect("a line").unwrap(), *line);
        }
        go_on.send(()).unwrap();
    }
    assert_eq!(server.join().unwrap(), "events -w\n");
    let output = child.wait_with_output().expect("its end");
    let sentence =
        format!("ringmaster: {control} closed the connection before its answer was whole\n");
    assert_eq!(outcome(&output), (1, "", sentence.as_str()));
}

#[test]
fn a_stream_that_the_balancer_ends_was_broken_off() {
    let balancer = Ringmaster::start(&["--replicas", "1"]);
    let control = balancer.control.to_string();
    let mut children = Vec::new();
    for words in [["watch", "60"], ["events", "-w"]] {
        let mut child = program()
            .args(["ctl", "--control", &control])
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        lines.next().expect("a line").unwrap();
        children.push((child, lines));
    }
    assert!(balancer.stop().success());
    for (mut child, lines) in children {
        lines.for_each(|line| drop(line.unwrap()));
        assert_eq!(child.wait().expect("its end").code(), Some(1));
    }
}
