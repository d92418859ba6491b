//! Settings of the engine of services.

/// Settings of the engine of services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SwarmSettings {
    /// Name of the service; `None`: the only other replicated one on our network.
    pub service: Option<String>,
    /// Network of its tasks; `None`: that of this program's own container.
    pub network: Option<String>,
    /// Port on which replicas listen.
    pub port: u16,
}
