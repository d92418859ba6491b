//! Changes by click: each is previewed first, and the change applied is the previewed one.

use crate::support::Ringmaster;

use super::browser::Browser;

/// Waits for the message about the last change.
#[track_caller]
pub(super) fn message(browser: &Browser, state: &str) -> String {
    browser.until(
        &format!("a word that is {state:?}"),
        &format!("(said => said.dataset.state === '{state}' && said.textContent !== '')(document.getElementById('change-message'))"),
    );
    browser.text("#change-message")
}

pub(super) fn can_apply(browser: &Browser) -> bool {
    browser.eval("!document.getElementById('apply').disabled") == true
}

/// Waits until the button has this text and can be clicked.
#[track_caller]
pub(super) fn offered(browser: &Browser, text: &str) {
    browser.until(
        &format!("the button {text:?}"),
        &format!("(apply => !apply.disabled && apply.textContent === {text:?})(document.getElementById('apply'))"),
    );
}

#[test]
fn replicas_are_added_and_removed_by_click() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 2",
    );
    assert!(!can_apply(&browser), "nothing was previewed");
    browser.fill("#n", "2");
    browser.fill("#names", "lion, tiger");
    browser.click("#preview");
    offered(&browser, "Add 2 replicas");
    assert_eq!(browser.count("#plan tbody tr"), 4);
    assert!(browser.text("#plan .summary").contains("2 → 4"));
    assert!(browser.text("#plan .moved").contains("% of the keys"));
    assert_eq!(program.rep(), ["S1", "S2"], "a preview changes nothing");
    browser.click("#apply");
    assert_eq!(
        message(&browser, "good"),
        "Done: Add 2 replicas. Now 4 replicas."
    );
    assert_eq!(program.rep(), ["S1", "S2", "lion", "tiger"]);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 4",
    );
    assert!(!can_apply(&browser), "what was done is not offered again");

    browser.click("#rows tr:nth-child(2) button[data-order=remove]");
    offered(&browser, "Remove S2");
    browser.click("#apply");
    assert_eq!(
        message(&browser, "good"),
        "Done: Remove S2. Now 3 replicas."
    );
    assert_eq!(program.rep(), ["S1", "lion", "tiger"]);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 3",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Chooses the kind of ring whose name begins so, by key.
#[track_caller]
fn choose(browser: &Browser, kind: &str) {
    browser.eval("document.getElementById('spec').focus()");
    browser.press(kind);
    browser.until(
        kind,
        &format!("(spec => spec.selectedOptions[0].text.startsWith({kind:?}))(document.getElementById('spec'))"),
    );
}

#[test]
fn a_ring_switch_is_previewed_and_applied() {
    let program = Ringmaster::start(&["--replicas", "3"]);
    let browser = Browser::at(&program);
    browser.until(
        "the arcs",
        "document.querySelectorAll('#ring .band path').length === 3",
    );
    browser.click("input[value=ring]");
    choose(&browser, "classic");
    browser.click("#preview");
    offered(&browser, "Switch to classic");
    assert!(browser.text("#plan .summary").contains("uniform → classic"));
    assert!(
        browser
            .text("#plan tbody tr:nth-child(1)")
            .contains("83.6 %")
    );
    assert!(program.command("ring").starts_with("ring uniform\n"));
    browser.click("#apply");
    assert_eq!(message(&browser, "good"), "Done: Switch to classic.");
    assert!(program.command("ring").starts_with("ring classic\n"));
    browser.until(
        "the new ring",
        "document.getElementById('summary').textContent.includes('classic')",
    );
    browser.until(
        "its share",
        "document.querySelector('#rows tr:nth-child(1) .keys-text').textContent === '83.6 %'",
    );
    // One of one's own, with the signs that an address gives a meaning of its own.
    choose(&browser, "one of");
    browser.until(
        "the field",
        "!document.getElementById('own-spec').closest('label').hidden",
    );
    browser.fill(
        "#own-spec",
        "classic:h=i%97+i*3,phi=i*31+j*17,slots=1024,vnodes=5",
    );
    browser.click("#preview");
    offered(&browser, "Switch to classic");
    browser.click("#apply");
    assert_eq!(message(&browser, "good"), "Done: Switch to classic.");
    let ring = program.command("ring");
    assert!(ring.contains("h=i%97+i*3"), "{ring}");
    // A kind without a circle shows a note instead.
    choose(&browser, "jump");
    browser.click("#preview");
    offered(&browser, "Switch to jump");
    browser.click("#apply");
    browser.until(
        "the note",
        "document.getElementById('ring-note').textContent.startsWith('jump has no circle')",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_bound_is_set() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    browser.click("input[value=bound]");
    browser.fill("#bound", "1.25");
    browser.press("\u{e007}");
    offered(&browser, "Set the bound to 1.25");
    browser.click("#apply");
    assert_eq!(message(&browser, "good"), "Done: Set the bound to 1.25.");
    assert_eq!(program.command("bound"), "bound 1.25\n\n");
    browser.until(
        "the new bound",
        "document.getElementById('summary').textContent.includes('1.25')",
    );
}

#[test]
fn a_refusal_is_told_and_an_old_preview_is_taken_back() {
    let program = Ringmaster::start(&["--replicas", "2", "--max-replicas", "3"]);
    let browser = Browser::at(&program);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 2",
    );
    for (n, names, sentence) in [
        (
            "2",
            "",
            "cannot add 2 to 2 replicas: at most 3 are allowed (--max-replicas)",
        ),
        ("1", "S2", "the name S2 is taken"),
        (
            "1",
            "a b",
            "Length of hostname list is more than newly added instances",
        ),
    ] {
        browser.fill("#n", n);
        browser.fill("#names", names);
        browser.click("#preview");
        browser.until(
            "the refusal",
            &format!("document.getElementById('change-message').textContent === {sentence:?}"),
        );
        assert!(!can_apply(&browser), "{sentence}");
    }
    // Typing takes the offer back, and so does a change from elsewhere.
    browser.fill("#names", "lion");
    browser.click("#preview");
    offered(&browser, "Add 1 replica");
    browser.fill("#names", "tiger");
    assert!(!can_apply(&browser));
    browser.click("#preview");
    offered(&browser, "Add 1 replica");
    program.command("rm 1 S2");
    browser.until(
        "the offer is gone",
        "document.getElementById('apply').disabled",
    );
    assert!(browser.text("#change-message").contains("preview it again"));
    assert_eq!(program.rep(), ["S1"]);
}
