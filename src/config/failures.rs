//! Flags about requests that a replica fails.

use crate::load::EjectionRule;
use crate::proxy::RetryOn;

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
