//! Start and end of the program, and that no process it started outlives it.

use std::time::Duration;

use crate::support::{
    Backend, Engine, Ringmaster, Signal, TEST_TIMEOUT, end_of, eventually, is_gone,
    on_both_engines, program, run_to_end, under,
};

on_both_engines!(
    replicas_end_with_the_program_that_is_told_to_stop,
    a_killed_replica_is_replaced,
);

const HOME: &str = "GET /home HTTP/1.1\r\nHost: a.test\r\nX-Request-ID: 132574\r\n\r\n";

#[test]
fn a_fixed_backend_is_served_and_sigterm_ends_it() {
    let backend = Backend::answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let program = Ringmaster::before(backend.addr, &[]);
    assert_eq!(program.client().ask(HOME).text(), "ok");
    assert_eq!(backend.requests()[0].field("x-request-id"), Some("132574"));
    assert!(program.command("rep").contains("S1"));
    assert!(program.children().is_empty());
    assert!(program.stop().success());
}

fn replicas_end_with_the_program_that_is_told_to_stop(engine: Engine) {
    let program = engine.start(&["--replicas", "2"]);
    let replicas = program.children();
    assert_eq!(replicas.len(), 2, "{}", program.log());
    assert_eq!(program.client().ask(HOME).status(), 200);
    assert!(program.stop().success());
    assert!(replicas.into_iter().all(is_gone));
}

#[test]
fn no_replica_outlives_a_killed_program_by_a_second() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let replicas = program.children();
    assert_eq!(replicas.len(), 2, "{}", program.log());
    program.kill();
    eventually(Duration::from_secs(1), "the replicas are gone", || {
        replicas.iter().all(|pid| is_gone(*pid))
    });
}

fn a_killed_replica_is_replaced(engine: Engine) {
    let program = engine.start(&["--replicas", "2"]);
    let victim = program.replica("S1");
    program.strike(&["S1"], Signal::KILL);
    eventually(TEST_TIMEOUT, "another replica in its place", || {
        let now = program.children();
        now.len() == 2 && !now.contains(&victim)
    });
}

#[test]
fn a_misspelled_variable_is_a_warning_at_the_start() {
    let mut misspelled = program();
    misspelled.env("RINGMASTER_REPLICS", "5");
    let ringmaster = Ringmaster::launch(misspelled, &["--replicas", "1"]).ready();
    ringmaster.expect_log("did you mean RINGMASTER_REPLICAS?");
    let log = ringmaster.log();
    let line = log.lines().find(|line| line.contains("RINGMASTER_REPLICS"));
    assert!(line.unwrap().contains(" WARN "), "{log}");
    assert_eq!(ringmaster.children().len(), 1);
}

/// The default is meant to be as many as the descriptors allow.
#[test]
fn a_lowered_limit_of_connections_is_a_warning_unless_it_is_the_default() {
    for (flags, level) in [
        (&[][..], " INFO "),
        (&["--max-connections", "9000"], " WARN "),
    ] {
        let command = under(&["prlimit", "--nofile=4444:4444", "--"]);
        let flags = [&["--replicas", "1"][..], flags].concat();
        let ringmaster = Ringmaster::launch(command, &flags).ready();
        let log = ringmaster.log();
        let line = log.lines().find(|line| line.contains("is lowered to"));
        assert!(line.unwrap_or_default().contains(level), "{level}: {log}");
    }
}

#[test]
fn a_bad_flag_ends_with_2_and_one_sentence() {
    let output = run_to_end(&["serve", "--no-such-flag"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--no-such-flag"));
}

#[test]
fn a_port_that_is_taken_ends_with_1_and_names_the_flag() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let addr = taken.local_addr().unwrap();
    let output = run_to_end(&[
        "serve",
        "--listen",
        &addr.to_string(),
        "--control",
        "127.0.0.1:0",
    ]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    let taken_by = std::process::id();
    let sentence = format!(
        "port {} is taken (--listen) by process {taken_by}, ",
        addr.port()
    );
    assert!(errors.contains(&sentence), "{errors}");
    assert!(!errors.contains("--takeover"), "{errors}");
    let mut by_variable = program();
    by_variable.args(["serve", "--control", "127.0.0.1:0"]);
    let output = end_of(by_variable.env("RINGMASTER_LISTEN", addr.to_string()));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        errors.contains("is taken (RINGMASTER_LISTEN) by"),
        "{errors}"
    );
}

#[test]
fn a_port_that_a_balancer_has_is_said_to_be_its_own() {
    let first = Ringmaster::start(&["--replicas", "1"]);
    let listen = first.listen.to_string();
    let output = run_to_end(&["serve", "--control", "127.0.0.1:0", "--listen", &listen]);
    let errors = String::from_utf8_lossy(&output.stderr);
    let sentence = format!(
        "by process {}, ringmaster; 'serve --takeover' with its --control replaces it without a pause",
        first.pid()
    );
    assert!(errors.contains(&sentence), "{errors}");
}

#[test]
fn replicas_and_our_own_ports_are_no_backends() {
    for (args, sentence) in [
        (
            [
                "--replicas=2",
                "--listen=127.0.0.1:0",
                "--backend=a=127.0.0.1:7",
            ],
            "error: --replicas goes with --engine process or docker",
        ),
        (
            [
                "--backend=b=127.0.0.1:9",
                "--listen=0.0.0.0:7",
                "--backend=a=127.0.0.1:7",
            ],
            "--backend a=127.0.0.1:7 is our own port (--listen 0.0.0.0:7)",
        ),
        (
            [
                "--listen=[::]:7",
                "--control=127.0.0.1:8",
                "--backend=a=localhost:8",
            ],
            "--backend a=localhost:8 is our own port (--control 127.0.0.1:8)",
        ),
    ] {
        let output = run_to_end(&[&["serve"], &args[..]].concat());
        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(sentence), "{errors}");
    }
}

#[test]
fn a_switch_in_the_environment_may_be_1_or_0_or_a_word() {
    let needs_docker = "error: RINGMASTER_TRUST_GATEWAY goes with --engine docker";
    let unwritable = "--ready-file /no/such/folder/ready.json";
    for (switch, value, code, sentence) in [
        ("RINGMASTER_TRUST_GATEWAY", "1", 2, needs_docker),
        ("RINGMASTER_TRUST_GATEWAY", "yes", 2, needs_docker),
        ("RINGMASTER_TRUST_GATEWAY", "true", 2, needs_docker),
        ("RINGMASTER_TRUST_GATEWAY", "0", 1, unwritable),
        ("RINGMASTER_TRUST_GATEWAY", "off", 1, unwritable),
        (
            "RINGMASTER_TRUST_GATEWAY",
            "maybe",
            2,
            "error: invalid value 'maybe' for 'RINGMASTER_TRUST_GATEWAY'",
        ),
        (
            "RINGMASTER_TAKEOVER",
            "1",
            2,
            "error: RINGMASTER_TAKEOVER needs the port",
        ),
        (
            "RINGMASTER_HEAD_TIMEOUT",
            "soon",
            2,
            "error: invalid value 'soon' for 'RINGMASTER_HEAD_TIMEOUT'",
        ),
        ("RINGMASTER_NO_SPLICE", "1", 1, unwritable),
    ] {
        let mut command = program();
        command.args(["serve", "--listen", "127.0.0.1:0", "--control"]);
        command.args(["127.0.0.1:0", "--ready-file", "/no/such/folder/ready.json"]);
        let output = end_of(command.env(switch, value));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{switch}={value}: {errors}"
        );
        assert!(errors.contains(sentence), "{switch}={value}: {errors}");
    }
}
