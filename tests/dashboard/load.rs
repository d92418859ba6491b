//! The page as it comes: everything from one place, nothing to complain of, and every replica on
//! it.

use crate::support::{Ringmaster, exchange};

use super::browser::Browser;

#[test]
fn the_page_loads_from_one_origin_without_console_errors() {
    let program = Ringmaster::start(&["--replicas", "3"]);
    let browser = Browser::at(&program);
    browser.until(
        "a row for each replica",
        "document.querySelectorAll('#rows tr').length === 3",
    );
    browser.until(
        "the arcs",
        "document.querySelectorAll('#ring .band path').length === 3",
    );
    browser.until(
        "events",
        "document.querySelectorAll('#events li').length === 3",
    );
    assert_eq!(browser.eval("document.title"), "3/3 up · Ringmaster");
    for (row, name) in ["S1", "S2", "S3"].into_iter().enumerate() {
        let text = browser.text(&format!("#rows tr:nth-child({})", row + 1));
        assert!(text.contains(name) && text.contains("up"), "{text}");
    }
    let origin = format!("http://127.0.0.1:{}/", program.control.port());
    let asked = browser.asked();
    assert!(
        asked.contains(&origin) && asked.contains(&format!("{origin}stats")),
        "{asked:?}"
    );
    let foreign = asked.iter().filter(|url| !url.starts_with(&origin));
    assert_eq!(foreign.collect::<Vec<_>>(), [""; 0]);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn a_script_that_was_slipped_in_does_not_run() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let browser = Browser::at(&program);
    // A script that got into the page through a hole would try this.
    browser.eval(
        "(() => { const image = document.createElement('div'); \
         image.innerHTML = '<img src=x onerror=\"window.slipped = 1\"><style>body{display:none}</style>'; \
         const script = document.createElement('script'); script.textContent = 'window.slipped = 2'; \
         document.body.append(image, script); })()",
    );
    browser.eval("fetch('http://192.0.2.1/').catch(() => { window.refused = true })");
    browser.until("the refusal", "window.refused === true");
    assert_eq!(browser.eval("window.slipped ?? 0"), 0);
    assert_eq!(
        browser.eval("getComputedStyle(document.body).display"),
        "block"
    );
    let complaints = browser.complaints();
    let policy = complaints
        .iter()
        .filter(|line| line.contains("Content Security Policy"));
    assert!(policy.count() >= 4, "{complaints:?}");
}

#[test]
fn every_control_has_a_name_and_is_reachable_by_keyboard() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let browser = Browser::at(&program);
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 2",
    );
    let nameless = browser.eval(
        "[...document.querySelectorAll('button, input, select, summary, svg[role=img], [tabindex=\"0\"]')] \
         .filter(e => !(e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') \
         || e.textContent.trim())).map(e => e.outerHTML)",
    );
    assert_eq!(nameless.as_array().map(Vec::len), Some(0), "{nameless}");
    // Once round by the Tab key: everything that is shown and can be used has had the focus.
    browser.eval("document.activeElement.blur()");
    let mut met = Vec::new();
    for _ in 0..60 {
        browser.press("\u{e004}");
        let focus = browser.eval("document.activeElement.id || document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim().slice(0, 20)");
        met.push(focus.as_str().unwrap_or_default().to_owned());
    }
    for wanted in [
        "To the replicas",
        "Token",
        "key",
        "Find",
        "replace-all",
        "Replace S1 …",
        "Drain S1",
        "Remove S1 …",
        "n",
        "names",
        "preview",
        "events",
    ] {
        assert!(met.iter().any(|focus| focus == wanted), "{wanted}: {met:?}");
    }
}

#[test]
fn the_files_are_for_anyone_and_no_site_may_frame_them() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let mut size = 0;
    let page = exchange(program.control, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let text = page.text();
    let paths = text
        .split('"')
        .filter(|piece| piece.starts_with("/dashboard/"));
    for path in paths.chain(["/"]) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let reply = exchange(program.control, request);
        assert_eq!(reply.status(), 200, "{path}");
        let policy = reply.field("content-security-policy").expect(path);
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(reply.field("x-content-type-options"), Some("nosniff"));
        size += reply.body.len();
    }
    assert!(size > 10_000, "{size}");
}

#[test]
fn a_page_with_a_missing_part_is_reloaded() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let browser = Browser::at(&program);
    let url = format!("http://127.0.0.1:{}/", program.control.port());
    for part in ["*/format.js", "*/main.js", "*/page.css"] {
        browser.block(&[part]);
        browser.go(&url);
        browser.until(
            "the word",
            "document.getElementById('connection-lost').textContent.startsWith('Not all of this page')",
        );
        browser.block(&[]);
        browser.until(
            "the whole page",
            "document.title.includes('up ·') && document.getElementById('connection-lost').hidden \
             && getComputedStyle(document.querySelector('.skip')).position === 'absolute'",
        );
    }
}
