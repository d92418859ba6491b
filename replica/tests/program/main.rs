//! Tests of the replica's binary over raw TCP. Each behaviour has a file.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod life;
mod support;
