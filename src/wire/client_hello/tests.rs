//! Hellos in pieces, malformed in every part, at the limit, and without a name.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

mod sample;
use sample::{message, message_of, message_of_browser, message_with, records, server_name, vector};

const MAX: usize = 16 * 1024;

fn parse(bytes: &[u8]) -> Result<Option<ClientHello>, ClientHelloError> {
    ClientHelloReader::default().read(bytes, MAX)
}

/// Returns the name in a hello with this name on the wire.
fn named(name: impl AsRef<[u8]>) -> Result<Option<String>, ClientHelloError> {
    let hello = parse(&records(&message(&[server_name(name.as_ref())]), MAX))?;
    Ok(hello.expect("a whole hello").server_name)
}

/// Reads a hello of which one more byte comes each time.
#[track_caller]
fn drip(bytes: &[u8]) -> ClientHello {
    let mut reader = ClientHelloReader::default();
    for end in 0..bytes.len() {
        assert_eq!(reader.read(&bytes[..end], MAX), Ok(None), "{end} bytes");
        // The same without the memory of what came before.
        assert_eq!(parse(&bytes[..end]), Ok(None), "{end} bytes");
    }
    let hello = reader.read(bytes, MAX).unwrap().expect("a whole hello");
    assert_eq!(hello.len, bytes.len());
    hello
}

#[test]
fn a_hello_is_read_from_any_records_in_any_pieces() {
    let message = message_of_browser("www.example.com");
    for fragment in [1, 2, 3, 4, 5, 100, message.len() - 1, message.len()] {
        let bytes = records(&message, fragment);
        let name = drip(&bytes).server_name;
        assert_eq!(name.as_deref(), Some("www.example.com"), "{fragment}");
        // What follows the hello changes nothing.
        let more = [&bytes[..], b"\x14\x03\x03\x00\x01\x01anything"].concat();
        let hello = parse(&more).unwrap().expect("a whole hello");
        assert_eq!(hello.len, bytes.len());
    }
}

#[test]
fn the_name_is_canonical() {
    let host = |name: &str| Ok(Some(name.to_owned()));
    assert_eq!(named("a.example"), host("a.example"));
    assert_eq!(named("WWW.Example.COM"), host("www.example.com"));
    assert_eq!(named("www.example.com."), host("www.example.com"));
    assert_eq!(
        named("_srv.xn--bcher-kva.example"),
        host("_srv.xn--bcher-kva.example")
    );
    assert_eq!(named("localhost"), host("localhost"));
    // An address is no name.
    for addr in ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"] {
        assert_eq!(named(addr), Ok(None), "{addr}");
    }
    let label = "a".repeat(MAX_LABEL);
    let longest = [&label[..], &label, &label, &label[..61]].join(".");
    assert_eq!(longest.len(), MAX_NAME);
    assert_eq!(named(&longest), host(&longest));
    assert_eq!(named(format!("{longest}.")), host(&longest));
}

#[test]
fn a_malformed_name_is_refused() {
    for name in [
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a..",
        "a b",
        "a\0b",
        "a\r\nb",
        "a/b",
        "a:1",
        "[::1]",
        "*.a",
        "b\u{fc}cher.example",
    ] {
        assert_eq!(named(name), Err(Name), "{name:?}");
    }
    assert_eq!(named(b"\xff\xfe"), Err(Name));
    assert_eq!(named("a".repeat(MAX_LABEL + 1)), Err(Name));
    let label = "a".repeat(MAX_LABEL);
    let longer = [&label[..], &label, &label, &label[..62]].join(".");
    assert_eq!(named(longer), Err(Name));
}

#[test]
fn a_hello_may_lack_a_name() {
    for message in [
        message(&[]),
        message(&[(0x2a2a, vec![0])]),
        // As until TLS 1.2: without extensions.
        message_of(&[0, 0x2f], &[]),
        message_of(&[0, 0x2f], &vector(&[])),
        message_with([&[], &[0, 0x2f], &[1, 0]], &[]),
    ] {
        assert_eq!(drip(&records(&message, MAX)).server_name, None);
    }
}

#[test]
fn a_malformed_part_is_refused() {
    let (list, empty) = (server_name(b"a").1, Vec::new());
    let entry = |kind: u8, name: &[u8]| [&[kind], &vector(name)[..]].concat();
    let extension = |data: Vec<u8>| message(&[(SERVER_NAME, data)]);
    for (why, message) in [
        (
            "two extensions",
            message(&[server_name(b"a"), server_name(b"a")]),
        ),
        ("an empty extension", extension(empty.clone())),
        ("an empty list", extension(vector(&[]))),
        (
            "two names",
            extension(vector(&[entry(0, b"a"), entry(0, b"b")].concat())),
        ),
        ("another type", extension(vector(&entry(1, b"a")))),
        (
            "bytes behind the list",
            extension([&list[..], &[0]].concat()),
        ),
        (
            "a list that is too short",
            extension(list[..list.len() - 1].to_vec()),
        ),
        (
            "an extension cut off",
            message_of(&[0, 1], &vector(&[0, 0, 0])),
        ),
        (
            "extensions cut off",
            message_of(&[0, 1], &[0, 4, 0x2a, 0x2a, 0]),
        ),
        (
            "bytes behind the extensions",
            message_of(&[0, 1], &[0, 0, 0]),
        ),
        ("no cipher suite", message_of(&[], &[])),
        ("half a cipher suite", message_of(&[0, 1, 0], &[])),
        (
            "a long session",
            message_with([&[7; 33], &[0, 1], &[0]], &[]),
        ),
        (
            "no compression method",
            message_with([&[], &[0, 1], &[]], &[]),
        ),
        ("an empty body", vec![1, 0, 0, 0]),
    ] {
        assert_eq!(parse(&records(&message, MAX)), Err(Malformed), "{why}");
    }
    let good = message(&[server_name(b"a")]);
    let mut of_ssl_2 = good.clone();
    of_ssl_2[MESSAGE_HEADER] = 2;
    assert_eq!(parse(&records(&of_ssl_2, MAX)), Err(Malformed));
    // The message ends within a record.
    let behind = [&good[..], &[1, 0, 0, 0]].concat();
    assert_eq!(parse(&records(&behind, MAX)), Err(Malformed));
}

#[test]
fn other_protocols_are_refused_at_their_first_bytes() {
    for other in [
        &b"G"[..],
        b"\r\n",
        b"SSH-2.0",
        b"\x15\x03\x03\x00\x02\x01\x00",
        b"\x17",
        b"\x16\x02",
        b"\x16\xfe\xff",
        // A hello of SSL 2.
        b"\x80\x2e\x01\x03\x01",
    ] {
        assert_eq!(parse(other), Err(NotTls), "{other:?}");
    }
    for kind in [0, 2, 11, 255] {
        let record = records(&[kind, 0, 0, 0], MAX);
        assert_eq!(parse(&record), Err(NotTls), "{kind}");
    }
    assert_eq!(
        parse(b"\x16\x03\x01\x00\x00"),
        Err(Malformed),
        "an empty record"
    );
    assert_eq!(
        ClientHelloReader::default().read(b"\x16\x03\x01\x40\x01", 1 << 20),
        Err(Malformed)
    );
    // Within a message only records of its kind may come.
    let (first, second) = (records(&[1, 0, 1], MAX), b"\x15\x03\x03\x00\x02\x01\x00");
    assert_eq!(parse(&[&first[..], second].concat()), Err(NotTls));
}

#[test]
fn the_limit_is_that_of_the_whole_hello_and_is_known_early() {
    let message = message_of_browser("a.example");
    for fragment in [1, 3, 1_000, message.len()] {
        let bytes = records(&message, fragment);
        let read = |bytes: &[u8], max| ClientHelloReader::default().read(bytes, max);
        assert!(
            matches!(read(&bytes, bytes.len()), Ok(Some(_))),
            "{fragment}"
        );
        assert_eq!(read(&bytes, bytes.len() - 1), Err(TooLong), "{fragment}");
    }
    // By the length of the record, and by that of the message.
    let (whole, split) = (records(&message, MAX), records(&message, 4));
    let read = |bytes: &[u8]| ClientHelloReader::default().read(bytes, 1_024);
    assert_eq!(read(&whole[..RECORD_HEADER]), Err(TooLong));
    assert_eq!(read(&split[..RECORD_HEADER + MESSAGE_HEADER]), Err(TooLong));
    let announced = records(&[1, 255, 255, 255], MAX);
    assert_eq!(parse(&announced), Err(TooLong));
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        name in "[a-z0-9-]{1,20}(\\.[a-z]{2,10}){0,3}",
        fragment in 1_usize..400,
        cuts in vec(0_usize..3_000, 0..8),
    ) {
        let bytes = records(&message_of_browser(&name), fragment);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % bytes.len()).collect();
        cuts.sort_unstable();
        let mut reader = ClientHelloReader::default();
        for cut in cuts {
            prop_assert_eq!(reader.read(&bytes[..cut], MAX), Ok(None));
        }
        let hello = reader.read(&bytes, MAX).unwrap().expect("a whole hello");
        let host = name.parse::<IpAddr>().is_err().then_some(name);
        prop_assert_eq!((hello.len, hello.server_name), (bytes.len(), host));
    }

    #[test]
    fn no_change_of_bytes_exceeds_the_limit(
        fragment in 1_usize..2_000,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        max in 0_usize..4_000,
        stride in 1_usize..200,
    ) {
        let mut bytes = records(&message_of_browser("www.example.com"), fragment);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let mut reader = ClientHelloReader::default();
        let mut result = Ok(None);
        for end in (0..bytes.len()).step_by(stride).chain([bytes.len()]) {
            result = reader.read(&bytes[..end], max);
            prop_assert!(reader.message.len() <= max);
            if result != Ok(None) {
                break;
            }
        }
        prop_assert_eq!(&result, &ClientHelloReader::default().read(&bytes, max));
        if let Ok(Some(hello)) = result {
            prop_assert!(hello.len <= max.min(bytes.len()));
            prop_assert!(hello.server_name.is_none_or(|name| name.len() <= MAX_NAME));
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in any::<Vec<u8>>()) {
        for signature in [&b""[..], b"\x16\x03\x01", b"\x16\x03\x01\x00\x40\x01\x00\x00"] {
            let bytes = [signature, &bytes].concat();
            if let Ok(Some(hello)) = parse(&bytes) {
                prop_assert!(hello.len <= bytes.len());
                // What follows changes nothing.
                prop_assert_eq!(parse(&bytes[..hello.len]), Ok(Some(hello)));
            }
        }
    }
}
