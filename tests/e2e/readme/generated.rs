//! Generated blocks: the list of commands and the table of flags, byte for byte as the program has
//! them.

use super::{root, text};
use crate::support::{Ringmaster, run_to_end};

/// Compares the text between `begin` and `end` in a page with `expected`, or writes it.
#[track_caller]
fn check_block(page: &str, begin: &str, end: &str, expected: &str) {
    let whole = text(page);
    let (before, rest) = whole.split_once(begin).expect(begin);
    let (block, after) = rest.split_once(end).expect(end);
    if std::env::var_os("RINGMASTER_WRITE_README").is_some() {
        let written = format!("{before}{begin}{expected}{end}{after}");
        std::fs::write(root().join(page), written).expect(page);
    } else {
        let hint = "RINGMASTER_WRITE_README=1 writes it";
        assert!(
            block == expected,
            "{page} is out of date ({hint}); expected:\n{expected}"
        );
    }
}

#[test]
fn every_command_is_listed_as_help_lists_it() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let help = program.command("help");
    assert!(
        help.contains("\nshow [NAME|config|clients] ") && help.ends_with("\n\n"),
        "{help}"
    );
    let begin = "$ echo help | nc -N localhost 5001\n";
    check_block(
        "src/control/README.md",
        begin,
        "\n\n$",
        help.trim_end_matches('\n').to_owned().as_str(),
    );
}

#[test]
fn every_flag_is_in_the_table_as_help_explains_it() {
    let help = run_to_end(&["serve", "--help"]);
    let help = String::from_utf8(help.stdout).expect("text");
    let flags = flags(&help);
    assert!(flags.len() > 50, "{help}");
    let mut block = String::from("\n| flag | default | meaning |\n|---|---|---|\n");
    for Flag {
        name,
        default,
        meaning,
    } in flags
    {
        block.push_str(&format!("| `{name}` | {default} | {meaning} |\n"));
    }
    let (begin, end) = ("<!-- generated -->\n", "\n<!-- end of generated -->");
    check_block("src/config/README.md", begin, end, &block);
}

/// A flag as `--help` explains it, in the columns of the table.
#[derive(Debug, PartialEq, Eq)]
struct Flag {
    name: String,
    default: String,
    meaning: String,
}

/// Flags of a help text of clap: a line for the flag, then indented lines about it.
fn flags(help: &str) -> Vec<Flag> {
    let entries = help.split("\n      --").skip(1);
    entries.map(|entry| flag(&format!("--{entry}"))).collect()
}

fn flag(entry: &str) -> Flag {
    let (name, about) = entry.split_once('\n').unwrap_or((entry, ""));
    let about = about.split("\n  -h, --help").next().unwrap_or(about);
    let (mut sentence, mut values, mut default) = (Vec::new(), Vec::new(), String::new());
    for line in about.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(value) = line.strip_prefix("[default: ") {
            default = format!("`{}`", value.trim_end_matches(']'));
        } else if let Some(value) = line.strip_prefix("- ") {
            values.push(value.to_owned());
        } else if line == "Possible values:" || line.starts_with("[env: ") {
        } else if let Some(value) = values.last_mut() {
            value.push_str(&format!(" {line}"));
        } else {
            sentence.push(line);
        }
    }
    let sentence = sentence.join(" ");
    // A default that is no value stands at the end of the sentence.
    let (mut meaning, default) = match sentence.split_once(" [default: ") {
        Some((meaning, words)) => (meaning.to_owned(), words.trim_end_matches(']').to_owned()),
        None => (sentence, default),
    };
    for value in values {
        let (word, means) = value.split_once(':').unwrap_or((&value, ""));
        meaning.push_str(&format!("; `{word}`: {}", means.trim()));
    }
    Flag {
        name: without_default_value_name(name.trim()),
        default,
        meaning: meaning.replace('|', "\\|"),
    }
}

/// The flag with the name of its value, unless that is the flag again.
fn without_default_value_name(name: &str) -> String {
    let Some((flag, value)) = name.split_once(' ') else {
        return name.to_owned();
    };
    let value = value.trim_matches(['<', '>']);
    if flag[2..].replace('-', "_").eq_ignore_ascii_case(value) {
        return flag.to_owned();
    }
    format!("{flag} {}", value.replace('|', "\\|"))
}

#[test]
fn flags_are_read_with_their_defaults_and_values() {
    let help = "Options:\n      --on-exit <ON_EXIT>\n          What becomes of\n          \
                containers\n\n          Possible values:\n          - remove: They are\n            \
                removed\n          - keep:   They stay\n          \n          \
                [env: RINGMASTER_ON_EXIT=]\n          [default: remove]\n\n      \
                --standby <K>\n          Threads [default: the CPUs]\n\n  -h, --help\n          \
                Print help\n";
    let flag = |name: &str, default: &str, meaning: &str| Flag {
        name: name.to_owned(),
        default: default.to_owned(),
        meaning: meaning.to_owned(),
    };
    let expected = [
        flag(
            "--on-exit",
            "`remove`",
            "What becomes of containers; `remove`: They are removed; `keep`: They stay",
        ),
        flag("--standby K", "the CPUs", "Threads"),
    ];
    assert_eq!(flags(help), expected);
}
