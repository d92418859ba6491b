//! The plan put to the test: rule by rule, and against a model of the world under random schedules.
//! Neither has a clock: both make up the time.

mod beginnings;
mod bench;
mod changes;
mod found;
mod model;
mod patience;
mod rotation;
mod silence;
mod standbys;
mod switch;
mod theirs;
mod verdicts;
