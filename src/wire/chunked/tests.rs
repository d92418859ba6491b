//! Chunked bodies: whole, in pieces of any size, malformed, and at the limits.

mod whole_chunks;

use super::*;
use crate::wire::chunk_extension::{EXTENSION_PER_CHUNK, MAX_EXTENSION, MAX_EXTENSION_EXCESS};

/// Returns the data, the number of bytes used, and whether the message has ended, for `input` in
/// pieces of `size` bytes.
fn scan(input: &[u8], size: usize) -> Result<(Vec<u8>, usize, bool), BadChunk> {
    let (data, _, used, done) = scan_with(Scanner::default(), input, size)?;
    Ok((data, used, done))
}

/// Returns the data, the forwarded bytes, the number of bytes used, and whether the message has
/// ended.
fn scan_with(
    mut scanner: Scanner,
    input: &[u8],
    size: usize,
) -> Result<(Vec<u8>, Vec<u8>, usize, bool), BadChunk> {
    let (mut data, mut forwarded, mut used, mut arrived) = (Vec::new(), Vec::new(), 0, 0);
    while arrived < input.len() && !scanner.is_done() {
        arrived = (arrived + size).min(input.len());
        loop {
            let (len, run) = scanner.next(&input[used..arrived])?;
            let bytes = &input[used..used + len];
            used += len;
            if run == Segment::Data {
                data.extend_from_slice(bytes);
            }
            if run != Segment::Dropped {
                forwarded.extend_from_slice(bytes);
            }
            if len == 0 || used == arrived {
                break;
            }
        }
    }
    Ok((data, forwarded, used, scanner.is_done()))
}

#[test]
fn any_split_gives_the_same_data() {
    let body = b"3;a=b;c=\"d e\"\r\nabc\r\n00a\r\n0123456789\r\n0;z\r\nT: 1\r\nU:\r\n\r\n";
    let stream = [&body[..], b"GET / HTTP/1.1"].concat();
    for size in 1..=stream.len() {
        let (data, used, done) = scan(&stream, size).unwrap();
        assert_eq!(
            (data.as_slice(), used, done),
            (&b"abc0123456789"[..], body.len(), true)
        );
    }
}

#[test]
fn broken_codings_are_refused() {
    for text in [
        "\r\n",
        ";a\r\n",
        "g\r\n",
        "0x3\r\n",
        "+3\r\n",
        "-3\r\n",
        " 3\r\n",
        "3 \r\n",
        "0_3\r\n",
        "3\nabc",
        "3;a\nabc",
        "3;a\rb\r\n",
        "3;\0\r\n",
        "3;\r\n",
        "3;=b\r\n",
        "3;a=\r\n",
        "3;a;\r\n",
        "3;a \r\n",
        "3;a b\r\n",
        "3;a=b c\r\n",
        "3;a=\"b\r\n",
        "3;a=\"b\"c\r\n",
        "3\r\nabcX",
        "3\r\nabc\rX",
        "3\r\nabc\n",
        "0\r\nnot a field\r\n",
        "0\r\n: x\r\n",
        "0\r\n x: y\r\n",
        "0\r\nx : y\r\n",
        "0\r\nA: b\nC: d\r\n",
        "0\r\nA: \x01\r\n",
        "0\r\n\rX",
        "10000000000000000\r\n",
        "8000000000000000\r\n",
    ] {
        for size in [1, text.len()] {
            assert!(
                scan(text.as_bytes(), size).is_err(),
                "{text:?} in pieces of {size}"
            );
        }
    }
}

#[test]
fn extensions_and_header_only_trailer_fields_are_dropped() {
    let body = b"3 ; a=b;c = \"\\\"\r\n\";d\r\n".as_slice();
    assert!(scan(body, 1).is_err(), "no line ends inside quotes");
    let body = b"3\t;\ta=b;c = \"\\\";\";d\r\nabc\r\n00;z\r\nX-A: 1\r\nHost: a\r\n\
        content-LENGTH: 5\r\nX-B:\r\nRingmaster-Seat: 1\r\n\r\n";
    for size in 1..=body.len() {
        let (_, forwarded, used, _) = scan_with(Scanner::default(), body, size).unwrap();
        let forwarded = String::from_utf8(forwarded).unwrap();
        assert_eq!(forwarded, "3\r\nabc\r\n00\r\nX-A: 1\r\nX-B:\r\n\r\n");
        assert_eq!(used, body.len());
        let (_, forwarded, ..) = scan_with(Scanner::without_trailers(), body, size).unwrap();
        assert_eq!(forwarded, b"3\r\nabc\r\n00\r\n\r\n");
    }
}

#[test]
fn the_name_of_a_trailer_field_is_bounded_exactly() {
    let trailer = |len: usize| format!("0\r\n{}:\r\n\r\n", "x".repeat(len));
    for size in [1, 1000] {
        assert!(scan(trailer(MAX_TRAILER_NAME).as_bytes(), size).is_ok());
        assert!(scan(trailer(MAX_TRAILER_NAME + 1).as_bytes(), size).is_err());
    }
}

#[test]
fn trailers_are_bounded_exactly() {
    let trailer = |len: usize| format!("0\r\nA:{}\r\n\r\n", "x".repeat(len - 5));
    assert!(scan(trailer(MAX_TRAILERS).as_bytes(), 999).is_ok());
    let over = scan(trailer(MAX_TRAILERS + 1).as_bytes(), 999).unwrap_err();
    assert!(over.0.contains(&MAX_TRAILERS.to_string()), "{over}");
}

#[test]
fn the_extensions_of_a_chunk_are_bounded_exactly() {
    let body = |len: u32| format!("0;{}\r\n\r\n", "x".repeat(len as usize - 1));
    assert!(scan(body(MAX_EXTENSION).as_bytes(), 999).is_ok());
    let over = scan(body(MAX_EXTENSION + 1).as_bytes(), 999).unwrap_err();
    assert!(over.0.contains(&MAX_EXTENSION.to_string()), "{over}");
}

#[test]
fn extensions_may_be_as_long_as_the_data_plus_an_allowance_per_chunk() {
    let chunk = |data: usize, extension: usize| {
        let (data, extension) = ("d".repeat(data), "x".repeat(extension - 1));
        format!("{:x};{extension}\r\n{data}\r\n", data.len())
    };
    let (allowance, max) = (EXTENSION_PER_CHUNK as usize, MAX_EXTENSION_EXCESS as usize);
    let end = "0\r\n\r\n";
    for data in [1, 9, 1000] {
        let proper = chunk(data, data + allowance).repeat(2_000);
        // These chunks exceed their allowance by the maximum, and one more byte is too many.
        let beyond = chunk(data, data + allowance + 16).repeat(max / 16);
        let one_more = chunk(data, data + allowance + 1);
        for scanner in [Scanner::default(), Scanner::default().leniently()] {
            let scanned = |body: String| scan_with(scanner, body.as_bytes(), body.len());
            assert!(
                scanned(format!("{proper}{beyond}{end}")).unwrap().3,
                "{data}"
            );
            let over = scanned(format!("{beyond}{one_more}{end}")).unwrap_err();
            assert!(over.0.contains(&max.to_string()), "{over}");
            // The unused allowance of a later chunk compensates for one more byte.
            let plain = chunk(allowance, 2);
            assert!(
                scanned(format!("{beyond}{plain}{one_more}{end}"))
                    .unwrap()
                    .3
            );
        }
    }
}

#[test]
fn padding_and_malformed_extensions_of_a_response_are_dropped() {
    let body = b"3  \r\nabc\r\n1\t \r\nd\r\n1;\r\ne\r\n1 ;a b=@,\xe9\r\nf\r\n0 \r\nX-A \t: 1\r\nHost : a\r\nX-B:\r\n\r\n"
        .as_slice();
    for size in 1..=body.len() {
        let scanner = Scanner::default().leniently();
        let (data, forwarded, used, done) = scan_with(scanner, body, size).unwrap();
        let forwarded = String::from_utf8(forwarded).unwrap();
        assert_eq!(
            forwarded,
            "3\r\nabc\r\n1\r\nd\r\n1\r\ne\r\n1\r\nf\r\n0\r\nX-A: 1\r\nX-B:\r\n\r\n"
        );
        assert_eq!(
            (data.as_slice(), used, done),
            (&b"abcdef"[..], body.len(), true)
        );
    }
    for bad in [
        " 3\r\nabc\r\n",
        "3 a\r\nabc\r\n",
        "3 3\r\nabc\r\n",
        "3;\x01\r\nabc\r\n",
        "3;a\nabc\r\n",
        "3 \nabc\r\n",
        "0\r\n : 1\r\n\r\n",
        "0\r\nX \r\n\r\n",
        "0\r\nX a: 1\r\n\r\n",
    ] {
        let scanned = scan_with(Scanner::default().leniently(), bad.as_bytes(), 1);
        assert!(scanned.is_err(), "{bad:?}");
    }
}
