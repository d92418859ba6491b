//! Authentication that holds for a connection, not for a request: NTLM and Negotiate (RFC 4559).
//!
//! HTTP authentication is stateless by design (RFC 9110 §11), and every other scheme is. With these two, a
//! server takes each later request of the same connection for one of the client that has logged in.

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

/// Returns `true` if a response names such a scheme, be it as an offer, a challenge or a last word.
#[must_use]
pub fn is_in_response(fields: &Fields<'_, '_>) -> bool {
    let mut challenges = fields
        .named("www-authenticate")
        .chain(fields.named("proxy-authenticate"));
    // A challenge's own parameters are members of the list too (RFC 9110 §11.6.1), and begin with a name
    // and `=`. Text in quotes may look like a scheme: then a connection is private without need.
    challenges.any(|field| split_list(field.value).any(has_scheme))
}

/// Whether the first word is the name of such a scheme.
fn has_scheme(text: &[u8]) -> bool {
    let word = text.split(|byte| byte.is_ascii_whitespace()).next();
    word.is_some_and(|word| SCHEMES.iter().any(|name| word.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{self, HeaderSlots};

    fn of(fields: &str) -> (bool, bool) {
        let mut room = HeaderSlots::default();
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let head = head::request(text.as_bytes(), &mut room).unwrap().unwrap();
        (is_in_request(&head.fields), is_in_response(&head.fields))
    }

    #[test]
    fn credentials_and_challenges_are_known_in_any_case_and_place() {
        for fields in [
            "Authorization: NTLM TlRMTVNTUAAB\r\n",
            "authorization: negotiate YII=\r\n",
            "Proxy-Authorization: Ntlm\r\n",
        ] {
            assert_eq!(of(fields), (true, false), "{fields}");
        }
        for fields in [
            "WWW-Authenticate: NTLM\r\n",
            "www-authenticate: Negotiate oYG2\r\n",
            "Proxy-Authenticate: Basic realm=\"a\", NTLM\r\n",
            "WWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: ntlm\r\n",
        ] {
            assert_eq!(of(fields), (false, true), "{fields}");
        }
    }

    #[test]
    fn other_schemes_and_fields_are_not() {
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
            assert_eq!(of(fields), (false, false), "{fields}");
        }
    }
}
