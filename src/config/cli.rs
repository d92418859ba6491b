//! Command line: the subcommands, and how they are read from the arguments and the environment.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Arg, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::args::ServeArgs;
use super::ctl::CtlArgs;
use super::parsers::address;
use super::variable_sources::{VariableSources, name_variable};

/// A layer-4 TCP proxy balancer that keeps its own replicas alive.
#[derive(Debug, Parser)]
#[command(name = "ringmaster", version, max_term_width = 100)]
pub struct Args {
    /// Subcommand.
    #[command(subcommand)]
    pub command: CliCommand,
}

impl Args {
    /// Parses the command line and the environment; bad usage exits with 2. An empty variable
    /// counts as unset: compose makes one of `${TOKEN:-}`. Also returns the flags that variables
    /// have set.
    #[must_use]
    pub fn read() -> (Self, VariableSources) {
        let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
        let unset = |arg: Arg| match arg.get_env() {
            Some(name) if is_empty(name) => arg.env(Resettable::Reset),
            _ => arg,
        };
        let mut command = Self::command();
        command = command.mut_subcommands(|sub| sub.mut_args(unset));
        let matches = command.try_get_matches_from_mut(std::env::args_os());
        let parsed = matches.and_then(|matches| {
            let sources = VariableSources::new(&command, &matches);
            Ok((Self::from_arg_matches(&matches)?, sources))
        });
        parsed.unwrap_or_else(|err| {
            let typed: Vec<String> = std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect();
            name_variable(err, &command, &typed).exit()
        })
    }
}

/// Subcommand of the program.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Balance requests over replicas, and keep the replicas alive.
    Serve(Box<ServeArgs>),
    /// Send a command to a running balancer; the exit code tells the result
    ///
    /// Exit codes:
    ///   0  the balancer carried the command out
    ///   1  the balancer refused it, is unreachable, or closed the connection
    ///      before the last answer (always so for a stream that it closes)
    ///   2  bad usage
    #[command(verbatim_doc_comment)]
    Ctl(CtlArgs),
    /// Check that a running balancer is alive; the exit code tells the result
    Healthcheck {
        /// Address of the balancer's control port
        #[arg(long, env = "RINGMASTER_CONTROL", default_value = "127.0.0.1:5001", value_parser = address)]
        control: SocketAddr,
    },
    /// Write the manual pages and the completions for shells.
    Docs {
        /// Folder to write them to; created if missing
        folder: PathBuf,
    },
}
