//! `ringmaster check`: judges the settings of `serve` without opening a port. A reload judges the
//! settings of its successor in the same way.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use crate::config::{self, Config, ServeArgs};
use crate::fleet::{FleetSettings, ReplicaSettings};
use crate::ring::{Seat, Weights};
use crate::settings::Settings;
use crate::startup;
use crate::stats::CounterRegistry;

/// Checks the settings and prints one line about them on stdout; doubtful ones are warnings on
/// stderr.
///
/// # Errors
/// A sentence for the user.
pub(crate) fn run(args: ServeArgs, settings: &Settings) -> Result<(), String> {
    check(args, settings)?;
    for sentence in config::warnings(settings) {
        // The exit code matters more than a closed stderr.
        let _ = writeln!(io::stderr(), "warning: {sentence}");
    }
    let what = settings
        .file
        .as_ref()
        .map(|path| path.display().to_string());
    let what = what.unwrap_or_else(|| "the settings".to_owned());
    let verb = if settings.file.is_some() { "is" } else { "are" };
    let _ = writeln!(io::stdout(), "{what} {verb} valid");
    Ok(())
}

/// Checks everything that needs no port, no engine and no file to be written.
///
/// # Errors
/// A sentence for the user, with the source of each value that it names.
pub(crate) fn check(args: ServeArgs, settings: &Settings) -> Result<Config, String> {
    let config = args.check().map_err(|err| settings.name_in(&err))?;
    let fleet = startup::fleet_settings(&config, CounterRegistry::default());
    let fleet = fleet.map_err(|err| settings.name_in(&format!("{err:#}")))?;
    check_ring(&fleet).map_err(|err| settings.name_in(&err))?;
    Ok(config)
}

/// Builds the ring for the first seats, or for those of the state file.
fn check_ring(fleet: &FleetSettings) -> Result<(), String> {
    let first = |count: usize| {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        (1..=count).map(Seat).collect()
    };
    let (seats, weights): (BTreeSet<Seat>, Weights) = match &fleet.replicas {
        ReplicaSettings::Process { wanted, .. } => (first(wanted.count), Weights::NONE),
        ReplicaSettings::Docker(containers) => (first(containers.count), Weights::NONE),
        // Its slots are known to the swarm alone.
        ReplicaSettings::Swarm(_) => (BTreeSet::new(), Weights::NONE),
        ReplicaSettings::Fixed(fixed) => {
            let weights = fixed.backends.iter().map(|it| (it.seat, it.weight));
            let seats = fixed.backends.iter().map(|it| it.seat);
            (seats.collect(), weights.collect())
        }
    };
    let built = fleet.ring.build_weighted(&seats, &weights);
    built.map_err(|err| format!("--ring {}: {err}", fleet.ring))?;
    Ok(())
}
