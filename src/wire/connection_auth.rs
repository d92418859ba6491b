//! Authentication of a connection instead of a request: NTLM and Negotiate (RFC 4559).
//!
//! HTTP authentication is stateless by design (RFC 9110 §11), and every other scheme complies. With
//! these two, a server attributes each later request of the same connection to the client that has
//! logged in.

use super::head::{Fields, split_list};

const SCHEMES: [&[u8]; 2] = [b"ntlm", b"negotiate"];

/// Returns `true` if a request carries credentials of such a scheme.
#[must_use]
pub fn is_in_request(fields: &Fields<'_, '_>) -> bool {
    let mut credentials = fields
        .named("authorization")
        .chain(fields.named("proxy-authorization"));
    credentials.any(|field| has_scheme(field.value))
}

/// Returns `true` if a response names such a scheme, whether as an offer, a challenge or a final
/// message.
#[must_use]
pub fn is_in_response(fields: &Fields<'_, '_>) -> bool {
    let mut challenges = fields
        .named("www-authenticate")
        .chain(fields.named("proxy-authenticate"));
    // The parameters of a challenge are members of the list too (RFC 9110 §11.6.1); they begin with
    // a name and `=`. Quoted text may look like a scheme: then a connection is private without
    // need.
    challenges.any(|field| split_list(field.value).any(has_scheme))
}

/// Returns `true` if the first word is the name of such a scheme.
fn has_scheme(text: &[u8]) -> bool {
    let word = text.split(|byte| byte.is_ascii_whitespace()).next();
    word.is_some_and(|word| SCHEMES.iter().any(|name| word.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{self, HeaderSlots};

    fn detect(fields: &str) -> (bool, bool) {
        let mut slots = HeaderSlots::default();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = head::request(text.as_bytes(), &mut slots).unwrap().unwrap();
        (is_in_request(&head.fields), is_in_response(&head.fields))
    }

    #[test]
    fn credentials_and_challenges_are_found_in_any_case_and_position() {
        for fields in [
            "Authorization: NTLM TlRMTVNTUAAB\r\n",
            "authorization: negotiate YII=\r\n",
            "Proxy-Authorization: Ntlm\r\n",
        ] {
            assert_eq!(detect(fields), (true, false), "{fields}");
        }
        for fields in [
            "WWW-Authenticate: NTLM\r\n",
            "www-authenticate: Negotiate oYG2\r\n",
            "Proxy-Authenticate: Basic realm=\"a\", NTLM\r\n",
            "WWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: ntlm\r\n",
        ] {
            assert_eq!(detect(fields), (false, true), "{fields}");
        }
    }

    #[test]
    fn other_schemes_and_fields_are_ignored() {
        for fields in [
            "",
            "Authorization: Basic bnRsbQ==\r\n",
            "Authorization: Bearer NTLM\r\n",
            "Authorization: NTLMv2 x\r\n",
            "WWW-Authenticate: Basic realm=\"NTLM\"\r\n",
            "WWW-Authenticate: Digest algorithm=negotiate\r\n",
            "X-Authenticate: NTLM\r\n",
            "WWW-Authorization: NTLM\r\n",
        ] {
            assert_eq!(detect(fields), (false, false), "{fields}");
        }
    }
}
