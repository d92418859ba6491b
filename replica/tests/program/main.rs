//! Tests of the replica as a program: the real binary, raw bytes, one file per behaviour.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod life;
mod support;
