//! Valid and invalid lines.

use std::time::Duration;

use super::*;
use crate::control::ring_query::{PlannedChange, RingQuery};
use crate::orders::{
    ChangeKind, ChangeRequest, Order, ReplaceRequest, ReplaceTarget, VersionRequest,
};
use crate::roster::ReplicaName;

fn parse_one(line: &str) -> Result<ControlCommand, String> {
    let mut requests = parse(line.as_bytes()).unwrap();
    assert_eq!(requests.len(), 1, "{line}");
    requests.remove(0).command
}

fn changed(kind: ChangeKind, n: usize, names: &[&str]) -> Result<ControlCommand, String> {
    let names = names.iter().map(|name| name.parse().unwrap()).collect();
    let order = kind.into_order(ChangeRequest { n, names });
    Ok(ControlCommand::Order(order))
}

fn events(since: u64, follow: bool) -> Result<ControlCommand, String> {
    Ok(ControlCommand::Events { since, follow })
}

fn watch(seconds: f64) -> Result<ControlCommand, String> {
    Ok(ControlCommand::Watch(Duration::from_secs_f64(seconds)))
}

fn s2() -> ReplicaName {
    "S2".parse().unwrap()
}

fn replace(target: ReplaceTarget) -> ControlCommand {
    let target = ReplaceRequest::same_version(target);
    ControlCommand::Order(Order::Replace(target))
}

#[test]
fn every_command_is_parsed() {
    let cases = [
        ("help", Ok(ControlCommand::Help(None))),
        ("rep", Ok(ControlCommand::Rep)),
        (" \t rep \t", Ok(ControlCommand::Rep)),
        ("add 1", changed(ChangeKind::Add, 1, &[])),
        ("add 3 S4 S5", changed(ChangeKind::Add, 3, &["S4", "S5"])),
        ("rm 2 S1 S2", changed(ChangeKind::Rm, 2, &["S1", "S2"])),
        ("rm 007", changed(ChangeKind::Rm, 7, &[])),
        ("stats", Ok(ControlCommand::Stats)),
        ("show", Ok(ControlCommand::Show(None))),
        ("show S2", Ok(ControlCommand::Show(Some(s2())))),
        ("scale 0", Ok(ControlCommand::Order(Order::Scale(0)))),
        ("scale 007", Ok(ControlCommand::Order(Order::Scale(7)))),
        ("replace all", Ok(replace(ReplaceTarget::All))),
        ("replace S2", Ok(replace(ReplaceTarget::One(s2())))),
        ("drain S2", Ok(ControlCommand::Order(Order::Drain(s2())))),
        ("ready S2", Ok(ControlCommand::Order(Order::Ready(s2())))),
        ("watch", watch(1.0)),
        ("watch 0.1", watch(0.1)),
        ("watch 3600", watch(3600.0)),
        ("watch 2.5", watch(2.5)),
        ("events", events(0, false)),
        ("events 017", events(17, false)),
        ("events -w", events(0, true)),
        ("events -w 18446744073709551615", events(u64::MAX, true)),
        ("prompt", Ok(ControlCommand::Prompt)),
        ("auth x=1", Ok(ControlCommand::Auth("x=1".parse().unwrap()))),
        ("quit", Ok(ControlCommand::Quit)),
    ];
    for (line, command) in cases {
        assert_eq!(parse_one(line), command, "{line}");
    }
}

#[test]
fn a_replacement_is_parsed_with_its_version_and_its_pace() {
    let request = |line: &str| match parse_one(line) {
        Ok(ControlCommand::Order(Order::Replace(request))) => request,
        other => panic!("{line}: {other:?}"),
    };
    for line in [
        "replace all app:2",
        "replace 2 app:2",
        "replace S2 --monitor 1m30s app:2",
        "replace all --parallel 2 --max-failures 3 --monitor 0s -- ./app -v",
        "replace all --parallel 2",
    ] {
        // A request is displayed as the command that it came from.
        assert_eq!(request(line).to_string(), line);
    }
    assert_eq!(
        request("replace 2").target,
        ReplaceTarget::One("2".parse().unwrap())
    );
    assert_eq!(request("replace 2 a").target, ReplaceTarget::Lowest(2));
    // A shell command is taken as it is, its last word too.
    let command = |line: &str| match request(line).version {
        Some(VersionRequest::Command(command)) => command,
        other => panic!("{line}: {other:?}"),
    };
    for text in ["./a --format json", "sh -c 'a  b'", "a -- b"] {
        assert_eq!(command(&format!("replace all -- {text}")), text);
        assert_eq!(
            command(&format!("replace all --parallel 2 --  {text} ")),
            text
        );
    }
    let all = parse_one("rm all");
    assert_eq!(all, Ok(ControlCommand::Order(Order::RmAll)));
    let stop = parse_one("replace stop");
    assert_eq!(stop, Ok(ControlCommand::Order(Order::StopReplace)));
    let back = parse_one("replace back");
    assert_eq!(back, Ok(ControlCommand::Order(Order::ReplaceBack)));
    let ControlCommand::Query(plan) = parse_one("plan replace 2 app:2").unwrap() else {
        panic!("no query");
    };
    let RingQuery::Plan(PlannedChange::Replace(planned)) = plan else {
        panic!("{plan:?}");
    };
    assert_eq!(planned, request("replace 2 app:2"));
}

#[test]
fn help_knows_every_command() {
    for spec in COMMANDS {
        let help = parse_one(&format!("help {}", spec.name));
        assert_eq!(help, Ok(ControlCommand::Help(Some(spec))));
    }
}

#[test]
fn an_error_is_a_sentence() {
    let cases = [
        ("rep S1", "usage: rep"),
        ("add", "usage: add N [NAME...]|NAME ADDR"),
        ("help add rm", "usage: help [COMMAND]"),
        ("events -x", "'-x' is not the number of an event"),
        ("events +1", "'+1' is not the number of an event"),
        (
            "events -w 18446744073709551616",
            "'18446744073709551616' is not the number of an event",
        ),
        ("events 1 -w", "usage: events [-w] [NUMBER]"),
        ("prompt on", "usage: prompt"),
        ("watch 0", "SECONDS is a number from 0.1 to 3600"),
        ("watch 0.0999", "SECONDS is a number from 0.1 to 3600"),
        ("watch 3600.001", "SECONDS is a number from 0.1 to 3600"),
        ("watch -1", "SECONDS is a number from 0.1 to 3600"),
        ("watch +1", "SECONDS is a number from 0.1 to 3600"),
        ("watch 1e3", "SECONDS is a number from 0.1 to 3600"),
        ("watch inf", "SECONDS is a number from 0.1 to 3600"),
        ("watch NaN", "SECONDS is a number from 0.1 to 3600"),
        ("watch 1s", "SECONDS is a number from 0.1 to 3600"),
        ("watch .", "SECONDS is a number from 0.1 to 3600"),
        ("watch 1.2.3", "SECONDS is a number from 0.1 to 3600"),
        ("watch 1 2", "usage: watch [SECONDS]"),
        ("show S1 S2", "usage: show [NAME|config|clients]"),
        ("scale", "usage: scale N"),
        ("scale 1 2", "usage: scale N"),
        ("scale -1", "N is not a whole number"),
        ("scale +1", "N is not a whole number"),
        ("scale all", "N is not a whole number"),
        ("scale 99999999999999999999", "N is not a whole number"),
        ("replace", "usage: replace NAME|all [VERSION]"),
        ("replace all a b", "usage: replace NAME|all [VERSION]"),
        ("replace -- a", "usage: replace NAME|all [VERSION]"),
        (
            "replace all --parallel x a",
            "--parallel is not a whole number",
        ),
        (
            "replace all --parallel 0 a",
            "parallel is not a whole number from 1 to 256",
        ),
        (
            "replace all --monitor 5 a",
            "--monitor: time unit needed, for example 5sec or 5ms",
        ),
        ("replace all --", "command is empty"),
        ("replace 0 a", "n is not a positive integer"),
        ("replace all a?x=", "image is not the name of an image"),
        ("plan replace stop", "usage: replace NAME|all [VERSION]"),
        ("drain", "usage: drain NAME"),
        ("ready S1 S2", "usage: ready NAME"),
        ("auth", "usage: auth TOKEN"),
        ("auth a b", "usage: auth TOKEN"),
        (
            "help frobnicate",
            "there is no command 'frobnicate'; try 'help'",
        ),
        ("add two", "usage: add N [NAME...]|NAME ADDR"),
        ("add", "usage: add N [NAME...]|NAME ADDR"),
        ("add a 127.0.0.1:1 b", "usage: add N [NAME...]|NAME ADDR"),
        ("add a h:0", "the address is not HOST:PORT or unix:PATH"),
        ("rm", "usage: rm N [NAME...]|NAME..."),
        ("rm a a", "hostname a is given twice"),
        ("set", "usage: set NAME ADDR"),
        ("set a h:1 b", "usage: set NAME ADDR"),
        ("set a h", "the address is not HOST:PORT or unix:PATH"),
        (
            "set server a/b state drain",
            "HAProxy's is 'drain NAME', 'ready NAME' or 'set NAME HOST:PORT' here",
        ),
        ("add 0", "n is not a positive integer"),
        ("add +1", "n is not a positive integer"),
        ("add -1", "n is not a positive integer"),
        ("rm 1.5", "n is not a positive integer"),
        ("rm 99999999999999999999", "n is not a positive integer"),
        (
            "add 1 a b",
            "Length of hostname list is more than newly added instances",
        ),
        (
            "rm 1 a b",
            "Length of hostname list is more than removable instances",
        ),
        ("add 2 a a", "hostname a is given twice"),
        (
            "auth ä",
            "a token is one or more visible ASCII characters without ';'",
        ),
    ];
    for (line, sentence) in cases {
        assert_eq!(parse_one(line), Err(sentence.into()), "{line}");
    }
    for line in [
        "replace all -x",
        "replace all --parallel",
        "replace all -x 1 app:2",
    ] {
        let sentence = parse_one(line).unwrap_err();
        assert!(
            sentence.starts_with("usage: replace NAME|all [OPTIONS] [VERSION]"),
            "{sentence}"
        );
        assert!(sentence.contains("--max-failures K"), "{sentence}");
    }
    for line in [
        "add 1 -x",
        "add -x h:1",
        "rm -1",
        "rm a/b",
        "show -x",
        "replace a/b",
        "drain ä",
        "ready _",
    ] {
        let sentence = parse_one(line).unwrap_err();
        assert!(sentence.contains("not a legal replica name"), "{sentence}");
    }
}

#[test]
fn an_unknown_command_hints_at_the_nearest() {
    for (line, hint) in [
        ("ad", "did you mean 'add'?"),
        ("evnets", "did you mean 'events'?"),
        ("xx", "try 'help'"),
        ("disable", "HAProxy's is 'drain NAME' here"),
        ("del", "HAProxy's is 'rm NAME' here"),
    ] {
        let expected = format!("there is no command '{line}'; {hint}");
        assert_eq!(parse_one(line), Err(expected));
    }
    let sentence = parse_one("\u{1b}[2J\0").unwrap_err();
    assert!(sentence.contains(r"'\u001b[2J\u0000'"), "{sentence}");
}

#[test]
fn a_stream_must_be_the_last_command_of_its_line() {
    let valid = |line: &[u8]| -> Vec<bool> {
        let requests = parse(line).unwrap();
        requests.iter().map(|r| r.command.is_ok()).collect()
    };
    assert_eq!(valid(b"rep; events -w json;"), [true, true]);
    assert_eq!(valid(b"events -w; rep"), [false, true]);
    assert_eq!(valid(b"watch; watch 2"), [false, true]);
    assert_eq!(valid(b"events; rep"), [true, true]);
}

#[test]
fn json_belongs_to_the_command_that_it_ends() {
    let line = b"rep json; events; add 2 S4 json ; bogus json";
    let json: Vec<bool> = parse(line).unwrap().iter().map(|r| r.json).collect();
    assert_eq!(json, [true, false, true, true]);
}

#[test]
fn an_error_leaves_the_other_commands_valid() {
    let requests = parse(b";rep;; bogus ;events;").unwrap();
    let valid: Vec<bool> = requests.iter().map(|r| r.command.is_ok()).collect();
    assert_eq!(valid, [true, false, true]);
}

#[test]
fn a_line_without_a_command_is_an_error() {
    for line in ["", " ", ";", " ; ;\t"] {
        assert_eq!(
            parse(line.as_bytes()),
            Err("line is empty; try 'help'".into())
        );
    }
    assert_eq!(parse(b"rep \xff"), Err("line is not UTF-8 text".into()));
}

#[test]
fn a_line_holds_a_limited_number_of_commands() {
    let line = "rep;".repeat(MAX_COMMANDS);
    assert_eq!(parse(line.as_bytes()).unwrap().len(), MAX_COMMANDS);
    let line = line + "rep";
    assert_eq!(
        parse(line.as_bytes()),
        Err("line holds more than 64 commands".into())
    );
}
