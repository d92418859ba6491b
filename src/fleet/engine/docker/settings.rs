//! Settings of the engine of containers.

use std::time::Duration;

/// The image of replicas' containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// The image of the container in which this program runs; it holds the bundled replica too.
    Own,
    /// A named image, which may hold any server.
    Named(String),
}

/// Settings of the engine of containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSettings {
    /// Number of replicas at first, unless some are there already.
    pub count: usize,
    /// Image of the containers.
    pub image: Image,
    /// Port on which replicas listen.
    pub port: u16,
    /// Additional environment variables, as `K=V`.
    pub env: Vec<String>,
    /// Memory limit of one container, in bytes.
    pub memory: i64,
    /// CPU limit of one container, in billionths of a CPU; `None`: no limit.
    pub nano_cpus: Option<i64>,
    /// Network of the containers; `None`: the network of this program's own container.
    pub network: Option<String>,
    /// Name of the fleet: one engine may hold several fleets.
    pub fleet: String,
    /// Leave the containers running when this program is told to stop.
    pub keep: bool,
    /// Trust the gateway of our bridge; then there must be one.
    pub trust_gateway: bool,
    /// Changes of the confinement.
    pub options: Box<ContainerOptions>,
    /// Time between the signal that ends a container and its kill.
    pub stop_timeout: Duration,
    /// Time of the pull of a named image.
    pub pull: PullPolicy,
}

/// Changes of a container's confinement, for images of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerOptions {
    /// Named volumes and folders of the host: `SOURCE:TARGET[:ro]`.
    pub volumes: Vec<String>,
    /// Additional folders in memory, with their mount options.
    pub tmpfs: Vec<(String, String)>,
    /// User of the processes; `None`: that of the image.
    pub user: Option<String>,
    /// Capabilities.
    pub cap_add: Vec<String>,
    /// `true` if the file system is read-only.
    pub read_only: bool,
    /// Limit of processes and threads.
    pub pids: i64,
    /// Log driver; `None`: json-file with a limit.
    pub log_driver: Option<String>,
    /// Options of the log driver.
    pub log_opts: Vec<(String, String)>,
    /// Additional labels.
    pub labels: Vec<(String, String)>,
    /// Words that replace the image's command.
    pub command: Option<Vec<String>>,
    /// Signal that ends a container; `None`: that of the image.
    pub stop_signal: Option<String>,
}

/// The time at which a named image is pulled from its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// At the start, if the engine does not have the image.
    Missing,
    /// At each start.
    Always,
    /// At no time.
    Never,
}
