//! `ringmaster docs`: writes the manual pages and the shell completions from the table that parses
//! the flags. `make docs` runs it; it is a subcommand, so that an installed program can write them
//! as well.
//!
//! Completions offer the text commands as words of `ctl`, which accepts any word: a newer balancer
//! may know more of them.

use std::fs::File;
use std::io;
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config::Args;
use crate::control::command::{COMMANDS, FOOTNOTE};

/// Writes all pages into `folder`, which is created if missing: `ringmaster.1`, one page per
/// subcommand, and one completion file per shell, named as the shell expects.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    for page in [&command].into_iter().chain(command.get_subcommands()) {
        let man = Man::new(page.clone())
            .source(concat!("ringmaster ", env!("CARGO_PKG_VERSION")))
            .manual("Ringmaster");
        let mut file = File::create(folder.join(man.get_filename()))?;
        man.render(&mut file)?;
        if page.get_name() == "ctl" {
            text_commands().to_writer(&mut file)?;
        }
    }
    let names = COMMANDS.iter().map(|entry| entry.name);
    let offer = |arg: clap::Arg| arg.value_parser(PossibleValuesParser::new(names));
    let mut command = Args::command().mut_subcommand("ctl", |ctl| ctl.mut_arg("words", offer));
    for shell in Shell::value_variants() {
        clap_complete::generate_to(*shell, &mut command, "ringmaster", folder)?;
    }
    Ok(())
}

/// Section of the manual page about the text commands of the control port.
fn text_commands() -> Roff {
    let mut section = Roff::new();
    section.control("SH", ["COMMANDS"]);
    for entry in COMMANDS {
        section
            .control("TP", [])
            .text([bold(entry.usage)])
            .text([roman(format!("{}.", entry.about))]);
        for line in entry.more {
            section.text([roman(*line)]);
        }
    }
    section.control("PP", []).text([roman(FOOTNOTE)]);
    section
}
