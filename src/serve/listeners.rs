//! Listening sockets: opened here or inherited from the running balancer. One of them is the Unix
//! socket on which the next process asks for the others.

use std::mem;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;

use crate::config::Config;
use crate::startup;
use crate::takeover::{self, Handoff};

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
        let control = startup::listen(config.control, "--control")?;
        let data = startup::listen_shared(config.listen, config.workers)?;
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
