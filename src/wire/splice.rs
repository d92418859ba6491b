//! Bytes from one socket to another through a pipe, without passing through this program (splice(2)).
//!
//! EAGAIN on a fill means "socket empty" or "pipe full", and the two call for opposite waits. The types
//! leave no second case: only an empty pipe is filled, and only a holding one drained. A pipe that is
//! dropped while it holds bytes is closed, never used again.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with};
use tokio::io::Interest;
use tokio::net::TcpStream;

/// The size asked for, in bytes; where a user's pipes are limited (pipe(7)), they stay at the default.
pub const PIPE_BYTES: usize = 256 * 1024;

/// A pipe that holds nothing.
#[derive(Debug)]
pub struct Empty;

/// A pipe that holds this many bytes. It may be more than its size: a slot can hold a packet larger than
/// a page.
#[derive(Debug)]
pub struct Holding(usize);

/// A pipe, and whether it holds anything.
#[derive(Debug)]
pub struct Pipe<State> {
    read: OwnedFd,
    write: OwnedFd,
    state: State,
}

/// What came of a fill.
#[derive(Debug)]
pub enum Filled {
    /// Some bytes came.
    Some(Pipe<Holding>),
    /// The socket has ended.
    End(Pipe<Empty>),
}

/// What came of draining once.
#[derive(Debug)]
pub enum Drained {
    /// Everything is through.
    All(Pipe<Empty>),
    /// The socket took some and no more for now.
    Part(Pipe<Holding>),
}

impl Pipe<Empty> {
    /// A new pipe.
    ///
    /// # Errors
    /// When the process or the user has no descriptors or pipe memory left.
    pub fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // EPERM: the user's pipes take too much memory already; a small pipe is a slower pipe.
        let _ = fcntl_setpipe_size(&write, PIPE_BYTES);
        Ok(Self {
            read,
            write,
            state: Empty,
        })
    }

    /// Waits for bytes of `from` and moves at most `most` (not 0) of them into the pipe. Dropping the
    /// future closes the pipe; bytes are lost only if the caller does not close the sockets too.
    ///
    /// # Errors
    /// What the socket says; `InvalidInput` or `Unsupported` when it cannot be spliced, and then nothing
    /// was moved.
    pub async fn fill(self, from: &TcpStream, most: usize) -> io::Result<Filled> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = from
            .async_io(Interest::READABLE, || {
                Ok(rustix::pipe::splice(
                    from,
                    None,
                    &self.write,
                    None,
                    most,
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
    /// How many bytes it holds.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state.0
    }

    /// Waits until `to` takes some of the bytes. Without SPLICE_F_MORE: it would hold the last ones back
    /// for 200 ms whenever the other side pauses.
    ///
    /// # Errors
    /// What the socket says. The bytes are lost with the pipe.
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

/// Whether an error says that these sockets cannot be spliced at all (splice(2): EINVAL, ENOSYS).
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

    /// Two ends of a connection.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        (near, listener.accept().await.unwrap().0)
    }

    /// Moves everything from one socket to the other until the first one ends.
    async fn carry(from: TcpStream, to: TcpStream) -> usize {
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

    /// The reader takes small pieces now and then, the writer sends packets of a segment's size: the pipe
    /// is full and the socket empty in turns, and neither may be taken for the other.
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
        let all = async { tokio::join!(write, carry(from, to), read) };
        let ((), moved, bytes) = timeout(Duration::from_secs(30), all).await.unwrap();
        assert_eq!((moved, bytes.len()), (PACKETS * 1448, PACKETS * 1448));
        let right = |(at, byte): (usize, &u8)| usize::from(*byte) == at / 1448 % 251;
        assert!(bytes.iter().enumerate().all(right));
    }

    #[tokio::test]
    async fn an_end_right_after_a_write_truncates_nothing() {
        let ((mut writer, from), (to, mut reader)) = (pair().await, pair().await);
        writer.write_all(b"last words").await.unwrap();
        drop(writer);
        let mut heard = Vec::new();
        let all = async {
            assert_eq!(carry(from, to).await, 10);
            reader.read_to_end(&mut heard).await.unwrap();
        };
        timeout(Duration::from_secs(5), all).await.unwrap();
        assert_eq!(heard, b"last words");
    }

    /// A socket without bytes must wait for the reactor, not ask the kernel again and again.
    #[tokio::test]
    async fn an_empty_socket_costs_nothing() {
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
