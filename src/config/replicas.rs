//! Flags that say which replicas exist, and the checks of their combinations.
//!
//! Flags of containers alone are in `containers`. Whether a program, image or host exists is
//! checked when the replicas are started.

use std::time::Duration;

use clap::ValueEnum;

use super::containers::ContainerArgs;
use super::parsers::{duration, first_given};
use crate::fleet::{ContainerSettings, NamePattern, ProcessSettings};
use crate::orders::BackendAddr;
use crate::roster::ReplicaName;

/// Variables that each replica gets with a value of its own.
const OUR_VARIABLES: [&str; 4] = ["SERVER_ID", "REPLICA_NAME", "REPLICA_LISTEN", "PORT"];
/// Number of replicas without `--replicas`.
const DEFAULT_REPLICAS: usize = 3;
/// Time between two lookups of a name without `--resolve-interval`.
const DEFAULT_RESOLVE_INTERVAL: Duration = Duration::from_secs(5);
/// Shortest time between two lookups of a name, which spares the name server.
const MIN_RESOLVE_INTERVAL: Duration = Duration::from_millis(100);

/// Engine that starts the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineKind {
    /// Child processes of the balancer.
    Process,
    /// Containers.
    Docker,
    /// Fixed addresses, neither started nor stopped.
    Fixed,
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
}

/// Fixed backends and the lookups of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedBackends {
    /// Names and addresses, in the order of the flags.
    pub backends: Vec<(ReplicaName, BackendAddr)>,
    /// Time between two lookups of a host name.
    pub resolve_interval: Duration,
}

impl ReplicaSource {
    /// Fleet label of the containers; empty for other engines.
    #[must_use]
    pub fn fleet(&self) -> &str {
        match self {
            Self::Docker(containers) => &containers.fleet,
            Self::Process(_) | Self::Fixed(_) => "",
        }
    }

    /// Name of the engine.
    #[must_use]
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Docker(_) => "docker",
            Self::Fixed(_) => "fixed",
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
        help = "Engine that starts replicas [default: process, or fixed with --backend]"
    )]
    pub engine: Option<EngineKind>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICAS",
        help = "Number of replicas to start [default: 3]"
    )]
    pub replicas: Option<usize>,
    #[arg(
        long = "backend",
        env = "RINGMASTER_BACKEND",
        value_delimiter = ',',
        value_name = "NAME=ADDR",
        help = "Fixed replica at HOST:PORT; repeatable, implies --engine fixed"
    )]
    pub backends: Vec<String>,
    #[arg(long, env = "RINGMASTER_RESOLVE_INTERVAL", value_name = "TIME", value_parser = resolve_interval, help = "Time between two lookups of a backend's host name, whose server answers; otherwise it is looked up at once [default: 5s]")]
    pub resolve_interval: Option<Duration>,
    #[arg(
        long,
        env = "RINGMASTER_MAX_REPLICAS",
        default_value_t = 256,
        help = "Largest number of replicas that /add may lead to"
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
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_COMMAND",
        value_name = "COMMAND",
        value_parser = command,
        help = "Command of replicas; of child processes, run by /bin/sh, it must listen on 127.0.0.1:$PORT, of containers it is split into words and replaces the image's [default: the bundled replica, or the image's command]"
    )]
    pub replica_command: Option<String>,
    #[arg(long, env = "RINGMASTER_REPLICA_ENV", value_name = "K=V", value_delimiter = '\n', value_parser = variable, help = "Additional environment of replicas; repeatable, in the variable one per line")]
    pub replica_env: Vec<String>,
    #[arg(long, env = "RINGMASTER_REPLICA_STOP_TIMEOUT", value_parser = duration, help = "Time between the signal that ends a replica and its kill [default: that of --drain-timeout, at least 2s]")]
    pub replica_stop_timeout: Option<Duration>,
    #[command(flatten)]
    pub containers: ContainerArgs,
}

impl ReplicaArgs {
    /// Returns `true` if the replicas are the user's own servers, which may have a path `/add` too.
    pub(super) fn are_foreign(&self) -> bool {
        self.containers.image.is_some() || self.replica_command.is_some()
    }

    fn env(&self) -> Vec<String> {
        let lines = self.replica_env.iter().filter(|line| !line.is_empty());
        lines.cloned().collect()
    }

    /// Returns the name of a given flag that has no meaning for fixed addresses.
    fn given_for_managed(&self) -> Option<&'static str> {
        let given = [
            (self.replicas.is_some(), "--replicas"),
            (self.name_pattern.is_some(), "--name-pattern"),
            (self.replica_command.is_some(), "--replica-command"),
            (
                self.replica_stop_timeout.is_some(),
                "--replica-stop-timeout",
            ),
            (!self.replica_env.is_empty(), "--replica-env"),
            (self.standby > 0, "--standby"),
        ];
        first_given(&given)
    }

    /// Checks the combination of the flags.
    pub(super) fn check(&self, stop_timeout: Duration) -> Result<ReplicaSource, String> {
        let engine = self.engine.unwrap_or(if self.backends.is_empty() {
            EngineKind::Process
        } else {
            EngineKind::Fixed
        });
        if engine != EngineKind::Docker
            && let Some(flag) = self.containers.given()
        {
            return Err(format!("{flag} goes with --engine docker"));
        }
        if engine == EngineKind::Fixed
            && let Some(flag) = self.given_for_managed()
        {
            return Err(format!("{flag} goes with --engine process or docker"));
        }
        if engine != EngineKind::Fixed && self.resolve_interval.is_some() {
            return Err("--resolve-interval goes with --engine fixed".to_owned());
        }
        let replicas = self.replicas.unwrap_or(DEFAULT_REPLICAS);
        match engine {
            EngineKind::Process | EngineKind::Docker if !self.backends.is_empty() => {
                Err("--backend goes with --engine fixed".to_owned())
            }
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
                command: self.replica_command.clone(),
                env: self.env(),
                stop_timeout,
            })),
            EngineKind::Docker => {
                let env = self.env();
                let command = self.replica_command.as_deref();
                let containers = self.containers.check(replicas, env, command, stop_timeout);
                containers.map(ReplicaSource::Docker)
            }
            EngineKind::Fixed if self.backends.is_empty() => {
                Err("--engine fixed needs --backend NAME=ADDR".to_owned())
            }
            EngineKind::Fixed => {
                let backends: Vec<_> = self
                    .backends
                    .iter()
                    .map(|text| backend(text))
                    .collect::<Result<_, _>>()?;
                for (at, (name, _)) in backends.iter().enumerate() {
                    if backends[..at].iter().any(|(other, _)| other == name) {
                        return Err(format!("--backend {name} is given twice"));
                    }
                }
                Ok(ReplicaSource::Fixed(FixedBackends {
                    backends,
                    resolve_interval: self.resolve_interval.unwrap_or(DEFAULT_RESOLVE_INTERVAL),
                }))
            }
        }
    }
}

fn backend(text: &str) -> Result<(ReplicaName, BackendAddr), String> {
    let (name, addr) = text
        .split_once('=')
        .ok_or_else(|| format!("--backend {text} is not NAME=ADDR"))?;
    let name = name
        .parse()
        .map_err(|err| format!("--backend {text}: {err}"))?;
    let addr = addr
        .parse()
        .map_err(|err| format!("--backend {text}: {err}"))?;
    Ok((name, addr))
}

/// Parses a time between lookups.
fn resolve_interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    match interval < MIN_RESOLVE_INTERVAL {
        true => Err(format!("must be at least {MIN_RESOLVE_INTERVAL:?}")),
        false => Ok(interval),
    }
}

/// Parses a command line for a shell.
fn command(text: &str) -> Result<String, &'static str> {
    match text.trim() {
        "" => Err("must not be empty"),
        _ if text.contains('\0') => Err("must not have a NUL"),
        command => Ok(command.to_owned()),
    }
}

/// Parses a variable that the balancer does not set itself.
fn variable(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if OUR_VARIABLES.contains(&name) => {
            Err(format!("{name} is set for each replica"))
        }
        Some((name, _)) if !name.is_empty() && !text.contains('\0') => Ok(text.to_owned()),
        // A variable may end in a line feed.
        None if text.is_empty() => Ok(String::new()),
        _ => Err("is not K=V".to_owned()),
    }
}
