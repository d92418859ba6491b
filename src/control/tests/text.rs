//! The text protocol, as netcat uses it.

use super::*;
use crate::orders::ChangeRequest;
use rand::{RngExt, SeedableRng, rngs::StdRng};

#[test]
fn rep_lists_the_replicas_and_closes() {
    assert_eq!(port().ask("rep\n"), "N 3\nS1\nS2\nS3\n\n");
}

#[test]
fn rep_as_json_is_what_http_answers() {
    assert_eq!(port().ask("rep json\n"), format!("{REP}\n\n"));
}

#[test]
fn a_line_may_end_in_crlf_or_with_the_input() {
    let port = port();
    assert_eq!(port.ask("rep\r\n"), "N 3\nS1\nS2\nS3\n\n");
    assert_eq!(port.ask_and_half_close("rep"), "N 3\nS1\nS2\nS3\n\n");
    assert_eq!(port.ask_and_half_close("rep\r"), "N 3\nS1\nS2\nS3\n\n");
}

#[test]
fn a_line_may_come_in_pieces() {
    let port = port();
    let mut stream = port.connect();
    stream.set_nodelay(true).unwrap();
    for byte in b"rep\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert_eq!(rest(stream), "N 3\nS1\nS2\nS3\n\n");
}

#[test]
fn only_the_first_line_is_carried_out() {
    assert_eq!(port().ask("events\nrep\n"), EVENTS);
}

#[test]
fn each_command_of_a_line_has_its_answer() {
    assert_eq!(
        port().ask("events; rep json; events 1\n"),
        format!("{EVENTS}{REP}\n\n{}", &EVENTS[EVENTS.find('2').unwrap()..])
    );
}

#[test]
fn a_refused_command_ends_its_line() {
    let port = port();
    assert_eq!(
        port.ask("events; bogus; rep json; add 1 S9\n"),
        format!("{EVENTS}ERR there is no command 'bogus'; try 'help'\n\n")
    );
    let missing = "ERR there is no replica named S9\n\n";
    assert_eq!(port.ask("show S9; add 1 S9\n"), missing);
    let missing =
        "{\"message\":\"<Error> there is no replica named S9\",\"status\":\"failure\"}\n\n";
    assert_eq!(port.ask("show S9 json; add 1 S9\n"), missing);
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn events_are_listed_after_any_number_in_either_form() {
    let port = port();
    let second = EVENTS.split_once('\n').unwrap().1;
    assert_eq!(port.ask("events 0\n"), EVENTS);
    assert_eq!(port.ask("events 1\n"), second);
    assert_eq!(port.ask("events 2\n"), "\n");
    // No event has that number yet, so it is from an earlier start.
    assert_eq!(port.ask("events 3\n"), EVENTS);
    let json: serde_json::Value = serde_json::from_str(&port.ask("events 1 json\n")).unwrap();
    assert_eq!(
        json,
        serde_json::json!([{
            "seq": 2, "time": "1970-01-01T00:00:00.002Z", "kind": "joined", "seat": 2, "name": "S2",
            "before": null, "reason": "", "detected_within_ms": null, "replaced_after_ms": null,
            "saved": null,
            "from": null, "to": null, "stage": null, "by": null, "up": 2, "wanted": 3,
        }])
    );
}

#[test]
fn changes_reach_the_fleet_in_order() {
    let port = port();
    let answer = port.ask("add 2 S5 S4; rm 1 S1\n");
    assert_eq!(answer, "N 5\nS1\nS2\nS3\nS5\nS4\n\nN 4\nS2\nS3\nS5\nS4\n\n");
    let change = |n, names: &[&str]| ChangeRequest {
        n,
        names: names.iter().map(|name| name.parse().unwrap()).collect(),
    };
    assert_eq!(port.order(), Order::Add(change(2, &["S5", "S4"])));
    assert_eq!(port.order(), Order::Rm(change(1, &["S1"])));
}

#[test]
fn a_refusal_is_a_sentence_in_either_form() {
    let port = port();
    assert_eq!(port.ask("rm 7\n"), "ERR there are only 3\n\n");
    assert_eq!(
        port.ask("rm 7 json\n"),
        "{\"message\":\"<Error> there are only 3\",\"status\":\"failure\"}\n\n"
    );
    assert_eq!(port.ask("add 1 broken\n"), "ERR could not start broken\n\n");
}

#[test]
fn a_wrong_line_never_reaches_the_fleet() {
    let port = port();
    let cases: [(&[u8], &str); 8] = [
        (b"\n", "ERR line is empty; try 'help'\n\n"),
        (b"\r\n", "ERR line is empty; try 'help'\n\n"),
        (b";;\n", "ERR line is empty; try 'help'\n\n"),
        (b"add 0\n", "ERR n is not a positive integer\n\n"),
        (b"rm\n", "ERR usage: rm N [NAME...]|NAME...\n\n"),
        (b"rep\xff\n", "ERR line is not UTF-8 text\n\n"),
        (
            b"\x16\x03\x01\x02\n",
            "ERR there is no command '\\u0016\\u0003\\u0001\\u0002'; try 'help'\n\n",
        ),
        (
            b"rep\0\n",
            "ERR there is no command 'rep\\u0000'; did you mean 'rep'?\n\n",
        ),
    ];
    for (line, answer) in cases {
        assert_eq!(port.ask(line), answer);
    }
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn help_names_every_command() {
    let port = port();
    let help = port.ask("help\n");
    for spec in command::COMMANDS {
        assert!(help.contains(spec.usage), "{help}");
        let details = port.ask(format!("help {}\n", spec.name));
        assert!(
            details.starts_with(spec.usage) && details.ends_with("\n\n"),
            "{details}"
        );
    }
}

#[test]
fn quit_ends_the_line() {
    let port = port();
    assert_eq!(
        port.ask("events; quit; add 1 S9\n"),
        format!("{EVENTS}bye\n\n")
    );
    assert!(port.orders.try_recv().is_err());
}

#[test]
fn a_remote_client_may_read_only_help() {
    let denied = |path: &str| {
        format!("ERR {path} is for local peers, you are 192.168.65.1; set --control-token\n\n")
    };
    for (line, path) in [
        ("rep; events\n", "/rep"),
        ("events\n", "/events"),
        ("add 1\n", "/add"),
        ("rm 1\n", "/rm"),
    ] {
        assert_eq!(ask_as("192.168.65.1", None, line), denied(path), "{line}");
    }
    assert!(ask_as("192.168.65.1", None, "help rep\n").starts_with("rep\n"));
    assert_eq!(
        ask_as("192.168.65.1", None, "rep json\n"),
        "{\"message\":\"<Error> /rep is for local peers, you are 192.168.65.1; set --control-token\",\"status\":\"failure\"}\n\n"
    );
}

#[test]
fn auth_is_valid_for_the_commands_after_it() {
    let answer = ask_as(
        "192.168.65.1",
        Some("s3cret"),
        "help rep; auth s3cret; rep\n",
    );
    assert!(
        answer.ends_with("\n\nok\n\nN 3\nS1\nS2\nS3\n\n"),
        "{answer}"
    );
    let answer = ask_as("192.168.65.1", Some("s3cret"), "rep; auth s3cret; rep\n");
    assert_eq!(
        answer,
        "ERR /rep is for local peers or a bearer token, you are 192.168.65.1 without one\n\n"
    );
}

#[test]
fn a_wrong_token_gives_no_access() {
    let answer = ask_as("192.168.65.1", Some("s3cret"), "auth secret; rep\n");
    assert!(
        answer.starts_with("ERR the token is wrong\n\nERR /rep is for local"),
        "{answer}"
    );
    assert!(!answer.contains("s3cret"));
}

#[test]
fn a_wrong_token_revokes_the_access_of_a_right_one() {
    let line = "auth s3cret; auth secret; rep\n";
    let answer = ask_as("192.168.65.1", Some("s3cret"), line);
    assert!(
        answer.starts_with("ok\n\nERR the token is wrong\n\nERR /rep is for local"),
        "{answer}"
    );
}

#[test]
fn an_order_outlives_its_sender() {
    let port = port_with(|context| context.limits.connections = 1);
    let mut stream = port.connect();
    stream.write_all(b"add 1 hold; rep\n").unwrap();
    let call = port.held();
    drop(stream);
    assert!(!call.reply.is_closed());
    assert!(call.reply.send(Ok(Vec::new())).is_ok());
    until("its slot is free", || {
        port.ask("rep\n").starts_with("N 3").then_some(())
    });
}

#[test]
fn no_bytes_make_the_port_hang() {
    let port = port();
    let mut rng = StdRng::seed_from_u64(3);
    for _ in 0..200 {
        let length = rng.random_range(0..300);
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.random()).collect();
        if rng.random() {
            bytes.splice(0..0, *b"GET /rep HTTP/1.1\r\n");
        }
        // It returns once the port has answered or closed.
        port.ask_and_half_close(bytes);
    }
    assert_eq!(port.ask("rep\n"), "N 3\nS1\nS2\nS3\n\n");
}
