//! Tests of loadgen as a program: the real binary against the real replica, against a server that
//! misbehaves by script, and with a stand-in for the ringmaster that it spawns.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bad_server;
mod balancer;
mod duel;
mod experiments;
mod load;
mod spawn;
mod support;
