//! README.md keeps up: it names every flag, every crate and only files that exist.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::run_to_end;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// The first words in backticks of the rows of tables.
fn rows(readme: &str) -> BTreeSet<String> {
    let cells = readme.lines().filter_map(|line| line.strip_prefix("| `"));
    let words = cells.filter_map(|cell| cell.split(['`', ' ']).next());
    words.map(str::to_owned).collect()
}

#[test]
fn every_flag_is_in_the_table_and_no_other() {
    let help = run_to_end(&["serve", "--help"]);
    let help = String::from_utf8(help.stdout).expect("text");
    let begins = |line: &str| {
        let flag = line.strip_prefix("      --")?;
        Some(format!("--{}", flag.split(' ').next()?))
    };
    let flags: BTreeSet<String> = help.lines().filter_map(begins).collect();
    assert!(flags.contains("--listen"), "{help}");
    let told = rows(&text("README.md"));
    let told: BTreeSet<String> = told
        .into_iter()
        .filter(|row| row.starts_with("--"))
        .collect();
    assert_eq!(told, flags);
}

#[test]
fn every_crate_has_its_reason() {
    let manifest = text("Cargo.toml");
    let crates = manifest
        .split("[workspace.dependencies]\n")
        .nth(1)
        .expect("a list");
    let crates = crates.lines().take_while(|line| !line.starts_with('['));
    let names = crates.filter_map(|line| Some(line.split_once(" =")?.0));
    let readme = text("README.md");
    let reasons = readme.split("\n| crate | for |\n").nth(1).expect("a table");
    let reasons: BTreeSet<&str> = reasons
        .lines()
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| line.split('|').nth(1).unwrap_or_default().split(','))
        .map(str::trim)
        .collect();
    let untold: Vec<&str> = names.filter(|name| !reasons.contains(name)).collect();
    assert!(untold.is_empty() && reasons.contains("tokio"), "{untold:?}");
}

#[test]
fn the_files_it_names_exist() {
    let readme = text("README.md");
    let quoted = readme.split('`').skip(1).step_by(2);
    let ours = ["src/", "replica/", "loadgen/", "tests/", "docker/"];
    let paths = quoted.filter(|path| ours.iter().any(|folder| path.starts_with(folder)));
    let paths: Vec<&str> = paths.filter(|path| !path.contains(' ')).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        assert!(root().join(path).exists(), "{path}");
    }
}
