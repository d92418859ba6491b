//! Orders about one replica by click, and the replacement of all. An order that a click can undo
//! needs one click, every other order is previewed.

use serde_json::Value;

use crate::support::{Backend, Ringmaster};

use super::browser::Browser;
use super::changes::{can_apply, message, offered};

/// Waits for as many rows.
#[track_caller]
pub(super) fn rows(browser: &Browser, n: usize) {
    browser.until(
        "the rows",
        &format!("document.querySelectorAll('#rows tr').length === {n}"),
    );
}

/// The button for this order about a replica.
fn button(order: &str, name: &str) -> String {
    format!("#rows tr[data-name=\"{name}\"] button[data-order={order}]")
}

/// Waits until the row of this replica shows this state.
#[track_caller]
fn state(browser: &Browser, name: &str, state: &str) {
    browser.until(
        &format!("{name} is {state}"),
        &format!(
            "document.querySelector('#rows tr[data-name=\"{name}\"] .badge')?.textContent === '{state}'"
        ),
    );
}

fn names(browser: &Browser) -> Vec<String> {
    let names = browser.eval("[...document.querySelectorAll('#rows tr')].map(row => row.querySelector('.number').textContent + ' ' + row.dataset.name)");
    let names = names.as_array().expect("rows").iter();
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// Returns the status card of a replica, as the control port sends it.
fn card(program: &Ringmaster, name: &str) -> Value {
    let answer = program.command(&format!("show {name} json"));
    let answer: Value = serde_json::from_str(answer.trim_end()).expect(&answer);
    answer["message"].clone()
}

#[test]
fn a_replica_is_replaced_by_click_and_its_seat_stays() {
    let program = Ringmaster::start(&["--replicas", "3"]);
    let browser = Browser::at(&program);
    rows(&browser, 3);
    browser.click(&button("replace", "S2"));
    offered(&browser, "Replace S2");
    let plan = browser.text("#plan");
    let was = card(&program, "S2")["engine_id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for part in ["Seat", "2", "none of the keys", &was] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    assert_eq!(
        program.rep(),
        ["S1", "S2", "S3"],
        "a preview changes nothing"
    );
    browser.click("#apply");
    assert_eq!(message(&browser, "good"), "Done: Replace S2.");
    let rep = program.rep();
    assert_ne!(rep[1], "S2");
    browser.until(
        "the successor in its seat",
        &format!(
            "document.querySelector('#rows tr:nth-child(2)').dataset.name === '{}'",
            rep[1]
        ),
    );
    let shown = [
        "1 S1".to_owned(),
        format!("2 {}", rep[1]),
        "3 S3".to_owned(),
    ];
    assert_eq!(names(&browser), shown);
    assert!(!can_apply(&browser), "what was done is not offered again");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn all_are_replaced_one_after_the_other() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    rows(&browser, 2);
    browser.click("#replace-all");
    offered(&browser, "Replace all");
    assert!(
        browser
            .text("#plan .summary")
            .contains("2, one after the other")
    );
    assert_eq!(program.rep(), ["S1", "S2"], "a preview changes nothing");
    browser.click("#apply");
    assert_eq!(message(&browser, "good"), "Done: Replace all.");
    let rep = program.rep();
    assert!(rep.len() == 2 && !rep.contains(&"S1".to_owned()) && !rep.contains(&"S2".to_owned()));
    browser.until(
        "both successors",
        &format!("[...document.querySelectorAll('#rows tr')].map(row => row.dataset.name).join() === '{}'", rep.join(",")),
    );
}

#[test]
fn a_replica_is_drained_and_made_ready_by_click() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    rows(&browser, 2);
    browser.click(&button("drain", "S1"));
    state(&browser, "S1", "drained");
    assert_eq!(message(&browser, "good"), "Done: Drain S1.");
    assert_eq!(card(&program, "S1")["state"], "drained");
    browser.until("the sum", "document.title === '1/2 up · Ringmaster'");
    browser.until(
        "its arcs are pale",
        "document.querySelectorAll('#ring .band path.absent').length === 1",
    );
    // The other is the last replica that is up, so the page asks for confirmation.
    browser.click(&button("drain", "S2"));
    offered(&browser, "Drain S2");
    let plan = browser.text("#plan");
    assert!(
        plan.contains("no replica is up: requests will fail"),
        "{plan}"
    );
    assert_eq!(card(&program, "S2")["state"], "up");
    browser.click("#apply");
    state(&browser, "S2", "drained");
    // By key: the button is the same one as before and has the focus still.
    browser.eval(&format!(
        "document.querySelector('{}').focus()",
        button("ready", "S1")
    ));
    browser.press("\u{e007}");
    state(&browser, "S1", "up");
    assert_eq!(message(&browser, "good"), "Done: Ready S1.");
    assert_eq!(card(&program, "S1")["state"], "up");
    assert_eq!(
        browser.eval("document.activeElement.getAttribute('aria-label')"),
        "Drain S1"
    );
    browser.click(&button("ready", "S2"));
    state(&browser, "S2", "up");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn an_order_is_chosen_in_the_form_too_and_refusals_are_told() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    rows(&browser, 2);
    browser.click("input[value=one]");
    browser.eval("document.getElementById('order').focus()");
    browser.press("Drain");
    browser.until(
        "no drain of all",
        "document.querySelector('#which option[value=all]').disabled && document.getElementById('which').value === 'S1'",
    );
    browser.eval("document.getElementById('which').focus()");
    browser.press("S2");
    browser.click("#preview");
    offered(&browser, "Drain S2");
    // Another order is carried out first: the page shows it and withdraws its offer.
    program.command("replace S2");
    browser.until(
        "the offer is gone",
        "document.getElementById('apply').disabled && document.getElementById('change-message').textContent === 'S2 is gone since.'",
    );
    assert_eq!(
        browser.eval("document.getElementById('which').value"),
        "",
        "no other replica is chosen instead"
    );
    // A click that comes too late, as on a page that does not know of the replacement yet.
    browser.eval("(row => { const late = row.querySelector('button[data-order=drain]'); row.dataset.name = 'S2'; late.click(); })(document.querySelector('#rows tr:nth-child(2)'))");
    assert_eq!(message(&browser, "bad"), "there is no replica named S2");
}

#[test]
fn uptime_and_engine_id_of_a_replica_are_shown() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    rows(&browser, 2);
    for name in ["S1", "S2"] {
        let id = card(&program, name)["engine_id"]
            .as_str()
            .expect("an id")
            .to_owned();
        assert!(id.starts_with("pid:"), "{id}");
        browser.until(
            "its process",
            &format!("document.querySelector('#rows tr[data-name={name}] .engine')?.textContent === '{id}'"),
        );
    }
    let seconds =
        "[...document.querySelectorAll('#rows .time')].map(time => parseInt(time.textContent))";
    let times = browser.eval(seconds);
    let first = times[0].as_u64().expect("seconds");
    browser.until(
        "two seconds more",
        &format!("({seconds})[0] >= {} && /^\\d+ s$/.test(document.querySelector('#rows .time').textContent)", first + 2),
    );
    // A successor starts its counts at zero; the others go on.
    program.command("replace S2");
    browser.until(
        "a younger one",
        &format!(
            "(times => times[1] < {} && times[0] >= {})({seconds})",
            first + 2,
            first + 2
        ),
    );
}

#[test]
fn fixed_backends_are_drained_and_neither_replaced_nor_removed() {
    let reply = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let backends = [Backend::answering(reply), Backend::answering(reply)];
    let [a, b] = backends.each_ref().map(|backend| backend.addr);
    let list = format!("a={a},b={b}");
    let program = Ringmaster::start(&["--backend", &list]);
    let browser = Browser::at(&program);
    rows(&browser, 2);
    assert_eq!(
        browser.count("#rows button:not([hidden])"),
        2,
        "one for each"
    );
    assert_eq!(
        browser.eval("document.getElementById('replace-all').hidden"),
        true
    );
    browser.click(&button("drain", "a"));
    state(&browser, "a", "drained");
    browser.click(&button("ready", "a"));
    state(&browser, "a", "up");
}

/// A script that adds to the balancer's answers: a replica without a seat in an unknown state, and
/// an unknown field of events.
const MORE: &str = "(() => { const heard = window.fetch; window.fetch = async (path, ...rest) => {
    const response = await heard(path, ...rest);
    if (path === '/events') {
        const add = (text, to) => to.enqueue(text.replaceAll('\"up\":', '\"near_misses\":3,\"up\":'));
        const more = new TransformStream({transform: add});
        const body = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(more);
        return new Response(body.pipeThrough(new TextEncoderStream()), {headers: response.headers});
    }
    if (path !== '/replicas') return response;
    const answer = await response.json();
    answer.message.replicas.push({name: 's-spare', seat: null, state: 'humming', address: '127.0.0.1:9',
        engine_id: 'pid:9', up_since: null, deaths: 0, heartbeat_ms: null, in_flight: 0, listed: false,
        reason: null, past: [], luck: 7});
    return new Response(JSON.stringify(answer), {headers: response.headers}); }; })()";

#[test]
fn states_and_fields_that_are_not_known_are_shown_as_they_are() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    browser.load_after(MORE);
    rows(&browser, 3);
    let row = browser.text("#rows tr:nth-child(3)");
    for part in ["s-spare", "humming", "127.0.0.1:9", "pid:9"] {
        assert!(row.contains(part), "{part}: {row}");
    }
    let orders = "#rows tr:nth-child(3) button:not([hidden])";
    assert_eq!(browser.count(orders), 0);
    assert_eq!(browser.count("#rows button:not([hidden])"), 6);
    browser.until(
        "the field",
        "document.querySelectorAll('#events .why').length === 2 \
         && document.querySelector('#events .why').textContent === 'near misses 3'",
    );
    assert_eq!(browser.complaints(), [""; 0]);
}
