//! The engine as a parameter of tests: the promises of a fleet hold for child processes and for
//! containers alike, so one test checks both.
//!
//! Each program in containers has a fleet of its own, which is swept when the program is dropped.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{Docker, Ringmaster};

/// Kind of the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Process,
    Docker,
}

impl Engine {
    /// Starts `serve` with `args` on this engine and waits until it is ready.
    #[track_caller]
    pub(crate) fn start(self, args: &[&str]) -> Ringmaster {
        match self {
            Self::Process => Ringmaster::start(args),
            Self::Docker => {
                static STARTED: AtomicU32 = AtomicU32::new(0);
                let number = STARTED.fetch_add(1, Ordering::Relaxed);
                let fleet = Docker::fleet(&format!("both{number}")).expect("an engine");
                // With a foreign image the admin paths of the data port are off.
                let door = ["--data-port-admin", "local"];
                let door = if args.contains(&door[0]) {
                    &[]
                } else {
                    &door[..]
                };
                fleet.balancer(&[door, args].concat()).in_containers(fleet)
            }
        }
    }
}

/// Makes two tests of each of these functions, one for each engine.
macro_rules! on_both_engines {
    ($($test:ident),+ $(,)?) => {
        mod on_processes {
            $(#[test] fn $test() { super::$test($crate::support::Engine::Process); })+
        }
        mod on_containers {
            $(#[test] fn $test() {
                if $crate::support::Docker::answers(stringify!($test)) {
                    super::$test($crate::support::Engine::Docker);
                }
            })+
        }
    };
}
pub(crate) use on_both_engines;
