//! Client connection that is registered with the reactor only when a task must wait for it. A
//! client whose request is there at accept, and which reads its reply at once, costs no call to
//! epoll(7).

use std::io::{self, IoSlice, Read as _, Write as _};
use std::mem;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;

use super::fd_passing;
use super::peer_addr::PeerAddr;
use super::sockopt;

/// Maximum bytes of a read before registration: this much memory is zeroed for it.
const FIRST_READ: usize = 2048;

/// Accepted connection.
#[derive(Debug)]
pub struct LazyStream(Registration);

#[derive(Debug)]
enum Registration {
    /// Not registered with the reactor.
    Unregistered(std::net::TcpStream),
    Registered(TcpStream),
    /// Registration with the reactor failed; the socket is closed.
    Failed,
}

impl LazyStream {
    /// Wraps a connection that is non-blocking and not registered with the reactor.
    #[must_use]
    pub fn new(stream: std::net::TcpStream) -> Self {
        Self(Registration::Unregistered(stream))
    }

    /// Registers the connection with the reactor, if necessary, and returns it.
    ///
    /// # Errors
    /// If the reactor is out of memory; the connection is closed then.
    pub fn registered(&mut self) -> io::Result<&mut TcpStream> {
        if let Registration::Unregistered(_) = self.0
            && let Registration::Unregistered(stream) =
                mem::replace(&mut self.0, Registration::Failed)
        {
            self.0 = Registration::Registered(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            Registration::Registered(stream) => Ok(stream),
            Registration::Unregistered(_) | Registration::Failed => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    /// Like [`Self::registered`], by value.
    ///
    /// # Errors
    /// As [`Self::registered`].
    pub fn into_registered(mut self) -> io::Result<TcpStream> {
        self.registered()?;
        match self.0 {
            Registration::Registered(stream) => Ok(stream),
            Registration::Unregistered(_) | Registration::Failed => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    /// Returns the local address of a TCP socket.
    ///
    /// # Errors
    /// The error of getsockname(2), or `InvalidInput` for a Unix socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Registration::Unregistered(stream) => stream.local_addr(),
            Registration::Registered(stream) => stream.local_addr(),
            Registration::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    /// The error of getpeername(2): the peer has gone.
    pub fn peer_addr(&self) -> io::Result<PeerAddr> {
        match &self.0 {
            Registration::Unregistered(stream) => PeerAddr::of(stream),
            Registration::Registered(stream) => PeerAddr::of(stream),
            Registration::Failed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Returns ready if a read is worth its buffer: the reactor has seen an event, or does not
    /// watch the connection yet.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.0 {
            Registration::Registered(stream) => stream.poll_read_ready(cx),
            Registration::Unregistered(_) | Registration::Failed => Poll::Ready(Ok(())),
        }
    }

    /// Returns the user of the process at the other end of a Unix socket, when it connected.
    ///
    /// # Errors
    /// The error of getsockopt(2).
    pub fn peer_user(&self) -> io::Result<u32> {
        let (_, user) = match &self.0 {
            Registration::Unregistered(stream) => fd_passing::peer_credentials(stream),
            Registration::Registered(stream) => fd_passing::peer_credentials(stream),
            Registration::Failed => Err(io::ErrorKind::NotConnected.into()),
        }?;
        Ok(user)
    }

    /// Returns `true` if no byte waits to be read. Calls the kernel.
    #[must_use]
    pub fn recv_queue_empty(&self) -> bool {
        match &self.0 {
            Registration::Unregistered(stream) => super::socket::recv_queue_empty(stream),
            Registration::Registered(stream) => super::socket::recv_queue_empty(stream),
            Registration::Failed => true,
        }
    }

    fn pin_registered(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.registered().map(Pin::new)
    }
}

impl AsyncRead for LazyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Registration::Unregistered(stream) = &mut self.0 {
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
        self.pin_registered()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for LazyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Registration::Unregistered(stream) = &mut self.0 {
            match stream.write(bytes) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        self.pin_registered()?.poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Registration::Unregistered(stream) = &mut self.0 {
            match stream.write_vectored(parts) {
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
        self.pin_registered()?.poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.pin_registered()?.poll_shutdown(cx)
    }
}

/// Writer whose peer may be slow to read.
pub trait QueueProbe: AsyncWrite + Unpin {
    /// Returns the bytes that wait in the kernel, as [`super::sockopt::write_queue`] does.
    fn write_queue(&self) -> Option<u32>;
}

impl QueueProbe for LazyStream {
    fn write_queue(&self) -> Option<u32> {
        match &self.0 {
            Registration::Unregistered(stream) => sockopt::write_queue(stream),
            Registration::Registered(stream) => sockopt::write_queue(stream),
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

/// Write end of a connection whose read end may be in use.
#[derive(Debug)]
pub enum ClientWriter<'a> {
    /// The whole connection: no task reads from it.
    Whole(&'a mut LazyStream),
    /// The write half: another task has the read half.
    Half(WriteHalf<'a>),
}

impl ClientWriter<'_> {
    /// Registers the connection with the reactor, if necessary, and returns it.
    ///
    /// # Errors
    /// As [`LazyStream::registered`].
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
