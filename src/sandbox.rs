//! Sandbox of the threads that read bytes of strangers: the workers and the control port.
//!
//! A thread that has entered it opens no file but those in [`READABLE`], starts no program, binds
//! no port, and makes only the system calls in `syscalls`. The kernel refuses all else with EPERM
//! or EACCES. Each thread enters for itself, because the fleet and the supervisor start replicas
//! and successors. Threads share their memory and their descriptors, and a worker may connect to
//! any address. So the sandbox is a second barrier behind memory safety, and no replacement for it.
//!
//! Files and ports are Landlock's part (landlock(7)), system calls are that of seccomp(2). A kernel
//! without one of them has the other alone.

mod syscalls;

use std::io;
use std::sync::Arc;
use std::thread;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use seccompiler::BpfProgram;

/// Files that a thread in the sandbox may read: the reserve descriptor, random numbers (a static
/// program does not find getrandom(2)), and the figures of this process.
const READABLE: [&str; 4] = ["/dev/null", "/dev/random", "/dev/urandom", "/proc/self"];

/// Newest version of Landlock whose rights are used. An older kernel restricts those that it knows.
const LANDLOCK: ABI = ABI::V6;

/// Sandbox that threads can enter; [`Sandbox::default`] restricts nothing.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    files: bool,
    /// Programs in the order in which a thread loads them.
    calls: Arc<[BpfProgram]>,
}

impl Sandbox {
    /// Returns a sandbox with what this kernel has. A short-lived thread tries it.
    #[must_use]
    pub fn detect() -> Self {
        let calls = syscalls::programs().unwrap_or_else(|why| {
            tracing::warn!("the sandbox has no filter of system calls: {why}");
            Arc::default()
        });
        let mut wanted = Self { files: true, calls };
        let trial = thread::spawn(move || {
            wanted.files = match restrict_files() {
                Ok(is_enforced) => is_enforced,
                Err(err) => {
                    tracing::warn!("Landlock cannot be used: {err}");
                    false
                }
            };
            if let Err(err) = load(&wanted.calls) {
                tracing::warn!("seccomp cannot be used: {err}");
                wanted.calls = Arc::default();
            }
            wanted
        });
        let found = trial.join().unwrap_or_default();
        let parts = found.as_str();
        match found.files && !found.calls.is_empty() {
            true => tracing::debug!("sandbox of the workers and the control port: {parts}"),
            false => tracing::info!("sandbox of the workers and the control port: {parts}"),
        }
        found
    }

    /// Names the parts that the kernel has.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match (self.files, self.calls.is_empty()) {
            (true, false) => "Landlock and seccomp",
            (true, true) => "Landlock alone",
            (false, false) => "seccomp alone",
            (false, true) => "none",
        }
    }

    /// Restricts the calling thread, and all threads that it starts, for good.
    ///
    /// # Errors
    /// The kernel refuses what it took from the thread that tried it.
    pub fn enter(&self) -> io::Result<()> {
        if self.files {
            restrict_files().map_err(io::Error::other)?;
        }
        load(&self.calls)
    }
}

/// Restricts the files and ports of this thread. Returns `false` if the kernel has no Landlock.
fn restrict_files() -> Result<bool, RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::Signal | Scope::AbstractUnixSocket)?
        .create()?;
    // A file that does not exist needs no rule.
    let paths = READABLE.iter().filter_map(|path| PathFd::new(path).ok());
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let rules =
        rules.add_rules(paths.map(|path| Ok::<_, RulesetError>(PathBeneath::new(path, read))))?;
    let status = rules.restrict_self()?.ruleset;
    Ok(status != RulesetStatus::NotEnforced)
}

/// Loads filters of system calls for this thread.
fn load(programs: &[BpfProgram]) -> io::Result<()> {
    for program in programs {
        seccompiler::apply_filter(program).map_err(io::Error::other)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
