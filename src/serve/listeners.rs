//! Listening sockets: opened here, by the service manager, or inherited from the running balancer.
//! One of them is the Unix socket on which the next process asks for the others.

use std::io;
use std::mem;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use anyhow::Context as _;
use listenfd::ListenFd;

use crate::config::Config;
use crate::startup;
use crate::takeover::{self, Handoff};

/// Number of the socket for the data port among those of socket activation (sd_listen_fds(3)).
const DATA_SOCKET: usize = 0;
/// Number of the socket for the control port.
const CONTROL_SOCKET: usize = 1;

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
/// ours besides (socket(7), SO_REUSEPORT).
fn shared_by_all(listener: TcpListener, workers: usize) -> io::Result<Vec<TcpListener>> {
    let mut listeners = vec![listener];
    while listeners.len() < workers {
        listeners.push(listeners[0].try_clone()?);
    }
    Ok(listeners)
}

/// Listening sockets of the program.
pub(super) struct Listeners {
    pub(super) data: Vec<TcpListener>,
    pub(super) control: TcpListener,
    /// Unix socket for a successor's request.
    pub(super) handoff: Option<UnixListener>,
}

impl Listeners {
    /// Opens the sockets that were not inherited.
    pub(super) fn open(config: &Config, taken: Option<&mut Handoff>) -> anyhow::Result<Self> {
        if let Some(taken) = taken {
            let mut data = mem::take(&mut taken.data);
            startup::bind_remaining(&mut data, config.workers)?;
            return Ok(Self {
                data,
                control: taken.control.try_clone()?,
                handoff: Some(taken.handoff.try_clone()?),
            });
        }
        let mut activated = ListenFd::from_env();
        let control = match activated_listener(&mut activated, CONTROL_SOCKET)? {
            Some(control) => control,
            None => startup::listen(config.control, "--control")?,
        };
        let data = match activated_listener(&mut activated, DATA_SOCKET)? {
            Some(data) => shared_by_all(data, config.workers)?,
            None => startup::listen_shared(config.listen, config.workers)?,
        };
        let handoff = takeover::listen(control.local_addr()?);
        if let Err(err) = &handoff {
            tracing::warn!("no successor can take over from this process: {err}");
        }
        Ok(Self {
            data,
            control,
            handoff: handoff.ok(),
        })
    }

    pub(super) fn addresses(&self) -> anyhow::Result<startup::Addresses> {
        Ok(startup::Addresses {
            listen: self.data[0].local_addr()?,
            control: self.control.local_addr()?,
        })
    }

    /// Duplicates the descriptors of the data port and the control port, to be sent to a successor.
    pub(super) fn duplicate_descriptors(&self) -> anyhow::Result<Vec<OwnedFd>> {
        let all = self.data.iter().chain([&self.control]);
        let duplicates = all.map(|socket| socket.as_fd().try_clone_to_owned());
        Ok(duplicates.collect::<Result<_, _>>()?)
    }
}
