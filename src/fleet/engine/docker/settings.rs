//! Settings of the engine of containers.

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
}
