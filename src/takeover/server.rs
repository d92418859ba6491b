//! Server of a takeover: a thread of the old process that serves one successor at a time and relays
//! its requests to the supervisor.
//!
//! Its only decision is the permission: a process of the same user, or of root. It holds duplicates
//! of the listening sockets, so it must close them when the program stops. Otherwise clients would
//! wait in the accept queues of sockets that no process serves.

use std::io::{self, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;

use super::protocol::{FleetState, GO, InstanceInfo, LATE, MAX_LINE, SocketKinds, YIELD};
use crate::config::ListenOn;
use crate::log_interval::LogInterval;
use crate::wire::{fd_passing, socket_owner};

/// Time limit for the successor to read a message.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for the successor's first line.
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Delay before the next accept after a shortage of descriptors or memory.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(200);
/// Interval of log lines about refused processes: any user of the machine can connect.
const FOREIGN_USER_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Request to the supervisor.
#[derive(Debug)]
pub(crate) enum HandoffRequest {
    /// Stop changing the fleet, and send its state.
    Prepare(std_mpsc::Sender<FleetState>),
    /// The successor vanished before it served: resume.
    Aborted,
    /// Finish the requests under way and end. The process of this ID serves.
    Commit(u32),
}

/// Sockets of the data port and the control port.
#[derive(Debug)]
pub(crate) struct PassedSockets {
    /// All of them, in the order of [`SocketKinds`].
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) kinds: SocketKinds,
}

/// Sockets to hand over, and the successor that gets them.
#[derive(Debug, Default)]
struct HandoffShared {
    /// Sockets of the data port, of the control port, and this Unix socket; `None` after
    /// [`HandoffServer::close`].
    sockets: Option<Vec<OwnedFd>>,
    /// Successor to which the fleet was offered, until its last message was relayed.
    taker: Option<UnixStream>,
}

/// Supervisor's end of the thread.
#[derive(Debug)]
pub(crate) struct HandoffServer {
    shared: Arc<Mutex<HandoffShared>>,
    requests: mpsc::UnboundedReceiver<HandoffRequest>,
}

impl HandoffServer {
    /// Starts the thread that waits on `listener` for successors and hands these sockets over.
    ///
    /// # Errors
    /// When the system has no descriptor or no thread for it.
    pub(crate) fn start(
        listener: UnixListener,
        passed: PassedSockets,
        around: InstanceInfo,
    ) -> io::Result<Self> {
        let PassedSockets { mut sockets, kinds } = passed;
        sockets.push(listener.as_fd().try_clone_to_owned()?);
        let shared = Arc::new(Mutex::new(HandoffShared {
            sockets: Some(sockets),
            taker: None,
        }));
        let (tell, requests) = mpsc::unbounded_channel();
        let acceptor = HandoffListener {
            shared: Arc::clone(&shared),
            around,
            kinds,
            tell,
        };
        let run = move || acceptor.accept_loop(&listener);
        thread::Builder::new().name("takeover".into()).spawn(run)?;
        Ok(Self { shared, requests })
    }

    /// Returns the next request; pending forever once no successor can come. Cancel safe.
    pub(crate) async fn next(&mut self) -> HandoffRequest {
        match self.requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Closes the sockets; from then on no successor can take over.
    pub(crate) fn close(&self) {
        lock(&self.shared).sockets.take();
    }

    /// Closes the sockets because the program stops. Returns the process ID of a successor that had
    /// sent its commit before. A later commit is impossible: the successor finds this process gone.
    pub(crate) async fn take_final_commit(&mut self) -> Option<u32> {
        let is_promised = {
            let mut shared = lock(&self.shared);
            shared.sockets.take();
            // The commit that was sent before the end can still be read.
            let ends = |taker: &UnixStream| drop(taker.shutdown(Shutdown::Both));
            shared.taker.as_ref().map(ends).is_some()
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

/// Listens on the Unix socket of the balancer with this control port.
///
/// # Errors
/// `AddrInUse` when a process holds the name.
pub(crate) fn listen(control: &ListenOn) -> io::Result<UnixListener> {
    UnixListener::bind_addr(&super::socket_name(control)?)
}

fn lock(shared: &Mutex<HandoffShared>) -> MutexGuard<'_, HandoffShared> {
    // No code panics while holding the lock, and every single change leaves the state valid.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// State of the thread.
struct HandoffListener {
    shared: Arc<Mutex<HandoffShared>>,
    around: InstanceInfo,
    kinds: SocketKinds,
    tell: mpsc::UnboundedSender<HandoffRequest>,
}

impl HandoffListener {
    fn accept_loop(&self, listener: &UnixListener) {
        let log_interval = LogInterval::new(FOREIGN_USER_LOG_INTERVAL);
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
                    if log_interval.is_due() {
                        tracing::warn!("takeover refused: {err}");
                    }
                }
                Err(err) => tracing::warn!("takeover failed: {err}"),
            }
        }
    }

    /// Serves one successor; returns `true` once it has committed.
    fn serve(&self, stream: &UnixStream) -> io::Result<bool> {
        let (pid, user) = fd_passing::peer_credentials(stream)?;
        if user != socket_owner::own_user() && user != 0 {
            let sentence = format!("process {pid} belongs to user {user}");
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, sentence));
        }
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        stream.set_read_timeout(Some(READ_TIMEOUT))?;
        match &lock(&self.shared).sockets {
            // The program stops: the end of the connection tells the successor.
            None => return Ok(false),
            Some(all) => {
                let all: Vec<BorrowedFd<'_>> = all.iter().map(OwnedFd::as_fd).collect();
                fd_passing::send(stream, self.around.to_line(self.kinds).as_bytes(), &all)?;
            }
        }
        let mut lines = BufReader::new(stream.take(MAX_LINE));
        match read_line(&mut lines) {
            Ok(word) if word == YIELD => {}
            Ok(_) => return Ok(false),
            Err(err) => {
                // The successor would take silence for the end of this process, and serve beside
                // it.
                let _ = (&*stream).write_all(format!("{LATE}\n").as_bytes());
                return Err(describe_timeout(&err, pid));
            }
        }
        tracing::info!("process {pid} takes over");
        // From here only the successor's disconnect aborts the handoff. A timeout could leave two
        // processes serving.
        stream.set_read_timeout(None)?;
        let taker = stream.try_clone()?;
        {
            let mut shared = lock(&self.shared);
            if shared.sockets.is_none() {
                return Ok(false);
            }
            shared.taker = Some(taker);
        }
        let goes = self.hand_over(stream, &mut lines);
        let request = match goes {
            Ok(true) => HandoffRequest::Commit(pid),
            _ => HandoffRequest::Aborted,
        };
        // A supervisor that ended needs no message.
        let _ = self.tell.send(request);
        lock(&self.shared).taker.take();
        goes
    }

    /// Sends the fleet's state and waits for the last line; returns `true` if that is the commit.
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

/// Error message for a first line that did not arrive.
fn describe_timeout(err: &io::Error, pid: u32) -> io::Error {
    let sentence = match err.kind() {
        io::ErrorKind::WouldBlock => format!("process {pid} sent nothing for {READ_TIMEOUT:?}"),
        _ => format!("reading from process {pid} failed: {err}"),
    };
    io::Error::new(err.kind(), sentence)
}

/// Reads the next line without its end; empty at the end of the stream.
fn read_line(lines: &mut impl io::BufRead) -> io::Result<String> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
