//! The old process: a thread that waits for whoever wants to take over, one at a time, and carries its words to
//! whoever runs the house.
//!
//! It decides nothing but who may: a process of our own user, or of root. Surprising: it holds the listening
//! sockets open too, so it must let go of them when the house stops, or clients would wait in them in vain.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::protocol::{FleetState, GO, InstanceInfo, LATE, MAX_LINE, YIELD};
use crate::wire::fd_passing;

/// How long the new one may take to read what it is sent.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to say its first word.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries to accept when the system is short of something.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);
/// How often it is told in the log that somebody was turned away: anybody on this machine can try.
const FOREIGN_USER_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What whoever runs the house is asked.
#[derive(Debug)]
pub(crate) enum HandoffRequest {
    /// Leave the fleet as it is, and say how that is.
    Prepare(std_mpsc::Sender<FleetState>),
    /// The one who asked for it is gone before it served: take it back.
    Aborted,
    /// Answer what has begun, and end. The process of this number serves.
    Commit(u32),
}

/// What is given away, and who gets it.
#[derive(Debug, Default)]
struct HandoffShared {
    /// The data port's sockets, the control port's, and this one; `None` once nobody can take over any more.
    sockets: Option<Vec<OwnedFd>>,
    /// Who was promised the fleet, until its last word was passed on.
    taker: Option<UnixStream>,
}

/// The end of whoever runs the house.
#[derive(Debug)]
pub(crate) struct HandoffServer {
    counter: Arc<Mutex<HandoffShared>>,
    requests: mpsc::UnboundedReceiver<HandoffRequest>,
}

impl HandoffServer {
    /// Begins to wait on `listener` for whoever wants these sockets: those of the data port, and the
    /// control port's.
    ///
    /// # Errors
    /// When the system has no descriptor or no thread for it.
    pub(crate) fn start(
        listener: UnixListener,
        mut sockets: Vec<OwnedFd>,
        around: InstanceInfo,
    ) -> io::Result<Self> {
        sockets.push(listener.as_fd().try_clone_to_owned()?);
        let counter = Arc::new(Mutex::new(HandoffShared {
            sockets: Some(sockets),
            taker: None,
        }));
        let (tell, requests) = mpsc::unbounded_channel();
        let desk = HandoffListener {
            counter: Arc::clone(&counter),
            around,
            tell,
        };
        let run = move || desk.accept_loop(&listener);
        thread::Builder::new().name("takeover".into()).spawn(run)?;
        Ok(Self { counter, requests })
    }

    /// The next request; never, when there can be none. Cancel safe.
    pub(crate) async fn next(&mut self) -> HandoffRequest {
        match self.requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Lets go of the sockets; nobody can take over any more.
    pub(crate) fn close(&self) {
        lock(&self.counter).sockets.take();
    }

    /// The same, because we stop; the process that says it serves, if one has said so before. From then on nobody
    /// can say it: who tries finds us gone.
    pub(crate) async fn take_final_commit(&mut self) -> Option<u32> {
        let is_promised = {
            let mut counter = lock(&self.counter);
            counter.sockets.take();
            // What it has said can be read all the same.
            let ends = |taker: &UnixStream| drop(taker.shutdown(Shutdown::Both));
            counter.taker.as_ref().map(ends).is_some()
        };
        loop {
            let request = match is_promised {
                true => self.requests.recv().await,
                false => self.requests.try_recv().ok(),
            };
            match request? {
                HandoffRequest::Commit(pid) => return Some(pid),
                HandoffRequest::Aborted => return None,
                HandoffRequest::Prepare(_) => {}
            }
        }
    }
}

/// Makes the Unix socket of the balancer with this control port.
///
/// # Errors
/// `AddrInUse` when somebody has the name.
pub(crate) fn listen(control: SocketAddr) -> io::Result<UnixListener> {
    UnixListener::bind_addr(&super::socket_name(control)?)
}

fn lock(counter: &Mutex<HandoffShared>) -> MutexGuard<'_, HandoffShared> {
    // Nothing panics while it is held, and every single change leaves it valid.
    counter.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own.
struct HandoffListener {
    counter: Arc<Mutex<HandoffShared>>,
    around: InstanceInfo,
    tell: mpsc::UnboundedSender<HandoffRequest>,
}

impl HandoffListener {
    fn accept_loop(&self, listener: &UnixListener) {
        let mut told = None::<Instant>;
        loop {
            let served = match listener.accept() {
                Ok((stream, _)) => self.serve(&stream),
                Err(err) => {
                    thread::sleep(ACCEPT_RETRY_DELAY);
                    Err(err)
                }
            };
            match served {
                Ok(true) => return,
                Ok(false) => {}
                Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                    if told.is_none_or(|at| at.elapsed() >= FOREIGN_USER_LOG_INTERVAL) {
                        told = Some(Instant::now());
                        tracing::warn!("a takeover was refused: {err}");
                    }
                }
                Err(err) => tracing::warn!("a takeover came to nothing: {err}"),
            }
        }
    }

    /// Serves one who wants to take over; whether that is done.
    fn serve(&self, stream: &UnixStream) -> io::Result<bool> {
        let (pid, user) = fd_passing::peer_credentials(stream)?;
        if user != fd_passing::own_user() && user != 0 {
            let sentence = format!("process {pid} is of user {user}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
        }
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        match &lock(&self.counter).sockets {
            // The house stops: the end tells it.
            None => return Ok(false),
            Some(all) => {
                let all: Vec<BorrowedFd<'_>> = all.iter().map(OwnedFd::as_fd).collect();
                fd_passing::send(stream, self.around.to_line().as_bytes(), &all)?;
            }
        }
        let mut lines = BufReader::new(stream.take(MAX_LINE));
        match read_line(&mut lines) {
            Ok(word) if word == YIELD => {}
            Ok(_) => return Ok(false),
            Err(err) => {
                // It would take our silence for our end, and serve beside us. It may be gone.
                let _ = (&*stream).write_all(format!("{LATE}\n").as_bytes());
                return Err(describe_timeout(&err, pid));
            }
        }
        tracing::info!("process {pid} takes over");
        // Only its end takes its word back: were it slow, and we had given up, both would serve.
        stream.set_read_timeout(None)?;
        let taker = stream.try_clone()?;
        {
            let mut counter = lock(&self.counter);
            if counter.sockets.is_none() {
                return Ok(false);
            }
            counter.taker = Some(taker);
        }
        let goes = self.hand_over(stream, &mut lines);
        let request = match goes {
            Ok(true) => HandoffRequest::Commit(pid),
            _ => HandoffRequest::Aborted,
        };
        // A house that is gone needs no word.
        let _ = self.tell.send(request);
        lock(&self.counter).taker.take();
        goes
    }

    /// Has the fleet left as it is, says how that is, and waits for the last word; whether that is to go.
    fn hand_over(&self, mut stream: &UnixStream, lines: &mut impl io::BufRead) -> io::Result<bool> {
        let (reply, state) = std_mpsc::channel();
        let is_heard = self.tell.send(HandoffRequest::Prepare(reply)).is_ok();
        let Some(state) = state.recv().ok().filter(|_| is_heard) else {
            return Ok(false);
        };
        stream.write_all(state.to_line().as_bytes())?;
        Ok(read_line(lines)? == GO)
    }
}

/// Why nothing came of it, when this is how its first word did not come.
fn describe_timeout(err: &io::Error, pid: u32) -> io::Error {
    let sentence = match err.kind() {
        io::ErrorKind::WouldBlock => format!("process {pid} says nothing for {READ_TIMEOUT:?}"),
        _ => format!("process {pid} cannot be heard: {err}"),
    };
    io::Error::new(err.kind(), sentence)
}

/// The next line without its end; empty at the end of all.
fn read_line(lines: &mut impl io::BufRead) -> io::Result<String> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
