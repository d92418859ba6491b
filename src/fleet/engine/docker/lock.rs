//! The lock of a fleet: a container that is made and never started, whose name nobody else can have while
//! it exists and whose label says who holds it. It keeps a second balancer from the same fleet.
//!
//! The lock of an owner that is gone is taken over. Surprising: an owner that cannot be judged from here
//! (a process of another machine or another PID namespace) counts as alive; the sentence says what to
//! remove. And whoever cleans an engine up (`docker container prune`) removes what does not run, so the
//! lock is looked after and made again.

use std::time::Duration;

use std::path::Path;

use anyhow::{Context as _, bail};

use tokio::sync::Mutex;
use tokio::time::sleep;

use super::api::{Api, Fault, Id};
use super::seen::{Listed, Run, Seen};
use super::spec::Recipe;

/// How often a lock that changes under our hands is tried for.
const TRIES: u32 = 5;
/// Between tries; a little longer each time, so that of many who try one gets it.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Who holds a lock: our container, or a process that is in none.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Container(Id),
    Process {
        /// Machine, boot and PID namespace: where the PID means something.
        place: String,
        pid: u32,
        /// When it began, in clock ticks since the boot: PIDs are used again.
        begun: u64,
    },
}

impl Owner {
    fn this(container: Option<&Id>) -> anyhow::Result<Self> {
        if let Some(id) = container {
            return Ok(Self::Container(id.clone()));
        }
        let pid = std::process::id();
        Ok(Self::Process {
            place: place()?,
            pid,
            begun: begun(pid).context("cannot read when this process began")?,
        })
    }

    fn to_label(&self) -> String {
        match self {
            Self::Container(id) => format!("container {}", id.as_str()),
            Self::Process { place, pid, begun } => format!("process {pid} {begun} {place}"),
        }
    }

    fn from_label(label: &str) -> Option<Self> {
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
    async fn is_gone(&self, this: &Self, api: &Api) -> bool {
        match (self, this) {
            // A container that was started again has its former ID.
            (Self::Container(id), Self::Container(ours)) if id == ours => true,
            (Self::Container(id), _) => match api.inspect(id.as_str()).await {
                Ok(seen) => seen.run != Run::Runs,
                Err(fault) => matches!(fault, Fault::Missing(_)),
            },
            (Self::Process { place, .. }, _) => {
                let Ok(here) = self::place() else {
                    return false;
                };
                rebooted(place, &here) || (*place == here && !self.is_running())
            }
        }
    }

    fn is_running(&self) -> bool {
        match self {
            Self::Process { pid, begun, .. } => self::begun(*pid) == Some(*begun),
            Self::Container(_) => true,
        }
    }

    /// The owner for people.
    fn describe(&self) -> String {
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
fn place() -> anyhow::Result<String> {
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
fn begun(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in brackets, which may hold anything; field 3 is the state.
    let mut rest = stat.rsplit_once(") ")?.1.split(' ');
    let alive = !rest.next()?.starts_with(['Z', 'X']);
    rest.nth(18)?.parse().ok().filter(|_| alive)
}

/// The lock, held.
#[derive(Debug)]
pub(super) struct Lock {
    owner: Owner,
    /// `None` once it was given back. Held across calls, so that nobody makes it again meanwhile.
    container: Mutex<Option<Id>>,
}

impl Lock {
    /// Takes the lock for this program; `container` is the one we are in.
    ///
    /// # Errors
    /// When another balancer holds it, or a container that is not ours has its name.
    pub(super) async fn take(
        api: &Api,
        recipe: &Recipe,
        container: Option<&Id>,
    ) -> anyhow::Result<Self> {
        let this = Owner::this(container)?;
        let held_as = |id| Self {
            owner: this.clone(),
            container: Mutex::new(Some(id)),
        };
        let (name, fleet) = (recipe.lock_name(), &recipe.fleet);
        for attempt in 0..TRIES {
            sleep(attempt * BETWEEN_TRIES).await;
            match api.create(&name, recipe.lock(&this.to_label())).await {
                Ok(id) => return Ok(held_as(id)),
                Err(Fault::Conflict(_) | Fault::Unclear(_)) => {}
                Err(fault) => bail!("cannot make the lock {name} of fleet {fleet}: {fault}"),
            }
            let held = match api.inspect(&name).await {
                Ok(held) => held,
                Err(Fault::Missing(_)) => continue,
                Err(fault) => bail!("cannot look at the lock {name} of fleet {fleet}: {fault}"),
            };
            let owner = owner_of(&held, recipe)?;
            if owner == this {
                // We made it, and had no clear answer.
                return Ok(held_as(held.id));
            }
            if !owner.is_gone(&this, api).await {
                bail!(
                    "another balancer runs fleet {fleet}: {}; give this one another --fleet, or \
                     remove container {name} if that one is gone",
                    owner.describe()
                );
            }
            tracing::info!("took over the lock of {}, which is gone", owner.describe());
            // Whether that worked shows when it is tried again.
            let _ = api.remove(&held.id).await;
        }
        bail!("the lock {name} of fleet {fleet} is fought for; try again")
    }

    /// Makes it again if it is not in this list of all containers of the fleet. A list that lies does no
    /// harm: the name is taken then.
    pub(super) async fn keep(&self, api: &Api, recipe: &Recipe, list: &[Listed]) {
        let mut container = self.container.lock().await;
        let Some(id) = &*container else { return };
        if list.iter().any(|listed| listed.id == *id) {
            return;
        }
        let (name, fleet) = (recipe.lock_name(), &recipe.fleet);
        match api.create(&name, recipe.lock(&self.owner.to_label())).await {
            Ok(made) => {
                tracing::warn!(
                    "somebody removed the lock {name} of fleet {fleet}; it is made again"
                );
                *container = Some(made);
            }
            Err(Fault::Conflict(_)) => match api.inspect(&name).await {
                Ok(held) if owner_of(&held, recipe).is_ok_and(|owner| owner == self.owner) => {
                    *container = Some(held.id);
                }
                Ok(_) => tracing::warn!(
                    "another balancer has the lock {name} and takes our containers for its own; stop \
                     one of the two"
                ),
                Err(fault) => tracing::debug!("cannot look at the lock {name}: {fault}"),
            },
            Err(fault) => tracing::debug!("cannot make the lock {name} again: {fault}"),
        }
    }

    /// Whether it is this container.
    pub(super) fn is(&self, id: &Id) -> bool {
        // Whoever holds it looks after it just now.
        self.container
            .try_lock()
            .is_ok_and(|container| container.as_ref() == Some(id))
    }

    /// Gives it back.
    pub(super) async fn release(&self, api: &Api) {
        let Some(container) = self.container.lock().await.take() else {
            return;
        };
        match api.remove(&container).await {
            Ok(()) | Err(Fault::Missing(_)) => {}
            Err(fault) => tracing::warn!("cannot remove the lock of the fleet: {fault}"),
        }
    }
}

fn owner_of(held: &Seen, recipe: &Recipe) -> anyhow::Result<Owner> {
    let is_ours = held.labels.fleet.as_ref() == Some(&recipe.fleet);
    let label = held.labels.owner.as_deref().filter(|_| is_ours);
    let owner = label.and_then(Owner::from_label);
    owner.with_context(|| {
        let (name, fleet) = (&held.name, &recipe.fleet);
        format!(
            "container {name} is not ours, but fleet {fleet} needs its name; choose another --fleet"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_survive_their_label() {
        let id = Id::new(&"ab".repeat(32)).unwrap();
        let process = Owner::this(None).unwrap();
        for owner in [Owner::Container(id), process] {
            assert_eq!(Owner::from_label(&owner.to_label()), Some(owner));
        }
        for bad in [
            "",
            "container ab",
            "process 1 2",
            "process x 2 a b c",
            "king 1",
        ] {
            assert_eq!(Owner::from_label(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_process_is_known_by_its_beginning() {
        let own = Owner::this(None).unwrap();
        assert!(own.is_running());
        let Owner::Process { place, pid, begun } = own else {
            panic!("not a process")
        };
        let begun = begun + 1;
        assert!(!Owner::Process { place, pid, begun }.is_running());
    }

    #[test]
    fn only_the_same_machine_can_have_rebooted() {
        assert!(rebooted("a boot1 ns", "a boot2 ns"));
        assert!(!rebooted("a boot1 ns", "a boot1 ns2"));
        assert!(!rebooted("b boot1 ns", "a boot2 ns"));
    }
}
