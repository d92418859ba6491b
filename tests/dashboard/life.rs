//! Updates of the page by itself, and the answer to which seat owns a key.

use crate::support::{Load, Ringmaster, Signal, TEST_TIMEOUT, eventually, exchange};

use super::browser::Browser;

#[test]
fn a_death_and_its_successor_show_by_themselves() {
    let program = Ringmaster::start(&["--replicas", "3"]);
    let browser = Browser::at(&program);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 3",
    );
    browser.eval("window.same = true");
    // Events that are shown when the page opens are not announced to screen readers.
    browser.until(
        "events",
        "document.querySelectorAll('#events li').length === 3",
    );
    assert_eq!(browser.text("#rows tr:nth-child(2) span.name"), "S2");
    program.strike(&["S2"], Signal::KILL);
    program.event("replaced", 2);
    let successor = program.rep()[1].clone();
    browser.until(
        "the successor in its seat",
        &format!(
            "document.querySelector('#rows tr:nth-child(2) span.name').textContent === '{successor}'"
        ),
    );
    browser.until(
        "the event, with its reason and how long it took",
        "(() => { const first = document.querySelector('#events li[data-kind=replaced]'); \
         return first !== null && /after S2, .* ms after its death/.test(first.textContent); })()",
    );
    browser.until(
        "the death",
        "document.querySelector('#events li[data-kind=down]')?.textContent.includes('detected within')",
    );
    assert_eq!(browser.eval("window.same"), true, "without a reload");
    browser.until("all are up", "document.title === '3/3 up · Ringmaster'");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_standby_shows_and_takes_a_seat_and_the_requests_it_saved_are_told() {
    let program = Ringmaster::start(&["--replicas", "2", "--standby", "1"]);
    let standby = program.standing_by(1).remove(0);
    let browser = Browser::at(&program);
    browser.until(
        "a row without a seat",
        "[...document.querySelectorAll('#rows tr')].map(row => row.querySelector('.badge').textContent) \
         .join(' ') === 'up up standby'",
    );
    assert_eq!(browser.text("#rows tr:nth-child(3) span.name"), standby);
    let load = Load::start(program.listen, 4);
    load.reach(100);
    // A request with that replica waits until the silence is noticed, and is sent again.
    program.strike(&["S2"], Signal::STOP);
    let replaced = program.event("replaced", 2);
    let saved = replaced["saved"].as_u64().expect("a number");
    assert!(saved > 1, "{replaced}");
    browser.until(
        "the standby in the seat",
        &format!(
            "document.querySelector('#rows tr:nth-child(2) span.name').textContent === '{standby}'"
        ),
    );
    browser.until(
        "what it saved",
        &format!(
            "document.querySelector('#events li[data-kind=replaced]')?.textContent \
             .includes('from standby') && document.querySelector('#events li[data-kind=replaced]') \
             .textContent.includes('{saved} requests saved')"
        ),
    );
    load.finish().expect_no_failure();
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn requests_show_as_they_are_served() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    let load = Load::start(program.listen, 2);
    browser.until(
        "a rate, a time and a share in each row",
        "[...document.querySelectorAll('#rows tr')].filter(row => { \
         const cells = row.querySelectorAll('.n'); \
         return parseFloat(cells[0].textContent) > 0 && parseFloat(cells[1].textContent) > 0 \
         && parseFloat(row.querySelector('.got-text').textContent) > 20; }).length === 2",
    );
    browser.until(
        "a line in each chart",
        "[...document.querySelectorAll('.plot .line.l0')].every(line => line.getAttribute('d').length > 10)",
    );
    browser.until(
        "the innermost circle",
        "document.querySelectorAll('#ring .got path').length === 2",
    );
    assert_eq!(load.finish().failures, [""; 0]);
}

#[test]
fn the_charts_show_the_seconds_before_the_page_was_opened() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let load = Load::start(program.listen, 2);
    let seconds = || {
        let reply = exchange(
            program.control,
            "GET /history HTTP/1.1\r\nHost: localhost\r\n\r\n",
        );
        let answer: serde_json::Value = serde_json::from_slice(&reply.body).expect("JSON");
        let rates = answer["message"]["requests_per_s"].as_array().cloned();
        rates.expect("a list").len()
    };
    eventually(TEST_TIMEOUT, "some seconds", || seconds() > 5);
    let browser = Browser::at(&program);
    browser.until(
        "more seconds in each chart than answers that the page has got",
        "(() => { \
         const got = performance.getEntriesByType('resource').filter(e => e.name.endsWith('/stats')).length; \
         const lines = [...document.querySelectorAll('.plot .line.l0')]; \
         return lines.length === 3 && lines.every(line => line.getAttribute('d').split('L').length > got + 2); \
         })()",
    );
    assert_eq!(load.finish().failures, [""; 0]);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_key_is_found_and_its_arc_lights_up() {
    let program = Ringmaster::start(&["--replicas", "3"]);
    let browser = Browser::at(&program);
    browser.until(
        "the arcs",
        "document.querySelectorAll('#ring .band path').length === 3",
    );
    for key in ["132574", "some/text?&;=ä", "."] {
        browser.fill("#key", key);
        browser.press("\u{e007}");
        browser.until(
            "an answer",
            &format!("document.getElementById('key-answer').textContent.startsWith({key:?})"),
        );
        let shown = browser.text("#key-answer");
        if key == "132574" {
            let answer = program.command("where 132574");
            let home = answer.lines().nth(1).expect("a seat");
            let words: Vec<&str> = home.split(' ').collect();
            assert!(
                shown.contains(&format!("with {} in seat {}", words[2], words[1])),
                "{shown} {answer}"
            );
        }
        let lit = browser.eval("[...new Set([...document.querySelectorAll('#ring path.lit')].map(p => p.dataset.seat))].join()");
        let lit = lit.as_str().expect("a seat");
        assert!(shown.contains(&format!("in seat {lit}.")), "{shown} {lit}");
        assert_eq!(browser.count("#ring .mark .pin"), 1);
    }
    browser.click("#key-clear");
    browser.until(
        "the mark is gone",
        "document.querySelectorAll('#ring .lit, #ring .mark *').length === 0",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}
