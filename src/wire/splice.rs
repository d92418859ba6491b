//! Transfer of bytes from one socket to another through a pipe, without a copy to user space
//! (splice(2)).
//!
//! EAGAIN on a fill means "socket empty" or "pipe full", which require opposite waits. The types
//! exclude the second case: only an empty pipe can be filled, and only a holding one drained. A
//! pipe that is dropped while it holds bytes is closed and never reused.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// Requested size in bytes. If the user's pipes are limited (pipe(7)), the size stays at the
/// default.
pub const PIPE_BYTES: usize = 256 * 1024;

/// State of a pipe that holds nothing.
#[derive(Debug)]
pub struct Empty;

/// State of a pipe that holds this many bytes. They may exceed its size: a slot can hold a packet
/// larger than a page.
#[derive(Debug)]
pub struct Holding(usize);

/// Pipe with its state.
#[derive(Debug)]
pub struct Pipe<State> {
    read: OwnedFd,
    write: OwnedFd,
    state: State,
}

/// Outcome of a fill.
#[derive(Debug)]
pub enum Filled {
    /// Some bytes arrived.
    Some(Pipe<Holding>),
    /// The socket has ended.
    End(Pipe<Empty>),
}

/// Outcome of one drain.
#[derive(Debug)]
pub enum Drained {
    /// All bytes were written.
    All(Pipe<Empty>),
    /// The socket accepted a part for now.
    Part(Pipe<Holding>),
}

impl Pipe<Empty> {
    /// Opens a pipe.
    ///
    /// # Errors
    /// If the process or the user has no descriptors or pipe memory left.
    pub fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // EPERM: the user's pipes take too much memory already; a small pipe is only slower.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Ok(Self {
            read,
            write,
            state: Empty,
        })
    }

    /// Waits for bytes of `from` and moves at most `max` (not 0) of them into the pipe. Dropping
    /// the future closes the pipe; bytes are lost only if the caller does not close the sockets
    /// too.
    ///
    /// # Errors
    /// The error of the socket. `InvalidInput` or `Unsupported` if it cannot be spliced, and then
    /// no byte was moved.
    pub async fn fill(self, from: &TcpStream, max: usize) -> io::Result<Filled> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = from
            .async_io(Interest::READABLE, || {
                Ok(rustix::pipe::splice(
                    from,
                    None,
                    &self.write,
                    None,
                    max,
                    flags,
                )?)
            })
            .await?;
        Ok(match moved {
            0 => Filled::End(self),
            held => Filled::Some(self.with(Holding(held))),
        })
    }
}

impl Pipe<Holding> {
    /// Returns the number of bytes that it holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state.0
    }

    /// Waits until `to` accepts some of the bytes. SPLICE_F_MORE is not set: it would delay the
    /// last ones by 200 ms whenever the other side pauses.
    ///
    /// # Errors
    /// The error of the socket. The bytes are lost with the pipe.
    pub async fn drain(self, to: &TcpStream) -> io::Result<Drained> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let held = self.state.0;
        let moved = to
            .async_io(Interest::WRITABLE, || {
                Ok(rustix::pipe::splice(
                    &self.read, None, to, None, held, flags,
                )?)
            })
            .await?;
        match held - moved.min(held) {
            0 => Ok(Drained::All(self.with(Empty))),
            _ if moved == 0 => Err(io::ErrorKind::WriteZero.into()),
            left => Ok(Drained::Part(self.with(Holding(left)))),
        }
    }
}

impl<State> Pipe<State> {
    fn with<Next>(self, state: Next) -> Pipe<Next> {
        Pipe {
            read: self.read,
            write: self.write,
            state,
        }
    }
}

/// Returns `true` if an error means that these sockets cannot be spliced (splice(2): EINVAL,
/// ENOSYS).
#[must_use]
pub fn is_unsupported(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    /// Returns both ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    /// Moves all bytes from one socket to the other until the first one ends.
    async fn transfer(from: TcpStream, to: TcpStream) -> usize {
        let (mut pipe, mut total) = (Pipe::new().unwrap(), 0);
        loop {
            let mut held = match pipe.fill(&from, 1 << 20).await.unwrap() {
                Filled::Some(held) => held,
                Filled::End(_) => return total,
            };
            total += held.held();
            pipe = loop {
                match held.drain(&to).await.unwrap() {
                    Drained::All(empty) => break empty,
                    Drained::Part(rest) => held = rest,
                }
            };
        }
    }

    /// The reader takes small pieces from time to time, and the writer sends packets of a segment's
    /// size. The pipe is full and the socket empty in turns, and neither may be mistaken for the
    /// other.
    #[tokio::test]
    async fn a_slow_reader_gets_every_byte_of_small_packets() {
        const PACKETS: usize = 4000;
        let ((mut writer, from), (to, mut reader)) = (pair().await, pair().await);
        writer.set_nodelay(true).unwrap();
        let write = async move {
            for n in 0..PACKETS {
                let byte = u8::try_from(n % 251).unwrap();
                writer.write_all(&[byte; 1448]).await.unwrap();
            }
        };
        let read = async move {
            let (mut bytes, mut piece) = (Vec::new(), vec![0; 700]);
            loop {
                match reader.read(&mut piece).await.unwrap() {
                    0 => return bytes,
                    n => bytes.extend_from_slice(&piece[..n]),
                }
                tokio::task::yield_now().await;
            }
        };
        let all = async { tokio::join!(write, transfer(from, to), read) };
        let ((), moved, bytes) = timeout(Duration::from_secs(30), all).await.unwrap();
        assert_eq!((moved, bytes.len()), (PACKETS * 1448, PACKETS * 1448));
        let is_right = |(at, byte): (usize, &u8)| usize::from(*byte) == at / 1448 % 251;
        assert!(bytes.iter().enumerate().all(is_right));
    }

    #[tokio::test]
    async fn an_end_right_after_a_write_truncates_no_byte() {
        let ((mut writer, from), (to, mut reader)) = (pair().await, pair().await);
        writer.write_all(b"last bytes").await.unwrap();
        drop(writer);
        let mut received = Vec::new();
        let all = async {
            assert_eq!(transfer(from, to).await, 10);
            reader.read_to_end(&mut received).await.unwrap();
        };
        timeout(Duration::from_secs(5), all).await.unwrap();
        assert_eq!(received, b"last bytes");
    }

    /// A socket without bytes must wait for the reactor, and not call the kernel repeatedly.
    #[tokio::test]
    async fn a_fill_from_an_empty_socket_does_not_spin() {
        let (_writer, from) = pair().await;
        let mut fill = std::pin::pin!(Pipe::new().unwrap().fill(&from, 100));
        let mut polls = 0;
        let waiting = std::future::poll_fn(|cx| {
            polls += 1;
            fill.as_mut().poll(cx)
        });
        assert!(timeout(Duration::from_millis(100), waiting).await.is_err());
        assert!(polls <= 3, "polled {polls} times");
    }
}
