//! Entries of a configuration file before the flags' own parser.

use std::path::Path;

use clap::CommandFactory as _;
use proptest::prelude::*;

use crate::config::cli::Args;
use crate::config::file::ConfigFile;
use crate::config::file_flags::{judge, setting_flags};

/// Names of all settings.
fn names() -> Vec<String> {
    let command = Args::command();
    let serve = command.find_subcommand("serve").unwrap();
    let flags = setting_flags(serve);
    flags.map(|(name, _)| name.to_owned()).collect()
}

fn judged(text: &str) -> Result<(), String> {
    let names = names();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let file = ConfigFile::parse(Path::new("r.toml"), text.as_bytes(), &known, false)?;
    judge(&file, &Args::command(), "serve")
}

#[test]
fn the_flag_judges_the_value_and_the_error_has_its_position() {
    for (text, sentence) in [
        (
            "\nmax-head = \"16XB\"",
            "invalid value '16XB' for 'max-head in r.toml, line 2, column 12': ",
        ),
        (
            "engine = \"podman\"",
            "invalid value 'podman' for 'engine in r.toml, line 1, column 10' [possible values: ",
        ),
        (
            "control-host = [\"a\",\n\"b c\"]",
            "invalid value 'b c' for 'control-host in r.toml, line 2, column 1': ",
        ),
        (
            "accept-proxy = [\"10.0.0.0/8\", \"::1,x\"]",
            "invalid value 'x' for 'accept-proxy in r.toml, line 1, column 31': ",
        ),
        (
            "control-token = \"hunter 2\"",
            "invalid value '***' for 'control-token in r.toml, line 1, column 17': ",
        ),
        (
            "retries = -1",
            "invalid value '-1' for 'retries in r.toml, line 1, column 11': ",
        ),
        (
            "takeover = 1",
            "takeover in r.toml, line 1, column 12, is neither true nor false",
        ),
        (
            "takeover = \"true\"",
            "takeover in r.toml, line 1, column 12, is neither true nor false",
        ),
        (
            "listen = [\"127.0.0.1:1\"]",
            "listen in r.toml, line 1, column 10, is a list, and the setting has one value",
        ),
        (
            "config = \"other.toml\"",
            "config in r.toml, line 1, column 1, is not a setting",
        ),
    ] {
        let err = judged(text).unwrap_err();
        assert!(err.starts_with(sentence), "{err}");
        assert!(!err.contains("hunter"), "{err}");
    }
}

#[test]
fn every_type_of_value_is_accepted_where_the_flag_accepts_it() {
    judged(
        "max-connections = 9_000\nbound = 1.03\nno-splice = true\ntakeover = false\n\
         replica-read-only = true\nhead-timeout = '250ms'\nbackend = []\n\
         control-host = \"a\"\nreplica-env = [\"A=b c\", \"C=--d\"]\nvia = \"edge-1\"\n",
    )
    .unwrap();
}

proptest! {
    #[test]
    fn no_value_of_any_setting_panics(
        at in any::<prop::sample::Index>(),
        value in "(\"[ -~&&[^\"\\\\]]{0,12}\"|-?[0-9]{1,20}|[0-9]\\.[0-9]|true|false|\\[\"[a-z=:,/ -]{0,8}\"\\])",
    ) {
        let names = names();
        if let Err(sentence) = judged(&format!("{} = {value}", at.get(&names))) {
            prop_assert!(sentence.contains("r.toml, line 1, column "), "{}", sentence);
        }
    }
}
