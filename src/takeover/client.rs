//! The new process: it asks the one that serves for its sockets and its fleet, and says when it serves itself.
//!
//! All of it happens before the event loop begins, under deadlines. Dropped before [`Taken::go`], it leaves
//! everything to the old one.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use tokio::sync::oneshot;

use super::protocol::{FleetState, GO, InstanceInfo, LATE, MAX_LINE, YIELD};
use crate::wire::fd_passing;

/// How long we wait for room in the queue of the old one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the old one may take to send its sockets.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to bring the present change to its end; it gives itself 10 s for that.
const FLEET_STATE_TIMEOUT: Duration = Duration::from_secs(20);

/// What was taken, and the connection to the old one.
#[derive(Debug)]
pub(crate) struct Handoff {
    stream: BufReader<UnixStream>,
    pid: u32,
    /// Who the old one is.
    pub(crate) around: InstanceInfo,
    /// The listeners of the data port, one for each of the old one's workers.
    pub(crate) data: Vec<TcpListener>,
    /// The control port's.
    pub(crate) control: TcpListener,
    /// The Unix socket that the next one will connect to.
    pub(crate) desk: UnixListener,
}

/// Asks the balancer with this control port for its sockets; `None` if there is none.
///
/// # Errors
/// When there is one and it does not give them.
pub(crate) fn connect(control: SocketAddr) -> anyhow::Result<Option<Handoff>> {
    let stream = match fd_passing::connect(&super::socket_name(control)?, CONNECT_TIMEOUT) {
        Ok(stream) => stream,
        Err(err) if err.kind() == ErrorKind::ConnectionRefused => return Ok(None),
        Err(err) if err.kind() == ErrorKind::WouldBlock => {
            bail!("the one that serves does not let us in: too many wait to take over")
        }
        Err(err) => return Err(err).context("cannot reach the one that serves"),
    };
    // Of the process that made the socket, and may have given it away since.
    let (_, user) = fd_passing::peer_credentials(&stream)?;
    if user != fd_passing::own_user() && user != 0 {
        bail!("the one that serves is of user {user}");
    }
    receive(stream)
        .context("cannot take over from the one that serves")
        .map(Some)
}

fn receive(stream: UnixStream) -> anyhow::Result<Handoff> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    let mut bytes = [0; 4096];
    let (length, mut sockets) =
        fd_passing::receive(&stream, &mut bytes).map_err(|err| match err.kind() {
            ErrorKind::WouldBlock => anyhow!("it is busy: another process takes over"),
            _ => err.into(),
        })?;
    if length == 0 {
        bail!("it does not let us, or ends");
    }
    let line = std::str::from_utf8(&bytes[..length]).ok();
    let around = line.and_then(InstanceInfo::parse);
    let (around, pid) = around.context("it does not speak as we do")?;
    let (Some(desk), Some(control)) = (sockets.pop(), sockets.pop()) else {
        bail!("it sends no sockets");
    };
    if sockets.is_empty() {
        bail!("it sends no socket of its data port");
    }
    Ok(Handoff {
        stream: BufReader::new(stream),
        pid,
        around,
        data: sockets.into_iter().map(TcpListener::from).collect(),
        control: control.into(),
        desk: desk.into(),
    })
}

/// Whether the other end is gone, rather than silent.
fn has_ended(err: &io::Error) -> bool {
    matches!(
        err.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

impl Handoff {
    /// Asks the old one for its fleet; `None` if it has ended meanwhile, so that only its sockets are left.
    ///
    /// # Errors
    /// When it does not say how the fleet stands, or not in time, or has given us up meanwhile.
    pub(crate) fn request_fleet_state(&mut self) -> anyhow::Result<Option<FleetState>> {
        let pid = self.pid;
        let asked = self.request_line();
        let line = asked.with_context(|| format!("process {pid} does not leave its fleet"))?;
        if line.is_empty() {
            tracing::warn!(
                "process {pid} has ended; its clients are ours, and all else is as at a start"
            );
            return Ok(None);
        }
        if line.trim_end() == LATE {
            bail!("process {pid} waited for us in vain; it serves on; try again");
        }
        let state = FleetState::parse(&line);
        state
            .with_context(|| format!("process {pid} says nothing of its fleet that we understand"))
            .map(Some)
    }

    /// Its line; empty if it has ended.
    fn request_line(&mut self) -> io::Result<String> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(FLEET_STATE_TIMEOUT))?;
        let mut line = String::new();
        let said = match (&*stream).write_all(format!("{YIELD}\n").as_bytes()) {
            // Its last word may be here all the same.
            Err(err) if has_ended(&err) => Ok(()),
            said => said,
        };
        let said = said.and_then(|()| (&mut self.stream).take(MAX_LINE).read_line(&mut line));
        match said {
            Err(err) if has_ended(&err) => Ok(String::new()),
            said => said.map(|_| line),
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits for the end of the old one, which has nothing to say any more until we go.
    ///
    /// # Errors
    /// When there is no thread, or no descriptor, to wait with.
    pub(crate) fn peer_exit(&self) -> io::Result<impl Future<Output = ()> + use<>> {
        let stream = self.stream.get_ref().try_clone()?;
        let (tell, told) = oneshot::channel::<()>();
        let wait = move || {
            // It is silent for longer than the socket's read timeout.
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

    /// Tells the old one to end: we serve.
    pub(crate) fn commit(self) {
        let pid = self.pid;
        match self
            .stream
            .get_ref()
            .write_all(format!("{GO}\n").as_bytes())
        {
            Ok(()) => tracing::info!("took over from process {pid}"),
            Err(err) => tracing::warn!("process {pid} ended before we took over: {err}"),
        }
    }
}
