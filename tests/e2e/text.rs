//! Text on the control port, as netcat sends it: one line, an answer for each of its commands, the
//! end.

use serde_json::Value;

use crate::support::{Client, End, Engine, Ringmaster, on_both_engines, reachable_by_remote_peers};

on_both_engines!(
    the_life_of_a_fleet_in_lines,
    refusals_are_one_line_and_change_nothing,
);

/// The answer must end with its only empty line.
#[track_caller]
fn ask(program: &Ringmaster, line: &str) -> String {
    let answer = program.command(line);
    let text = answer
        .strip_suffix("\n\n")
        .unwrap_or_else(|| panic!("{answer:?}"));
    assert!(!text.contains("\n\n"), "an empty line within: {answer:?}");
    text.to_owned()
}

#[track_caller]
fn ask_json(program: &Ringmaster, line: &str) -> Value {
    let answer = ask(program, &format!("{line} json"));
    assert!(!answer.contains('\n'), "more than one line: {answer}");
    serde_json::from_str(&answer).expect("JSON")
}

#[test]
fn every_command_of_help_is_there_and_tells_of_itself() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let help = ask(&program, "help");
    for command in [
        "help [COMMAND]",
        "rep",
        "show [NAME|config|clients]",
        "scale N",
        "replace NAME|all",
        "drain NAME",
        "ready NAME",
        "kill NAME",
        "add N [NAME...]",
        "rm N [NAME...]",
        "where KEY",
        "ring [set SPEC]",
        "bound [X]",
        "plan CHANGE",
        "stats",
        "watch [SECONDS]",
        "events [-w] [NUMBER]",
        "auth TOKEN",
        "prompt",
        "quit",
    ] {
        assert!(
            help.lines().any(|line| line.starts_with(command)),
            "{command}: {help}"
        );
        let name = command.split(' ').next().unwrap();
        assert!(ask(&program, &format!("help {name}")).starts_with(command));
    }
    let list = ask_json(&program, "help");
    assert!(
        list.as_array().is_some_and(|list| list.len() >= 6),
        "{list}"
    );
    assert_eq!(
        ask(&program, "help bogus"),
        "ERR there is no command 'bogus'; try 'help'"
    );
}

fn the_life_of_a_fleet_in_lines(engine: Engine) {
    let program = engine.start(&["--replicas", "2"]);
    assert_eq!(ask(&program, "rep"), "N 2\nS1\nS2");
    assert_eq!(ask(&program, "add 2 S5 S4"), "N 4\nS1\nS2\nS5\nS4");
    assert_eq!(ask(&program, "rm 3 S1 S4 S5"), "N 1\nS2");
    assert_eq!(program.children().len(), 1);
    assert_eq!(
        ask_json(&program, "rep").to_string(),
        r#"{"message":{"N":1,"replicas":["S2"]},"status":"successful"}"#
    );
    assert_eq!(
        ask_json(&program, "add 1 S7").to_string(),
        r#"{"message":{"N":2,"replicas":["S2","S7"]},"status":"successful"}"#
    );
    assert_eq!(ask(&program, "rm 2"), "N 0");
    assert_eq!(program.rep(), Vec::<String>::new());
    let events = ask(&program, "events");
    let lines: Vec<&str> = events
        .lines()
        .filter(|line| line.contains(" joined "))
        .collect();
    assert_eq!(lines.len(), 5, "{events}");
    let events = ask_json(&program, "events");
    let words: Vec<&str> = events
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|e| e["kind"].as_str())
        .collect();
    for (word, times) in [("joined", 5), ("leaving", 5), ("left", 5)] {
        assert_eq!(
            words.iter().filter(|w| **w == word).count(),
            times,
            "{words:?}"
        );
    }
}

fn refusals_are_one_line_and_change_nothing(engine: Engine) {
    let program = engine.start(&["--replicas", "2", "--max-replicas", "3"]);
    let before = program.children();
    for (line, sentence) in [
        ("add", "usage: add N [NAME...]|NAME ADDR"),
        ("rm", "usage: rm N [NAME...]|NAME..."),
        ("add 0", "n is not a positive integer"),
        ("add x", "usage: add N [NAME...]|NAME ADDR"),
        ("rm S9", "there is no replica named S9"),
        (
            "add 1 a b",
            "Length of hostname list is more than newly added instances",
        ),
        (
            "rm 1 S1 S2",
            "Length of hostname list is more than removable instances",
        ),
        ("add 2 a a", "hostname a is given twice"),
        ("add 1 S2", "the name S2 is taken"),
        (
            "add 2",
            "cannot add 2 to 2 replicas: at most 3 are allowed (--max-replicas)",
        ),
        ("rm 1 S9", "there is no replica named S9"),
        ("rm 3", "cannot remove 3 replicas: there are only 2"),
        ("rep now", "usage: rep"),
        ("ad", "there is no command 'ad'; did you mean 'add'?"),
        ("xyzzy", "there is no command 'xyzzy'; try 'help'"),
        ("", "line is empty; try 'help'"),
        ("auth guess", "no token is set; set --control-token"),
    ] {
        assert_eq!(ask(&program, line), format!("ERR {sentence}"), "{line}");
    }
    for line in ["add 0 json", "xyzzy json", "rm 3 json"] {
        let failure: Value = serde_json::from_str(&ask(&program, line)).expect("JSON");
        assert_eq!(failure["status"], "failure", "{line}");
        assert!(
            failure["message"]
                .as_str()
                .is_some_and(|m| m.starts_with("<Error> "))
        );
    }
    assert_eq!((program.rep().len(), program.children()), (2, before));
}

#[test]
fn a_line_holds_several_commands_and_a_fault_ends_it() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let answer = program.command("rep; add 1 S2;rep json ;; rm 1 S2; quit; rm 1");
    let answers: Vec<&str> = answer.split_terminator("\n\n").collect();
    assert_eq!(
        answers,
        [
            "N 1\nS1",
            "N 2\nS1\nS2",
            r#"{"message":{"N":2,"replicas":["S1","S2"]},"status":"successful"}"#,
            "N 1\nS1",
            "bye",
        ]
    );
    // Commands after `quit` are not carried out.
    assert_eq!(program.rep(), ["S1"]);
    let answer = program.command("rep; add 0; add 1 S2");
    assert_eq!(answer, "N 1\nS1\n\nERR n is not a positive integer\n\n");
    assert_eq!(program.rep(), ["S1"]);
    let many = program.command(&"rep;".repeat(65));
    assert_eq!(many, "ERR line holds more than 64 commands\n\n");
}

#[test]
fn the_end_comes_after_the_answer_and_not_before() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    // Netcat stays open in its own direction, or not; the line may lack its end, or have two bytes
    // of it.
    for (line, closes) in [
        ("rep\n", false),
        ("rep\r\n", false),
        ("rep", true),
        ("rep\n", true),
    ] {
        let mut client = Client::connect(program.control);
        client.send_bytewise(line);
        if closes {
            client.half_close();
        }
        assert_eq!(client.rest(), b"N 1\nS1\n\n", "{line:?}");
    }
    // Lines after the first are not commands, and do not destroy the answer.
    let mut client = Client::connect(program.control);
    client.send("rep\nadd 1 S2\nrm 1\n");
    assert_eq!(client.rest(), b"N 1\nS1\n\n");
    let mut client = Client::connect(program.control);
    client.half_close();
    assert_eq!(client.expect_closed(), End::Fin);
    assert_eq!(program.rep(), ["S1"]);
}

#[test]
fn a_line_that_is_too_long_is_refused_and_the_rest_dropped() {
    const LIMIT: usize = 65_536;
    let program = Ringmaster::start(&["--replicas", "1"]);
    let longest = "rep".to_owned() + &" ".repeat(LIMIT - 3);
    assert_eq!(program.command(&longest), "N 1\nS1\n\n");
    let refusal = b"ERR line is longer than 65536 bytes\n\n";
    let mut client = Client::connect(program.control);
    client.send(format!("{longest} \n"));
    assert_eq!(client.rest(), refusal);
    // The client is still sending when it is refused: the answer arrives nevertheless.
    let mut client = Client::connect(program.control);
    client.send("x".repeat(900_000));
    assert_eq!(client.rest(), refusal);
    assert_eq!(program.rep(), ["S1"]);
}

#[test]
fn bytes_that_are_no_text_are_answered_and_not_repeated() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let mut client = Client::connect(program.control);
    client.send(b"rep \xff\xfe\n");
    assert_eq!(client.rest(), b"ERR line is not UTF-8 text\n\n");
    let answer = program.command("\u{1b}[2J");
    assert!(
        answer.starts_with("ERR ") && !answer.contains('\u{1b}'),
        "{answer:?}"
    );
    // The beginning of a TLS handshake has no line end; it may not keep the connection for ever.
    let mut client = Client::connect(program.control);
    client.send(b"\x16\x03\x01\x02\x00\n");
    assert!(client.rest().starts_with(b"ERR "));
}

#[test]
fn a_peer_from_elsewhere_needs_the_token() {
    let Some((program, ip)) = reachable_by_remote_peers(&[]) else {
        return;
    };
    let ask = |program: &Ringmaster, line: &str| {
        let mut client = Client::connect((ip, program.control.port()).into());
        client.send(format!("{line}\n"));
        String::from_utf8(client.rest()).expect("UTF-8")
    };
    for (line, path) in [
        ("rep", "/rep"),
        ("add 1", "/add"),
        ("rm 1", "/rm"),
        ("events", "/events"),
    ] {
        let sentence = format!("{path} is for local peers, you are {ip}; set --control-token");
        assert_eq!(ask(&program, line), format!("ERR {sentence}\n\n"));
    }
    assert!(ask(&program, "help").starts_with("help "));
    assert_eq!(program.rep(), ["S1"]);
    drop(program);

    let Some((program, _)) = reachable_by_remote_peers(&["--control-token", "s3cret"]) else {
        return;
    };
    let none = format!("ERR /rm is for local peers or a bearer token, you are {ip} without one");
    assert_eq!(ask(&program, "rm 1; auth s3cret"), format!("{none}\n\n"));
    // A wrong token does not end the line: it may be meant for another balancer.
    let answer = ask(&program, "auth wrong; auth s3cret; rep; add 1 S2");
    let answers: Vec<&str> = answer.split_terminator("\n\n").collect();
    let wrong = "ERR the token is wrong";
    assert_eq!(answers, [wrong, "ok", "N 1\nS1", "N 2\nS1\nS2"]);
    assert!(!program.log().contains("s3cret"));
}
