//! The source that gives a request its key, and the ID that is generated for a request without one.

use super::*;
use crate::wire::head::{self, HeaderSlots};
use rand::SeedableRng;

fn key_of(rule: &str, target: &str, fields: &str) -> RequestKey {
    let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let mut slots = HeaderSlots::default();
    let head = head::request(text.as_bytes(), &mut slots).unwrap().unwrap();
    let rule: KeyRule = rule.parse().unwrap();
    rule.key(
        &head,
        Some(IpAddr::from([10, 0, 0, 7])),
        &mut StdRng::seed_from_u64(1),
    )
}

const DEFAULT: &str = "header:x-request-id,query:id,random";

#[test]
fn the_first_source_with_a_value_wins() {
    let key = |target, fields| key_of(DEFAULT, target, fields).key;
    assert_eq!(key("/a?id=5", "X-REQUEST-ID: 132574\r\n"), Key(132_574));
    assert_eq!(key("/a?x=1&id=5&id=6", "X-Request-ID:\r\n"), Key(5));
    assert_eq!(key("/a?idx=7&id=5", ""), Key(5));
    assert_eq!(key_of("path", "/a?b", "").key, Key::from_bytes(b"/a"));
    assert_eq!(key_of("source", "/a", "").key, Key::from_bytes(b"10.0.0.7"));
}

#[test]
fn a_cookie_gives_the_key_by_its_exact_name() {
    let key = |fields: &str| key_of("cookie:sid,path", "/a", fields).key;
    let path = Key::from_bytes(b"/a");
    assert_eq!(key("Cookie: sid=5\r\n"), Key(5));
    assert_eq!(key("Cookie: xsid=1; sid=5; sid=6\r\n"), Key(5));
    assert_eq!(key("cookie: a=1;sid=5\r\nCookie: sid=6\r\n"), Key(5));
    assert_eq!(key("Cookie: a=1\r\nCookie: sid=5\r\n"), Key(5));
    assert_eq!(key("Cookie: sid=\"a=b\"\r\n"), Key::from_bytes(b"\"a=b\""));
    for other in ["SID=5", "sid", "sid=", "sid =5", "sidx=5", "a=sid=5"] {
        assert_eq!(key(&format!("Cookie: {other}\r\n")), path, "{other}");
    }
}

#[test]
fn clients_of_one_network_have_one_key() {
    let key = |rule, fields| key_of(rule, "/a", fields).key;
    let network = Key::from_bytes(b"10.0.0.0/24");
    assert_eq!(key("source/24", ""), network);
    assert_eq!(key("cookie:sid,source/24", ""), network);
    assert_eq!(key("cookie:sid,source/24", "Cookie: sid=5\r\n"), Key(5));
}

#[test]
fn a_generated_id_has_six_digits_and_is_the_key() {
    let keyed = key_of(DEFAULT, "/a?ident=5", "");
    let id = keyed.generated_id.unwrap();
    let id: u64 = str::from_utf8(id.as_bytes()).unwrap().parse().unwrap();
    assert!((100_000..1_000_000).contains(&id));
    assert_eq!(keyed.key, Key(id));
}

#[test]
fn rules_end_in_a_source_that_always_gives_a_key() {
    for good in [
        DEFAULT,
        "random",
        "path",
        "header:A,source",
        "cookie:sid,source/24",
        "cookie:sid,query:id,source/24/48",
    ] {
        let rule: KeyRule = good.parse().unwrap();
        assert_eq!(rule.to_string(), good.to_ascii_lowercase());
    }
    for bad in [
        "",
        "header:x",
        "random,path",
        "header:,random",
        "cookie:a",
        "cookie:,random",
        "source/0",
        "source/24,random",
        "header:a b,random",
    ] {
        assert!(bad.parse::<KeyRule>().is_err(), "{bad}");
    }
}

#[test]
fn a_field_of_the_rule_must_not_be_nominated_for_removal() {
    let nominated = |rule: &str, fields: &str| {
        let text = format!("GET /?id=5 HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = HeaderSlots::default();
        let head = head::request(text.as_bytes(), &mut slots).unwrap().unwrap();
        rule.parse::<KeyRule>().unwrap().is_nominated(&head)
    };
    let other = "header:a,header:X-Shard,path";
    for (rule, fields, expected) in [
        (DEFAULT, "X-Request-ID: 7\r\n", false),
        (
            DEFAULT,
            "X-Request-ID: 7\r\nConnection: close, x-request-id\r\n",
            true,
        ),
        (
            DEFAULT,
            "Connection: close\r\nConnection: X-REQUEST-ID\r\nX-Request-ID:\r\n",
            true,
        ),
        // Nothing is removed, or nothing that routes.
        (DEFAULT, "Connection: x-request-id\r\n", false),
        (
            DEFAULT,
            "X-Request-ID: 7\r\nX-Hop: 1\r\nConnection: x-hop\r\n",
            false,
        ),
        (
            "path",
            "X-Request-ID: 7\r\nConnection: x-request-id\r\n",
            false,
        ),
        (other, "X-Shard: 1\r\nConnection: x-shard\r\n", true),
        (other, "A: 1\r\nX-Shard: 1\r\nConnection: x-shard\r\n", true),
        (
            "cookie:sid,path",
            "Cookie: sid=1\r\nConnection: cookie\r\n",
            true,
        ),
        // Host is never removed.
        ("header:host,path", "Connection: host\r\n", false),
    ] {
        assert_eq!(nominated(rule, fields), expected, "{rule} {fields}");
    }
}

#[test]
fn a_credential_gives_the_key_and_stays_out_of_the_log() {
    for (rule, fields, logged) in [
        ("cookie:sid,path", "Cookie: sid=5\r\n", None),
        ("header:cookie,path", "Cookie: sid=5\r\n", None),
        (
            "header:authorization,path",
            "Authorization: Basic x\r\n",
            None,
        ),
        ("header:a,path", "A: 5\r\n", Some(&b"5"[..])),
        ("cookie:sid,path", "", Some(&b"/a"[..])),
    ] {
        let text = format!("GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut slots = HeaderSlots::default();
        let head = head::request(text.as_bytes(), &mut slots).unwrap().unwrap();
        let rule: KeyRule = rule.parse().unwrap();
        assert_eq!(rule.sent_id(&head), logged, "{rule} {fields}");
    }
}

#[test]
fn an_ipv4_mapped_address_has_the_key_of_its_ipv4_address() {
    let mapped: IpAddr = "::ffff:10.0.0.7".parse().unwrap();
    assert_eq!(source_key(Some(mapped)), Key::from_bytes(b"10.0.0.7"));
}
