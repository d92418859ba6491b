//! The text commands: their table, their typed form, and the parser of a line.
//!
//! Pure: the input is the bytes of a line, the result are commands. Access rules and execution are
//! elsewhere. HTTP requests become the same [`ControlCommand`] (`http/extract.rs`).

pub(super) mod arguments;
mod control_command;
mod line;
mod replace_command;
mod replica_commands;
mod ring_commands;
mod table;

pub use control_command::{CommandSpec, ControlCommand};
pub use line::{MAX_COMMANDS, ParsedCommand, parse};
pub(super) use replace_command::parse_replace_text;
pub use table::{COMMANDS, FOOTNOTE};

#[cfg(test)]
mod tests;
