//! The values that count where they are not those of the settings: a port that the system chose, a
//! limit that was lowered, a default that depends on others.

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
    if !matches!(config.replicas, ReplicaSource::Fixed(_)) {
        settings.set_effective("name-pattern", &config.names);
        let stop = humantime::format_duration(config.stop.replica).to_string();
        let configured = settings.get("replica-stop-timeout");
        if configured.is_some_and(|setting| setting.shown().is_empty()) {
            settings.set_effective("replica-stop-timeout", stop);
        }
    }
    settings
}
