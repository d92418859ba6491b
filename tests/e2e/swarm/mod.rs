//! The tasks of a swarm's service: against a fake engine with injected faults, and on three real
//! nodes.

mod failing;
mod following;
mod nodes;
mod order_faults;
mod orders;
mod scale;
mod starting;
