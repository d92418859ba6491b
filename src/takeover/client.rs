//! Client of a takeover: the new process requests the sockets and the fleet, and commits once it
//! serves.
//!
//! All of it happens before the event loop starts, under deadlines. Dropped before
//! [`Handoff::commit`], it leaves everything to the old process.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::oneshot;

use super::protocol::{FleetState, GO, InstanceInfo, LATE, MAX_LINE, YIELD};
use crate::config::ListenOn;
use crate::wire::listener::ListeningSockets;
use crate::wire::unix_listener::FileIdentity;
use crate::wire::{fd_passing, socket_owner};

/// Time limit for a place in the accept queue of the old process.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for the old process to send its sockets.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for the old process to finish the order under way; it allows itself 10 s for that.
const FLEET_STATE_TIMEOUT: Duration = Duration::from_secs(20);

/// Inherited sockets, and the connection to the old process.
#[derive(Debug)]
pub(crate) struct Handoff {
    stream: BufReader<UnixStream>,
    pid: u32,
    /// Identity of the old process.
    pub(crate) around: InstanceInfo,
    /// Listeners of TCP for the data port, one for each worker of the old process.
    pub(crate) data: Vec<TcpListener>,
    /// Unix socket of the data port.
    pub(crate) data_unix: Option<TcpListener>,
    /// Listeners of the control port.
    pub(crate) control: ListeningSockets,
    /// Files of the Unix sockets of the data port and the control port.
    pub(crate) files: [Option<FileIdentity>; 2],
    /// Unix socket that the next successor will connect to.
    pub(crate) handoff: UnixListener,
}

/// Requests the sockets of the balancer with this control port; `None` if no balancer runs.
///
/// # Errors
/// When a balancer runs and does not hand its sockets over.
pub(crate) fn connect(control: &ListenOn) -> anyhow::Result<Option<Handoff>> {
    let stream = match fd_passing::connect(&super::socket_name(control)?, CONNECT_TIMEOUT) {
        Ok(stream) => stream,
        Err(err) if err.kind() == ErrorKind::ConnectionRefused => return Ok(None),
        Err(err) if err.kind() == ErrorKind::WouldBlock => {
            bail!(
                "the running balancer refuses the connection: too many processes wait to take over"
            )
        }
        Err(err) => return Err(err).context("cannot reach the running balancer"),
    };
    // Credentials of the process that made the socket; it may have handed the socket over since.
    let (_, user) = fd_passing::peer_credentials(&stream)?;
    if user != socket_owner::own_user() && user != 0 {
        bail!("the running balancer belongs to user {user}");
    }
    receive(stream)
        .context("cannot take over from the running balancer")
        .map(Some)
}

fn receive(stream: UnixStream) -> anyhow::Result<Handoff> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    let mut bytes = [0; 4096];
    let (length, mut sockets) =
        fd_passing::receive(&stream, &mut bytes).map_err(|err| match err.kind() {
            ErrorKind::WouldBlock => anyhow!("another process is taking over"),
            _ => err.into(),
        })?;
    if length == 0 {
        bail!("it refused, or ended");
    }
    let line = std::str::from_utf8(&bytes[..length]).ok();
    let around = line.and_then(InstanceInfo::parse);
    let (around, kinds, pid) = around.context("it speaks another protocol")?;
    let handoff = sockets.pop().context("it sends no sockets")?;
    let mut next = |is_sent: bool| is_sent.then(|| sockets.pop()).flatten();
    // The last one first.
    let unix = next(kinds.control_unix).map(TcpListener::from);
    let tcp = next(kinds.control_tcp).map(TcpListener::from);
    let data_unix = next(kinds.data_unix).map(TcpListener::from);
    if tcp.is_none() && unix.is_none() {
        bail!("it sends no socket of its control port");
    }
    if sockets.is_empty() && data_unix.is_none() {
        bail!("it sends no socket of its data port");
    }
    Ok(Handoff {
        stream: BufReader::new(stream),
        pid,
        around,
        data: sockets.into_iter().map(TcpListener::from).collect(),
        data_unix,
        control: ListeningSockets { tcp, unix },
        files: [kinds.data_file, kinds.control_file],
        handoff: handoff.into(),
    })
}

/// Returns `true` if the peer has closed the connection rather than being silent.
fn has_ended(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

impl Handoff {
    /// Requests the state of the fleet; `None` if the old process has ended, so that only its
    /// sockets are left.
    ///
    /// # Errors
    /// When the old process sends no readable state in time, or has aborted the handoff.
    pub(crate) fn request_fleet_state(&mut self) -> anyhow::Result<Option<FleetState>> {
        let pid = self.pid;
        let asked = self.request_line();
        let line = asked.with_context(|| format!("process {pid} did not offer its fleet"))?;
        if line.is_empty() {
            tracing::warn!(
                "process {pid} ended; its clients are served, everything else starts fresh"
            );
            return Ok(None);
        }
        if line.trim_end() == LATE {
            bail!("process {pid} timed out waiting for this process and keeps serving; try again");
        }
        let state = FleetState::parse(&line);
        state
            .with_context(|| format!("process {pid} sent an unreadable fleet state"))
            .map(Some)
    }

    /// Requests and returns the line with the state; empty if the old process has ended.
    fn request_line(&mut self) -> io::Result<String> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(FLEET_STATE_TIMEOUT))?;
        let mut line = String::new();
        let said = match (&*stream).write_all(format!("{YIELD}\n").as_bytes()) {
            // The last line of an ended process may still be readable.
            Err(err) if has_ended(&err) => Ok(()),
            said => said,
        };
        let said = said.and_then(|()| (&mut self.stream).take(MAX_LINE).read_line(&mut line));
        match said {
            Err(err) if has_ended(&err) => Ok(String::new()),
            said => said.map(|_| line),
        }
    }

    /// Process ID of the old process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end of the old process, which sends nothing more before the commit.
    ///
    /// # Errors
    /// When the system has no thread or descriptor for the wait.
    pub(crate) fn peer_exit(&self) -> io::Result<impl Future<Output = ()> + use<>> {
        let stream = self.stream.get_ref().try_clone()?;
        let (tell, told) = oneshot::channel::<()>();
        let wait = move || {
            // The wait is longer than the socket's read timeout.
            let lives = |read: io::Result<usize>| match read {
                Ok(read) => read > 0,
                Err(err) => matches!(err.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
            };
            while lives((&stream).read(&mut [0])) {}
            drop(tell);
        };
        thread::Builder::new()
            .name("takeover".to_owned())
            .spawn(wait)?;
        Ok(async move {
            let _ = told.await;
        })
    }

    /// Commits: the old process ends, this one serves.
    pub(crate) fn commit(self) {
        let pid = self.pid;
        match self
            .stream
            .get_ref()
            .write_all(format!("{GO}\n").as_bytes())
        {
            Ok(()) => tracing::info!("took over from process {pid}"),
            Err(err) => tracing::warn!("process {pid} ended before the commit: {err}"),
        }
    }
}
