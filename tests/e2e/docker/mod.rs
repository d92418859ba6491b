//! The container engine: against a fake engine with injected faults, and against the real one, if
//! it answers.

mod adopting;
mod custom_image;
mod daemon_restart;
mod failing;
mod foreign_containers;
mod manual_changes;
mod options;
mod real;
mod recorded_seats;
mod rollout;
mod starting;
