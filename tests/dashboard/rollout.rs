//! A rollout of another version by click: its preview, its progress, its stop and the way back.

use std::path::Path;

use crate::support::Ringmaster;

use super::browser::Browser;
use super::changes::{can_apply, message, offered};
use super::orders::rows;

#[test]
fn another_version_is_rolled_out_stopped_and_brought_back() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    rows(&browser, 2);
    let version = |row: u32| format!("#rows tr:nth-child({row}) .version");
    browser.until(
        "the versions",
        &format!(
            "document.querySelector('{}').textContent === 'bundled'",
            version(1)
        ),
    );
    assert_eq!(
        browser.eval("document.getElementById('rollout').hidden"),
        true
    );
    let replica = Path::new(env!("CARGO_BIN_EXE_ringmaster")).with_file_name("replica");
    let command = replica.display().to_string();
    browser.click("#replace-all");
    offered(&browser, "Replace all");
    browser.fill("#version", &command);
    assert!(!can_apply(&browser), "another order needs another preview");
    browser.click("#preview");
    offered(&browser, &format!("Replace all by {command}"));
    assert!(
        browser
            .text("#plan .summary")
            .contains("the former versions come back")
    );
    browser.click("#apply");
    // The first new replica is monitored for 5 s.
    let progress = format!("Replacing by {command}: 0 of 2 done");
    browser.until(
        "the progress",
        &format!("document.getElementById('rollout-text').textContent === {progress:?}"),
    );
    program.event("replaced", 1);
    browser.click("#rollout-stop");
    let refused = message(&browser, "bad");
    assert_eq!(refused, "stopped by order; replaced 1 of 2");
    browser.until("no progress", "document.getElementById('rollout').hidden");
    browser.until(
        "the version of seat 1",
        &format!(
            "document.querySelector('{}').textContent === {command:?}",
            version(1)
        ),
    );
    let choose = "(order => {
        order.value = 'back';
        return order.dispatchEvent(new Event('input', {bubbles: true}));
    })(document.getElementById('order'))";
    browser.eval(choose);
    browser.click("#preview");
    offered(&browser, "Bring back");
    browser.click("#apply");
    assert_eq!(
        message(&browser, "good"),
        "Done: Bring back. Now 2 replicas."
    );
    browser.until(
        "the former version",
        &format!(
            "document.querySelector('{}').textContent === 'bundled'",
            version(1)
        ),
    );
    // The browser notes the answer to the order that was stopped.
    let complaints = browser.complaints();
    assert!(
        complaints.len() == 1 && complaints[0].contains("503"),
        "{complaints:?}"
    );
}
