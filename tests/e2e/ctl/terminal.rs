//! The output of `ctl` on a terminal, which script(1) makes, and in a pipe: colours, and `watch` in
//! place.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::support::{Ringmaster, TEST_TIMEOUT, end_of, eventually, program};

#[test]
fn colours_are_for_terminals() {
    let balancer = Ringmaster::start(&["--replicas", "1"]);
    let binary = program().get_program().to_owned();
    let line = format!(
        "{} ctl --control {} rep",
        binary.display(),
        balancer.control
    );
    let on_a_terminal = |variables: &[(&str, &str)]| {
        let mut command = Command::new("script");
        command
            .args(["-qec", &line, "/dev/null"])
            .env_remove("NO_COLOR");
        command.envs(variables.iter().copied());
        let output = end_of(&mut command);
        String::from_utf8(output.stdout)
            .expect("text")
            .replace('\r', "")
    };
    if Command::new("script").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no script(1), which makes a terminal");
    }
    let coloured = on_a_terminal(&[("TERM", "xterm")]);
    assert_eq!(coloured, "\u{1b}[1mN\u{1b}[0m 1\nS1\n");
    let plain = on_a_terminal(&[("TERM", "xterm"), ("NO_COLOR", "1")]);
    assert_eq!(plain, "N 1\nS1\n");
}

#[test]
fn watch_redraws_in_place_on_a_terminal_and_ctrl_c_leaves_the_last_answer() {
    if Command::new("script").arg("--version").output().is_err() {
        return eprintln!("SKIPPED: there is no script(1), which makes a terminal");
    }
    let balancer = Ringmaster::start(&["--replicas", "1"]);
    let binary = program().get_program().to_owned();
    // A background job of a shell ignores Ctrl-C, and its children inherit that.
    let line = format!(
        "stty cols 40 rows 9; exec env --default-signal=INT {} ctl --control {} 'rep; watch 0.1'",
        binary.display(),
        balancer.control
    );
    let mut terminal = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .envs([("TERM", "xterm"), ("NO_COLOR", "1")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script");
    let mut screen = BufReader::new(terminal.stdout.take().expect("a pipe"));
    let (sender, receiver) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut line = Vec::new();
        while screen.read_until(b'\n', &mut line).expect("its output") > 0 {
            let text = String::from_utf8(std::mem::take(&mut line)).expect("text");
            // The test may have seen enough.
            let _ = sender.send(text.replace('\r', ""));
        }
    });
    let next = || receiver.recv_timeout(TEST_TIMEOUT).expect("a line in time");
    assert_eq!([next(), next(), next()], ["N 1\n", "S1\n", "\n"]);
    let frame = || -> Vec<String> { (0..8).map(|_| next()).collect() };
    // Seven rows of the answer, and one about the others; the last row is the cursor's.
    let first = frame();
    assert_eq!(first[0], "\u{1b}[KN 1 wanted 1 up 1 standby 0\n");
    let head = "load seat replica      state     request";
    assert_eq!(first[2], format!("\u{1b}[K{}>\n", &head[..39]));
    assert!(
        first[7].starts_with("\u{1b}[K10 more lines need"),
        "{first:?}"
    );
    for _ in 0..2 {
        let again = frame();
        assert_eq!(again[0], format!("\u{1b}[J\u{1b}[8A{}", first[0]));
        assert_eq!(again[2], first[2]);
    }
    let mut stdin = terminal.stdin.take().expect("a pipe");
    stdin.write_all(b"\x03").expect("Ctrl-C");
    let mut status = None;
    eventually(TEST_TIMEOUT, "its end", || {
        status = terminal.try_wait().expect("a status");
        status.is_some()
    });
    let code = status.and_then(|status| status.code());
    assert_eq!(code, Some(130), "128 and SIGINT");
    reader.join().expect("the reader");
    let rest: Vec<String> = receiver.try_iter().collect();
    // Below a whole answer: the cursor, and the key.
    let last = rest.last().expect("the rest");
    assert!(last.ends_with("\u{1b}[J^C"), "{rest:?}");
    assert_eq!((rest.len() - 1) % 8, 0, "{rest:?}");
}

#[test]
fn watch_prints_answers_one_below_the_other_into_a_pipe() {
    let balancer = Ringmaster::start(&["--replicas", "1"]);
    let mut child = program()
        .args(["ctl", "--control", &balancer.control.to_string()])
        .args(["watch", "0.1"])
        .env("TERM", "xterm")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let lines: Vec<String> = lines.take(36).map(|line| line.expect("a line")).collect();
    child.kill().expect("a signal");
    child.wait().expect("its end");
    let first = "N 1 wanted 1 up 1 standby 0";
    assert_eq!([&lines[0], &lines[17], &lines[18]], [first, "", first]);
    assert!(
        lines.iter().all(|line| !line.contains('\u{1b}')),
        "{lines:?}"
    );
}
