//! The flag about the sandbox.

use clap::ValueEnum;

use crate::sandbox::Sandbox;

/// Use of the sandbox by the threads that read bytes of strangers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SandboxMode {
    /// They enter it, with what the kernel has.
    Auto,
    /// They do not.
    Off,
}

impl SandboxMode {
    /// Returns the sandbox of this kernel, or one that restricts nothing.
    #[must_use]
    pub fn sandbox(self) -> Sandbox {
        match self {
            Self::Auto => Sandbox::detect(),
            Self::Off => Sandbox::default(),
        }
    }
}

/// The flag.
#[derive(Debug, clap::Args)]
#[expect(missing_docs, reason = "the help texts are the docs")]
pub struct SandboxArgs {
    #[arg(
        long,
        env = "RINGMASTER_SANDBOX",
        default_value = "auto",
        help = "Sandbox of the workers and the control port: no file, no program, few system calls (Landlock, seccomp; what the kernel has)"
    )]
    pub sandbox: SandboxMode,
}
