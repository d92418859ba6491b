//! Headers of both versions, whole, in pieces, and malformed in every part.

use super::*;
use proptest::prelude::*;

/// Returns the client of a complete header, and checks that each beginning of it is incomplete.
#[track_caller]
pub(super) fn client(header: &[u8]) -> Option<SocketAddr> {
    for end in 0..header.len() {
        assert_eq!(parse(&header[..end]), Ok(None), "{end} bytes");
    }
    let mut more = header.to_vec();
    more.extend_from_slice(b"GET / HTTP/1.1\r\n");
    let parsed = parse(&more).unwrap().expect("a whole header");
    assert_eq!(parsed.len, header.len());
    parsed.client
}

pub(super) fn addr(text: &str) -> Option<SocketAddr> {
    Some(text.parse().unwrap())
}

/// A header of version 2 with this command, family and block.
pub(super) fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(block.len()).unwrap().to_be_bytes());
    header.extend_from_slice(block);
    header
}

/// Addresses 192.0.2.7:4711 and 198.51.100.1:80.
pub(super) const IPV4: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 0, 80];

#[test]
fn version_1_names_the_client() {
    let line = |text: &str| client(format!("PROXY {text}\r\n").as_bytes());
    assert_eq!(
        line("TCP4 192.0.2.7 198.51.100.1 4711 80"),
        addr("192.0.2.7:4711")
    );
    assert_eq!(
        line("TCP6 2001:db8::7 ::1 65535 0"),
        addr("[2001:db8::7]:65535")
    );
    assert_eq!(line("UNKNOWN"), None);
    assert_eq!(line("UNKNOWN anything at all"), None);
    assert_eq!(client(b"PROXY UNKNOWN \xff\r\n"), None);
    // The longest line of the specification.
    let longest = "UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535";
    let longest = format!("{longest}{}", " ".repeat(MAX_V1 - 8 - longest.len()));
    assert_eq!(line(&longest), None);
}

#[test]
fn a_malformed_line_of_version_1_is_no_header() {
    for text in [
        "TCP4 192.0.2.7 198.51.100.1 4711",
        "TCP4 192.0.2.7 198.51.100.1 4711 80 ",
        "TCP4  192.0.2.7 198.51.100.1 4711 80",
        "TCP4 192.0.2.07 198.51.100.1 4711 80",
        "TCP4 192.0.2 198.51.100.1 4711 80",
        "TCP4 192.0.2.7 here 4711 80",
        "TCP4 192.0.2.7 198.51.100.1 04711 80",
        "TCP4 192.0.2.7 198.51.100.1 +4711 80",
        "TCP4 192.0.2.7 198.51.100.1 65536 80",
        "TCP4 192.0.2.7 198.51.100.1 4711 x",
        "TCP4 2001:db8::7 ::1 4711 80",
        "TCP6 192.0.2.7 198.51.100.1 4711 80",
        "TCP5 192.0.2.7 198.51.100.1 4711 80",
        "tcp4 192.0.2.7 198.51.100.1 4711 80",
        "",
        " TCP4 192.0.2.7 198.51.100.1 4711 80",
    ] {
        let line = format!("PROXY {text}\r\n");
        assert!(parse(line.as_bytes()).is_err(), "{text}");
    }
    assert!(parse(b"PROXY UNKNOWN\n").is_err(), "a bare line feed");
    let long = format!("PROXY UNKNOWN{}", "x".repeat(MAX_V1));
    assert_eq!(parse(&long.as_bytes()[..MAX_V1 - 1]), Ok(None));
    assert!(parse(&long.as_bytes()[..MAX_V1]).is_err());
    for other in [
        "GET / HTTP/1.1",
        "PROXYTCP4",
        "\r\nGET",
        "\r\n\r\n\0\r\nQUIT\r",
        "\x16",
    ] {
        assert!(parse(other.as_bytes()).is_err(), "{other:?}");
    }
}

#[test]
fn version_2_names_the_client() {
    assert_eq!(client(&v2(0x21, 0x11, &IPV4)), addr("192.0.2.7:4711"));
    let mut ipv6 = [0; 36];
    ipv6[..16].copy_from_slice(&Ipv6Addr::LOCALHOST.octets());
    ipv6[32..34].copy_from_slice(&80_u16.to_be_bytes());
    assert_eq!(client(&v2(0x21, 0x21, &ipv6)), addr("[::1]:80"));
    // Without an address of the client.
    assert_eq!(client(&v2(0x21, 0x00, b"anything")), None);
    assert_eq!(client(&v2(0x21, 0x31, &[b'/'; UNIX_PATHS])), None);
    assert_eq!(client(&v2(0x20, 0x00, &[])), None, "LOCAL");
    assert_eq!(client(&v2(0x20, 0xff, &[3, 0, 9])), None, "LOCAL");
    // Vectors are skipped.
    let mut block = IPV4.to_vec();
    block.extend([0x04, 0, 2, 0, 0, 0xee, 0, 0, 0x02, 0, 1, b'a']);
    assert_eq!(client(&v2(0x21, 0x11, &block)), addr("192.0.2.7:4711"));
}

#[test]
fn a_malformed_part_of_version_2_is_no_header() {
    for (command, family) in [(0x11, 0x11), (0x31, 0x11), (0x22, 0x11), (0x2f, 0x11)] {
        assert!(parse(&v2(command, family, &IPV4)).is_err(), "{command:x}");
    }
    for family in [0x01, 0x10, 0x12, 0x13, 0x22, 0x32, 0x41, 0xff] {
        assert!(
            parse(&v2(0x21, family, &[0; UNIX_PATHS])).is_err(),
            "{family:x}"
        );
    }
    for (family, len) in [(0x11, 11), (0x21, 35), (0x31, UNIX_PATHS - 1)] {
        assert!(
            parse(&v2(0x21, family, &vec![0; len])).is_err(),
            "{family:x}"
        );
    }
    for vectors in [
        &[4_u8][..],
        &[4, 0],
        &[4, 0, 1],
        &[4, 0, 0, 4, 1, 0],
        &[3, 0, 3, 0, 0, 0],
    ] {
        let block = [&IPV4[..], vectors].concat();
        assert!(parse(&v2(0x21, 0x11, &block)).is_err(), "{vectors:?}");
    }
    // The limit is known before the rest has come.
    let longest = v2(0x20, 0, &vec![0; MAX_HEADER - V2_FIXED]);
    assert!(matches!(parse(&longest), Ok(Some(_))));
    let longer = v2(0x20, 0, &vec![0; MAX_HEADER - V2_FIXED + 1]);
    assert_eq!(parse(&longer[..V2_FIXED - 1]), Ok(None));
    assert!(parse(&longer[..V2_FIXED]).is_err());
}

#[test]
fn a_checksum_must_be_that_of_the_header() {
    let mut block = IPV4.to_vec();
    block.extend([CRC32C, 0, 4, 0, 0, 0, 0, 0x04, 0, 0]);
    let zeroed = v2(0x21, 0x11, &block);
    let sum = crc32c::crc32c(&zeroed).to_be_bytes();
    block[15..19].copy_from_slice(&sum);
    let header = v2(0x21, 0x11, &block);
    assert_eq!(client(&header), addr("192.0.2.7:4711"));
    // Another type of the vector makes it an unknown one, which is skipped.
    let kind = V2_FIXED + IPV4.len();
    for bit in (0..8 * header.len()).filter(|bit| bit / 8 != kind) {
        let mut wrong = header.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        let parsed = parse(&wrong).ok().flatten();
        assert_ne!(
            parsed.and_then(|header| header.client),
            addr("192.0.2.7:4711")
        );
    }
    // The known answer of RFC 3720 appendix B.4: 32 zeros.
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn a_unique_id_is_found_and_has_at_most_128_bytes() {
    let vector = |kind: u8, value: &[u8]| {
        let len = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&[kind][..], &len, value].concat()
    };
    let with = |vectors: &[Vec<u8>]| {
        let header = v2(0x21, 0x11, &[&IPV4[..], &vectors.concat()].concat());
        let parsed = parse(&header)?.expect("a whole header");
        Ok::<_, ProxyHeaderError>(parsed.unique_id.map(|at| header[at].to_vec()))
    };
    let other = vector(0xe0, b"other");
    let id = vector(UNIQUE_ID, b"one");
    assert_eq!(
        with(&[other.clone(), id.clone(), other]),
        Ok(Some(b"one".to_vec()))
    );
    let longest = vec![7; MAX_UNIQUE_ID];
    assert_eq!(with(&[vector(UNIQUE_ID, &longest)]), Ok(Some(longest)));
    assert!(with(&[vector(UNIQUE_ID, &[7; MAX_UNIQUE_ID + 1])]).is_err());
    assert!(with(&[id.clone(), id]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_answered_and_a_header_never_exceeds_them(bytes in any::<Vec<u8>>()) {
        for signature in [&b""[..], V1_SIGNATURE, V2_SIGNATURE] {
            let bytes = [signature, &bytes].concat();
            if let Ok(Some(header)) = parse(&bytes) {
                prop_assert!(header.len <= bytes.len().min(MAX_HEADER));
                // What follows changes nothing.
                prop_assert_eq!(parse(&bytes[..header.len]), Ok(Some(header)));
            }
        }
    }
}
