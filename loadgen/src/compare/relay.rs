//! The peer `relay`: a process that passes bytes between each client and a backend connection of
//! its own, and reads nothing of them. Its cost is that of the kernel alone.
//!
//! A small reply takes the same four calls as in a proxy that reads HTTP (recv, send, recv, send).
//! A large reply is spliced through a pipe (splice(2)). The receiver sleeps until a good part of
//! the reply has arrived (SO_RCVLOWAT, socket(7)).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use anyhow::Context;
use nix::sys::socket::setsockopt;
use nix::{libc, setsockopt_impl, sockopt_impl};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::cli::RelayArgs;

/// Body size from which replies are spliced, in bytes.
const SPLICE_FROM: usize = 32 * 1024;

/// Size of the buffer for bytes that are copied, and of the pipe for those that are spliced.
const COPY_BUFFER: usize = 64 * 1024;
const PIPE_BYTES: usize = 1024 * 1024;

/// Highest number of bytes for which a receiver sleeps.
const MAX_LOW_MARK: usize = 256 * 1024;

/// Highest number of events of one wait.
const MAX_EVENTS: usize = 512;

/// Event data of the listener. A pair has 2 × index for its client, and 1 more for its backend.
const LISTENER: u64 = u64::MAX;

sockopt_impl!(
    /// SO_RCVLOWAT of socket(7).
    ReceiveLowMark,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    usize
);

/// A client and its backend connection.
struct Pair {
    client: TcpStream,
    backend: TcpStream,
    /// Pipe of large replies, and the bytes in it.
    pipe: Option<(OwnedFd, OwnedFd)>,
    held: usize,
    /// Bytes of the body that are still to come at least: the head is not counted.
    owed: usize,
    low_mark: usize,
}

struct Relay {
    epoll: OwnedFd,
    listener: TcpListener,
    backends: VecDeque<SocketAddr>,
    body_bytes: usize,
    pairs: Vec<Option<Pair>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

/// Runs until the process is killed.
///
/// # Errors
/// The address is taken, or a system call failed.
pub(crate) fn run(args: RelayArgs) -> anyhow::Result<Infallible> {
    let listener = TcpListener::bind(args.listen)
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut relay = Relay {
        epoll,
        listener,
        backends: args.backends.into(),
        body_bytes: args.body_bytes,
        pairs: Vec::new(),
        free: Vec::new(),
        buffer: vec![0; COPY_BUFFER],
    };
    let mut events: Vec<Event> = Vec::with_capacity(MAX_EVENTS);
    loop {
        events.clear();
        match epoll::wait(&relay.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => relay.accept()?,
                data => relay.handle(data)?,
            }
        }
    }
}

impl Relay {
    fn accept(&mut self) -> anyhow::Result<()> {
        let client = match self.listener.accept() {
            Ok((client, _)) => client,
            Err(err) if err.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(err) => return Err(err).context("cannot accept"),
        };
        let addr = *self.backends.front().context("no backend")?;
        self.backends.rotate_left(1);
        let backend = TcpStream::connect(addr).with_context(|| format!("cannot reach {addr}"))?;
        for stream in [&client, &backend] {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
        }
        let pipe = match self.body_bytes {
            ..SPLICE_FROM => None,
            _ => {
                let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
                fcntl_setpipe_size(&write, PIPE_BYTES)?;
                Some((read, write))
            }
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        for (stream, side) in [(&client, 0), (&backend, 1)] {
            let data = EventData::new_u64(2 * index as u64 + side);
            epoll::add(&self.epoll, stream, data, EventFlags::IN)?;
        }
        self.pairs[index] = Some(Pair {
            client,
            backend,
            pipe,
            held: 0,
            owed: 0,
            low_mark: 1,
        });
        Ok(())
    }

    fn handle(&mut self, data: u64) -> anyhow::Result<()> {
        let index = usize::try_from(data / 2)?;
        // A pair that ended in this turn may have another event.
        let Some(pair) = self.pairs.get_mut(index).and_then(Option::as_mut) else {
            return Ok(());
        };
        let from_client = data.is_multiple_of(2) && pair.held == 0;
        let open = if from_client {
            pair.owed = self.body_bytes;
            copy(&pair.client, &pair.backend, &mut self.buffer)
        } else if pair.pipe.is_some() {
            pair.splice_reply(&self.epoll, index)
        } else {
            copy(&pair.backend, &pair.client, &mut self.buffer)
        };
        // Whatever broke the connection, its client reports it.
        if !open.unwrap_or(false) {
            self.pairs[index] = None;
            self.free.push(index);
        }
        Ok(())
    }
}

impl Pair {
    /// Moves what has arrived of a reply. Returns `false` at its end.
    fn splice_reply(&mut self, epoll: &OwnedFd, index: usize) -> io::Result<bool> {
        let Some((read, write)) = &self.pipe else {
            return Ok(false);
        };
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let was_full = self.held > 0;
        if !was_full {
            match splice(&self.backend, None, write, None, PIPE_BYTES, flags) {
                Ok(0) => return Ok(false),
                Ok(len) => {
                    self.held = len;
                    self.owed = self.owed.saturating_sub(len);
                }
                Err(Errno::AGAIN) => return Ok(true),
                Err(err) => return Err(err.into()),
            }
        }
        while self.held > 0 {
            match splice(read, None, &self.client, None, self.held, flags) {
                Ok(0) => return Ok(false),
                Ok(len) => self.held -= len,
                Err(Errno::AGAIN) => break,
                Err(err) => return Err(err.into()),
            }
        }
        let low_mark = self.owed.clamp(1, MAX_LOW_MARK);
        if low_mark != self.low_mark {
            self.low_mark = low_mark;
            setsockopt(&self.backend, ReceiveLowMark, &low_mark)?;
        }
        if was_full != (self.held > 0) {
            // While the client takes nothing, only its readiness counts.
            let (client, backend) = match self.held {
                0 => (EventFlags::IN, EventFlags::IN),
                _ => (EventFlags::OUT, EventFlags::empty()),
            };
            let data = 2 * index as u64;
            epoll::modify(epoll, &self.client, EventData::new_u64(data), client)?;
            epoll::modify(epoll, &self.backend, EventData::new_u64(data + 1), backend)?;
        }
        Ok(true)
    }
}

/// Copies what has arrived, at most one buffer. Returns `false` at the end of the input.
fn copy(from: impl AsFd, to: impl AsFd, buffer: &mut [u8]) -> io::Result<bool> {
    let len = match recv(&from, &mut *buffer, RecvFlags::empty()) {
        Ok((0, _)) => return Ok(false),
        Ok((_, len)) => len,
        Err(Errno::AGAIN) => return Ok(true),
        Err(err) => return Err(err.into()),
    };
    let mut left = &buffer[..len];
    while !left.is_empty() {
        match send(&to, left, SendFlags::NOSIGNAL) {
            Ok(len) => left = &left[len..],
            // No socket buffer is smaller than a request or a copied reply, so this is rare.
            Err(Errno::AGAIN) => {
                let mut sockets = [PollFd::new(&to, PollFlags::OUT)];
                poll(&mut sockets, None)?;
            }
            Err(err) => return Err(err.into()),
        }
    }
    Ok(true)
}
