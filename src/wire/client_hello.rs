//! The ClientHello at the beginning of a TLS connection, and the server name in it (RFC 8446
//! §4.1.2, RFC 6066 §3).
//!
//! Pure. The parser is strict where another reading of the same bytes would be another name: exact
//! lengths, one name, no bytes behind the message in its last record. Everything else in the
//! message is the server's to judge: versions, cipher suites, other extensions, and values that
//! mean nothing on purpose (GREASE, RFC 8701). With an encrypted ClientHello, the name is that of
//! the outer one, which is all that a relay can see.

use std::net::IpAddr;

/// Length of a record's header: type, version, length.
const RECORD_HEADER: usize = 5;
/// Content type of a record with handshake messages.
const HANDSHAKE: u8 = 22;
/// Maximum length of a record's fragment in bytes (RFC 8446 §5.1).
const MAX_FRAGMENT: usize = 1 << 14;
/// Length of a message's header: type, length in three bytes.
const MESSAGE_HEADER: usize = 4;
/// Type of the ClientHello among the handshake messages.
const CLIENT_HELLO: u8 = 1;
/// Length of the random value in bytes.
const RANDOM: usize = 32;
/// Type of the extension that names the server.
const SERVER_NAME: u16 = 0;
/// Type of a DNS name in that extension, the only one that was ever defined.
const HOST_NAME: u8 = 0;
/// Maximum length of a DNS name in bytes, without the trailing dot (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
/// Maximum length of a label of a DNS name in bytes (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Complete ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// Length of its records in bytes.
    pub len: usize,
    /// Name of the wanted server, in lower case and without a trailing dot. `None` without the
    /// extension, or with an IP address in it, which is no name (RFC 6066 §3).
    pub server_name: Option<String>,
}

/// Reason why bytes are no acceptable ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientHelloError {
    /// The first bytes are no TLS record of a handshake.
    #[error("it begins with no TLS ClientHello")]
    NotTls,
    /// A length or a value within the hello is wrong.
    #[error("its ClientHello is malformed")]
    Malformed,
    /// The server name is no DNS name.
    #[error("its ClientHello has a malformed server name")]
    Name,
    /// The hello exceeds the limit.
    #[error("its ClientHello is too long")]
    TooLong,
}

use ClientHelloError::{Malformed, Name, NotTls, TooLong};

/// Reads a ClientHello that arrives in pieces, in time linear in its length.
#[derive(Debug, Default)]
pub struct ClientHelloReader {
    /// Length in bytes of the records that have been read.
    read: usize,
    /// Fragments of the message so far.
    message: Vec<u8>,
}

impl ClientHelloReader {
    /// Reads on. `bytes` are all bytes of the connection until now. `max` is the maximum length of
    /// the hello in bytes, record headers included. Returns `None` if the hello is incomplete; then
    /// fewer than `max` bytes were given, or the last record is incomplete.
    ///
    /// # Errors
    /// The bytes are no acceptable hello, however they go on.
    pub fn read(
        &mut self,
        bytes: &[u8],
        max: usize,
    ) -> Result<Option<ClientHello>, ClientHelloError> {
        while let Some(fragment) = next_fragment(&bytes[self.read..], max - self.read)? {
            self.read += RECORD_HEADER + fragment.len();
            self.message.extend_from_slice(fragment);
            let Some((header, body)) = self.message.split_first_chunk::<MESSAGE_HEADER>() else {
                continue;
            };
            let [kind, high, middle, low] = *header;
            if kind != CLIENT_HELLO {
                return Err(NotTls);
            }
            let len = u32::from_be_bytes([0, high, middle, low]) as usize;
            match len.checked_sub(body.len()) {
                // A key change may follow, so the message ends with its record (RFC 8446 §5.1).
                None => return Err(Malformed),
                Some(0) => {
                    let server_name = parse_body(body)?;
                    let len = self.read;
                    return Ok(Some(ClientHello { len, server_name }));
                }
                Some(missing) if self.read + RECORD_HEADER + missing > max => return Err(TooLong),
                Some(_) => {}
            }
        }
        Ok(None)
    }
}

/// Returns the fragment of the first record in `bytes`; `None` if the record is incomplete.
fn next_fragment(bytes: &[u8], max: usize) -> Result<Option<&[u8]>, ClientHelloError> {
    // The version is 3.1 or 3.3 and has to be ignored (RFC 8446 §5.1); 3 has been its first byte
    // since SSL 3.0.
    let signature = [HANDSHAKE, 3];
    let begun = bytes.len().min(signature.len());
    if bytes[..begun] != signature[..begun] {
        return Err(NotTls);
    }
    let Some((header, rest)) = bytes.split_first_chunk::<RECORD_HEADER>() else {
        return Ok(None);
    };
    let [_, _, _, high, low] = *header;
    let len = usize::from(u16::from_be_bytes([high, low]));
    // No fragment of a handshake message is empty (RFC 8446 §5.1).
    if !(1..=MAX_FRAGMENT).contains(&len) {
        return Err(Malformed);
    }
    if RECORD_HEADER + len > max {
        return Err(TooLong);
    }
    Ok(rest.get(..len))
}

/// Returns the server name of a complete message without its header.
fn parse_body(body: &[u8]) -> Result<Option<String>, ClientHelloError> {
    let mut body = Input(body);
    let version = body.take(2)?;
    body.take(RANDOM)?;
    let session = body.short_vector()?;
    let ciphers = body.vector()?;
    let compressions = body.short_vector()?;
    if version[0] != 3
        || session.len() > 32
        || ciphers.is_empty()
        || !ciphers.len().is_multiple_of(2)
        || compressions.is_empty()
    {
        return Err(Malformed);
    }
    let mut found = None;
    // Until TLS 1.2 a hello may end without extensions.
    if !body.is_empty() {
        let mut extensions = Input(body.vector()?);
        while !extensions.is_empty() {
            let kind = extensions.number()?;
            let data = extensions.vector()?;
            // No type occurs twice (RFC 8446 §4.2).
            if kind == SERVER_NAME && found.replace(data).is_some() {
                return Err(Malformed);
            }
        }
    }
    body.end()?;
    found.map_or(Ok(None), parse_server_name)
}

/// Parses the extension: a list of one DNS name.
fn parse_server_name(data: &[u8]) -> Result<Option<String>, ClientHelloError> {
    let mut data = Input(data);
    let mut list = Input(data.vector()?);
    data.end()?;
    let [kind] = list.take(1)? else {
        return Err(Malformed);
    };
    let name = list.vector()?;
    list.end()?;
    if *kind != HOST_NAME {
        return Err(Malformed);
    }
    let name = str::from_utf8(name).map_err(|_| Name)?;
    if name.parse::<IpAddr>().is_ok() {
        return Ok(None);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(allowed)
    };
    if name.len() > MAX_NAME || !name.split('.').all(is_label) {
        return Err(Name);
    }
    Ok(Some(name.to_ascii_lowercase()))
}

/// Rest of a structure in TLS's presentation language (RFC 8446 §3).
struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, len: usize) -> Result<&'b [u8], ClientHelloError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes a number of two bytes.
    fn number(&mut self) -> Result<u16, ClientHelloError> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(u16::from_be_bytes(*bytes))
    }

    /// Takes a vector whose length has two bytes.
    fn vector(&mut self) -> Result<&'b [u8], ClientHelloError> {
        let len = self.number()?;
        self.take(len.into())
    }

    /// Takes a vector whose length has one byte.
    fn short_vector(&mut self) -> Result<&'b [u8], ClientHelloError> {
        let len = self.take(1)?[0];
        self.take(len.into())
    }

    /// Checks that nothing is left.
    fn end(&self) -> Result<(), ClientHelloError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
}

#[cfg(test)]
mod tests;
