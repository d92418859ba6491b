//! Reloads that change nothing: a file with an error, settings that a takeover keeps.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;

use super::{File, Successor};
use crate::support::{
    Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange, exclusive_load, fresh_path,
    program, run_to_end,
};

#[test]
fn a_file_that_changes_to_nonsense_under_load_changes_nothing() {
    let _turn = exclusive_load();
    let file = File::new("replicas = 1\n");
    let mut first = Ringmaster::start(&["--config", file.path()]);
    let (children, control) = (first.children(), first.control.to_string());
    let load = Load::start(first.listen, 4);
    load.reach(50);
    let place = |at: &str| format!("{}, {at}", file.path());
    let cases = [
        ("replicas = 1\n]", place("line 2, column 1: ")),
        (
            "\n  max-hed = 1",
            format!("max-hed in {}", place("line 2, column 3, is not a setting")),
        ),
        (
            "max-head = \"1B\"",
            format!(
                "max-head 1 B is not between 1KiB and 1MiB (max-head in {}",
                place("line 1, ")
            ),
        ),
        (
            "backend = \"a=127.0.0.1:0\"",
            "backend a=127.0.0.1:0: the address is not HOST:PORT or unix:PATH".to_owned(),
        ),
    ];
    for (text, sentence) in &cases {
        file.write(text);
        let answer = first.command("reload");
        assert!(answer.starts_with(&format!("ERR {sentence}")), "{answer}");
        first.expect_log(&format!("cannot reload: {sentence}"));
    }
    let post = "POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    let reply = exchange(first.control, post);
    assert_eq!(reply.status(), 400);
    assert!(
        reply
            .text()
            .starts_with("{\"message\":\"<Error> backend a="),
        "{}",
        reply.text()
    );
    std::fs::remove_file(&file).expect("the file");
    let output = run_to_end(&["ctl", "--control", &control, "reload"]);
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(
        stderr,
        format!(
            "ERR cannot read {}: No such file or directory (os error 2)\n",
            file.path()
        )
    );
    assert_eq!(output.status.code(), Some(1));
    first.signal(Signal::USR2);
    let line = "cannot reload: cannot read ";
    eventually(TEST_TIMEOUT, line, || {
        first.log().matches(line).count() == 2
    });
    load.wait_for_one_reply_per_connection();
    assert_eq!(
        (first.children(), first.rep()),
        (children, vec!["S1".to_owned()])
    );
    // The mended file takes effect.
    file.write("replicas = 1\nretries = 1\n");
    let answer = first.command("reload");
    let second = Successor::after(&mut first, &answer);
    assert!(answer.ends_with("\nretries 2 -> 1\n\n"), "{answer}");
    load.wait_for_one_reply_per_connection();
    load.finish().expect_no_failure();
    assert_eq!(second.value("retries"), "1");
}

#[test]
fn settings_that_a_takeover_keeps_are_refused_with_their_place() {
    let file = File::new("replicas = 2\n");
    let mut first = Ringmaster::start(&["--config", file.path(), "--workers", "2"]);
    let before = (first.children(), first.command("ring"));
    let in_file =
        |name: &str, column: u32| format!("({name} in {}, line 1, column {column})", file.path());
    for (line, sentence) in [
        (
            "ring = \"maglev\"",
            format!(
                "a reload keeps the ring uniform, whatever ring is; 'ring set maglev' changes it {}",
                in_file("ring", 8)
            ),
        ),
        (
            "bound = 1.5",
            format!(
                "a reload keeps the bound 0, whatever bound is; 'bound 1.5' changes it {}",
                in_file("bound", 9)
            ),
        ),
        (
            "replicas = 3",
            format!(
                "a reload keeps 2 replicas, whatever replicas is; 'scale 3' changes it {}",
                in_file("replicas", 12)
            ),
        ),
        (
            "backend = \"a=127.0.0.1:9\"",
            "a reload cannot change --engine process to --engine fixed; restart this process"
                .to_owned(),
        ),
    ] {
        let rest = if line.starts_with("ring") || line.starts_with("bound") {
            "replicas = 2"
        } else {
            ""
        };
        file.write(format!("{line}\n{rest}\n"));
        assert_eq!(first.command("reload"), format!("ERR {sentence}\n\n"));
    }
    assert_eq!((first.children(), first.command("ring")), before);
    // What a command has changed since is no change.
    first.command("ring set maglev; bound 1.5; scale 1");
    file.write("ring = \"maglev\"\nbound = 1.5\nreplicas = 1\n");
    let answer = first.command("reload");
    let second = Successor::after(&mut first, &answer);
    assert!(answer.contains("\nring uniform -> maglev\n"), "{answer}");
    assert!(second.command("ring").starts_with("ring maglev\n"));
}

#[test]
fn addresses_and_fewer_workers_are_refused_with_their_place() {
    let (listen, control) = (fresh_port(), fresh_port());
    let own = |text: &str| format!("listen = \"{listen}\"\ncontrol = \"{control}\"\n{text}");
    let file = File::new(own("replicas = 1\nworkers = 2\n"));
    let mut command = program();
    let ready = fresh_path("ready");
    command
        .args(["serve", "--config", file.path(), "--ready-file"])
        .arg(&ready);
    let mut child = command.stdout(Stdio::null()).spawn().expect("the binary");
    let pid = child.id();
    let mut first = Successor { pid, control };
    eventually(TEST_TIMEOUT, "readiness", || ready.exists());
    let other = fresh_port();
    for (from, to, sentence) in [
        (
            format!("listen = \"{listen}\""),
            format!("listen = \"{other}\""),
            format!("a reload cannot change listen to {other}: this process listens on {listen}"),
        ),
        (
            format!("control = \"{control}\""),
            format!("control = \"{other}\""),
            format!("a reload cannot change control to {other}: this process listens on {control}"),
        ),
        (
            "workers = 2".to_owned(),
            "workers = 1".to_owned(),
            "a reload cannot lower workers to 1: each of 2 has a socket".to_owned(),
        ),
    ] {
        file.write(own("replicas = 1\nworkers = 2\n").replace(&from, &to));
        let answer = first.command("reload");
        assert!(answer.starts_with(&format!("ERR {sentence}")), "{answer}");
        assert!(
            answer.contains(&format!(" in {}, line ", file.path())),
            "{answer}"
        );
    }
    file.write(own("replicas = 1\nworkers = 3\n"));
    let answer = first.command("reload");
    assert!(answer.ends_with("\nworkers 2 -> 3\n\n"), "{answer}");
    assert!(child.wait().expect("its end").success());
    first.follow(&answer);
    assert_eq!(first.value("workers"), "3");
    // The successor has the port from the file too, so it sees a changed one.
    file.write(format!(
        "listen = \"{listen}\"\ncontrol = \"{other}\"\nreplicas = 1\nworkers = 3\n"
    ));
    let answer = first.command("reload");
    let sentence = format!("ERR a reload cannot change control to {other}: ");
    assert!(answer.starts_with(&sentence), "{answer}");
}

/// A free address of this run's own, which the process ID makes: other tests use 127.0.0.1.
fn fresh_port() -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let free = TcpListener::bind((Ipv4Addr::new(127, 98, high, low), 0));
    free.and_then(|free| free.local_addr()).expect("a port")
}
