//! Whole chunks are taken at once, with the result of a scan byte by byte.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::super::*;
use super::scan_with;
use crate::wire::chunk_extension::{EXTENSION_PER_CHUNK, MAX_EXTENSION, MAX_EXTENSION_EXCESS};

/// Scans like [`scan_with`], but takes whole chunks first.
fn scan_joined(
    mut scanner: Scanner,
    input: &[u8],
    size: usize,
) -> Result<(Vec<u8>, usize, bool), BadChunk> {
    let (mut forwarded, mut used, mut arrived) = (Vec::new(), 0, 0);
    while arrived < input.len() && !scanner.is_done() {
        arrived = (arrived + size).min(input.len());
        loop {
            let len = scanner.take_whole_chunks(&input[used..arrived]);
            forwarded.extend_from_slice(&input[used..used + len]);
            used += len;
            let (len, run) = scanner.next(&input[used..arrived])?;
            if run != Segment::Dropped {
                forwarded.extend_from_slice(&input[used..used + len]);
            }
            used += len;
            if len == 0 || used == arrived {
                break;
            }
        }
    }
    Ok((forwarded, used, scanner.is_done()))
}

proptest! {
    /// Both ways accept the same bytes, forward the same, and end at the same byte.
    #[test]
    fn whole_chunks_are_taken_as_if_scanned_singly(
        chunks in vec((0..40_usize, 0..8_u8, 0..4_u8), 0..12),
        piece in 1..200_usize,
        broken in option::of((0..400_usize, any::<u8>())),
        lenient: bool,
    ) {
        let mut body = Vec::new();
        for (size, zeros, extension) in chunks {
            let extension = if extension == 0 { ";a=b" } else { "" };
            let digits = usize::from(zeros);
            body.extend(format!("{:0digits$x}{extension}\r\n", size + 1).bytes());
            body.extend(vec![b'x'; size + 1]);
            body.extend(b"\r\n");
        }
        body.extend(b"0\r\nA: 1\r\n\r\nGET");
        if let Some((at, byte)) = broken {
            let at = at % body.len();
            body[at] = byte;
        }
        let scanner = match lenient {
            true => Scanner::default().leniently(),
            false => Scanner::default(),
        };
        let singly = scan_with(scanner, &body, piece);
        let joined = scan_joined(scanner, &body, piece);
        match (singly, joined) {
            (Ok((_, forwarded, used, done)), Ok(joined)) => {
                prop_assert_eq!((forwarded, used, done), joined);
            }
            (singly, joined) => prop_assert_eq!(singly.is_err(), joined.is_err()),
        }
    }
}

#[test]
fn whole_chunks_are_taken_until_one_is_incomplete_or_special() {
    for (input, taken) in [
        ("1\r\nx\r\n2\r\nyy\r\n", 13),
        ("1\r\nx\r\n2\r\nyy\r", 6),
        ("1\r\nx\r\n2;a\r\nyy\r\n", 6),
        ("1\r\nx\r\n0\r\n\r\n", 6),
        ("00a\r\n0123456789\r\n", 17),
        ("0000a\r\n0123456789\r\n", 0),
        ("3\nabc\r\n", 0),
    ] {
        let mut scanner = Scanner::default();
        assert_eq!(
            scanner.take_whole_chunks(input.as_bytes()),
            taken,
            "{input:?}"
        );
    }
    let mut scanner = Scanner::default();
    assert_eq!(scanner.next(b"3\r\n").unwrap().0, 3);
    assert_eq!(scanner.take_whole_chunks(b"1\r\n\r\n"), 0, "these are data");
}

#[test]
fn the_framing_of_whole_chunks_counts_as_fewer_bytes() {
    let input = b"1\r\nx\r\n".repeat(8);
    let mut joined = Scanner::default();
    assert_eq!(joined.take_whole_chunks(&input), input.len());
    let mut singly = Scanner::default();
    let mut used = 0;
    while used < input.len() {
        used += singly.next(&input[used..]).unwrap().0;
    }
    assert_eq!((joined.scanned(), singly.scanned()), (5, 40));
}

#[test]
fn chunks_after_a_split_one_are_taken_whole() {
    let mut scanner = Scanner::default();
    assert_eq!(scanner.next(b"3\r\n").unwrap(), (3, Segment::Frame));
    assert_eq!(scanner.next(b"abc").unwrap(), (3, Segment::Data));
    let rest = b"\r\n1\r\nx\r\n2\r\nyy\r\n";
    assert_eq!(scanner.next(rest).unwrap(), (2, Segment::Frame));
    assert_eq!(scanner.take_whole_chunks(&rest[2..]), rest.len() - 2);
}

/// Extensions that exceed the data of their chunks are allowed again after plain chunks.
#[test]
fn plain_chunks_offset_the_extensions_of_others() {
    let long = format!("1;{}\r\nx\r\n", "a".repeat(MAX_EXTENSION as usize - 1));
    let excess = MAX_EXTENSION - 1 - EXTENSION_PER_CHUNK;
    let allowed = MAX_EXTENSION_EXCESS / excess;
    // The data of one chunk make room for one more long extension.
    let plain = format!(
        "{MAX_EXTENSION:x}\r\n{}\r\n",
        "x".repeat(MAX_EXTENSION as usize)
    );
    for (between, is_allowed) in [("", false), (plain.as_str(), true)] {
        let mut body = long.repeat(allowed as usize);
        body += between;
        body += &long;
        let scanned = scan_joined(Scanner::default(), body.as_bytes(), body.len());
        assert_eq!(scanned.is_ok(), is_allowed, "{scanned:?}");
    }
}
