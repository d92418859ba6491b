//! Flags of the engine `swarm`: the service whose tasks are the replicas.

use super::containers::ContainerArgs;
use crate::fleet::SwarmSettings;

/// Flags of `serve` about a service.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct SwarmArgs {
    #[arg(long, env = "RINGMASTER_SERVICE", value_name = "NAME", value_parser = service, help = "Service of a swarm whose tasks are the replicas, in our own stack also without its prefix [default: the only other replicated service on our network]")]
    pub service: Option<String>,
}

impl SwarmArgs {
    /// Returns the name of a given flag, which has no meaning for other engines.
    pub(super) fn given(&self) -> Option<&'static str> {
        self.service.as_ref().map(|_| "--service")
    }

    /// Returns the settings, some of which are flags of containers.
    pub(super) fn settings(&self, containers: &ContainerArgs) -> SwarmSettings {
        SwarmSettings {
            service: self.service.clone(),
            network: containers.template.network.clone(),
            port: containers.template.replica_port.get(),
        }
    }
}

/// Parses the name of a service, as the swarm allows it.
fn service(text: &str) -> Result<String, &'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match !text.is_empty() && text.bytes().all(is_allowed) {
        true => Ok(text.to_owned()),
        false => Err("must be a name of letters, digits, '-', '_' and '.'"),
    }
}
