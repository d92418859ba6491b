//! Output of the program: reports on stdout, notes on stderr.

use std::io::Write;

use anyhow::Context;

/// Prints a report on stdout.
///
/// # Errors
/// Stdout is closed or cannot be written.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot print the report")
}

/// Prints one line of progress on stderr. A closed stderr is ignored: the measurement goes on.
pub(crate) fn note(line: &str) {
    let _ = writeln!(std::io::stderr(), "loadgen: {line}");
}
