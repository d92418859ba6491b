//! Settings of a successor before it is started: a reload with settings that it cannot have changes
//! nothing.
//!
//! A takeover keeps sockets, engine and fleet, so another value of these would end the successor,
//! or be ignored by it.

use crate::check;
use crate::config::{Args, Config, ListenOn, ReplicaSource};
use crate::control::SettingChange;
use crate::fleet::Status;
use crate::load::LoadBound;
use crate::ring::Spec;
use crate::roster::Roster;
use crate::settings::{Setting, Settings};
use crate::startup::Addresses;
use crate::takeover::InstanceInfo;

/// Settings of this process as they were read at its start.
#[derive(Debug)]
pub(crate) struct Baseline {
    settings: Settings,
    listen: ListenOn,
    pub(super) control: ListenOn,
    instance: InstanceInfo,
    ring: Spec,
    bound: LoadBound,
    replicas: Option<usize>,
    workers: usize,
}

/// Settings that a takeover keeps, as they are now.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) ring: Spec,
    pub(super) bound: LoadBound,
    /// Wanted number of replicas.
    pub(super) replicas: usize,
}

impl Kept {
    /// Reads them.
    pub(super) fn now(roster: &Roster, status: &Status) -> Self {
        Self {
            ring: roster.ring.spec().clone(),
            bound: roster.bound,
            replicas: status.wanted,
        }
    }
}

/// Sockets of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sockets {
    /// Bound addresses.
    pub(super) at: Addresses,
    /// Workers, each of which has a socket.
    workers: usize,
}

impl Sockets {
    pub(crate) fn new(at: Addresses, workers: usize) -> Self {
        Self { at, workers }
    }
}

impl Baseline {
    /// Reads and judges the settings as they are now. It blocks while it reads files.
    ///
    /// # Errors
    /// A sentence with the position in the file.
    pub(super) fn read() -> Result<Box<Self>, String> {
        let (args, settings) = Args::read_again()?;
        let config = check::check(*args, &settings)?;
        Ok(Box::new(Self::new(&config, settings)))
    }

    /// Remembers what a reload cannot change.
    pub(crate) fn new(config: &Config, settings: Settings) -> Self {
        let replicas = match &config.replicas {
            ReplicaSource::Process(processes) => Some(processes.count),
            ReplicaSource::Docker(containers) => Some(containers.count),
            ReplicaSource::Fixed(_) | ReplicaSource::Swarm(_) => None,
        };
        Self {
            settings,
            listen: config.listen,
            control: config.control,
            instance: InstanceInfo::from_replicas(&config.replicas),
            ring: config.ring.clone(),
            bound: config.bound,
            replicas,
            workers: config.workers,
        }
    }

    /// Returns `true` if there is a configuration file, which a reload reads again.
    pub(crate) fn has_file(&self) -> bool {
        self.settings.file.is_some()
    }

    /// Returns the changes from these settings to the next ones.
    ///
    /// # Errors
    /// A sentence about a setting that a reload cannot change.
    pub(super) fn changes(
        &self,
        next: &Self,
        now: &Kept,
        sockets: Sockets,
    ) -> Result<Vec<SettingChange>, String> {
        if let Some(sentence) = self.refusal(next, now, sockets) {
            return Err(next.settings.name_in(&sentence));
        }
        let change = |setting: &Setting| {
            let before = self.settings.get(&setting.name)?;
            (!before.has_values_of(setting)).then(|| SettingChange {
                name: setting.name.clone(),
                before: before.configured().join(" "),
                after: setting.configured().join(" "),
            })
        };
        Ok(next.settings.all.iter().filter_map(change).collect())
    }

    /// Returns a sentence about the first setting that a reload cannot change.
    fn refusal(&self, next: &Self, now: &Kept, Sockets { at, workers }: Sockets) -> Option<String> {
        let addresses = [
            ("--listen", self.listen, next.listen, at.listen),
            ("--control", self.control, next.control, at.control),
        ];
        for (flag, before, after, bound) in addresses {
            if after != before && !after.agrees_with(&bound) {
                return Some(format!(
                    "a reload cannot change {flag} to {after}: this process listens on {bound}; \
                     restart it"
                ));
            }
        }
        let (ours, theirs) = (&self.instance, &next.instance);
        if theirs != ours {
            return Some(format!(
                "a reload cannot change {ours} to {theirs}; restart this process"
            ));
        }
        if next.workers < workers && next.workers != self.workers {
            let fewer = next.workers;
            return Some(format!(
                "a reload cannot lower --workers to {fewer}: each of {workers} has a socket; \
                 restart this process"
            ));
        }
        if ours.engine == "swarm" {
            let sentence = "a reload does not go with --engine swarm; restart this process";
            return Some(sentence.to_owned());
        }
        self.kept_refusal(next, now)
    }

    /// Returns a sentence about a setting that the successor would take over from this process.
    fn kept_refusal(&self, next: &Self, now: &Kept) -> Option<String> {
        if next.ring != self.ring && next.ring != now.ring {
            let (kept, wanted) = (&now.ring, &next.ring);
            return Some(format!(
                "a reload keeps the ring {kept}, whatever --ring is; 'ring set {wanted}' changes it"
            ));
        }
        if next.bound != self.bound && next.bound != now.bound {
            let (kept, wanted) = (now.bound, next.bound);
            return Some(format!(
                "a reload keeps the bound {kept}, whatever --bound is; 'bound {wanted}' changes it"
            ));
        }
        let wanted = next.replicas.filter(|_| next.replicas != self.replicas)?;
        let kept = now.replicas;
        (wanted != kept).then(|| {
            format!(
                "a reload keeps {kept} replicas, whatever --replicas is; 'scale {wanted}' changes it"
            )
        })
    }

    /// Returns the note about containers, which a takeover leaves as they are.
    pub(super) fn notes(&self, changes: &[SettingChange]) -> Vec<String> {
        let is_of_containers = |change: &SettingChange| {
            let name = change.name.as_str();
            name.starts_with("replica-") || ["image", "network", "pull"].contains(&name)
        };
        let note = "running containers stay as they are; 'replace all' replaces them";
        match self.instance.engine == "docker" && changes.iter().any(is_of_containers) {
            true => vec![note.to_owned()],
            false => Vec::new(),
        }
    }
}
