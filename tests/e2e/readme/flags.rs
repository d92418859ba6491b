//! Flags, commands and variables: each page names those of the program, and no other.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{CONTROL, quoted, table, text};
use crate::support::run_to_end;

/// Flags that the help text of a program lists, `--help` and `--version` excluded.
fn listed_flags(help: &[u8]) -> BTreeSet<String> {
    let help = String::from_utf8_lossy(help);
    let flag = |line: &str| {
        let flag = line.strip_prefix("      --")?;
        Some(format!("--{}", flag.split(' ').next()?))
    };
    let flags: BTreeSet<String> = help.lines().filter_map(flag).collect();
    assert!(!flags.is_empty(), "{help}");
    flags
}

/// Flags in the first column of the table under `head`.
fn documented_flags(page: &str, head: &str) -> BTreeSet<String> {
    let page = text(page);
    let rows = table(&page, head);
    let names = rows.iter().flat_map(|row| quoted(row[0]));
    let flags = names.filter_map(|name| name.split(' ').next());
    flags.map(str::to_owned).collect()
}

#[test]
fn every_flag_of_ctl_is_in_its_table_and_no_other() {
    let help = run_to_end(&["ctl", "--help"]);
    let documented = documented_flags(CONTROL, "| flag | meaning |");
    assert_eq!(documented, listed_flags(&help.stdout));
}

#[test]
fn every_flag_of_the_engine_proxy_alone_is_in_its_table() {
    let of = |command: &str| listed_flags(&run_to_end(&[command, "--help"]).stdout);
    let serve = of("serve");
    let proxy = of("engine-proxy");
    let is_own = |flag: &&String| *flag == "--listen" || !serve.contains(*flag);
    let own: BTreeSet<String> = proxy.iter().filter(is_own).cloned().collect();
    let documented = documented_flags("docker/README.md", "| flag of the proxy | meaning |");
    assert!(own.is_subset(&documented), "{own:?}");
    assert_eq!(documented.difference(&proxy).next(), None);
}

/// Help text of a program that the workspace builds beside ringmaster.
fn help_of(program: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_BIN_EXE_ringmaster")).with_file_name(program);
    let help = Command::new(path).arg("--help").output();
    help.expect("a program that cargo build --workspace made")
        .stdout
}

#[test]
fn every_command_of_loadgen_is_in_its_table_and_no_other() {
    let help = String::from_utf8(help_of("loadgen")).expect("text");
    let commands = help.split_once("\nCommands:\n").expect("a list").1;
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names = names.filter(|name| !name.is_empty() && *name != "help");
    let listed: BTreeSet<String> = names.map(|name| format!("loadgen {name}")).collect();
    assert!(listed.contains("loadgen run"), "{help}");
    let page = text("loadgen/README.md");
    let rows = table(&page, "| command | effect |");
    let documented: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(documented, listed.iter().map(String::as_str).collect());
}

#[test]
fn every_flag_of_the_replica_is_in_its_table_and_no_other() {
    let head = "| flag | variable | default | meaning |";
    let documented = documented_flags("replica/README.md", head);
    assert_eq!(documented, listed_flags(&help_of("replica")));
}

#[test]
fn notes_on_flags_name_flags() {
    let help = run_to_end(&["serve", "--help"]);
    let flags = listed_flags(&help.stdout);
    let noted = documented_flags("src/config/README.md", "| flag | detail |");
    assert!(noted.contains("--ring"), "{noted:?}");
    assert_eq!(noted.difference(&flags).next(), None);
}

#[test]
fn compose_passes_every_variable_except_those_that_its_table_names() {
    let compose = text("docker/compose.yaml");
    let passed = compose.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(':')?;
        let is_passed = value.is_empty() || value.contains("${");
        (name.starts_with("RINGMASTER_") && is_passed).then_some(name)
    });
    let mut passed: BTreeSet<&str> = passed.collect();
    let page = text("docker/README.md");
    let names = |head: &str| -> BTreeSet<&str> {
        let rows = table(&page, head);
        rows.iter().flat_map(|row| quoted(row[0])).collect()
    };
    let used = names("| variable | effect |");
    let left_out = names("| not passed | reason |");
    let help = run_to_end(&["serve", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    let variables = help.split("[env: ").skip(1);
    let variables: BTreeSet<&str> = variables
        .filter_map(|rest| rest.split(['=', ']']).next())
        .collect();
    assert!(variables.contains("RINGMASTER_RING"), "{variables:?}");
    let expected: BTreeSet<&str> = variables.difference(&left_out).copied().collect();
    assert_eq!(passed, expected);
    assert_eq!(left_out.difference(&variables).next(), None);
    passed.extend(["DATA_PORT", "CONTROL_PORT"]);
    assert_eq!(used.difference(&passed).next(), None);
}
