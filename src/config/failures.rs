//! Flags about requests that a replica fails, and about the number that it gets at once.

use std::num::NonZeroU32;
use std::time::Duration;

use super::parsers::{first_given, positive_count, positive_duration};
use crate::load::EjectionRule;
use crate::proxy::{InFlightLimits, InFlightRule, RetryOn};

/// Maximum number of requests in the queue of a replica without `--queue`.
const DEFAULT_QUEUE: u32 = 128;
/// Maximum time in queues without `--queue-timeout`.
const DEFAULT_QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// Flags of `serve` about failed requests.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct FailureArgs {
    #[arg(
        long,
        env = "RINGMASTER_RETRIES",
        default_value_t = 2,
        help = "Number of retries of an idempotent request whose connection was lost"
    )]
    pub retries: u32,
    #[arg(
        long,
        env = "RINGMASTER_RETRY_ON",
        value_name = "STATUSES",
        help = "Statuses, such as 502,503,504, for which an idempotent request is sent to another replica; a retry as any other [default: none]"
    )]
    pub retry_on: Option<RetryOn>,
    #[arg(
        long = "eject-5xx",
        env = "RINGMASTER_EJECT_5XX",
        value_name = "N,P%",
        help = "Avoid a replica after N replies in a row with a status of 5xx, or when P% of its replies in 10 s have one, until a probe is answered well; one of the two is enough [default: never]"
    )]
    pub eject_5xx: Option<EjectionRule>,
}

/// Flags of `serve` about requests in flight.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct InFlightArgs {
    #[arg(
        long,
        env = "RINGMASTER_MAX_IN_FLIGHT_PER_REPLICA",
        value_name = "N",
        value_parser = positive_count::<NonZeroU32>,
        help = "Maximum number of requests in flight at a replica, or of connections if they are balanced; more wait in its queue [default: no limit]"
    )]
    pub max_in_flight_per_replica: Option<NonZeroU32>,
    #[arg(
        long,
        env = "RINGMASTER_QUEUE",
        value_name = "N",
        help = "Maximum number of requests that wait for a replica at its limit; another one gets 503 [default: 128]"
    )]
    pub queue: Option<u32>,
    #[arg(long, env = "RINGMASTER_QUEUE_TIMEOUT", value_name = "TIME", value_parser = positive_duration, help = "Maximum time of a request in queues, then it gets 503 [default: 5s]")]
    pub queue_timeout: Option<Duration>,
}

impl InFlightArgs {
    /// Checks the combination of the flags.
    pub(super) fn check(&self) -> Result<Option<InFlightLimits>, String> {
        let without_effect = [
            (self.queue.is_some(), "--queue"),
            (self.queue_timeout.is_some(), "--queue-timeout"),
        ];
        let Some(max) = self.max_in_flight_per_replica else {
            return match first_given(&without_effect) {
                Some(flag) => Err(format!("{flag} needs --max-in-flight-per-replica")),
                None => Ok(None),
            };
        };
        Ok(Some(InFlightLimits::new(InFlightRule {
            max: max.get() as usize,
            queue: self.queue.unwrap_or(DEFAULT_QUEUE) as usize,
            queue_timeout: self.queue_timeout.unwrap_or(DEFAULT_QUEUE_TIMEOUT),
        })))
    }
}
