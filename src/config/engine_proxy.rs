//! Flags of `engine-proxy`. Those about containers are those of `serve`, with the same variables,
//! so that one environment serves both.

use super::containers::TemplateArgs;
use super::listen::unix_only;
use super::log::{LogArgs, LogFormat};
use super::replicas::ProgramArgs;
use super::swarm::SwarmArgs;
use crate::fleet::ContainerSettings;
use crate::wire::unix_listener::UnixListen;

/// Flags of `engine-proxy`.
#[derive(Debug, clap::Args)]
pub struct EngineProxyArgs {
    #[arg(
        long,
        env = "RINGMASTER_ENGINE_PROXY_LISTEN",
        value_name = "unix:PATH",
        default_value = "unix:/run/ringmaster/engine.sock",
        value_parser = unix_only,
        help = "Unix socket for the balancer, whose DOCKER_HOST is unix:// and its path: unix:PATH[,mode=0600][,owner=USER[:GROUP]]"
    )]
    pub listen: UnixListen,
    #[arg(
        long = "allow-image",
        env = "RINGMASTER_ALLOW_IMAGE",
        value_name = "IMAGE",
        value_delimiter = ',',
        help = "Further image that an order may bring, besides that of --image; repeatable"
    )]
    pub allowed_images: Vec<String>,
    #[command(flatten)]
    pub template: TemplateArgs,
    #[command(flatten)]
    pub program: ProgramArgs,
    #[command(flatten)]
    pub swarm: SwarmArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Checked configuration of `engine-proxy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineProxyConfig {
    /// Socket for the balancer.
    pub listen: UnixListen,
    /// Settings by which the balancer makes containers.
    pub containers: ContainerSettings,
    /// Images that orders may bring.
    pub allowed_images: Vec<String>,
    /// Full name of the service of a balancer with `--engine swarm`.
    pub service: Option<String>,
    /// Format of log lines.
    pub log_format: LogFormat,
    /// Lowest level that is logged.
    pub log_level: tracing::Level,
}

impl EngineProxyArgs {
    /// Checks the combination of the flags.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn check(self) -> Result<EngineProxyConfig, String> {
        let command = self.program.replica_command.as_deref();
        let images = self.allowed_images.into_iter();
        Ok(EngineProxyConfig {
            listen: self.listen,
            containers: self.template.check(self.program.env(), command)?,
            allowed_images: images.filter(|image| !image.is_empty()).collect(),
            service: self.swarm.service,
            log_format: self.log.log_format,
            log_level: self.log.log_level,
        })
    }
}
