//! Invariants of a line of the control port for any bytes: no panic, and either commands or one
//! sentence that moves no terminal. A plan prints as it can be typed.
//!
//! The fuzz target `command` feeds it, and so does the property test of tests/e2e/command_fuzz.rs.

use ringmaster::control::command::{self, ControlCommand, MAX_COMMANDS, ParsedCommand};
use ringmaster::control::ring_query::RingQuery;

/// A line without its ending.
pub(crate) fn line(bytes: &[u8]) {
    let read = command::parse(bytes);
    assert_eq!(read, command::parse(bytes));
    let requests = match read {
        Ok(requests) => requests,
        Err(sentence) => return check_sentence(&sentence),
    };
    assert!((1..=MAX_COMMANDS).contains(&requests.len()));
    let last = requests.len() - 1;
    for (at, ParsedCommand { command, .. }) in requests.into_iter().enumerate() {
        match command {
            Err(sentence) => check_sentence(&sentence),
            Ok(command) => {
                assert!(at == last || !command.streams(), "nothing comes after it");
                check_plan(&command);
            }
        }
    }
}

fn check_sentence(sentence: &str) {
    assert!(!sentence.trim().is_empty());
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
}

/// Checks that a planned change, printed and typed again, is the same.
fn check_plan(command: &ControlCommand) {
    if let ControlCommand::Query(RingQuery::Plan(proposal)) = command {
        let told = format!("plan {proposal}");
        let again = command::parse(told.as_bytes()).expect("a line");
        assert_eq!(again[0].command.as_ref(), Ok(command), "{told}");
    }
}
