//! Flags of fixed backends: their addresses, the lookups of their names, and the state file.

use std::path::PathBuf;
use std::time::Duration;

use super::parsers::{duration, first_given};
use crate::orders::BackendAddr;
use crate::ring::{Spec, Weight};
use crate::roster::ReplicaName;

/// Time between two lookups of a name without `--resolve-interval`.
const DEFAULT_RESOLVE_INTERVAL: Duration = Duration::from_secs(5);
/// Shortest time between two lookups of a name, which spares the name server.
const MIN_RESOLVE_INTERVAL: Duration = Duration::from_millis(100);

/// Fixed backends and the lookups of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedBackends {
    /// Names, addresses and weights, in the order of the flags.
    pub backends: Vec<(ReplicaName, BackendAddr, Weight)>,
    /// Time between two lookups of a host name.
    pub resolve_interval: Duration,
    /// File that keeps the list over a restart.
    pub state: Option<PathBuf>,
}

impl FixedBackends {
    /// Checks whether the kind of ring has weights, if a backend has one.
    pub(super) fn check_ring(&self, ring: &Spec) -> Result<(), String> {
        let mut backends = self.backends.iter();
        let weighted = backends.find(|(.., weight)| *weight != Weight::ONE);
        match weighted.filter(|_| !ring.has_weights()) {
            Some((name, addr, weight)) => Err(format!(
                "--backend {name}={addr},weight={weight} does not go with --ring {ring}, which has no weights: use uniform, rendezvous or maglev"
            )),
            None => Ok(()),
        }
    }
}

/// Flags of `serve` about fixed backends.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct FixedArgs {
    #[arg(
        long = "backend",
        env = "RINGMASTER_BACKEND",
        value_delimiter = ',',
        value_name = "NAME=ADDR[,weight=W]",
        help = "Fixed replica at HOST:PORT or unix:PATH, whose seat has W shares of the keys, 1 to 256 [default weight: 1]; repeatable, implies --engine fixed"
    )]
    pub backends: Vec<String>,
    #[arg(long, env = "RINGMASTER_RESOLVE_INTERVAL", value_name = "TIME", value_parser = resolve_interval, help = "Time between two lookups of a backend's host name, whose server answers; otherwise it is looked up at once [default: 5s]")]
    pub resolve_interval: Option<Duration>,
    #[arg(long, env = "RINGMASTER_STATE", value_name = "PATH", value_parser = path, help = "File that keeps fixed backends which commands changed; while it exists, it is used instead of --backend")]
    pub state: Option<PathBuf>,
}

impl FixedArgs {
    /// Returns the name of a given flag, which has no meaning for other engines.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            (!self.backends.is_empty(), "--backend"),
            (self.resolve_interval.is_some(), "--resolve-interval"),
            (self.state.is_some(), "--state"),
        ];
        first_given(&given)
    }

    /// Checks the combination of the flags.
    pub(super) fn check(&self) -> Result<FixedBackends, String> {
        if self.backends.is_empty() && self.state.is_none() {
            return Err("--engine fixed needs --backend NAME=ADDR or --state PATH".to_owned());
        }
        let backends = backends(&self.backends)?;
        for (at, (name, ..)) in backends.iter().enumerate() {
            if backends[..at].iter().any(|(other, ..)| other == name) {
                return Err(format!("--backend {name} is given twice"));
            }
        }
        Ok(FixedBackends {
            backends,
            resolve_interval: self.resolve_interval.unwrap_or(DEFAULT_RESOLVE_INTERVAL),
            state: self.state.clone(),
        })
    }
}

/// Parses backends. A part `weight=W` belongs to the backend before it: one value may hold several
/// backends, and is split at its commas before.
fn backends(parts: &[String]) -> Result<Vec<(ReplicaName, BackendAddr, Weight)>, String> {
    let mut backends = Vec::new();
    let mut has_weight = false;
    for part in parts {
        // A colon makes it the address of a backend of this name.
        let weight = part.strip_prefix("weight=").filter(|w| !w.contains(':'));
        let Some(weight) = weight else {
            let (name, addr) = backend(part)?;
            backends.push((name, addr, Weight::ONE));
            has_weight = false;
            continue;
        };
        let Some((name, addr, last)) = backends.last_mut() else {
            return Err(format!(
                "--backend {part} belongs to no backend: NAME=ADDR,{part}"
            ));
        };
        if std::mem::replace(&mut has_weight, true) {
            return Err(format!("--backend {name}={addr} has two weights"));
        }
        let weight: Result<Weight, _> = weight.parse();
        *last = weight.map_err(|err| format!("--backend {name}={addr},{part}: {err}"))?;
    }
    Ok(backends)
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

/// Parses the path of a file.
fn path(text: &str) -> Result<PathBuf, &'static str> {
    match text {
        "" => Err("must not be empty"),
        path => Ok(path.into()),
    }
}

/// Parses a time between lookups.
fn resolve_interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    match interval < MIN_RESOLVE_INTERVAL {
        true => Err(format!("must be at least {MIN_RESOLVE_INTERVAL:?}")),
        false => Ok(interval),
    }
}
