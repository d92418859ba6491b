//! The owner of a lock, and the check whether it has ended.
//!
//! PIDs are reused, so a process is identified by its start time as well. Both mean something only
//! on its machine, in its boot and its PID namespace.

use std::path::Path;

use anyhow::Context as _;

use crate::fleet::engine::docker::api::{Api, ApiError};
use crate::fleet::engine::docker::api_types::{ContainerInfo, RunState};
use crate::fleet::engine::docker::container_id::ContainerId;
use crate::fleet::engine::docker::spec::ContainerTemplate;

/// The owner of a lock: a balancer's own container, or its process outside a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LockOwner {
    Container(ContainerId),
    Process {
        /// Machine, boot and PID namespace in which the PID means something.
        host_id: String,
        pid: u32,
        /// Start time, in clock ticks since the boot.
        start_ticks: u64,
    },
}

impl LockOwner {
    /// Returns this process or its container as owner.
    ///
    /// # Errors
    /// When /proc cannot be read.
    pub(super) fn current(container: Option<&ContainerId>) -> anyhow::Result<Self> {
        if let Some(id) = container {
            return Ok(Self::Container(id.clone()));
        }
        let pid = std::process::id();
        Ok(Self::Process {
            host_id: host_id()?,
            pid,
            start_ticks: start_ticks(pid).context("cannot read the start time of this process")?,
        })
    }

    /// Returns the value of the lock's label.
    pub(super) fn to_label(&self) -> String {
        match self {
            Self::Container(id) => format!("container {}", id.as_str()),
            Self::Process {
                host_id,
                pid,
                start_ticks,
            } => {
                format!("process {pid} {start_ticks} {host_id}")
            }
        }
    }

    /// Parses a label; `None` if it is not ours.
    pub(super) fn from_label(label: &str) -> Option<Self> {
        let words: Vec<&str> = label.splitn(4, ' ').collect();
        match words[..] {
            ["container", id] => ContainerId::new(id).map(Self::Container),
            ["process", pid, start_ticks, host_id] => Some(Self::Process {
                host_id: host_id.to_owned(),
                pid: pid.parse().ok()?,
                start_ticks: start_ticks.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// Returns `true` if the owner has certainly ended, as seen by `this`.
    pub(super) async fn has_ended(&self, this: &Self, api: &Api) -> bool {
        match (self, this) {
            // A restarted container keeps its ID.
            (Self::Container(id), Self::Container(ours)) if id == ours => true,
            (Self::Container(id), _) => match api.inspect(id.as_str()).await {
                Ok(info) => info.run_state != RunState::Runs,
                Err(err) => matches!(err, ApiError::Missing(_)),
            },
            (Self::Process { host_id, .. }, _) => {
                let Ok(here) = self::host_id() else {
                    return false;
                };
                rebooted(host_id, &here) || (*host_id == here && !self.is_running())
            }
        }
    }

    /// Returns `true` for the process with this PID on this machine.
    pub(super) fn is_process(&self, number: u32) -> bool {
        match self {
            Self::Process { pid, host_id, .. } => {
                *pid == number && self::host_id().is_ok_and(|here| here == *host_id)
            }
            Self::Container(_) => false,
        }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Process {
                pid, start_ticks, ..
            } => self::start_ticks(*pid) == Some(*start_ticks),
            Self::Container(_) => true,
        }
    }

    /// Returns the owner in words, for logs and errors.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Container(id) => format!("container {id}"),
            Self::Process { pid, host_id, .. } => {
                let machine = host_id.split(' ').next().unwrap_or_default();
                format!("process {pid} on {machine}")
            }
        }
    }
}

/// Returns machine, boot and PID namespace in three words.
fn host_id() -> anyhow::Result<String> {
    let read = |path: &str| {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Ok::<_, anyhow::Error>(text.trim().replace(' ', "-"))
    };
    let machine = read("/proc/sys/kernel/hostname")?;
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let namespace = std::fs::read_link(Path::new("/proc/self/ns/pid"))?;
    Ok(format!("{machine} {boot} {}", namespace.display()))
}

/// Returns `true` if `there` is this machine before its present boot.
fn rebooted(there: &str, here: &str) -> bool {
    let (mut there, mut here) = (there.split(' '), here.split(' '));
    there.next() == here.next() && there.next() != here.next()
}

/// Returns the start time of a process (proc(5), /proc/PID/stat, field 22); `None` if it does not
/// run.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets, which may hold anything; field 3 is the state.
    let mut rest = stat.rsplit_once(") ")?.1.split(' ');
    let alive = !rest.next()?.starts_with(['Z', 'X']);
    rest.nth(18)?.parse().ok().filter(|_| alive)
}

/// Returns the sentence about a balancer that holds the lock.
pub(super) fn describe_rival(owner: &LockOwner, fleet: &str, lock_name: &str) -> String {
    format!(
        "another balancer runs fleet {fleet}: {}; give this one another --fleet, or remove container \
         {lock_name} if that one is gone",
        owner.describe()
    )
}

/// Returns the owner of a lock.
///
/// # Errors
/// The container is no lock of the fleet.
pub(super) fn owner_of(
    held: &ContainerInfo,
    template: &ContainerTemplate,
) -> anyhow::Result<LockOwner> {
    let is_ours = held.labels.fleet.as_ref() == Some(&template.fleet);
    let label = held.labels.owner.as_deref().filter(|_| is_ours);
    let owner = label.and_then(LockOwner::from_label);
    owner.with_context(|| {
        let (name, fleet) = (&held.name, &template.fleet);
        format!(
            "container {name} is not ours, but fleet {fleet} needs its name; choose another --fleet"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_parsed_from_their_own_label() {
        let id = ContainerId::new(&"ab".repeat(32)).unwrap();
        let process = LockOwner::current(None).unwrap();
        for owner in [LockOwner::Container(id), process] {
            assert_eq!(LockOwner::from_label(&owner.to_label()), Some(owner));
        }
        for bad in [
            "",
            "container ab",
            "process 1 2",
            "process x 2 a b c",
            "king 1",
        ] {
            assert_eq!(LockOwner::from_label(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_process_is_identified_by_its_start_time() {
        let own = LockOwner::current(None).unwrap();
        assert!(own.is_running());
        let LockOwner::Process {
            host_id,
            pid,
            start_ticks,
        } = own
        else {
            panic!("not a process")
        };
        let other = LockOwner::Process {
            host_id,
            pid,
            start_ticks: start_ticks + 1,
        };
        assert!(!other.is_running());
    }

    #[test]
    fn only_the_same_machine_can_have_rebooted() {
        assert!(rebooted("a boot1 ns", "a boot2 ns"));
        assert!(!rebooted("a boot1 ns", "a boot1 ns2"));
        assert!(!rebooted("b boot1 ns", "a boot2 ns"));
    }
}
