//! What must hold of any bytes at all, for the parsers of `wire`: no panic, the same result however the
//! bytes are split, and what goes on is read by the next hop as it was read here.
//!
//! The fuzz targets feed these functions, and so do the property tests of tests/whole/h1/properties.rs.

use std::fmt::Debug;

use bytes::BytesMut;
use ringmaster::wire::chunked::{BadChunk, Scanner};
use ringmaster::wire::framing::{self, Body};
use ringmaster::wire::head::{self, Fields, Room};

/// Heads up to this long are cut at every byte, longer ones at this many places.
const CUTS: usize = 256;

/// A request head and its framing.
pub(crate) fn request(bytes: &[u8]) {
    let read = |bytes: &[u8]| -> Result<_, u16> {
        let mut room = Room::default();
        let head = head::request(bytes, &mut room).map_err(|refused| refused.status)?;
        Ok(head.map(|head| {
            check_fields(&head.fields);
            check_lines(&head.fields);
            let body = framing::of_request(head.version, &head.fields);
            if body.is_ok() {
                check_request_framing(&head.fields);
            }
            let target = head.target;
            assert!(target.path.starts_with(b"/") || target.path == b"*");
            (head.len, format!("{head:?} {body:?}"))
        }))
    };
    check_prefixes(bytes, read);
}

/// A response head and its framing, for an answer to GET and to HEAD.
pub(crate) fn response(bytes: &[u8]) {
    let read = |bytes: &[u8]| -> Result<_, &'static str> {
        let mut room = Room::default();
        let head = head::response(bytes, &mut room).map_err(|bad| bad.0)?;
        Ok(head.map(|head| {
            check_fields(&head.fields);
            assert!((100..1000).contains(&head.status));
            let to_get = framing::of_response(head.status, false, head.version, &head.fields);
            let to_head = framing::of_response(head.status, true, head.version, &head.fields);
            if head.status >= 200 && !matches!(head.status, 204 | 304) {
                assert!(to_get.is_err() || check_response_framing(&head.fields));
            }
            let to_head = to_head.expect("no body, whatever the fields say");
            assert!(to_head.body.is_complete());
            (head.len, format!("{head:?} {to_get:?}"))
        }))
    };
    check_prefixes(bytes, read);
}

/// A body: `bytes` come in pieces of the lengths that `splits` say, over and over.
pub(crate) fn body(bytes: &[u8], splits: &[u8]) {
    let bodies = [
        Body::Chunked(Scanner::default()),
        Body::Chunked(Scanner::default().without_trailers()),
        Body::Chunked(Scanner::default().with_padding()),
        Body::Length(u64::from(splits.first().copied().unwrap_or_default())),
        Body::UntilClose,
    ];
    for body in bodies {
        let whole = pass(body, bytes, &[], Body::relay);
        let split = pass(body, bytes, splits, Body::relay);
        let bytewise = pass(body, bytes, &[1], Body::relay);
        assert_eq!(whole, split);
        assert_eq!(whole, bytewise);
        let data = pass(body, bytes, &[], Body::decode);
        assert_eq!(data, pass(body, bytes, splits, Body::decode));
        let (Ok(whole), Ok(data)) = (whole, data) else {
            continue;
        };
        assert_eq!((whole.used, whole.complete), (data.used, data.complete));
        // The next hop reads the same message, to its last byte, be it as strict as can be.
        let strict = match body {
            Body::Chunked(_) => Body::Chunked(Scanner::default()),
            other => other,
        };
        let next = pass(strict, &whole.out, &[], Body::relay).expect("well-formed");
        assert_eq!((&next.out, next.complete), (&whole.out, whole.complete));
        let next = pass(strict, &whole.out, &[], Body::decode).expect("well-formed");
        assert_eq!(next.out, data.out);
    }
}

/// What came of a body.
#[derive(Debug, PartialEq, Eq)]
struct Passed {
    used: usize,
    out: Vec<u8>,
    complete: bool,
}

type Step = fn(&mut Body, &[u8], &mut BytesMut) -> Result<usize, BadChunk>;

fn pass(mut body: Body, bytes: &[u8], splits: &[u8], step: Step) -> Result<Passed, BadChunk> {
    let (mut used, mut here, mut out) = (0, 0, BytesMut::new());
    let whole = [0];
    let lengths = if splits.is_empty() { &whole } else { splits };
    for length in lengths.iter().cycle() {
        let length = if splits.is_empty() {
            bytes.len()
        } else {
            usize::from(*length).max(1)
        };
        here = (here + length).min(bytes.len());
        used += step(&mut body, &bytes[used..here], &mut out)?;
        assert!(used <= here);
        if here == bytes.len() || body.is_complete() {
            break;
        }
    }
    let complete = body.is_complete();
    let out = out.to_vec();
    Ok(Passed {
        used,
        out,
        complete,
    })
}

/// A head that is not whole is not there yet; one that is stays the same whatever comes behind it; a
/// refusal stays one.
fn check_prefixes<T, E>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<Option<(usize, T)>, E>)
where
    T: Debug + PartialEq,
    E: Debug,
{
    let whole = read(bytes);
    let stride = bytes.len() / CUTS + 1;
    for cut in (0..bytes.len()).step_by(stride) {
        match (read(&bytes[..cut]), &whole) {
            (Ok(Some(part)), Ok(Some(whole))) => assert_eq!(part, *whole),
            (Ok(Some(part)), other) => panic!("{part:?} became {other:?}"),
            (Ok(None), Ok(Some((len, _)))) => assert!(cut < *len),
            (Err(refused), Ok(other)) => panic!("{refused:?} became {other:?}"),
            (Ok(None), _) | (Err(_), Err(_)) => {}
        }
    }
}

/// Each field goes on as one line that hides neither another one nor the end of the head.
fn check_fields(fields: &Fields<'_, '_>) {
    for field in fields.iter() {
        let mut out = BytesMut::new();
        field.put(&mut out);
        let line = out.strip_suffix(b"\r\n").expect("a whole line");
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        let rest = line.strip_prefix(field.name.as_bytes()).expect("its name");
        assert_eq!(rest.first(), Some(&b':'));
        let unfolded: Vec<u8> = field
            .value
            .iter()
            .map(|byte| {
                if matches!(byte, b'\r' | b'\n') {
                    b' '
                } else {
                    *byte
                }
            })
            .collect();
        assert_eq!(rest[1..].trim_ascii(), unfolded.trim_ascii());
    }
}

/// No line of a request needs to be mended.
fn check_lines(fields: &Fields<'_, '_>) {
    for field in fields.iter() {
        let line = field.line.strip_suffix(b"\r\n").expect("a whole line");
        assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        let rest = line.strip_prefix(field.name.as_bytes()).expect("its name");
        assert_eq!(rest.first(), Some(&b':'));
        assert_eq!(rest[1..].trim_ascii(), field.value.trim_ascii());
        assert!(!field.name.is_empty());
        assert!(field.name.bytes().all(|byte| byte.is_ascii_graphic()));
    }
}

/// Two framings are never followed, and a length is digits.
fn check_request_framing(fields: &Fields<'_, '_>) {
    let count = |name: &str| fields.iter().filter(|field| field.is(name)).count();
    assert!(count("content-length") + count("transfer-encoding") <= 1);
    let length = fields.get("content-length").unwrap_or(b"0");
    assert!(!length.is_empty() && length.iter().all(u8::is_ascii_digit));
}

/// Two framings are never followed, and all lengths are the same number.
fn check_response_framing(fields: &Fields<'_, '_>) -> bool {
    let lengths: Vec<Option<u64>> = fields
        .members("content-length")
        .map(framing::content_length)
        .collect();
    let codings = fields.members("transfer-encoding");
    let chunked = codings.filter(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    let both = fields.get("content-length").is_some() && fields.get("transfer-encoding").is_some();
    !both
        && lengths
            .iter()
            .all(|length| length.is_some() && *length == lengths[0])
        && chunked.count() == fields.members("transfer-encoding").count()
}
