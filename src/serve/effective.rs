//! The values that count where they are not those of the settings: a port that the system chose, a
//! limit that was lowered, a default that depends on others.

use std::fmt::Display;
use std::time::Duration;

use crate::config::{Config, ReplicaSource};
use crate::settings::Settings;
use crate::startup::Addresses;

/// Returns the settings with the values that count from the start on.
pub(super) fn effective(mut settings: Settings, config: &Config, at: Addresses) -> Settings {
    settings.set_effective("listen", at.listen);
    settings.set_effective("control", at.control);
    settings.set_effective("engine", config.replicas.engine());
    settings.set_effective("workers", config.workers);
    let max_connections = config.proxy.limits.max_connections;
    settings.set_effective("max-connections", max_connections);
    let admin = match &config.proxy.admin {
        None => "off",
        Some(admin) if admin.anyone => "any",
        Some(_) => "local",
    };
    settings.set_effective("data-port-admin", admin);
    if let ReplicaSource::Process(_) | ReplicaSource::Docker(_) = config.replicas {
        settings.set_effective("name-pattern", &config.names);
        settings.set_default("replica-stop-timeout", duration(config.stop.replica));
    }
    if let Some(limits) = &config.proxy.in_flight {
        settings.set_default("queue", limits.rule.queue);
        settings.set_default("queue-timeout", duration(limits.rule.queue_timeout));
    }
    if let ReplicaSource::Fixed(fixed) = &config.replicas {
        settings.set_default("resolve-interval", duration(fixed.resolve_interval));
    }
    if let Some(burst) = config.proxy.clients.burst() {
        settings.set_default("burst-per-client", burst);
    }
    settings
}

fn duration(time: Duration) -> impl Display {
    humantime::format_duration(time)
}
