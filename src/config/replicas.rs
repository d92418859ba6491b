//! Flags that say which replicas exist, and the checks of their combinations.
//!
//! Flags of containers alone are in `containers`. Whether a program, image or host exists is
//! checked when the replicas are started.

mod program;

use std::time::Duration;

use clap::ValueEnum;

pub(super) use self::program::ProgramArgs;
use super::containers::ContainerArgs;
use super::fixed_backends::{FixedArgs, FixedBackends};
use super::parsers::{duration, first_given};
use super::swarm::SwarmArgs;
use crate::fleet::{ContainerSettings, NamePattern, ProcessSettings, SwarmSettings};

/// Number of replicas without `--replicas`.
const DEFAULT_REPLICAS: usize = 3;

/// Engine that starts the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// Child processes of the balancer.
    Process,
    /// Containers.
    Docker,
    /// Fixed addresses, neither started nor stopped.
    Fixed,
    /// Tasks of a service in a swarm.
    Swarm,
}

/// Replicas and where they come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaSource {
    /// Child processes.
    Process(ProcessSettings),
    /// Containers.
    Docker(ContainerSettings),
    /// Servers that the operator runs.
    Fixed(FixedBackends),
    /// Tasks of a service in a swarm.
    Swarm(SwarmSettings),
}

impl ReplicaSource {
    /// Fleet label of the containers; empty for other engines.
    #[must_use]
    pub fn fleet(&self) -> &str {
        match self {
            Self::Docker(containers) => &containers.fleet,
            Self::Process(_) | Self::Fixed(_) | Self::Swarm(_) => "",
        }
    }

    /// Name of the engine.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Docker(_) => "docker",
            Self::Fixed(_) => "fixed",
            Self::Swarm(_) => "swarm",
        }
    }
}

/// Flags of `serve` about replicas.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct ReplicaArgs {
    #[arg(
        long,
        env = "RINGMASTER_ENGINE",
        help = "Engine that starts replicas [default: process, or fixed with --backend or --state]"
    )]
    pub engine: Option<EngineKind>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICAS",
        help = "Number of replicas to start [default: 3]"
    )]
    pub replicas: Option<usize>,
    #[command(flatten)]
    pub fixed: FixedArgs,
    #[arg(long, env = "RINGMASTER_SLOW_START", value_name = "TIME", default_value = "0s", value_parser = duration, help = "Time within which a replica that joins comes to take all keys of its seat, from a tenth of them on; 0s: at once")]
    pub slow_start: Duration,
    #[command(flatten)]
    pub swarm: SwarmArgs,
    #[arg(
        long,
        env = "RINGMASTER_MAX_REPLICAS",
        default_value_t = 256,
        help = "Largest number of replicas: at the start, with --backend and --state too, and after /add"
    )]
    pub max_replicas: usize,
    #[arg(
        long,
        env = "RINGMASTER_STANDBY",
        value_name = "K",
        default_value_t = 0,
        help = "Number of standby replicas, kept warm without a seat to replace a dead one at once"
    )]
    pub standby: usize,
    #[arg(
        long,
        env = "RINGMASTER_NAME_PATTERN",
        value_name = "PATTERN",
        help = "Names of the first replicas, with {} for the number of the seat [default: S{}]"
    )]
    pub name_pattern: Option<NamePattern>,
    #[command(flatten)]
    pub program: ProgramArgs,
    #[arg(long, env = "RINGMASTER_REPLICA_STOP_TIMEOUT", value_parser = duration, help = "Time between the signal that ends a replica and its kill [default: that of --drain-timeout, at least 2s]")]
    pub replica_stop_timeout: Option<Duration>,
    #[command(flatten)]
    pub containers: ContainerArgs,
}

impl ReplicaArgs {
    /// Returns `true` if the replicas are the user's own servers, which may have a path `/add` too.
    pub(super) fn are_foreign(&self) -> bool {
        self.containers.template.image.is_some() || self.program.replica_command.is_some()
    }

    /// Returns the name of a given flag that has no meaning for fixed addresses.
    fn given_for_managed(&self) -> Option<&'static str> {
        let given = [
            (self.replicas.is_some(), "--replicas"),
            (self.name_pattern.is_some(), "--name-pattern"),
            (self.program.replica_command.is_some(), "--replica-command"),
            (
                self.replica_stop_timeout.is_some(),
                "--replica-stop-timeout",
            ),
            (!self.program.replica_env.is_empty(), "--replica-env"),
            (self.standby > 0, "--standby"),
        ];
        first_given(&given)
    }

    /// Refuses flags that have no meaning for this engine.
    fn check_engine(&self, engine: EngineKind) -> Result<(), String> {
        if engine != EngineKind::Docker
            && let Some(flag) = self.containers.given()
        {
            return Err(format!("{flag} goes with --engine docker"));
        }
        if let EngineKind::Process | EngineKind::Fixed = engine
            && self.containers.template.network.is_some()
        {
            return Err("--network goes with --engine docker or swarm".to_owned());
        }
        if engine != EngineKind::Swarm
            && let Some(flag) = self.swarm.given()
        {
            return Err(format!("{flag} goes with --engine swarm"));
        }
        if let EngineKind::Fixed | EngineKind::Swarm = engine
            && let Some(flag) = self.given_for_managed()
        {
            return Err(format!("{flag} goes with --engine process or docker"));
        }
        if engine != EngineKind::Fixed
            && let Some(flag) = self.fixed.given()
        {
            return Err(format!("{flag} goes with --engine fixed"));
        }
        Ok(())
    }

    /// Checks the combination of the flags.
    pub(super) fn check(&self, stop_timeout: Duration) -> Result<ReplicaSource, String> {
        let is_fixed = !self.fixed.backends.is_empty() || self.fixed.state.is_some();
        let engine = self.engine.unwrap_or(if is_fixed {
            EngineKind::Fixed
        } else {
            EngineKind::Process
        });
        self.check_engine(engine)?;
        let replicas = self.replicas.unwrap_or(DEFAULT_REPLICAS);
        match engine {
            EngineKind::Process | EngineKind::Docker if replicas > self.max_replicas => {
                Err(format!(
                    "--replicas {replicas} is more than --max-replicas {}",
                    self.max_replicas
                ))
            }
            EngineKind::Process | EngineKind::Docker if self.standby > self.max_replicas => {
                Err(format!(
                    "--standby {} is more than --max-replicas {}",
                    self.standby, self.max_replicas
                ))
            }
            EngineKind::Process => Ok(ReplicaSource::Process(ProcessSettings {
                count: replicas,
                command: self.program.replica_command.clone(),
                env: self.program.env(),
                stop_timeout,
            })),
            EngineKind::Docker => {
                let env = self.program.env();
                let command = self.program.replica_command.as_deref();
                let containers = self.containers.check(replicas, env, command, stop_timeout);
                containers.map(ReplicaSource::Docker)
            }
            EngineKind::Swarm => Ok(ReplicaSource::Swarm(self.swarm.settings(&self.containers))),
            EngineKind::Fixed => {
                let fixed = self.fixed.check()?;
                let (count, max) = (fixed.backends.len(), self.max_replicas);
                match count > max {
                    true => Err(format!(
                        "--backend is given {count} times, more than --max-replicas {max}"
                    )),
                    false => Ok(ReplicaSource::Fixed(fixed)),
                }
            }
        }
    }
}
