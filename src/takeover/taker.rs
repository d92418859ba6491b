//! The new process: it asks the one that serves for its sockets and its fleet, and says when it serves itself.
//!
//! All of it happens before the event loop begins, under deadlines. Dropped before [`Taken::go`], it leaves
//! everything to the old one.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::words::{Around, GO, MAX_LINE, State, YIELD};
use crate::wire::pass;

/// How long the old one may take to send its sockets.
const READ_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to leave its fleet; it gives itself 15 s for that.
const YIELD_TIMEOUT: Duration = Duration::from_secs(20);

/// What was taken, and the connection to the old one.
#[derive(Debug)]
pub(crate) struct Taken {
    stream: BufReader<UnixStream>,
    pid: u32,
    /// Who the old one is.
    pub(crate) around: Around,
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
pub(crate) fn take(control: SocketAddr) -> anyhow::Result<Option<Taken>> {
    let stream = match UnixStream::connect_addr(&super::name(control)?) {
        Ok(stream) => stream,
        Err(err) if err.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(err) => return Err(err).context("cannot reach the one that serves"),
    };
    let (pid, user) = pass::peer(&stream)?;
    if user != pass::own_user() && user != 0 {
        bail!("the one that serves, process {pid}, is of user {user}");
    }
    let taken = receive(stream, pid);
    taken
        .with_context(|| format!("cannot take over from process {pid}"))
        .map(Some)
}

fn receive(stream: UnixStream, pid: u32) -> anyhow::Result<Taken> {
    stream.set_read_timeout(Some(READ_TIMEOUT))?;
    stream.set_write_timeout(Some(READ_TIMEOUT))?;
    let mut bytes = [0; 4096];
    let (length, mut sockets) = pass::receive(&stream, &mut bytes)?;
    let line = std::str::from_utf8(&bytes[..length]).ok();
    let around = line.and_then(Around::parse);
    let around = around.context("it does not speak as we do, is busy, or stops")?;
    let (Some(desk), Some(control)) = (sockets.pop(), sockets.pop()) else {
        bail!("it sends no sockets");
    };
    if sockets.is_empty() {
        bail!("it sends no socket of its data port");
    }
    Ok(Taken {
        stream: BufReader::new(stream),
        pid,
        around,
        data: sockets.into_iter().map(TcpListener::from).collect(),
        control: control.into(),
        desk: desk.into(),
    })
}

impl Taken {
    /// Asks the old one to leave its fleet.
    ///
    /// # Errors
    /// When it does not, or not in time.
    pub(crate) fn ask_for_the_fleet(&mut self) -> anyhow::Result<State> {
        let pid = self.pid;
        let asked = self.ask();
        asked.with_context(|| format!("process {pid} does not leave its fleet"))
    }

    fn ask(&mut self) -> anyhow::Result<State> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(YIELD_TIMEOUT))?;
        (&*stream).write_all(format!("{YIELD}\n").as_bytes())?;
        let mut line = String::new();
        (&mut self.stream).take(MAX_LINE).read_line(&mut line)?;
        State::parse(&line).context("it says nothing that we understand")
    }

    /// Tells the old one to end: we serve.
    ///
    /// # Errors
    /// When it is gone already.
    pub(crate) fn go(self) -> io::Result<()> {
        tracing::info!("took over from process {}", self.pid);
        self.stream
            .get_ref()
            .write_all(format!("{GO}\n").as_bytes())
    }
}
