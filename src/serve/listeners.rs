//! Listening sockets: opened here, by the service manager, or inherited from the running balancer.
//! One of them is the Unix socket on which the next process asks for the others.

use std::io;
use std::mem;
use std::net::TcpListener;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;

use anyhow::Context as _;
use listenfd::ListenFd;

use crate::config::{Config, ListenOn};
use crate::startup;
use crate::takeover::{self, Handoff, PassedSockets, SocketKinds};
use crate::wire::listener::ListeningSockets;
use crate::wire::unix_listener::{FileIdentity, SocketFile};

/// Number of the socket for the data port among those of socket activation (sd_listen_fds(3)).
const DATA_SOCKET: usize = 0;
/// Number of the socket for the control port.
const CONTROL_SOCKET: usize = 1;
/// Mode of the data port's Unix socket, if none is given: our user and group may connect.
const DATA_MODE: u32 = 0o660;
/// Mode of the control port's Unix socket, if none is given: our user may command.
const CONTROL_MODE: u32 = 0o600;

/// Takes a socket that the service manager has opened, if it has.
fn activated_listener(
    activated: &mut ListenFd,
    number: usize,
) -> anyhow::Result<Option<TcpListener>> {
    let taken = activated.take_tcp_listener(number);
    let Some(listener) = taken.with_context(|| {
        format!("socket {number} of the service manager is no TCP socket that listens")
    })?
    else {
        return Ok(None);
    };
    listener.set_nonblocking(true)?;
    Ok(Some(listener))
}

/// Gives all workers the same socket. A port of the service manager's user cannot have a socket of
/// ours besides (socket(7), SO_REUSEPORT), and a Unix socket has one listener.
fn shared_by_all(listener: TcpListener, workers: usize) -> io::Result<Vec<TcpListener>> {
    let mut listeners = vec![listener];
    while listeners.len() < workers {
        listeners.push(listeners[0].try_clone()?);
    }
    Ok(listeners)
}

/// Listening sockets of the program.
pub(super) struct Listeners {
    /// Sockets of each worker.
    pub(super) data: Vec<ListeningSockets>,
    pub(super) control: ListeningSockets,
    /// Unix socket for a successor's request.
    pub(super) handoff: Option<UnixListener>,
    /// Files of the Unix sockets.
    pub(super) files: Vec<SocketFile>,
    addresses: startup::Addresses,
}

impl Listeners {
    /// Opens the sockets that were not inherited.
    pub(super) fn open(config: &Config, taken: Option<&mut Handoff>) -> anyhow::Result<Self> {
        match taken {
            Some(taken) => Self::inherit(config, taken),
            None => Self::open_all(config),
        }
    }

    /// Takes the sockets of the old process, and adds those that further workers need. The files
    /// stay with the old process until the commit.
    fn inherit(config: &Config, taken: &mut Handoff) -> anyhow::Result<Self> {
        let mut tcp = mem::take(&mut taken.data);
        if !tcp.is_empty() {
            startup::bind_remaining(&mut tcp, config.workers)?;
        }
        let control = ListeningSockets {
            tcp: try_clone(&taken.control.tcp)?,
            unix: try_clone(&taken.control.unix)?,
        };
        let unix = taken.data_unix.take();
        let handoff = Some(taken.handoff.try_clone()?);
        let on = [
            (config.listen.unix, DATA_MODE),
            (config.control.unix, CONTROL_MODE),
        ];
        let files = on.into_iter().zip(taken.files);
        let files = files.filter_map(|((unix, mode), identity)| {
            Some(SocketFile::inherited(unix?, mode, identity))
        });
        let files = files.collect();
        Self::new(config, tcp, unix, control, handoff, files)
    }

    fn open_all(config: &Config) -> anyhow::Result<Self> {
        let mut files = Vec::new();
        let mut open_unix = |on: &ListenOn, default_mode, flag| {
            let opened = on.unix.as_ref().map(|unix| {
                let (socket, file) = startup::listen_unix(unix, default_mode, flag)?;
                files.push(file);
                anyhow::Ok(socket)
            });
            opened.transpose()
        };
        let mut activated = ListenFd::from_env();
        let activated_control = activated_listener(&mut activated, CONTROL_SOCKET)?;
        let control = ListeningSockets {
            tcp: match (activated_control, config.control.tcp) {
                (None, Some(addr)) => Some(startup::listen(addr, "--control")?),
                (activated, _) => activated,
            },
            unix: open_unix(&config.control, CONTROL_MODE, "--control")?,
        };
        let activated_data = activated_listener(&mut activated, DATA_SOCKET)?;
        let tcp = match (activated_data, config.listen.tcp) {
            (Some(data), _) => shared_by_all(data, config.workers)?,
            (None, Some(addr)) => startup::listen_shared(addr, config.workers)?,
            (None, None) => Vec::new(),
        };
        let unix = open_unix(&config.listen, DATA_MODE, "--listen")?;
        let mut all = Self::new(config, tcp, unix, control, None, files)?;
        let handoff = takeover::listen(&all.addresses.control);
        if let Err(err) = &handoff {
            tracing::warn!("no successor can take over from this process: {err}");
        }
        all.handoff = handoff.ok();
        Ok(all)
    }

    fn new(
        config: &Config,
        tcp: Vec<TcpListener>,
        unix: Option<TcpListener>,
        control: ListeningSockets,
        handoff: Option<UnixListener>,
        files: Vec<SocketFile>,
    ) -> anyhow::Result<Self> {
        let bound = |socket: Option<&TcpListener>| socket.map(TcpListener::local_addr).transpose();
        let addresses = startup::Addresses {
            listen: ListenOn {
                tcp: bound(tcp.first())?,
                ..config.listen
            },
            control: ListenOn {
                tcp: bound(control.tcp.as_ref())?,
                ..config.control
            },
        };
        let mut unix = match unix {
            Some(unix) => shared_by_all(unix, config.workers)?.into_iter(),
            None => Vec::new().into_iter(),
        };
        let mut tcp = tcp.into_iter();
        let data = (0..config.workers).map(|_| ListeningSockets {
            tcp: tcp.next(),
            unix: unix.next(),
        });
        Ok(Self {
            data: data.collect(),
            control,
            handoff,
            files,
            addresses,
        })
    }

    /// Returns the file of a port's Unix socket.
    fn file_of(&self, port: ListenOn) -> Option<FileIdentity> {
        let path = port.unix?.path;
        let file = self.files.iter().find(|file| file.path() == path);
        file.and_then(SocketFile::identity)
    }

    pub(super) fn addresses(&self) -> startup::Addresses {
        self.addresses
    }

    /// Duplicates the descriptors of the data port and the control port, to be sent to a successor.
    pub(super) fn duplicate(&self) -> anyhow::Result<PassedSockets> {
        let of_workers = self.data.iter().filter_map(|sockets| sockets.tcp.as_ref());
        let unix = self.data.iter().find_map(|sockets| sockets.unix.as_ref());
        let all = of_workers.chain(unix).chain(self.control.iter());
        let duplicates = all.map(|socket| socket.as_fd().try_clone_to_owned());
        Ok(PassedSockets {
            sockets: duplicates.collect::<Result<_, _>>()?,
            kinds: SocketKinds {
                data_unix: unix.is_some(),
                control_tcp: self.control.tcp.is_some(),
                control_unix: self.control.unix.is_some(),
                data_file: self.file_of(self.addresses.listen),
                control_file: self.file_of(self.addresses.control),
            },
        })
    }
}

fn try_clone(socket: &Option<TcpListener>) -> io::Result<Option<TcpListener>> {
    socket.as_ref().map(TcpListener::try_clone).transpose()
}
