//! Who may command, from where, with which fields.
//!
//! One table of cases after the other for one function, so that what is missing can be seen.

use super::*;

const LOCAL: &str = "127.0.0.1";
const REMOTE: &str = "192.168.65.1";

fn asker(addr: &str) -> Caller<'static> {
    Caller::at(addr.parse().unwrap(), &|| Ok(SocketOwner::User(ROOT)))
}

fn open() -> AccessPolicy {
    AccessPolicy::default()
}

fn guarded() -> AccessPolicy {
    AccessPolicy {
        token: Some("s3cret".parse().unwrap()),
        ..open()
    }
}

fn change(access: &AccessPolicy, asker: &Caller<'_>) -> Result<(), String> {
    let verdict = access.check(asker, "/add", AccessKind::Write);
    verdict.map_err(|denial| denial.to_string())
}

#[test]
fn loopback_is_local_in_every_spelling() {
    for addr in [LOCAL, "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(change(&open(), &asker(addr)), Ok(()), "{addr}");
    }
    for addr in [REMOTE, "0.0.0.0", "::", "::ffff:10.0.0.1", "fe80::1"] {
        for effect in [AccessKind::Read, AccessKind::Write] {
            assert!(
                open().check(&asker(addr), "/rep", effect).is_err(),
                "{addr}"
            );
        }
    }
}

#[test]
fn a_trusted_gateway_is_local_unless_it_forwards() {
    let access = AccessPolicy {
        gateway: Some("172.18.0.1".parse().unwrap()),
        ..open()
    };
    for addr in ["172.18.0.1", "::ffff:172.18.0.1", LOCAL] {
        assert_eq!(change(&access, &asker(addr)), Ok(()), "{addr}");
    }
    assert!(change(&access, &asker("172.18.0.2")).is_err());
    let mut forwarding = asker("172.18.0.1");
    forwarding.forwarded = true;
    assert!(change(&access, &forwarding).is_err());
}

#[test]
fn a_stranger_learns_what_to_set() {
    for addr in [REMOTE, "::ffff:192.168.65.1"] {
        assert_eq!(
            change(&open(), &asker(addr)).unwrap_err(),
            "/add is for local peers, you are 192.168.65.1; set --control-token"
        );
    }
}

#[test]
fn a_forwarded_request_is_not_local() {
    let mut asker = asker(LOCAL);
    asker.forwarded = true;
    assert_eq!(
        change(&open(), &asker).unwrap_err(),
        "/add is for local peers, you are 127.0.0.1 and the request was forwarded; set --control-token"
    );
}

#[test]
fn a_stranger_needs_the_right_token() {
    let cases: [(Option<&str>, bool, &str); 11] = [
        (Some("Bearer s3cret"), true, ""),
        (Some("bEARER s3cret"), true, ""),
        (Some("Bearer   s3cret"), true, ""),
        (None, false, "without one"),
        (Some("Basic s3cret"), false, "without one"),
        (Some("s3cret"), false, "without one"),
        (Some("Bearer "), false, "without one"),
        (Some("Bearer S3cret"), false, "yours is wrong"),
        (Some("Bearer s3cre"), false, "yours is wrong"),
        (Some("Bearer s3cret s3cret"), false, "yours is wrong"),
        (Some("Bearer s3cretx"), false, "yours is wrong"),
    ];
    for (value, good, why) in cases {
        let mut asker = asker(REMOTE);
        asker.authorization = value.map(str::as_bytes);
        for effect in [AccessKind::Read, AccessKind::Write] {
            let verdict = guarded().check(&asker, "/rep", effect);
            assert_eq!(verdict.is_ok(), good, "{value:?}");
            let text = verdict.map_or_else(|denial| denial.to_string(), |()| String::new());
            assert!(text.contains(why) && !text.contains("s3cret"), "{text}");
        }
    }
}

#[test]
fn without_a_token_set_no_token_is_right() {
    let mut asker = asker(REMOTE);
    for value in [&b"Bearer "[..], b"Bearer x"] {
        asker.authorization = Some(value);
        assert!(change(&open(), &asker).is_err());
    }
}

#[test]
fn a_local_peer_needs_no_token_and_a_wrong_one_does_not_hurt() {
    let mut asker = asker(LOCAL);
    assert_eq!(change(&guarded(), &asker), Ok(()));
    asker.authorization = Some(b"Bearer wrong");
    assert_eq!(change(&guarded(), &asker), Ok(()));
}

/// Origin, Sec-Fetch-Site, Host, and whether a change may pass.
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
        ..asker(addr)
    }
}

#[test]
fn a_page_of_another_site_changes_nothing_though_local() {
    for case in PAGES {
        let verdict = change(&open(), &page(LOCAL, *case));
        assert_eq!(verdict.is_ok(), case.3, "{case:?}: {verdict:?}");
        let read = open().check(&page(LOCAL, *case), "/rep", AccessKind::Read);
        assert_eq!(read.is_ok(), case.3, "{case:?}: {read:?}");
        // What is for strangers too.
        let counted = open().check_site(&page(REMOTE, *case), "/metrics");
        assert_eq!(counted.is_ok(), case.3, "{case:?}: {counted:?}");
    }
}

#[test]
fn a_name_of_ours_is_as_good_as_localhost() {
    let access = AccessPolicy {
        hosts: Arc::new(["ringmaster".parse().unwrap(), "lb.example".parse().unwrap()]),
        ..open()
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
    // It makes nobody local.
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
fn on_loopback_a_change_is_for_our_own_user_and_root() {
    const STRANGER: u32 = 4_000_000_000;
    let whose = |access: &AccessPolicy, owner: io::Result<SocketOwner>, effect, authorization| {
        let owner = || match &owner {
            Ok(owner) => Ok(*owner),
            Err(err) => Err(err.kind().into()),
        };
        let mut asker = Caller::at(LOCAL.parse().unwrap(), &owner);
        asker.authorization = authorization;
        let verdict = access.check(&asker, "/add", effect);
        verdict.map_err(|denial| denial.to_string())
    };
    for owner in [socket_owner::own_user(), ROOT] {
        let verdict = whose(
            &open(),
            Ok(SocketOwner::User(owner)),
            AccessKind::Write,
            None,
        );
        assert_eq!(verdict, Ok(()), "{owner}");
    }
    let own = match socket_owner::own_user() {
        ROOT => "root".to_owned(),
        own => format!("{} and root", socket_owner::described(own)),
    };
    let unsupported = || Err(io::ErrorKind::Unsupported.into());
    for (owner, why) in [
        (
            Ok(SocketOwner::User(STRANGER)),
            "belongs to user 4000000000",
        ),
        (
            Ok(SocketOwner::Gone),
            "was closed before its owner could be looked up",
        ),
        (
            unsupported(),
            "has an owner that the system does not tell: unsupported",
        ),
    ] {
        let asked = |access: &AccessPolicy, effect, shown: Option<&'static [u8]>| {
            let owner = match &owner {
                Ok(owner) => Ok(*owner),
                Err(_) => unsupported(),
            };
            whose(access, owner, effect, shown)
        };
        assert_eq!(
            asked(&open(), AccessKind::Write, None).unwrap_err(),
            format!(
                "/add is for {own} on this machine, and the connection {why}; set --control-token"
            )
        );
        let guarded = guarded();
        for (shown, mend) in [
            (None, "; show the token"),
            (Some(&b"Bearer no"[..]), "; the token is wrong"),
        ] {
            let denied = asked(&guarded, AccessKind::Write, shown).unwrap_err();
            assert!(denied.ends_with(mend), "{denied}");
        }
        assert_eq!(
            asked(&guarded, AccessKind::Write, Some(b"Bearer s3cret")),
            Ok(())
        );
        assert_eq!(
            asked(&open(), AccessKind::Read, None),
            Ok(()),
            "others may look"
        );
        let anyone = AccessPolicy {
            anyone: true,
            ..open()
        };
        assert_eq!(asked(&anyone, AccessKind::Write, None), Ok(()));
    }
}

#[test]
fn nobody_asks_whose_a_socket_is_that_is_not_on_loopback() {
    let access = AccessPolicy {
        gateway: Some("172.18.0.1".parse().unwrap()),
        ..open()
    };
    let asks = || panic!("it was asked");
    for (addr, good) in [("172.18.0.1", true), (REMOTE, false)] {
        let asker = Caller::at(addr.parse().unwrap(), &asks);
        assert_eq!(change(&access, &asker).is_ok(), good, "{addr}");
    }
}

#[test]
fn too_many_wrong_tokens_are_429_and_only_where_a_token_matters() {
    let access = guarded();
    let mut asker = asker(REMOTE);
    let denied = |asker: &Caller<'_>| access.check(asker, "/rep", AccessKind::Read).err();
    asker.authorization = Some(b"Bearer wrong");
    for _ in 0..10 {
        let denial = denied(&asker).unwrap();
        assert_eq!((denial.status, denial.retry_after()), (403, None));
    }
    for shown in [&b"Bearer wrong"[..], b"Bearer s3cret"] {
        asker.authorization = Some(shown);
        let denial = denied(&asker).unwrap();
        assert_eq!((denial.status, denial.retry_after()), (429, Some(1)));
        let sentence = "too many wrong tokens from 192.168.65.1; wait 1 s";
        assert_eq!(denial.to_string(), sentence);
    }
    // In either protocol it is the same count.
    let token = "s3cret".parse().unwrap();
    let denial = access.check_token(asker.addr, &token).unwrap_err();
    assert_eq!(denial.status, 429);
    // Who shows none is told what is missing, and others are not touched.
    asker.authorization = None;
    assert_eq!(denied(&asker).unwrap().status, 403);
    assert_eq!(access.check_token(LOCAL.parse().unwrap(), &token), Ok(()));
}

#[test]
fn a_wrong_token_that_matters_to_nothing_is_not_counted() {
    let access = guarded();
    let mut asker = asker(LOCAL);
    asker.authorization = Some(b"Bearer wrong");
    for _ in 0..100 {
        assert_eq!(change(&access, &asker), Ok(()));
    }
    let token = "s3cret".parse().unwrap();
    assert_eq!(access.check_token(asker.addr, &token), Ok(()));
}

#[test]
fn where_anyone_may_a_page_of_another_site_may_not() {
    let anyone = AccessPolicy {
        token: None,
        anyone: true,
        ..open()
    };
    for case in PAGES {
        let verdict = change(&anyone, &page(REMOTE, *case));
        assert_eq!(verdict.is_ok(), case.3, "{case:?}: {verdict:?}");
    }
}

#[test]
fn a_right_token_allows_pages_too() {
    for case in PAGES {
        let mut asker = page(REMOTE, *case);
        asker.authorization = Some(b"Bearer s3cret");
        assert_eq!(change(&guarded(), &asker), Ok(()), "{case:?}");
    }
}

#[test]
fn a_page_is_told_what_gave_it_away() {
    let denied = change(
        &open(),
        &page(LOCAL, (Some("null"), None, Some("[::1]"), false)),
    );
    assert_eq!(
        denied.unwrap_err(),
        "/add is not for web pages of other sites without a bearer token: Origin is not this host and port"
    );
}

#[test]
fn a_token_is_what_both_protocols_can_carry() {
    for good in ["x", "s3cret!", "a=b/c+d~", "\"'"] {
        assert!(good.parse::<Token>().is_ok(), "{good}");
    }
    for bad in ["", "a b", "a;b", "a\n", "ä", "\0"] {
        assert!(bad.parse::<Token>().is_err(), "{bad:?}");
    }
}

#[test]
fn tokens_are_checked_by_themselves() {
    let check = |access: &AccessPolicy, text: &str| {
        let token = text.parse::<Token>().unwrap();
        access.check_token(LOCAL.parse().unwrap(), &token)
    };
    assert_eq!(check(&guarded(), "s3cret"), Ok(()));
    let wrong = check(&guarded(), "secret").unwrap_err();
    assert_eq!(wrong.to_string(), "the token is wrong");
    let none = check(&open(), "s3cret").unwrap_err();
    assert_eq!(none.to_string(), "no token is set; set --control-token");
}

#[test]
fn debug_shows_no_secret() {
    let mut asker = asker(LOCAL);
    asker.authorization = Some(b"Bearer s3cret");
    asker.host = Some(b"localhost");
    let text = format!("{:?} {asker:?}", guarded());
    assert!(
        !text.contains("s3cret") && text.contains("localhost"),
        "{text}"
    );
}
