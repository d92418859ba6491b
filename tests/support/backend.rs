//! A scripted server: each connection runs a closure that reads requests and writes any bytes.
//!
//! It records the requests. It stops with its value: connections still open are shut down.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Message, Wire};

/// A listening server on loopback.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    notes: Arc<Notes>,
}

/// A listening server at a Unix socket.
#[derive(Debug)]
pub(crate) struct UnixBackend {
    pub(crate) path: PathBuf,
    notes: Arc<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    over: AtomicBool,
    requests: Mutex<Vec<Message>>,
    accepted: AtomicUsize,
    /// A second handle of each connection that is still open, to shut it down.
    open: Mutex<BTreeMap<usize, TcpStream>>,
}

/// A connection to the backend, seen from the backend. Dropping it closes by FIN.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The how-manieth connection it is, from 0.
    pub(crate) number: usize,
    pub(crate) wire: Wire,
    notes: Arc<Notes>,
}

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

impl Backend {
    /// Runs `script` on a thread of its own for each connection. An error ends the connection.
    pub(crate) fn scripted<F>(script: F) -> Self
    where
        F: Fn(Conversation) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        // With the queue of the standard library, the kernel resets connections of a burst that it
        // has accepted (listen(2)).
        rustix::net::listen(&listener, BACKLOG).expect("a longer queue");
        let addr = listener.local_addr().expect("its address");
        let notes = serve(move || listener.accept().map(|(stream, _)| stream), script);
        Self { addr, notes }
    }

    /// Answers every request of every connection with the same bytes.
    pub(crate) fn answering(reply: &'static str) -> Self {
        Self::scripted(move |mut conversation| {
            loop {
                conversation.request()?;
                conversation.wire.write(reply)?;
            }
        })
    }

    /// Every request seen so far.
    pub(crate) fn requests(&self) -> Vec<Message> {
        lock(&self.notes.requests).clone()
    }

    /// Number of connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.notes.accepted.load(Ordering::Acquire)
    }

    /// Number of accepted connections that the script has not ended.
    pub(crate) fn open(&self) -> usize {
        lock(&self.notes.open).len()
    }

    /// An address that refuses every connection for as long as the socket lives: bound, never
    /// listening.
    pub(crate) fn refusing() -> (SocketAddr, socket2::Socket) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.expect("a socket");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(&any.into()).expect("a port");
        let addr = socket.local_addr().ok().and_then(|addr| addr.as_socket());
        (addr.expect("its address"), socket)
    }
}

impl UnixBackend {
    /// Like [`Backend::scripted`], at `path`, whose file is made.
    pub(crate) fn scripted<F>(path: &Path, script: F) -> Self
    where
        F: Fn(Conversation) -> io::Result<()> + Send + Sync + 'static,
    {
        let listener = UnixListener::bind(path).expect("a socket");
        let accept = move || {
            let (stream, _) = listener.accept()?;
            Ok(TcpStream::from(OwnedFd::from(stream)))
        };
        Self {
            path: path.to_owned(),
            notes: serve(accept, script),
        }
    }

    /// Like [`Backend::answering`].
    pub(crate) fn answering(path: &Path, reply: &'static str) -> Self {
        Self::scripted(path, move |mut conversation| {
            loop {
                conversation.request()?;
                conversation.wire.write(reply)?;
            }
        })
    }

    /// Every request seen so far.
    pub(crate) fn requests(&self) -> Vec<Message> {
        lock(&self.notes.requests).clone()
    }
}

/// Runs `script` on a thread of its own for each connection that `accept` returns.
fn serve<A, F>(accept: A, script: F) -> Arc<Notes>
where
    A: Fn() -> io::Result<TcpStream> + Send + 'static,
    F: Fn(Conversation) -> io::Result<()> + Send + Sync + 'static,
{
    let notes = Arc::new(Notes::default());
    let (accepting, script) = (Arc::clone(&notes), Arc::new(script));
    std::thread::spawn(move || {
        for (number, stream) in std::iter::repeat_with(accept).flatten().enumerate() {
            if accepting.over.load(Ordering::Acquire) {
                return;
            }
            let (notes, script) = (Arc::clone(&accepting), Arc::clone(&script));
            let second = stream.try_clone().expect("a second handle");
            lock(&notes.open).insert(number, second);
            notes.accepted.store(number + 1, Ordering::Release);
            let wire = Wire::new(stream);
            let conversation = Conversation {
                number,
                wire,
                notes,
            };
            std::thread::spawn(move || script(conversation));
        }
    });
    notes
}

impl Notes {
    /// Ends the server; `wake` connects to it, so that its thread sees the flag and drops the
    /// listener.
    fn end<T>(&self, wake: impl FnOnce() -> T) {
        self.over.store(true, Ordering::Release);
        drop(wake());
        for stream in lock(&self.open).values() {
            // Ended already is ended.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.notes.end(|| TcpStream::connect(self.addr));
    }
}

impl Drop for UnixBackend {
    fn drop(&mut self) {
        self.notes.end(|| UnixStream::connect(&self.path));
        // The file may be gone, as it may be at a real server.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Conversation {
    /// The next head; its body stays on the wire. It is noted at once.
    pub(crate) fn head(&mut self) -> io::Result<Message> {
        let head = self.wire.head()?;
        lock(&self.notes.requests).push(head.clone());
        Ok(head)
    }

    /// The next whole request, noted when it is whole.
    pub(crate) fn request(&mut self) -> io::Result<Message> {
        let mut request = self.wire.head()?;
        request.body = self.wire.body(&request, false)?;
        lock(&self.notes.requests).push(request.clone());
        Ok(request)
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(self) {
        self.wire.linger_not();
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        // A second handle left open would keep the FIN or the reset from being sent.
        lock(&self.notes.open).remove(&self.number);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
