//! Flags of the container engine, and the checks of their combinations.
//!
//! A flag with a default is ignored by the other engines; a flag without one is refused there.

use std::num::NonZeroU16;
use std::time::Duration;

use bytesize::ByteSize;
use clap::ValueEnum;
use clap::builder::BoolishValueParser;

use super::container_options::ContainerOptionArgs;
use super::parsers::first_given;
use crate::fleet::{ContainerSettings, Image};
use crate::roster::ReplicaName;

/// Smallest CPU share that the engine accepts: a hundredth of a CPU.
const MIN_NANO_CPUS: i64 = 10_000_000;

/// Smallest memory limit that the engine accepts, in bytes.
const MIN_MEMORY: i64 = 6 * 1024 * 1024;

/// Fate of the replicas when the balancer stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnExit {
    /// The balancer removes them.
    Remove,
    /// They keep running, and the next balancer of the fleet adopts them.
    Keep,
}

/// Flags about the specification of a container.
#[derive(Debug, clap::Args)]
pub struct TemplateArgs {
    #[arg(
        long,
        env = "RINGMASTER_IMAGE",
        help = "Image for replica containers [default: the balancer's own image]"
    )]
    pub image: Option<String>,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_PORT",
        default_value = "5000",
        help = "Port on which replicas listen in their containers"
    )]
    pub replica_port: NonZeroU16,
    #[arg(
        long,
        env = "RINGMASTER_REPLICA_MEMORY",
        default_value = "64MiB",
        help = "Memory limit of a container, at least 6MiB"
    )]
    pub replica_memory: ByteSize,
    #[arg(long, env = "RINGMASTER_REPLICA_CPUS", value_parser = nano_cpus, help = "CPU limit of a container, such as 0.5 [default: no limit]")]
    pub replica_cpus: Option<i64>,
    #[arg(
        long,
        env = "RINGMASTER_NETWORK",
        help = "Network of containers, or of the tasks of a service [default: the only user-defined network of the balancer's container; outside a container: bridge, or that of the service]"
    )]
    pub network: Option<String>,
    #[arg(
        long,
        env = "RINGMASTER_FLEET",
        default_value = "ringmaster",
        help = "Fleet label of the containers; two fleets may share an engine"
    )]
    pub fleet: ReplicaName,
    #[command(flatten)]
    pub options: ContainerOptionArgs,
}

/// Flags of `serve` about containers.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct ContainerArgs {
    #[command(flatten)]
    pub template: TemplateArgs,
    #[arg(
        long,
        env = "RINGMASTER_ON_EXIT",
        default_value = "remove",
        help = "Fate of the containers when the balancer stops"
    )]
    pub on_exit: OnExit,
    #[arg(
        long,
        env = "RINGMASTER_TRUST_GATEWAY",
        value_parser = BoolishValueParser::new(),
        help = "Treat the gateway of the container's bridge as local: it stands for every process and container of this host"
    )]
    pub trust_gateway: bool,
}

impl ContainerArgs {
    /// Returns the name of a given flag that has no meaning without containers of our own.
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [
            (self.template.image.is_some(), "--image"),
            (self.template.replica_cpus.is_some(), "--replica-cpus"),
            (self.on_exit == OnExit::Keep, "--on-exit keep"),
            (self.trust_gateway, "--trust-gateway"),
        ];
        first_given(&given).or_else(|| self.template.options.given())
    }

    /// Checks the flags for `count` replicas, with these variables and this command.
    pub(super) fn check(
        &self,
        count: usize,
        env: Vec<String>,
        command: Option<&str>,
        stop_timeout: Duration,
    ) -> Result<ContainerSettings, String> {
        let template = self.template.check(env, command)?;
        Ok(ContainerSettings {
            count,
            keep: self.on_exit == OnExit::Keep,
            trust_gateway: self.trust_gateway,
            stop_timeout,
            ..template
        })
    }
}

impl TemplateArgs {
    /// Checks the flags, with these variables and this command. The settings have no replica.
    pub(super) fn check(
        &self,
        env: Vec<String>,
        command: Option<&str>,
    ) -> Result<ContainerSettings, String> {
        let memory = i64::try_from(self.replica_memory.as_u64()).unwrap_or(i64::MAX);
        if memory < MIN_MEMORY {
            return Err(format!(
                "--replica-memory {} is less than 6MiB",
                self.replica_memory
            ));
        }
        Ok(ContainerSettings {
            count: 0,
            image: self.image.clone().map_or(Image::Own, Image::Named),
            port: self.replica_port.get(),
            env,
            memory,
            nano_cpus: self.replica_cpus,
            network: self.network.clone(),
            fleet: self.fleet.to_string(),
            keep: false,
            trust_gateway: false,
            options: Box::new(self.options.check(command)?),
            stop_timeout: Duration::ZERO,
            pull: self.options.pull,
        })
    }
}

/// Parses a number of CPUs into billionths.
fn nano_cpus(text: &str) -> Result<i64, String> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let legal = digits(whole) && digits(fraction) && fraction.len() <= 9 && whole.len() <= 4;
    let nanos = format!("{whole}{fraction:0<9}").parse::<i64>().ok();
    nanos
        .filter(|nanos| legal && *nanos >= MIN_NANO_CPUS)
        .ok_or_else(|| "is not a number of CPUs, at least 0.01".to_owned())
}
