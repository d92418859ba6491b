//! A scripted server: each connection runs a closure that reads requests and writes any bytes.
//!
//! It records the requests. It stops with its value: connections still open are shut down.

use std::collections::BTreeMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Message, Wire};

/// A listening server on loopback.
#[derive(Debug)]
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
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
        let notes = Arc::new(Notes::default());
        let (accepting, script) = (Arc::clone(&notes), Arc::new(script));
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
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

impl Drop for Backend {
    fn drop(&mut self) {
        self.notes.over.store(true, Ordering::Release);
        // Wakes the accepting thread, which sees the flag and drops the listener.
        drop(TcpStream::connect(self.addr));
        for stream in lock(&self.notes.open).values() {
            // Ended already is ended.
            let _ = stream.shutdown(Shutdown::Both);
        }
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
