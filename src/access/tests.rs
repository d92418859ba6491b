//! Access rules by address, socket owner and header fields.
//!
//! The file is one sequence of case tables for one function, so that gaps are visible.

mod pages;
mod records;

use super::*;
use std::io;

const LOCAL: &str = "127.0.0.1";
const REMOTE: &str = "192.168.65.1";

fn caller(addr: &str) -> Caller<'static> {
    Caller::at(addr.parse::<IpAddr>().unwrap(), &|| {
        Ok(SocketOwner::User(ROOT))
    })
}

fn no_token() -> AccessPolicy {
    AccessPolicy::default()
}

fn with_token() -> AccessPolicy {
    AccessPolicy {
        token: Some("s3cret".parse().unwrap()),
        ..no_token()
    }
}

fn change(access: &AccessPolicy, caller: &Caller<'_>) -> Result<(), String> {
    let verdict = access.check(caller, "/add", AccessKind::Write);
    verdict.map_err(|denial| denial.to_string())
}

#[test]
fn loopback_is_local_in_every_spelling() {
    for addr in [LOCAL, "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(change(&no_token(), &caller(addr)), Ok(()), "{addr}");
    }
    for addr in [REMOTE, "0.0.0.0", "::", "::ffff:10.0.0.1", "fe80::1"] {
        for effect in [AccessKind::Read, AccessKind::Write] {
            assert!(
                no_token().check(&caller(addr), "/rep", effect).is_err(),
                "{addr}"
            );
        }
    }
}

#[test]
fn a_trusted_gateway_is_local_unless_it_forwards() {
    let access = AccessPolicy {
        gateway: Some("172.18.0.1".parse().unwrap()),
        ..no_token()
    };
    for addr in ["172.18.0.1", "::ffff:172.18.0.1", LOCAL] {
        assert_eq!(change(&access, &caller(addr)), Ok(()), "{addr}");
    }
    assert!(change(&access, &caller("172.18.0.2")).is_err());
    let mut forwarding = caller("172.18.0.1");
    forwarding.forwarded = true;
    assert!(change(&access, &forwarding).is_err());
}

#[test]
fn a_remote_peer_gets_the_flag_to_set() {
    for addr in [REMOTE, "::ffff:192.168.65.1"] {
        assert_eq!(
            change(&no_token(), &caller(addr)).unwrap_err(),
            "/add is for local peers, you are 192.168.65.1; set --control-token"
        );
    }
}

#[test]
fn a_forwarded_request_is_not_local() {
    let mut caller = caller(LOCAL);
    caller.forwarded = true;
    assert_eq!(
        change(&no_token(), &caller).unwrap_err(),
        "/add is for local peers, you are 127.0.0.1 and the request was forwarded; set --control-token"
    );
}

#[test]
fn a_remote_peer_needs_the_right_token() {
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
    for (value, good, reason) in cases {
        let mut caller = caller(REMOTE);
        caller.authorization = value.map(str::as_bytes);
        for effect in [AccessKind::Read, AccessKind::Write] {
            let verdict = with_token().check(&caller, "/rep", effect);
            assert_eq!(verdict.is_ok(), good, "{value:?}");
            let text = verdict.map_or_else(|denial| denial.to_string(), |()| String::new());
            assert!(text.contains(reason) && !text.contains("s3cret"), "{text}");
        }
    }
}

#[test]
fn no_token_is_right_without_a_token_set() {
    let mut caller = caller(REMOTE);
    for value in [&b"Bearer "[..], b"Bearer x"] {
        caller.authorization = Some(value);
        assert!(change(&no_token(), &caller).is_err());
    }
}

#[test]
fn a_local_peer_needs_no_token_and_a_wrong_one_is_ignored() {
    let mut caller = caller(LOCAL);
    assert_eq!(change(&with_token(), &caller), Ok(()));
    caller.authorization = Some(b"Bearer wrong");
    assert_eq!(change(&with_token(), &caller), Ok(()));
}

#[test]
fn a_change_on_loopback_is_for_our_own_user_and_root() {
    const OTHER_USER: u32 = 4_000_000_000;
    let check_owner =
        |access: &AccessPolicy, owner: io::Result<SocketOwner>, effect, authorization| {
            let owner = || match &owner {
                Ok(owner) => Ok(*owner),
                Err(err) => Err(err.kind().into()),
            };
            let mut caller = Caller::at(LOCAL.parse::<IpAddr>().unwrap(), &owner);
            caller.authorization = authorization;
            let verdict = access.check(&caller, "/add", effect);
            verdict.map_err(|denial| denial.to_string())
        };
    for owner in [socket_owner::own_user(), ROOT] {
        let verdict = check_owner(
            &no_token(),
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
    for (owner, reason) in [
        (
            Ok(SocketOwner::User(OTHER_USER)),
            "belongs to user 4000000000",
        ),
        (
            Ok(SocketOwner::Gone),
            "was closed before its owner could be looked up",
        ),
        (unsupported(), "has an unknown owner: unsupported"),
    ] {
        let verdict_for = |access: &AccessPolicy, effect, shown: Option<&'static [u8]>| {
            let owner = match &owner {
                Ok(owner) => Ok(*owner),
                Err(_) => unsupported(),
            };
            check_owner(access, owner, effect, shown)
        };
        assert_eq!(
            verdict_for(&no_token(), AccessKind::Write, None).unwrap_err(),
            format!(
                "/add is for {own} on this machine, and the connection {reason}; set --control-token"
            )
        );
        let guarded = with_token();
        for (shown, remedy) in [
            (None, "; show the token"),
            (Some(&b"Bearer no"[..]), "; the token is wrong"),
        ] {
            let denied = verdict_for(&guarded, AccessKind::Write, shown).unwrap_err();
            assert!(denied.ends_with(remedy), "{denied}");
        }
        assert_eq!(
            verdict_for(&guarded, AccessKind::Write, Some(b"Bearer s3cret")),
            Ok(())
        );
        assert_eq!(
            verdict_for(&no_token(), AccessKind::Read, None),
            Ok(()),
            "other users may read"
        );
        let anyone = AccessPolicy {
            anyone: true,
            ..no_token()
        };
        assert_eq!(verdict_for(&anyone, AccessKind::Write, None), Ok(()));
    }
}

#[test]
fn the_owner_of_a_socket_is_looked_up_on_loopback_only() {
    let access = AccessPolicy {
        gateway: Some("172.18.0.1".parse().unwrap()),
        ..no_token()
    };
    let lookup = || panic!("the owner was looked up");
    for (addr, good) in [("172.18.0.1", true), (REMOTE, false)] {
        let caller = Caller::at(addr.parse::<IpAddr>().unwrap(), &lookup);
        assert_eq!(change(&access, &caller).is_ok(), good, "{addr}");
    }
}

#[test]
fn too_many_wrong_tokens_are_429_and_only_where_a_token_matters() {
    let access = with_token();
    let mut caller = caller(REMOTE);
    let denied = |caller: &Caller<'_>| access.check(caller, "/rep", AccessKind::Read).err();
    caller.authorization = Some(b"Bearer wrong");
    for _ in 0..10 {
        let denial = denied(&caller).unwrap();
        assert_eq!((denial.status, denial.retry_after()), (403, None));
    }
    for shown in [&b"Bearer wrong"[..], b"Bearer s3cret"] {
        caller.authorization = Some(shown);
        let denial = denied(&caller).unwrap();
        assert_eq!((denial.status, denial.retry_after()), (429, Some(1)));
        let sentence = "too many wrong tokens from 192.168.65.1; wait 1 s";
        assert_eq!(denial.to_string(), sentence);
    }
    // Both protocols share the count.
    let token = "s3cret".parse().unwrap();
    let denial = access.check_token(caller.addr, &token).unwrap_err();
    assert_eq!(denial.status, 429);
    // A sender without a token gets the usual refusal, and other senders are not affected.
    caller.authorization = None;
    assert_eq!(denied(&caller).unwrap().status, 403);
    assert_eq!(access.check_token(LOCAL.parse().ok(), &token), Ok(()));
}

#[test]
fn a_wrong_token_is_not_counted_if_nothing_depends_on_it() {
    let access = with_token();
    let mut caller = caller(LOCAL);
    caller.authorization = Some(b"Bearer wrong");
    for _ in 0..100 {
        assert_eq!(change(&access, &caller), Ok(()));
    }
    let token = "s3cret".parse().unwrap();
    assert_eq!(access.check_token(caller.addr, &token), Ok(()));
}

#[test]
fn a_token_fits_into_both_protocols() {
    for good in ["x", "s3cret!", "a=b/c+d~", "\"'"] {
        assert!(good.parse::<Token>().is_ok(), "{good}");
    }
    for bad in ["", "a b", "a;b", "a\n", "ä", "\0"] {
        assert!(bad.parse::<Token>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_token_is_checked_alone() {
    let check = |access: &AccessPolicy, text: &str| {
        let token = text.parse::<Token>().unwrap();
        access.check_token(LOCAL.parse().ok(), &token)
    };
    assert_eq!(check(&with_token(), "s3cret"), Ok(()));
    let wrong = check(&with_token(), "secret").unwrap_err();
    assert_eq!(wrong.to_string(), "the token is wrong");
    let none = check(&no_token(), "s3cret").unwrap_err();
    assert_eq!(none.to_string(), "no token is set; set --control-token");
}

#[test]
fn debug_shows_no_secret() {
    let mut caller = caller(LOCAL);
    caller.authorization = Some(b"Bearer s3cret");
    caller.host = Some(b"localhost");
    let text = format!("{:?} {caller:?}", with_token());
    assert!(
        !text.contains("s3cret") && text.contains("localhost"),
        "{text}"
    );
}
