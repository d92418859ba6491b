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
pub struct LazyStream(Registration);

#[derive(Debug)]
enum Registration {
    /// The event loop does not know it.
    Unknown(std::net::TcpStream),
    Known(TcpStream),
    /// The event loop would not have it.
    Failed,
}

impl LazyStream {
    /// A connection that is non-blocking, and of which the event loop was not told.
    #[must_use]
    pub fn new(stream: std::net::TcpStream) -> Self {
        Self(Registration::Unknown(stream))
    }

    /// The connection, of which the event loop knows from here on.
    ///
    /// # Errors
    /// When the event loop is out of memory; the connection is closed then.
    pub fn registered(&mut self) -> io::Result<&mut TcpStream> {
        if let Registration::Unknown(_) = self.0
            && let Registration::Unknown(stream) = mem::replace(&mut self.0, Registration::Failed)
        {
            self.0 = Registration::Known(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            Registration::Known(stream) => Ok(stream),
            Registration::Unknown(_) | Registration::Failed => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    /// As [`Self::known`].
    ///
    /// # Errors
    /// As [`Self::known`].
    pub fn into_registered(mut self) -> io::Result<TcpStream> {
        self.registered()?;
        match self.0 {
            Registration::Known(stream) => Ok(stream),
            Registration::Unknown(_) | Registration::Failed => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    /// Our own address.
    ///
    /// # Errors
    /// What getsockname(2) says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Registration::Unknown(stream) => stream.local_addr(),
            Registration::Known(stream) => stream.local_addr(),
            Registration::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Ready when a read is worth its buffer: the event loop has seen something, or does not know the
    /// connection yet.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Registration::Known(stream) => stream.poll_read_ready(cx),
            Registration::Unknown(_) | Registration::Failed => Poll::Ready(Ok(())),
        }
    }

    /// Whether nothing waits to be read. Asks the kernel.
    #[must_use]
    pub fn recv_queue_empty(&self) -> bool {
        match &self.0 {
            Registration::Unknown(stream) => super::socket::recv_queue_empty(stream),
            Registration::Known(stream) => super::socket::recv_queue_empty(stream),
            Registration::Failed => true,
        }
    }

    fn poll_known(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.registered().map(Pin::new)
    }
}

impl AsyncRead for LazyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Registration::Unknown(stream) = &mut self.0 {
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

impl AsyncWrite for LazyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Registration::Unknown(stream) = &mut self.0 {
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
        if let Registration::Unknown(stream) = &mut self.0 {
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
pub trait QueueProbe: AsyncWrite + Unpin {
    /// What waits in the kernel, as [`super::options::write_queue`] tells it.
    fn write_queue(&self) -> Option<u32>;
}

impl QueueProbe for LazyStream {
    fn write_queue(&self) -> Option<u32> {
        match &self.0 {
            Registration::Unknown(stream) => sockopt::write_queue(stream),
            Registration::Known(stream) => sockopt::write_queue(stream),
            Registration::Failed => None,
        }
    }
}

impl QueueProbe for TcpStream {
    fn write_queue(&self) -> Option<u32> {
        sockopt::write_queue(self)
    }
}

impl QueueProbe for WriteHalf<'_> {
    fn write_queue(&self) -> Option<u32> {
        let stream: &TcpStream = self.as_ref();
        sockopt::write_queue(stream)
    }
}

impl QueueProbe for ClientWriter<'_> {
    fn write_queue(&self) -> Option<u32> {
        match self {
            Self::Whole(stream) => stream.write_queue(),
            Self::Half(half) => half.write_queue(),
        }
    }
}

/// The writing end of a connection from which, meanwhile, another may read.
#[derive(Debug)]
pub enum ClientWriter<'a> {
    /// Nobody reads.
    Whole(&'a mut LazyStream),
    /// Somebody has the other half.
    Half(WriteHalf<'a>),
}

impl ClientWriter<'_> {
    /// The connection, of which the event loop knows from here on.
    ///
    /// # Errors
    /// As [`Stream::known`].
    pub fn known(&mut self) -> io::Result<&TcpStream> {
        match self {
            Self::Whole(stream) => stream.registered().map(|stream| &*stream),
            Self::Half(half) => Ok(AsRef::as_ref(&*half)),
        }
    }
}

impl AsyncWrite for ClientWriter<'_> {
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
