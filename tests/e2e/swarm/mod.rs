//! The tasks of a swarm's service, against a fake engine with injected faults.

mod failing;
mod following;
mod orders;
mod starting;
