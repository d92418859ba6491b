//! HTTP/1.1 messages as a test sees them: the head as text, the body as bytes, framed by the
//! letter.
//!
//! [`Wire`] reads them from a socket. Only the framing of chunks is checked: tests judge the head
//! as it came.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// A request or a reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// Start line and field lines as they came, without the empty line.
    pub(crate) head: String,
    /// The body without its framing.
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn start_line(&self) -> &str {
        self.head.split("\r\n").next().unwrap_or_default()
    }

    /// The status code of a reply.
    pub(crate) fn status(&self) -> u16 {
        let code = self.start_line().split(' ').nth(1);
        let code = code.and_then(|code| code.parse().ok());
        code.unwrap_or_else(|| panic!("not a status line: {:?}", self.start_line()))
    }

    /// The values of every field line of that name, in order.
    pub(crate) fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").skip(1);
        lines
            .filter_map(|line| line.split_once(':'))
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .collect()
    }

    /// The value of a field that may be there once.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let values = self.fields(name);
        assert!(values.len() < 2, "{name} more than once: {}", self.head);
        values.first().copied()
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A socket and its unread input.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    /// Every read and write on `stream` fails after the deadline of all tests.
    pub(crate) fn new(stream: TcpStream) -> Self {
        let limit = Some(super::TEST_TIMEOUT);
        stream.set_read_timeout(limit).expect("a read timeout");
        stream.set_write_timeout(limit).expect("a write timeout");
        // A Unix socket has no such option.
        let _ = stream.set_nodelay(true);
        let unread = Vec::new();
        Self { stream, unread }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Makes the close that follows a reset instead of a FIN.
    pub(crate) fn linger_not(&self) {
        let socket = socket2::SockRef::from(&self.stream);
        let no_wait = Some(std::time::Duration::ZERO);
        socket.set_linger(no_wait).expect("SO_LINGER");
    }

    /// Reads more; an error at the end of the stream.
    fn more(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        let n = self.stream.read(&mut piece)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.unread.extend_from_slice(&piece[..n]);
        Ok(())
    }

    /// Everything up to `mark`, which is taken off the wire too.
    fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            let found = self.unread.windows(mark.len()).position(|w| w == mark);
            if let Some(at) = found {
                let taken = self.take(at)?;
                self.take(mark.len())?;
                return Ok(taken);
            }
            self.more()?;
        }
    }

    /// Exactly `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> io::Result<Vec<u8>> {
        while self.unread.len() < n {
            self.more()?;
        }
        Ok(self.unread.drain(..n).collect())
    }

    /// Takes the bytes that were read and not used yet.
    pub(crate) fn unread(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.unread)
    }

    /// Everything until the other side ends.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = std::mem::take(&mut self.unread);
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    /// A head without its body, which stays on the wire.
    pub(crate) fn head(&mut self) -> io::Result<Message> {
        let head = self.until(b"\r\n\r\n")?;
        // Latin-1, so that no byte is lost and none is refused.
        let head = head.into_iter().map(char::from).collect();
        let body = Vec::new();
        Ok(Message { head, body })
    }

    /// The body that `head` announces; `ends_by_close` when it announces none (replies alone do).
    pub(crate) fn body(&mut self, head: &Message, ends_by_close: bool) -> io::Result<Vec<u8>> {
        if !head.fields("transfer-encoding").is_empty() {
            return self.chunks();
        }
        match head.field("content-length") {
            Some(length) => self.take(length.parse().map_err(io::Error::other)?),
            None if ends_by_close => self.rest(),
            None => Ok(Vec::new()),
        }
    }

    /// Reads a chunked body; malformed input is [`io::ErrorKind::InvalidData`].
    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n")?;
            let digits = line.iter().take_while(|c| c.is_ascii_hexdigit()).count();
            let (size, extension) = line.split_at(digits);
            let hidden = extension
                .iter()
                .any(|c| c.is_ascii_control() && *c != b'\t');
            if !(extension.is_empty() || extension[0] == b';') || hidden {
                return Err(malformed());
            }
            let size = std::str::from_utf8(size).map_err(io::Error::other)?;
            let size = usize::from_str_radix(size, 16).map_err(|_| malformed())?;
            if size == 0 {
                while !self.until(b"\r\n")?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.take(size)?);
            if self.take(2)? != b"\r\n" {
                return Err(malformed());
            }
        }
    }
}
