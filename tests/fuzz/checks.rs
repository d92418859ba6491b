//! Invariants of the parsers of `wire`, and of the kind of a ring, for any bytes: no panic, the
//! same result however the bytes are split, and a forwarded message reads the same at the next hop.
//!
//! The fuzz targets feed these functions, and so do the property tests of
//! tests/e2e/h1/properties.rs.

use std::collections::BTreeSet;
use std::fmt::Debug;

use bytes::BytesMut;
use ringmaster::ring::{Key, Seat, Spec};
use ringmaster::wire::chunked::{BadChunk, Scanner};
use ringmaster::wire::client_hello::{ClientHelloError, ClientHelloReader};
use ringmaster::wire::framing::{self, Body, FramingField};
use ringmaster::wire::head::{self, Fields, HeaderSlots, ResponseHeaderSlots};
use ringmaster::wire::lenient::{self, Rewritten};
use ringmaster::wire::proxy_header::{self, ProxyHeaderError};

/// Heads up to this long are cut at every byte, longer ones at this many places.
const CUTS: usize = 256;

/// A request head and its framing.
pub(crate) fn request(bytes: &[u8]) {
    let read = |bytes: &[u8]| -> Result<_, u16> {
        let mut room = HeaderSlots::default();
        let head = head::request(bytes, &mut room).map_err(|refused| refused.status)?;
        Ok(head.map(|head| {
            check_fields(&head.fields);
            let body = framing::request_body(head.version, &head.fields);
            check_framing(&head.fields, body.is_ok());
            let target = head.target;
            assert!(target.path.starts_with(b"/") || target.path == b"*");
            (head.len, format!("{head:?} {body:?}"))
        }))
    };
    check_prefixes(bytes, read);
}

/// A PROXY header in front of a connection.
pub(crate) fn proxy_header(bytes: &[u8]) {
    check_prefixes(bytes, |bytes| {
        let header = proxy_header::parse(bytes)?;
        let header = header.inspect(|header| assert!(header.len <= bytes.len()));
        Ok::<_, ProxyHeaderError>(header.map(|header| (header.len, format!("{header:?}"))))
    });
}

/// The ClientHello in front of a connection, within a limit that its first bytes say.
pub(crate) fn client_hello(bytes: &[u8]) {
    let [low, high, bytes @ ..] = bytes else {
        return;
    };
    let max = usize::from(u16::from_le_bytes([*low, *high]));
    let whole = |bytes: &[u8]| {
        let hello = ClientHelloReader::default().read(bytes, max)?;
        let hello = hello.inspect(|hello| assert!(hello.len <= bytes.len().min(max)));
        Ok::<_, ClientHelloError>(hello.map(|hello| (hello.len, hello.server_name)))
    };
    check_prefixes(bytes, whole);
    // A reader that sees the pieces one after the other finds the same.
    let mut reader = ClientHelloReader::default();
    let stride = bytes.len() / CUTS + 1;
    let ends = (0..bytes.len()).step_by(stride).chain([bytes.len()]);
    let mut reads = ends.map(|end| reader.read(&bytes[..end], max));
    let found = reads.find(|read| *read != Ok(None));
    let found = found.unwrap_or(Ok(None));
    assert_eq!(found, ClientHelloReader::default().read(bytes, max));
}

/// A response head and its framing, for an answer to GET and to HEAD.
pub(crate) fn response(bytes: &[u8]) {
    check_prefixes(bytes, read_response);
    let whole = settled(bytes);
    let stride = bytes.len() / CUTS + 1;
    for cut in (0..bytes.len()).step_by(stride) {
        // What is rewritten before all of it is here becomes the same, unless it is refused at
        // once.
        if let Ok(begun) = settled(&bytes[..cut]) {
            let begun = [&begun[..], &bytes[cut..]].concat();
            assert_eq!(settled(&begun).ok(), whole.clone().ok());
        }
    }
}

fn read_response(bytes: &[u8]) -> Result<Option<(usize, String)>, &'static str> {
    let mut room = ResponseHeaderSlots::default();
    let head = head::response(bytes, &mut room).map_err(|bad| bad.0)?;
    Ok(head.map(|head| {
        check_fields(&head.fields);
        assert!((100..1000).contains(&head.status));
        let framing = |to_head| {
            let framing =
                framing::response_framing(head.status, to_head, head.version, &head.fields);
            framing.map(|framing| (framing.body, framing.announced, framing.reusable))
        };
        let (to_get, to_head) = (framing(false), framing(true));
        let has_body = head.status >= 200 && !matches!(head.status, 204 | 304);
        if let Ok((body, announced, _)) = to_get
            && has_body
        {
            check_announced(&head.fields, &body, announced);
        }
        // No framing field holds up a reply without a body.
        assert!(to_head.is_ok_and(|(body, ..)| body.is_complete()));
        (head.len, format!("{head:?} {to_get:?}"))
    }))
}

/// A response head as it is passed on: rewritten as often as it takes, which is not often.
fn settled(bytes: &[u8]) -> Result<BytesMut, &'static str> {
    let mut bytes = BytesMut::from(bytes);
    for _ in 0..3 {
        let Err(refused) = read_response(&bytes) else {
            return Ok(bytes);
        };
        match lenient::rewrite_response(&mut bytes) {
            Rewritten::Changed => {}
            Rewritten::Incomplete => return Ok(bytes),
            Rewritten::Unchanged => return Err(refused),
        }
    }
    panic!("rewritten again and again: {bytes:?}");
}

/// The kind of a ring: it prints as it can be typed, and its formulas fail in words.
pub(crate) fn ring(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(spec) = text.parse::<Spec>() else {
        return;
    };
    assert_eq!(spec.to_string().parse(), Ok(spec.clone()));
    // Larger ones take milliseconds, and the formulas are the same.
    if let Spec::Custom(params) = &spec
        && params.slots <= 1024
        && let Ok(ring) = spec.build(&BTreeSet::from([Seat(1), Seat(u32::MAX)]))
    {
        assert!(ring.owner(Key::from_bytes(b"7")).is_some());
    }
}

/// A body: `bytes` come in pieces of the lengths that `splits` say, over and over.
pub(crate) fn body(bytes: &[u8], splits: &[u8]) {
    let bodies = [
        Body::Chunked(Scanner::default()),
        Body::Chunked(Scanner::without_trailers()),
        Body::Chunked(Scanner::default().leniently()),
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
        // The next hop reads the same message, to its last byte.
        let strict = match body {
            Body::Chunked(_) => Body::Chunked(Scanner::default()),
            body => body,
        };
        let next = pass(strict, &whole.out, &[], Body::relay).expect("well-formed");
        assert_eq!((&next.out, next.complete), (&whole.out, whole.complete));
        let next = pass(strict, &whole.out, &[], Body::decode).expect("well-formed");
        assert_eq!(next.out, data.out);
    }
}

/// Result of reading a body.
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

/// A head that is not whole is not there yet; one that is stays the same whatever comes behind it;
/// a refusal stays one.
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

/// No line of a field hides another one, or the end of the head.
fn check_fields(fields: &Fields<'_, '_>) {
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
fn check_framing(fields: &Fields<'_, '_>, followed: bool) {
    let count = |name: &str| fields.iter().filter(|field| field.is(name)).count();
    let (lengths, codings) = (count("content-length"), count("transfer-encoding"));
    assert!(!followed || lengths + codings <= 1);
    let length = fields.get("content-length").unwrap_or(b"0");
    assert!(!followed || !length.is_empty() && length.iter().all(u8::is_ascii_digit));
}

/// Checks that the announced framing of a response is that of its fields.
fn check_announced(fields: &Fields<'_, '_>, body: &Body, announced: FramingField) {
    match (announced, body) {
        (FramingField::Length(length), Body::Length(left)) => {
            assert_eq!(length, *left);
            let said = fields.members("content-length");
            let said = said.map(framing::content_length);
            assert!(said.into_iter().all(|said| said == Some(length)));
            assert!(fields.members("transfer-encoding").next().is_none());
        }
        (FramingField::Chunked, Body::Chunked(_)) => {
            let codings: Vec<_> = fields.members("transfer-encoding").collect();
            assert!(codings.len() == 1 && codings[0].eq_ignore_ascii_case(b"chunked"));
        }
        (FramingField::Nothing, Body::UntilClose) => {
            assert!(fields.get("content-length").is_none());
            assert!(fields.members("transfer-encoding").next().is_none());
        }
        (FramingField::Nothing, body) => assert!(body.is_complete()),
        other => panic!("{other:?}"),
    }
}
