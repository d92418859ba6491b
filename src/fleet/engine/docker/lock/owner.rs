//! Who holds a lock, and whether that one is gone.
//!
//! Surprising: a PID is used again, so a process is known by when it began as well, and it means something only
//! on its machine, in its boot and its PID namespace.

use std::path::Path;

use anyhow::Context as _;

use crate::fleet::engine::docker::api::{Api, ApiError, Id};
use crate::fleet::engine::docker::api_types::RunState;

/// Who holds a lock: our container, or a process that is in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LockOwner {
    Container(Id),
    Process {
        /// Machine, boot and PID namespace: where the PID means something.
        place: String,
        pid: u32,
        /// When it began, in clock ticks since the boot: PIDs are used again.
        begun: u64,
    },
}

impl LockOwner {
    /// We.
    pub(super) fn current(container: Option<&Id>) -> anyhow::Result<Self> {
        if let Some(id) = container {
            return Ok(Self::Container(id.clone()));
        }
        let pid = std::process::id();
        Ok(Self::Process {
            place: host_id()?,
            pid,
            begun: start_ticks(pid).context("cannot read when this process began")?,
        })
    }

    /// What the lock's label says.
    pub(super) fn to_label(&self) -> String {
        match self {
            Self::Container(id) => format!("container {}", id.as_str()),
            Self::Process { place, pid, begun } => format!("process {pid} {begun} {place}"),
        }
    }

    /// Whom a label names; `None` for one that is not ours.
    pub(super) fn from_label(label: &str) -> Option<Self> {
        let words: Vec<&str> = label.splitn(4, ' ').collect();
        match words[..] {
            ["container", id] => Id::new(id).map(Self::Container),
            ["process", pid, begun, place] => Some(Self::Process {
                place: place.to_owned(),
                pid: pid.parse().ok()?,
                begun: begun.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// Whether it is gone for certain, as seen by `this`.
    pub(super) async fn is_gone(&self, this: &Self, api: &Api) -> bool {
        match (self, this) {
            // A container that was started again has its former ID.
            (Self::Container(id), Self::Container(ours)) if id == ours => true,
            (Self::Container(id), _) => match api.inspect(id.as_str()).await {
                Ok(seen) => seen.run != RunState::Runs,
                Err(fault) => matches!(fault, ApiError::Missing(_)),
            },
            (Self::Process { place, .. }, _) => {
                let Ok(here) = self::host_id() else {
                    return false;
                };
                rebooted(place, &here) || (*place == here && !self.is_running())
            }
        }
    }

    /// Whether it is this process of this machine.
    pub(super) fn is_process(&self, number: u32) -> bool {
        match self {
            Self::Process { pid, place, .. } => {
                *pid == number && self::host_id().is_ok_and(|here| here == *place)
            }
            Self::Container(_) => false,
        }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Process { pid, begun, .. } => self::start_ticks(*pid) == Some(*begun),
            Self::Container(_) => true,
        }
    }

    /// The owner for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Container(id) => format!("container {id}"),
            Self::Process { pid, place, .. } => {
                let machine = place.split(' ').next().unwrap_or_default();
                format!("process {pid} on {machine}")
            }
        }
    }
}

/// Machine, boot and PID namespace in three words.
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

/// Whether `there` is this machine before its present boot.
fn rebooted(there: &str, here: &str) -> bool {
    let (mut there, mut here) = (there.split(' '), here.split(' '));
    there.next() == here.next() && there.next() != here.next()
}

/// When the process with this PID began (proc(5), /proc/PID/stat, field 22); `None` if there is none.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets, which may hold anything; field 3 is the state.
    let mut rest = stat.rsplit_once(") ")?.1.split(' ');
    let alive = !rest.next()?.starts_with(['Z', 'X']);
    rest.nth(18)?.parse().ok().filter(|_| alive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_survive_their_label() {
        let id = Id::new(&"ab".repeat(32)).unwrap();
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
    fn a_process_is_known_by_its_beginning() {
        let own = LockOwner::current(None).unwrap();
        assert!(own.is_running());
        let LockOwner::Process { place, pid, begun } = own else {
            panic!("not a process")
        };
        let begun = begun + 1;
        assert!(!LockOwner::Process { place, pid, begun }.is_running());
    }

    #[test]
    fn only_the_same_machine_can_have_rebooted() {
        assert!(rebooted("a boot1 ns", "a boot2 ns"));
        assert!(!rebooted("a boot1 ns", "a boot1 ns2"));
        assert!(!rebooted("b boot1 ns", "a boot2 ns"));
    }
}
