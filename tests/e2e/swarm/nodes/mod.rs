//! Three real nodes, each with a balancer, under load at all three ports. Without root or a program
//! that they need these tests are skipped, with a line on standard error even when they pass.
//!
//! The tests judge counts and not times; with `--nocapture` they print the times.

mod node_loss;
mod orders;
mod service;
