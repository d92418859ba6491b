//! A visitor from another machine enters the token, and may then do everything.

use crate::support::reachable_by_remote_peers;

use super::browser::{Browser, Screen};

#[test]
fn a_remote_client_with_the_token_may_command() {
    let Some((program, ip)) = reachable_by_remote_peers(&["--control-token", "s3cret"]) else {
        return;
    };
    let url = format!("http://{ip}:{}/", program.control.port());
    let browser = Browser::open(Screen::WIDE, &url);
    browser.until(
        "the refusal",
        "document.getElementById('connection-lost').textContent.includes('bearer token')",
    );
    assert_eq!(browser.count("#rows tr"), 0);
    assert_eq!(
        browser.eval("document.getElementById('token-box').open"),
        true
    );
    browser.fill("#token", "wrong");
    browser.press("\u{e007}");
    browser.until(
        "another refusal",
        "document.getElementById('connection-lost').textContent.includes('yours is wrong')",
    );
    browser.fill("#token", "s3cret");
    browser.press("\u{e007}");
    browser.until(
        "the rows",
        "document.querySelectorAll('#rows tr').length === 1",
    );
    browser.until(
        "the events",
        "document.querySelectorAll('#events li').length === 1",
    );
    assert_eq!(browser.eval("document.getElementById('token').value"), "");
    browser.click("#preview");
    browser.until("the offer", "!document.getElementById('apply').disabled");
    browser.click("#apply");
    browser.until(
        "another row",
        "document.querySelectorAll('#rows tr').length === 2",
    );
    assert_eq!(
        browser.eval("document.documentElement.outerHTML.includes('s3cret')"),
        false
    );
    assert!(
        browser
            .asked()
            .iter()
            .all(|asked| !asked.contains("s3cret"))
    );
    assert!(!program.log().contains("s3cret"));
}
