//! Requests that a browser sends for a web page of this or another site.

use super::*;

/// Origin, Sec-Fetch-Site, Host, and `true` if a change is allowed.
type Page = (
    Option<&'static str>,
    Option<&'static str>,
    Option<&'static str>,
    bool,
);

const PAGES: &[Page] = &[
    // Hosts.
    (None, None, None, true),
    (None, None, Some("localhost"), true),
    (None, None, Some("LOCALHOST:5001"), true),
    (None, None, Some("localhost:"), true),
    (None, None, Some("127.0.0.1:5001"), true),
    (None, None, Some("192.168.65.1:5001"), true),
    (None, None, Some("[::1]:5001"), true),
    (None, None, Some("[::1]"), true),
    (None, None, Some("[::ffff:127.0.0.1]:5001"), true),
    (None, None, Some(""), false),
    (None, None, Some(":5001"), false),
    (None, None, Some("localhost.:5001"), false),
    (None, None, Some("127.0.0.1."), false),
    (None, None, Some("127.0.0.1.evil.com"), false),
    (None, None, Some("localhost.evil.com:5001"), false),
    (None, None, Some("evil.com"), false),
    (None, None, Some("evillocalhost"), false),
    (None, None, Some("user@localhost"), false),
    (None, None, Some("localhost:5001:80"), false),
    (None, None, Some("localhost:+80"), false),
    (None, None, Some("localhost:65536"), false),
    (None, None, Some("localhost:5001 "), false),
    (None, None, Some("::1"), false),
    (None, None, Some("[::1"), false),
    (None, None, Some("[::1]x"), false),
    (None, None, Some("[::1].evil.com"), false),
    (None, None, Some("[127.0.0.1]"), false),
    // Origins.
    (
        Some("http://localhost:5001"),
        None,
        Some("localhost:5001"),
        true,
    ),
    (
        Some("HTTP://LocalHost:5001"),
        None,
        Some("localhost:5001"),
        true,
    ),
    (Some("http://localhost"), None, Some("localhost:80"), true),
    (Some("http://[::1]:5001"), None, Some("[0:0::1]:5001"), true),
    (Some("null"), None, Some("localhost:5001"), false),
    (Some(""), None, Some("localhost:5001"), false),
    (
        Some("http://localhost:5000"),
        None,
        Some("localhost:5001"),
        false,
    ),
    (
        Some("http://localhost"),
        None,
        Some("localhost:5001"),
        false,
    ),
    (
        Some("https://localhost:5001"),
        None,
        Some("localhost:5001"),
        false,
    ),
    (
        Some("http://127.0.0.1:5001"),
        None,
        Some("localhost:5001"),
        false,
    ),
    (Some("http://evil.com"), None, Some("localhost:5001"), false),
    (
        Some("http://localhost:5001/"),
        None,
        Some("localhost:5001"),
        false,
    ),
    (Some("http://evil.com"), None, Some("evil.com"), false),
    (Some("http://localhost:5001"), None, None, false),
    (Some("null"), None, None, false),
    // Sec-Fetch-Site.
    (None, Some("same-origin"), Some("localhost:5001"), true),
    (None, Some("none"), Some("localhost:5001"), true),
    (None, Some("same-site"), Some("localhost:5001"), false),
    (None, Some("cross-site"), Some("localhost:5001"), false),
    (None, Some(""), Some("localhost:5001"), false),
    (None, Some("cross-site"), None, false),
    (
        Some("http://localhost:5001"),
        Some("cross-site"),
        Some("localhost:5001"),
        false,
    ),
];

fn page(addr: &str, page: Page) -> Caller<'static> {
    Caller {
        origin: page.0.map(str::as_bytes),
        fetch_site: page.1.map(str::as_bytes),
        host: page.2.map(str::as_bytes),
        ..caller(addr)
    }
}

#[test]
fn a_page_of_another_site_is_refused_though_local() {
    for case in PAGES {
        let verdict = change(&no_token(), &page(LOCAL, *case));
        assert_eq!(verdict.is_ok(), case.3, "{case:?}: {verdict:?}");
        let read = no_token().check(&page(LOCAL, *case), "/rep", AccessKind::Read);
        assert_eq!(read.is_ok(), case.3, "{case:?}: {read:?}");
        // A path that is open to remote peers too.
        let counted = no_token().check_site(&page(REMOTE, *case), "/metrics");
        assert_eq!(counted.is_ok(), case.3, "{case:?}: {counted:?}");
    }
}

#[test]
fn an_allowed_host_name_is_as_good_as_localhost() {
    let access = AccessPolicy {
        hosts: Arc::new(["ringmaster".parse().unwrap(), "lb.example".parse().unwrap()]),
        ..no_token()
    };
    let cases: [Page; 9] = [
        (None, None, Some("ringmaster:5001"), true),
        (None, None, Some("RingMaster"), true),
        (None, None, Some("lb.example:80"), true),
        (
            Some("http://ringmaster:5001"),
            Some("same-origin"),
            Some("ringmaster:5001"),
            true,
        ),
        (Some("http://lb.example"), None, Some("ringmaster"), false),
        (
            Some("http://ringmaster:5000"),
            None,
            Some("ringmaster:5001"),
            false,
        ),
        (None, Some("cross-site"), Some("ringmaster:5001"), false),
        (None, None, Some("ringmaster.:5001"), false),
        (None, None, Some("x.ringmaster:5001"), false),
    ];
    for case in cases {
        let verdict = change(&access, &page(LOCAL, case));
        assert_eq!(verdict.is_ok(), case.3, "{case:?}: {verdict:?}");
    }
    // The name makes no remote peer local.
    assert!(change(&access, &page(REMOTE, cases[0])).is_err());
    for bad in [
        "",
        "a:80",
        "a b",
        "http://a",
        "[::1]",
        "\u{e9}",
        &"a".repeat(254),
    ] {
        assert!(bad.parse::<HostName>().is_err(), "{bad}");
    }
    assert_eq!(
        "LB.example".parse::<HostName>().unwrap().to_string(),
        "lb.example"
    );
}

#[test]
fn a_page_of_another_site_is_refused_even_with_open_access() {
    let anyone = AccessPolicy {
        token: None,
        anyone: true,
        ..no_token()
    };
    for case in PAGES {
        let verdict = change(&anyone, &page(REMOTE, *case));
        assert_eq!(verdict.is_ok(), case.3, "{case:?}: {verdict:?}");
    }
}

#[test]
fn a_right_token_allows_pages_too() {
    for case in PAGES {
        let mut caller = page(REMOTE, *case);
        caller.authorization = Some(b"Bearer s3cret");
        assert_eq!(change(&with_token(), &caller), Ok(()), "{case:?}");
    }
}

#[test]
fn a_page_gets_the_reason_for_its_refusal() {
    let denied = change(
        &no_token(),
        &page(LOCAL, (Some("null"), None, Some("[::1]"), false)),
    );
    assert_eq!(
        denied.unwrap_err(),
        "/add is not for web pages of other sites without a bearer token: Origin is not this host and port"
    );
}
