//! Command line: the subcommands, and how they are read from the arguments, the environment and the
//! configuration file.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{
    Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
};

use super::args::ServeArgs;
use super::ctl::CtlArgs;
use super::engine_proxy::EngineProxyArgs;
use super::file::ConfigFile;
use super::file_flags::{arguments, judge, sentence, setting_flags};
use super::listen::{ListenOn, listen_on};
use super::sources::{self, name_variable};
use crate::settings::Settings;

/// A layer-4 TCP proxy balancer that keeps its own replicas alive.
#[derive(Debug, Parser)]
#[command(name = "ringmaster", version, max_term_width = 100)]
pub struct Args {
    /// Subcommand.
    #[command(subcommand)]
    pub command: CliCommand,
}

impl Args {
    /// Parses the command line, the environment and the configuration file; bad usage exits with 2.
    /// Also returns the source of each value.
    #[must_use]
    pub fn read() -> (Self, Settings) {
        Self::try_read().unwrap_or_else(|err| err.exit())
    }

    /// Parses the command line and the environment again, and the configuration file as it is now.
    /// Returns the flags of `serve`.
    ///
    /// # Errors
    /// A sentence for the user, with the position in the file.
    pub(crate) fn read_again() -> Result<(Box<ServeArgs>, Settings), String> {
        let (args, settings) = Self::try_read().map_err(|err| sentence(&err))?;
        match args.command {
            CliCommand::Serve(serve_args) => Ok((serve_args, settings)),
            _ => Err("this process was not started by 'serve'".to_owned()),
        }
    }

    fn try_read() -> Result<(Self, Settings), clap::Error> {
        let words: Vec<OsString> = std::env::args_os().collect();
        let mut command = command();
        let typed = command.try_get_matches_from_mut(&words).map_err(|err| {
            let typed = words.iter().map(|word| word.to_string_lossy().into_owned());
            name_variable(err, &command, &typed.collect::<Vec<_>>())
        })?;
        let Some((name, flags)) = typed.subcommand() else {
            return Ok((Self::from_arg_matches(&typed)?, Settings::default()));
        };
        // With all variables, also the empty ones.
        let known = Self::command();
        let none = Command::default();
        let subcommand = known.find_subcommand(name).unwrap_or(&none);
        // Other subcommands have no such flag.
        let path = flags.try_get_one::<PathBuf>("config").ok().flatten();
        let Some(path) = path else {
            let settings = sources::settings(subcommand, flags, flags, None);
            return Ok((Self::from_arg_matches(&typed)?, settings));
        };
        let (file, in_file) = read_file(path, &known, name, flags)
            .map_err(|sentence| clap::Error::raw(ErrorKind::ValueValidation, sentence + "\n"))?;
        let (before, after) = words.split_at(SUBCOMMAND + 1);
        let all = command.try_get_matches_from_mut([before, &in_file, after].concat())?;
        let (_, merged) = all.subcommand().unwrap_or((name, flags));
        let settings = sources::settings(subcommand, flags, merged, Some(&file));
        Ok((Self::from_arg_matches(&all)?, settings))
    }
}

/// Place of the subcommand among the words of the command line.
const SUBCOMMAND: usize = 1;

/// Returns the parser. An empty variable counts as unset: compose makes one of `${TOKEN:-}`.
fn command() -> Command {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let unset = |arg: Arg| match arg.get_env() {
        Some(name) if is_empty(name) => arg.env(Resettable::Reset),
        _ => arg,
    };
    Args::command().mut_subcommands(|sub| sub.mut_args(unset))
}

/// Reads the configuration file and judges all of it by `known`, the parser with all variables.
/// Also returns, as arguments, the entries that neither the command line nor a variable overrides.
fn read_file(
    path: &Path,
    known: &Command,
    subcommand: &str,
    typed: &ArgMatches,
) -> Result<(ConfigFile, Vec<OsString>), String> {
    let flags = known.find_subcommand(subcommand).into_iter();
    let flags: Vec<(&str, &Arg)> = flags.flat_map(setting_flags).collect();
    let names: Vec<&str> = flags.iter().map(|(name, _)| *name).collect();
    let file = ConfigFile::read(path, &names)?;
    judge(&file, known, subcommand)?;
    let mut in_file = Vec::new();
    for (name, arg) in flags {
        if let Some(entry) = file.entry(name)
            && sources::is_set(arg, typed).is_none()
        {
            in_file.extend(arguments(&file, entry, arg)?);
        }
    }
    Ok((file, in_file))
}

/// Subcommand of the program.
#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Balance requests over replicas, and keep the replicas alive.
    Serve(Box<ServeArgs>),
    /// Check the flags of `serve` and its configuration file, without opening a port
    ///
    /// Takes the flags and variables of `serve`, and also reads the file of `--state`. Opens no
    /// port, looks up no name or image, and writes no file.
    ///
    /// Exit codes:
    ///   0  `serve` would start with these settings
    ///   2  it would not; the error names file, line and column
    #[command(verbatim_doc_comment)]
    Check(Box<ServeArgs>),
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
        /// Address of the balancer's control port, or unix:PATH
        #[arg(long, env = "RINGMASTER_CONTROL", default_value = "127.0.0.1:5001", value_parser = listen_on)]
        control: ListenOn,
    },
    /// Hold the engine's socket for a balancer, and let through only the calls that it makes
    ///
    /// The balancer's DOCKER_HOST is the socket of --listen, and that of this process is the
    /// engine's: unix:// or tcp://, by default unix:///var/run/docker.sock. A call that the flags
    /// do not permit is answered 403 and logged. Give both processes the same flags and variables
    /// about containers.
    EngineProxy(Box<EngineProxyArgs>),
    /// Write the manual pages and the completions for shells.
    Docs {
        /// Folder to write them to; created if missing
        folder: PathBuf,
    },
}
