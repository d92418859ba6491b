//! The pieces that heads are made of, appended to a buffer: bytes, numbers, a client's address.
//!
//! Every request passes here twice. The formatter of the standard library is not used: for numbers it
//! would cost more than all the rest of a head.

use std::net::{IpAddr, SocketAddr};

use bytes::BytesMut;

/// Appends a number in decimal digits.
pub(super) fn push_number(out: &mut BytesMut, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends these parts, one after the other.
pub(super) fn push(out: &mut BytesMut, parts: &[&[u8]]) {
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// Appends a client's address and the end of its line.
pub(super) fn put_client(out: &mut BytesMut, client: SocketAddr) {
    match client.ip().to_canonical() {
        // Written for every request, where the formatter would cost as much as the rest of the head.
        IpAddr::V4(ip) => {
            for (at, octet) in ip.octets().into_iter().enumerate() {
                push(out, &[if at == 0 { b"" } else { b"." }]);
                push_number(out, octet);
            }
        }
        IpAddr::V6(ip) => push(out, &[ip.to_string().as_bytes()]),
    }
    push(out, &[b"\r\n"]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_the_formatter_writes_them() {
        let all = [
            "0.0.0.0",
            "127.0.0.1",
            "255.10.200.9",
            "::1",
            "::ffff:10.0.0.7",
            "2001:db8::a",
        ];
        for text in all {
            let ip: IpAddr = text.parse().unwrap();
            let mut out = BytesMut::new();
            put_client(&mut out, SocketAddr::new(ip, 80));
            assert_eq!(out, format!("{}\r\n", ip.to_canonical()));
        }
    }
}
