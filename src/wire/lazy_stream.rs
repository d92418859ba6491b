//! A client's connection, of which the event loop learns only when somebody must wait for it: one that
//! has said its request when it is accepted, and takes its answer at once, costs no call to epoll(7).

use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;

use super::sockopt;

/// The most that is read at once while the event loop does not know the connection: that much memory is
/// cleared for it.
const FIRST_READ: usize = 2048;

/// A connection that was accepted.
#[derive(Debug)]
pub struct Stream(State);

#[derive(Debug)]
enum State {
    /// The event loop does not know it.
    Unknown(std::net::TcpStream),
    Known(TcpStream),
    /// The event loop would not have it.
    Lost,
}

impl Stream {
    /// A connection that is non-blocking, and of which the event loop was not told.
    #[must_use]
    pub fn new(stream: std::net::TcpStream) -> Self {
        Self(State::Unknown(stream))
    }

    /// The connection, of which the event loop knows from here on.
    ///
    /// # Errors
    /// When the event loop is out of memory; the connection is closed then.
    pub fn known(&mut self) -> io::Result<&mut TcpStream> {
        if let State::Unknown(_) = self.0
            && let State::Unknown(stream) = mem::replace(&mut self.0, State::Lost)
        {
            self.0 = State::Known(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            State::Known(stream) => Ok(stream),
            State::Unknown(_) | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// As [`Self::known`].
    ///
    /// # Errors
    /// As [`Self::known`].
    pub fn into_known(mut self) -> io::Result<TcpStream> {
        self.known()?;
        match self.0 {
            State::Known(stream) => Ok(stream),
            State::Unknown(_) | State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Our own address.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            State::Unknown(stream) => stream.local_addr(),
            State::Known(stream) => stream.local_addr(),
            State::Lost => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Ready when a read is worth its buffer: the event loop has seen something, or does not know the
    /// connection yet.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            State::Known(stream) => stream.poll_read_ready(cx),
            State::Unknown(_) | State::Lost => Poll::Ready(Ok(())),
        }
    }

    /// Whether nothing waits to be read. Asks the kernel.
    #[must_use]
    pub fn is_read_out(&self) -> bool {
        match &self.0 {
            State::Unknown(stream) => super::socket::is_read_out(stream),
            State::Known(stream) => super::socket::is_read_out(stream),
            State::Lost => true,
        }
    }

    fn poll_known(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.known().map(Pin::new)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let State::Unknown(stream) = &mut self.0 {
            let room = buf.initialize_unfilled_to(buf.remaining().min(FIRST_READ));
            match stream.read(room) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                Err(err) => return Poll::Ready(Err(err)),
                Ok(len) => {
                    buf.advance(len);
                    return Poll::Ready(Ok(()));
                }
            }
        }
        self.poll_known()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let State::Unknown(stream) = &mut self.0 {
            match stream.write(bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        self.poll_known()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let State::Unknown(stream) = &mut self.0 {
            match stream.write_vectored(parts) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        self.poll_known()?.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_known()?.poll_shutdown(cx)
    }
}

/// Where bytes are written to that somebody else may be slow to read.
pub trait Sink: AsyncWrite + Unpin {
    /// What waits in the kernel, as [`super::options::write_queue`] tells it.
    fn write_queue(&self) -> Option<u32>;
}

impl Sink for Stream {
    fn write_queue(&self) -> Option<u32> {
        match &self.0 {
            State::Unknown(stream) => sockopt::write_queue(stream),
            State::Known(stream) => sockopt::write_queue(stream),
            State::Lost => None,
        }
    }
}

impl Sink for TcpStream {
    fn write_queue(&self) -> Option<u32> {
        sockopt::write_queue(self)
    }
}

impl Sink for WriteHalf<'_> {
    fn write_queue(&self) -> Option<u32> {
        let stream: &TcpStream = self.as_ref();
        sockopt::write_queue(stream)
    }
}

impl Sink for Writer<'_> {
    fn write_queue(&self) -> Option<u32> {
        match self {
            Self::Whole(stream) => stream.write_queue(),
            Self::Half(half) => half.write_queue(),
        }
    }
}

/// The writing end of a connection from which, meanwhile, another may read.
#[derive(Debug)]
pub enum Writer<'a> {
    /// Nobody reads.
    Whole(&'a mut Stream),
    /// Somebody has the other half.
    Half(WriteHalf<'a>),
}

impl Writer<'_> {
    /// The connection, of which the event loop knows from here on.
    ///
    /// # Errors
    /// As [`Stream::known`].
    pub fn known(&mut self) -> io::Result<&TcpStream> {
        match self {
            Self::Whole(stream) => stream.known().map(|stream| &*stream),
            Self::Half(half) => Ok(AsRef::as_ref(&*half)),
        }
    }
}

impl AsyncWrite for Writer<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Whole(stream) => Pin::new(&mut **stream).poll_write(cx, bytes),
            Self::Half(half) => Pin::new(half).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Whole(stream) => Pin::new(&mut **stream).poll_write_vectored(cx, parts),
            Self::Half(half) => Pin::new(half).poll_write_vectored(cx, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Whole(stream) => Pin::new(&mut **stream).poll_shutdown(cx),
            Self::Half(half) => Pin::new(half).poll_shutdown(cx),
        }
    }
}
