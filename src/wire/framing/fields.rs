//! Framing fields of a head: strict in a request, and accepted in a response while only one reading
//! fits.

use crate::wire::head::Fields;
use crate::wire::version::Version;

/// Content of the framing fields of a head. They are forwarded in this form only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingField {
    /// Neither a length nor chunks.
    Nothing,
    /// `Content-Length` with this number.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

/// Reason for which framing fields cannot be followed.
#[derive(Clone, Copy)]
pub(super) enum FramingError {
    Length,
    Both,
    /// Codings that end in `chunked`, as required, but have others before it.
    Coding,
    /// Codings of which `chunked` is not the last, or that repeat it.
    NotChunkedLast,
    Http10,
}

impl FramingError {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Length => "Content-Length is malformed or given twice",
            Self::Both => "both Content-Length and Transfer-Encoding",
            Self::Coding => "only the transfer coding chunked is supported",
            Self::NotChunkedLast => "Transfer-Encoding does not end in chunked, given once",
            Self::Http10 => "Transfer-Encoding in HTTP/1.0",
        }
    }
}

/// Returns the framing of a request.
pub(super) fn request_framing(
    version: Version,
    fields: &Fields<'_, '_>,
) -> Result<FramingField, FramingError> {
    let mut lengths = fields.named("content-length");
    let mut codings = fields.named("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Ok(FramingField::Nothing),
        (Some(_), Some(_)) => Err(FramingError::Both),
        (Some(_), None) if lengths.next().is_some() => Err(FramingError::Length),
        (Some(length), None) => content_length(length.value)
            .map(FramingField::Length)
            .ok_or(FramingError::Length),
        (None, Some(_)) if version == Version::Http10 => Err(FramingError::Http10),
        (None, Some(_)) if codings.next().is_some() => Err(coding_error(fields)),
        (None, Some(coding)) if is_chunked(coding.value) => Ok(FramingField::Chunked),
        (None, Some(_)) => Err(coding_error(fields)),
    }
}

/// Returns the framing of a response that has a body, and `true` if no field had to be ignored.
pub(super) fn response_fields(
    version: Version,
    fields: &Fields<'_, '_>,
) -> Result<(FramingField, bool), FramingError> {
    let has_length = fields.get("content-length").is_some();
    let mut codings = fields.members("transfer-encoding");
    match (codings.next(), codings.next()) {
        (None, _) => {}
        // RFC 9112 §6.3(3): the coding counts, the length is removed; §6.1: the connection ends.
        (Some(coding), None) if is_chunked(coding) => {
            return match version {
                Version::Http10 if has_length => Err(FramingError::Both),
                Version::Http10 => Ok((FramingField::Chunked, false)),
                Version::Http11 => Ok((FramingField::Chunked, !has_length)),
            };
        }
        _ => return Err(coding_error(fields)),
    }
    let unambiguous = fields.get("transfer-encoding").is_none();
    if !has_length {
        return Ok((FramingField::Nothing, unambiguous));
    }
    // RFC 9110 §8.6: the same length repeated, in fields or in a list, is that length.
    let mut same = None;
    for field in fields.named("content-length") {
        for member in field.value.split(|byte| *byte == b',') {
            let length = content_length(member.trim_ascii()).ok_or(FramingError::Length)?;
            if *same.get_or_insert(length) != length {
                return Err(FramingError::Length);
            }
        }
    }
    let length = same.ok_or(FramingError::Length)?;
    Ok((FramingField::Length(length), unambiguous))
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

/// Classifies transfer codings other than `chunked` alone. RFC 9112 §6.3(4): without `chunked` as
/// the last one, the length is unknown; §7.1: it must not be applied twice.
fn coding_error(fields: &Fields<'_, '_>) -> FramingError {
    let codings = || fields.members("transfer-encoding");
    let ends_chunked = codings().last().is_some_and(is_chunked);
    let once = codings().filter(|coding| is_chunked(coding)).count() == 1;
    if ends_chunked && once && codings().count() > 1 {
        FramingError::Coding
    } else {
        FramingError::NotChunkedLast
    }
}

/// Parses 1*DIGIT (RFC 9110 §8.6) up to 2^63-1.
#[must_use]
pub fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = std::str::from_utf8(value).ok()?;
    digits
        .parse::<i64>()
        .ok()
        .and_then(|length| u64::try_from(length).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_length_is_digits_only() {
        assert_eq!(content_length(b"0003"), Some(3));
        assert_eq!(content_length(b"9223372036854775807"), Some((1 << 63) - 1));
        for bad in [
            "",
            "+5",
            "-5",
            "5 5",
            "0x3",
            "3.0",
            "1_0",
            "3, 3",
            "9223372036854775808",
        ] {
            assert_eq!(content_length(bad.as_bytes()), None, "{bad}");
        }
    }
}
