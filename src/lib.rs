//! Ringmaster (map of the house: written last).

pub mod admin;
pub mod control;
pub mod fleet;
pub mod metrics;
pub mod peer;
pub mod proxy;
pub mod ring;
pub mod roster;
pub mod shutdown;
pub mod wire;

/// Runs.
pub fn run() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
