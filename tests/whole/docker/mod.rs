//! The engine of containers: against an engine that is none, with all its moods, and against the real
//! one, if one answers.

mod adopting;
mod away;
mod failing;
mod foreign;
mod hand;
mod own;
mod real;
mod starting;
