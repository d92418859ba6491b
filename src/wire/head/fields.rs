//! Fields of a head, in order, with the exact lines they stood on.
//!
//! A proxy looks for about twenty names in every head, and most are absent. A digest of the names,
//! made in one pass, shows that a name is absent without a comparison with each field.

/// Fields of a head.
#[derive(Clone, Copy)]
pub struct Fields<'h, 'b> {
    bytes: &'b [u8],
    parsed: &'h [httparse::Header<'b>],
    names: NameDigest,
}

impl std::fmt::Debug for Fields<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.parsed).finish()
    }
}

/// Field of a head.
#[derive(Clone, Copy, Debug)]
pub struct Field<'b> {
    /// Name as it was sent; compare without case.
    pub name: &'b str,
    /// Value without the white space around it.
    pub value: &'b [u8],
    /// Whole line as it was sent, CR LF included.
    pub line: &'b [u8],
}

impl Field<'_> {
    /// Returns `true` if the field is called `name`, which is given in lower case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

impl<'h, 'b> Fields<'h, 'b> {
    /// Fields of the head `bytes`, which ends in its empty line.
    pub(super) fn new(bytes: &'b [u8], parsed: &'h [httparse::Header<'b>]) -> Self {
        let mut names = NameDigest::default();
        for header in parsed {
            names.insert(header.name);
        }
        Self {
            bytes,
            parsed,
            names,
        }
    }

    /// Returns all fields in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Field<'b>> + '_ {
        let all = self.parsed.iter().enumerate();
        all.map(|(at, header)| self.field(at, header))
    }

    /// Returns the fields called `name` (lower case) in order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = Field<'b>> + 'a {
        let of_name = self.candidates(name).iter().enumerate();
        of_name
            .filter(move |(_, header)| header.name.eq_ignore_ascii_case(name))
            .map(|(at, header)| self.field(at, header))
    }

    /// Returns the value of the first field called `name` (lower case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'b [u8]> {
        let mut candidates = self.candidates(name).iter();
        let first = candidates.find(|header| header.name.eq_ignore_ascii_case(name));
        first.map(|header| header.value)
    }

    /// Returns the members of all fields called `name` (lower case), which is a comma-separated
    /// list (RFC 9110 §5.6.1), without white space and empty members.
    pub fn members<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'b [u8]> + 'a {
        let candidates = self.candidates(name).iter();
        candidates
            .filter(move |header| header.name.eq_ignore_ascii_case(name))
            .flat_map(|header| split_list(header.value))
    }

    /// Fields to compare with `name`: all or, if the digest knows that the name is absent, none.
    fn candidates(&self, name: &str) -> &'h [httparse::Header<'b>] {
        match self.names.may_have(name) {
            true => self.parsed,
            false => &[],
        }
    }

    fn field(&self, at: usize, header: &httparse::Header<'b>) -> Field<'b> {
        Field {
            name: header.name,
            value: header.value,
            line: &self.bytes[self.start_of(at)..self.start_of(at + 1)],
        }
    }

    /// Offset of the line of field `at`; past the last field, of the final empty line.
    fn start_of(&self, at: usize) -> usize {
        self.parsed.get(at).map_or(self.bytes.len() - 2, |header| {
            header.name.as_ptr() as usize - self.bytes.as_ptr() as usize
        })
    }
}

/// Splits a comma-separated list into its members, trimmed, without the empty ones.
pub fn split_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let members = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    members.filter(|member| !member.is_empty())
}

/// Set of field names, as one bit for each of 64 hashes: a Bloom filter with one hash function.
/// Absent means absent; present may be another name with the same hash.
#[derive(Clone, Copy, Debug, Default)]
struct NameDigest(u64);

impl NameDigest {
    fn insert(&mut self, name: &str) {
        self.0 |= Self::bit(name);
    }

    fn may_have(self, name: &str) -> bool {
        self.0 & Self::bit(name) != 0
    }

    /// Length, first and last letter, in any case. The factors were searched: with them no name
    /// that the proxy looks for has the hash of a name that messages usually have, as far as the
    /// test lists them. Another name with the same hash costs a comparison.
    #[inline]
    fn bit(name: &str) -> u64 {
        let letter = |byte: Option<&u8>| usize::from(byte.map_or(0, |byte| byte | 0x20));
        let bytes = name.as_bytes();
        let hash = bytes.len() + letter(bytes.first()) * 37 + letter(bytes.last()) * 7;
        1 << (hash % 64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{self, HeaderSlots};

    #[test]
    fn a_name_is_found_in_any_case_and_an_absent_one_is_not() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1, 2\r\nx-a: 3\r\nDATE: now\r\n\r\n";
        let mut slots = HeaderSlots::default();
        let fields = head::request(text, &mut slots).unwrap().unwrap().fields;
        assert_eq!(fields.get("date"), Some(&b"now"[..]));
        assert_eq!(fields.get("via"), None);
        let members: Vec<_> = fields.members("x-a").collect();
        assert_eq!(members, [b"1", b"2", b"3"]);
        let lines: Vec<_> = fields.named("x-a").map(|field| field.line).collect();
        assert_eq!(lines, [&b"X-A: 1, 2\r\n"[..], b"x-a: 3\r\n"]);
        assert_eq!(fields.named("via").count(), 0);
    }

    #[test]
    fn a_digest_has_every_name_that_was_put_in() {
        let mut digest = NameDigest::default();
        assert!(!digest.may_have("host"));
        for name in ["Host", "content-LENGTH", "x", ""] {
            digest.insert(name);
            assert!(digest.may_have(&name.to_lowercase()), "{name}");
            assert!(digest.may_have(&name.to_uppercase()), "{name}");
        }
    }

    #[test]
    fn wanted_names_do_not_share_a_hash_with_usual_names() {
        let usual = [
            "host",
            "user-agent",
            "accept",
            "accept-encoding",
            "accept-language",
            "content-type",
            "content-length",
            "server",
            "date",
            "cache-control",
            "etag",
            "last-modified",
            "cookie",
        ];
        let wanted = [
            "connection",
            "transfer-encoding",
            "upgrade",
            "keep-alive",
            "www-authenticate",
            "proxy-authenticate",
            "authorization",
            "proxy-authorization",
            "x-forwarded-for",
            "x-forwarded-proto",
            "expect",
            "max-forwards",
            "te",
        ];
        let mut digest = NameDigest::default();
        usual.iter().for_each(|name| digest.insert(name));
        let mistaken: Vec<_> = wanted.iter().filter(|name| digest.may_have(name)).collect();
        assert!(mistaken.is_empty(), "{mistaken:?}");
    }
}
