//! Start-up as the successor of a running balancer: whose sockets and fleet are used, and until
//! when they are shared.
//!
//! The old process may end at any moment. From then on sockets and fleet belong to this process,
//! ready or not.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::bail;
use tokio::runtime::Runtime;
use tokio::time::{Instant, timeout_at};

use crate::config::{Config, ListenOn, ReplicaSource};
use crate::fleet::{self, Fleet, Ownership, ReplicaSettings};
use crate::orders::BackendSeat;
use crate::startup;
use crate::supervisor::Signals;
use crate::takeover::{self, Handoff, InheritedBackends, InstanceInfo};
use crate::wire::unix_listener::{self, UnixListen};

/// Additional time for inherited replicas to answer, beyond their start timeout.
const TAKEOVER_ANSWER_MARGIN: Duration = Duration::from_secs(5);
/// Time limit to leave the fleet to the old process when a takeover is abandoned. Replicas that
/// were started for it are removed.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Requests the sockets of the running balancer, if `--takeover` is set and a balancer runs. Each
/// of its workers needs a worker here.
pub(super) fn take_over(config: &mut Config) -> anyhow::Result<Option<Handoff>> {
    if !config.takeover {
        return Ok(None);
    }
    let Some(taken) = takeover::connect(&config.control)? else {
        tracing::info!(
            "no balancer runs on {}; starting without takeover",
            config.control
        );
        return Ok(None);
    };
    let ours = InstanceInfo::from_replicas(&config.replicas);
    if taken.around != ours {
        bail!(
            "cannot take over {} from a balancer of {}",
            ours,
            taken.around
        );
    }
    let listen = (taken.data.first(), taken.data_unix.as_ref());
    config.listen = inherited(config.listen, listen, "--listen")?;
    let control = (taken.control.tcp.as_ref(), taken.control.unix.as_ref());
    config.control = inherited(config.control, control, "--control")?;
    let workers = taken.data.len();
    if config.workers < workers {
        tracing::info!(
            "--workers {} is raised to {workers}, the number of the old process",
            config.workers
        );
        config.workers = workers;
    }
    Ok(Some(taken))
}

/// Returns the sockets of the old process in place of those of the flags.
///
/// # Errors
/// The flags name other ones.
fn inherited(
    flags: ListenOn,
    (tcp, unix): (Option<&TcpListener>, Option<&TcpListener>),
    flag: &str,
) -> anyhow::Result<ListenOn> {
    let path = unix.map(unix_listener::path_of).transpose()?;
    let unix = path.map(|path| match flags.unix {
        Some(unix) if unix.path == path => unix,
        _ => UnixListen {
            path,
            mode: None,
            owner: None,
        },
    });
    let tcp = tcp.map(TcpListener::local_addr).transpose()?;
    let bound = ListenOn { tcp, unix };
    if !flags.agrees_with(&bound) {
        bail!("the running balancer listens on {bound}, not on {flags} ({flag})");
    }
    Ok(bound)
}

/// Applies the settings of the inherited fleet, which win over flags.
pub(super) fn apply_handover(
    taken: Option<&mut Handoff>,
    settings: &mut fleet::FleetSettings,
) -> anyhow::Result<()> {
    let Some(taken) = taken else {
        startup::log_state_file(&settings.replicas);
        return Ok(());
    };
    settings.taken_over_from = Some(taken.pid());
    let Some(state) = taken.request_fleet_state()? else {
        return Ok(());
    };
    settings.ring = state.ring;
    settings.bound = state.bound;
    settings.seats = Some(state.seats);
    if let (ReplicaSettings::Fixed(fixed), Some(backends)) =
        (&mut settings.replicas, state.backends)
    {
        inherit_backends(fixed, backends);
    }
    Ok(())
}

/// Takes the backends of the old process over, whose orders may have changed them. Other flags win,
/// and a name that stays keeps its seat, so that none of its keys move.
fn inherit_backends(fixed: &mut fleet::FixedSettings, inherited: InheritedBackends) {
    let InheritedBackends { flags, latest } = inherited;
    if fixed.flags == flags {
        fixed.backends = latest;
        return;
    }
    if flags != latest && fixed.backends != latest {
        tracing::warn!(
            "--backend differs from that of the old process: what commands changed there is dropped"
        );
    }
    // Backends of a state file have their seats there.
    if fixed.backends == fixed.flags {
        fixed.backends = BackendSeat::in_seats_of(&fixed.flags, &latest);
    }
}

/// Waits until the inherited replicas have answered. On an error the fleet is left to the old
/// process.
pub(super) fn ready_or_left(
    runtime: &Runtime,
    fleet: Fleet,
    signals: &mut Signals,
    taken: &Handoff,
    (start_timeout, replicas): (Duration, &ReplicaSource),
) -> anyhow::Result<Fleet> {
    let limit = start_timeout + TAKEOVER_ANSWER_MARGIN;
    let hint = silence_hint(replicas);
    match until_ready(runtime, &fleet, signals, taken, limit, hint) {
        Ok(()) => Ok(fleet),
        Err(err) => {
            // A second error would hide the reason for the end.
            let _ = runtime.block_on(fleet.leave(LEAVE_TIMEOUT));
            Err(err)
        }
    }
}

/// Likely reason why inherited replicas do not answer.
fn silence_hint(replicas: &ReplicaSource) -> &'static str {
    match replicas {
        ReplicaSource::Docker(_) => " (are --replica-port and --heartbeat-path as they were?)",
        _ => "",
    }
}

/// Waits until a replica has answered in every inherited seat. When the old process ends meanwhile,
/// the fleet belongs to this process at once, and it serves in any case.
///
/// # Errors
/// When the time limit passes, or a signal arrived since the start: a takeover would only lead to a
/// stop, after which no process serves.
fn until_ready(
    runtime: &Runtime,
    fleet: &Fleet,
    signals: &mut Signals,
    taken: &Handoff,
    limit: Duration,
    hint: &str,
) -> anyhow::Result<()> {
    let (mut status, pid) = (fleet.status(), taken.pid());
    let ended = taken.peer_exit()?;
    let ready = async {
        tokio::pin!(ended);
        let (deadline, mut alone) = (Instant::now() + limit, false);
        loop {
            tokio::select! {
                biased;
                () = signals.next_stop_signal() => bail!("a signal arrived before this process served"),
                () = &mut ended, if !alone => {
                    alone = true;
                    tracing::warn!("process {pid} ended before this process served; its replicas are adopted");
                    fleet.set_ownership(Ownership::Owned);
                }
                answered = timeout_at(deadline, status.wait_for(|status| status.unanswered_inherited == 0)) => {
                    return match answered {
                        Ok(Ok(_)) => Ok(()),
                        Ok(Err(_)) => bail!("the fleet ended unexpectedly"),
                        Err(_) if alone => Ok(()),
                        Err(_) => bail!(
                            "not all replicas answered within {limit:?}{hint}; the old process continues"
                        ),
                    };
                }
            }
        }
    };
    runtime.block_on(ready)
}
