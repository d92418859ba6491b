//! The balancer ends, and another starts: the page shows it and goes on by itself.

use crate::support::{Ringmaster, Signal};

use super::browser::Browser;

const SHOWN: &str = "!document.getElementById('connection-lost').hidden";

#[test]
fn a_lost_balancer_is_shown_and_found_again() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 2",
    );
    assert_ne!(browser.eval(SHOWN), true);
    let control = program.control.to_string();
    program.kill();
    browser.until("the word", SHOWN);
    let message = browser.text("#connection-lost");
    assert!(
        message.starts_with("No answer from the balancer since "),
        "{message}"
    );
    assert_eq!(
        browser.eval("document.getElementById('connection-lost').getAttribute('role')"),
        "alert"
    );
    assert_eq!(browser.eval("document.title"), "lost · Ringmaster");
    assert!(
        browser.text("#rows").contains("S2"),
        "what was last heard stays"
    );
    // Another on the same port, with other replicas.
    let program = Ringmaster::start(&["--replicas", "3", "--control", &control]);
    browser.until("the word is gone", &format!("!({SHOWN})"));
    browser.until(
        "the other's rows",
        "document.querySelectorAll('#rows tr').length === 3",
    );
    browser.until(
        "the other's ring",
        "document.querySelectorAll('#ring .band path').length === 3",
    );
    browser.until(
        "the other's events alone",
        "document.querySelectorAll('#events li').length === 3",
    );
    assert_eq!(browser.text("#announcer"), "The balancer answers again.");
    drop(program);
}

#[test]
fn a_frozen_balancer_is_shown_as_lost() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let browser = Browser::at(&program);
    program.signal(Signal::STOP);
    browser.until("the word", SHOWN);
    program.signal(Signal::CONT);
    browser.until("the word is gone", &format!("!({SHOWN})"));
}
