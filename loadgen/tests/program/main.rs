//! Tests of the loadgen binary: against the real replica, a server with scripted faults, and a fake
//! ringmaster.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_server;
mod balancer;
mod duel;
mod experiments;
mod kills;
mod load;
mod run_flags;
mod spawn;
mod support;
