//! The engine of containers: against an engine that is none, with all its moods, and against the
//! real one, if one answers.

mod adopting;
mod custom_image;
mod daemon_restart;
mod failing;
mod foreign_containers;
mod manual_changes;
mod real;
mod starting;
