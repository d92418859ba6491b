//! Headers that are sent: their bytes, and that the parser reads the same.

use super::super::parse;
use super::super::tests::{IPV4, client, v2};
use super::*;
use proptest::prelude::*;

#[test]
fn a_header_that_is_written_reads_as_its_client() {
    let server = "198.51.100.1:80";
    for (source, server, line) in [
        (
            "192.0.2.7:4711",
            server,
            "TCP4 192.0.2.7 198.51.100.1 4711 80",
        ),
        (
            "[::ffff:192.0.2.7]:1",
            server,
            "TCP4 192.0.2.7 198.51.100.1 1 80",
        ),
        (
            "[2001:db8::7]:65535",
            "[::1]:443",
            "TCP6 2001:db8::7 ::1 65535 443",
        ),
        (
            "[2001:db8::7]:1",
            server,
            "TCP6 2001:db8::7 ::ffff:198.51.100.1 1 80",
        ),
    ] {
        let (from, to) = (source.parse().unwrap(), server.parse().unwrap());
        let v1 = form("v1").header(from, to, b"");
        assert_eq!(v1, format!("PROXY {line}\r\n").into_bytes());
        let second = form("v2").header(from, to, b"left out");
        let expected = SocketAddr::new(from.ip().to_canonical(), from.port());
        for header in [v1, second] {
            assert_eq!(client(&header), Some(expected), "{source}");
        }
    }
    let (from, to) = ("192.0.2.7:4711", "198.51.100.1:80");
    let sent = form("v2").header(from.parse().unwrap(), to.parse().unwrap(), b"");
    assert_eq!(sent, v2(0x21, 0x11, &IPV4));
    assert_eq!(client(form("v1").local_header()), None);
    let local = v2(0x20, 0, &[]);
    assert_eq!(form("v2,crc32c").local_header(), local);
    assert_eq!(client(&local), None);
}

#[test]
fn a_client_without_an_address_is_relayed_and_unnamed() {
    assert_eq!(form("v1").unnamed_header(b"id"), b"PROXY UNKNOWN\r\n");
    assert_eq!(form("v2").unnamed_header(b"id"), v2(0x21, 0, b""));
    let with_id = form("v2,unique-id").unnamed_header(b"id");
    assert_eq!(with_id, v2(0x21, 0, b"\x05\0\x02id"));
    let mut with_sum = form("v2,crc32c").unnamed_header(b"");
    let sum = with_sum.split_off(V2_FIXED + 3);
    assert_eq!(with_sum, v2(0x21, 0, b"\x03\0\x04????")[..V2_FIXED + 3]);
    let zeroed = [&with_sum[..], &[0; 4]].concat();
    assert_eq!(sum, crc32c::crc32c(&zeroed).to_be_bytes());
    assert_eq!(client(&zeroed), None);
}

fn form(text: &str) -> SentProxyHeader {
    text.parse().unwrap()
}

#[test]
fn a_form_is_a_version_and_what_version_2_may_have_beside_addresses() {
    for text in [
        "v1",
        "v2",
        "v2,crc32c",
        "v2,unique-id",
        "v2,crc32c,unique-id",
    ] {
        assert_eq!(form(text).to_string(), text);
    }
    assert_eq!(
        form("v2,unique-id,crc32c").to_string(),
        "v2,crc32c,unique-id"
    );
    for (text, sentence) in [
        ("", "'' is not v1 or v2"),
        ("v3", "'v3' is not v1 or v2"),
        (
            "v1,crc32c",
            "'crc32c' needs v2: a header of v1 has only addresses",
        ),
        ("v2,", "'' is not crc32c or unique-id, each once"),
        ("v1,", "'' is not crc32c or unique-id, each once"),
        ("v2,alpn", "'alpn' is not crc32c or unique-id, each once"),
        (
            "v2,crc32c,crc32c",
            "'crc32c' is not crc32c or unique-id, each once",
        ),
    ] {
        let err = text.parse::<SentProxyHeader>().unwrap_err();
        assert_eq!(err.to_string(), sentence);
    }
}

proptest! {
    #[test]
    fn what_is_sent_reads_back_and_every_flipped_bit_of_it_is_noticed(
        client in any::<SocketAddr>(),
        server in any::<SocketAddr>(),
        id in proptest::collection::vec(any::<u8>(), 1..200),
        bit in any::<proptest::sample::Index>(),
    ) {
        let header = form("v2,crc32c,unique-id").header(client, server, &id);
        let parsed = parse(&header).unwrap().expect("a whole header");
        prop_assert_eq!(parsed.len, header.len());
        let canonical = |addr: SocketAddr| (addr.ip().to_canonical(), addr.port());
        prop_assert_eq!(parsed.client.map(canonical), Some(canonical(client)));
        prop_assert_eq!(parsed.server.map(canonical), Some(canonical(server)));
        let at = parsed.unique_id.expect("an ID");
        prop_assert_eq!(&header[at], &id[..id.len().min(MAX_UNIQUE_ID)]);
        // The type of the vector of the checksum has none that notices it.
        let bit = bit.index(8 * header.len());
        let kind = header.len() - 7;
        prop_assume!(bit / 8 != kind);
        let mut wrong = header.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let read = parse(&wrong).ok().flatten();
        prop_assert!(read.is_none_or(|read| read.client.is_none() || read.len != header.len()));
    }
}
