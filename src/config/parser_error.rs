//! Errors of the flags' parser: the flag that they are about, and secrets in them.

use clap::Arg;
use clap::error::{ContextKind, ContextValue};

/// Text in an error in place of a secret.
const SECRET: &str = "***";

/// Returns the flag that an error is about, with its dashes.
pub(super) fn flag_in(err: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(argument)) = err.get(ContextKind::InvalidArg) else {
        return None;
    };
    argument.split([' ', '=']).next().map(str::to_owned)
}

/// Hides the value in an error about a secret, because the error may go to a log.
pub(super) fn hide_secret(err: &mut clap::Error, arg: Option<&Arg>) {
    if arg.is_some_and(Arg::is_hide_env_values_set) {
        let hidden = ContextValue::String(SECRET.to_owned());
        err.insert(ContextKind::InvalidValue, hidden);
    }
}
