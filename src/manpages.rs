//! `ringmaster docs`: writes the manual pages and the completions for shells, made from the same table of
//! flags that reads them. `make docs` runs it; it is a command of the program, so that whoever has nothing
//! else can ask it too.
//!
//! Surprising: completions offer the text commands as words of `ctl`, which takes any word: what it sends
//! may be meant for a newer balancer.

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

/// Writes all of them into `folder`, which is made if it is missing: `ringmaster.1` and one page for each
/// command, and one file for each shell that is known, named as that shell wants it.
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

/// The section of the manual that tells what may be said to the control port.
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
