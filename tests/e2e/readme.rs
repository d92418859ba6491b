//! README.md keeps up: it names every flag, command, path, metric and crate, and only files that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::{Ringmaster, exchange, run_to_end};

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

/// The rows of the table under this head, each as its cells.
fn table<'r>(readme: &'r str, head: &str) -> Vec<Vec<&'r str>> {
    let begun = readme.split_once(&format!("\n{head}\n")).expect(head).1;
    let rows = begun.lines().take_while(|line| line.starts_with('|'));
    let cells = |row: &'r str| row.split('|').skip(1).collect();
    rows.skip(1).map(cells).collect()
}

/// What stands in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn every_command_is_listed_as_help_lists_it() {
    let program = Ringmaster::start(&["--replicas", "1"]);
    let help = program.command("help");
    assert!(
        help.contains("\nshow [NAME] ") && help.ends_with("\n\n"),
        "{help}"
    );
    let transcript = format!("$ echo help | nc -N localhost 5001\n{help}");
    assert!(text("README.md").contains(&transcript), "{transcript}");
}

#[test]
fn every_path_is_in_the_table_and_no_other() {
    let described: Value =
        serde_json::from_str(&text("src/control/openapi.json")).expect("a description");
    let mut known = BTreeSet::new();
    for (path, methods) in described["paths"].as_object().expect("paths") {
        let methods = methods.as_object().expect("methods").keys();
        let methods = methods.filter(|method| ["get", "post", "delete"].contains(&method.as_str()));
        known.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert!(known.contains("POST /replicas/{name}/drain"), "{known:?}");
    // The page is told of elsewhere.
    known.retain(|path| path != "GET /" && !path.contains("/dashboard/"));
    let readme = text("README.md");
    let rows = table(&readme, "| path | command |");
    let pieces = rows.iter().flat_map(|row| quoted(row[0]));
    let paths = pieces.filter(|piece| piece.contains(" /"));
    let told: BTreeSet<String> = paths
        .map(|path| path.split('?').next().unwrap_or(path))
        .map(|path| path.replace("NAME", "{name}").replace("KEY", "{key}"))
        .collect();
    assert_eq!(told, known);
}

/// The families of a scrape, each with the labels of its samples but for the limits of classes.
fn families(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut families = BTreeMap::<String, BTreeSet<String>>::new();
    let mut current = String::new();
    for line in scrape.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ringmaster_") {
            current = rest.split(' ').next().unwrap_or(rest).to_owned();
            families.entry(current.clone()).or_default();
        } else if let Some((_, labels)) = line.split_once('{') {
            let names = labels.split('"').step_by(2).filter_map(|name| {
                let name = name.strip_suffix('=')?.trim_start_matches(',');
                (name != "le").then(|| name.to_owned())
            });
            families.get_mut(&current).expect("a family").extend(names);
        }
    }
    families
}

#[test]
fn every_metric_is_in_the_table_with_its_labels_and_no_other() {
    let program = Ringmaster::start(&["--replicas", "2"]);
    let scrape = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let known = families(&exchange(program.control, scrape).text());
    let labels: Vec<&String> = known["requests_total"].iter().collect();
    assert_eq!(labels, ["seat", "way"]);
    let readme = text("README.md");
    let mut told = BTreeSet::new();
    for row in table(&readme, "| metric | labels | what |") {
        let names: Vec<&str> = quoted(row[0]).collect();
        let labels: BTreeSet<String> = quoted(row[1]).map(str::to_owned).collect();
        let met = names.iter().filter_map(|name| known.get(*name)).flatten();
        assert_eq!(labels, met.cloned().collect(), "labels of {names:?}");
        told.extend(names.into_iter().map(str::to_owned));
    }
    assert_eq!(told, known.into_keys().collect());
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
        .filter(|name| *name != "---")
        .collect();
    let names: BTreeSet<&str> = names.collect();
    assert!(names.contains("tokio"), "no list of crates was found");
    assert_eq!(names, reasons, "left: Cargo.toml, right: README.md");
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
