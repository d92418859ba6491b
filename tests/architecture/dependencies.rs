//! Dependencies between the programs of the workspace, and of the balancer on outside crates.

use std::collections::BTreeSet;

use crate::paths::crate_positions;
use crate::source::{code, line};
use crate::tables::{FREE, OWNERS, PURE};

/// The replica and loadgen share no code with the balancer or with each other.
pub(crate) fn names_no_other_program(path: &str, text: &str) -> Vec<String> {
    let Some(own) = ["replica", "loadgen"]
        .into_iter()
        .find(|own| path.split('/').next() == Some(own))
    else {
        return vec![];
    };
    let code = code(text);
    let mut wrong = Vec::new();
    for name in ["ringmaster", "replica", "loadgen"] {
        if name != own {
            let places = crate_positions(&code, name).map(|at| line(&code, at));
            wrong.extend(places.map(|at| format!("line {at}: {own} names {name}")));
        }
    }
    wrong
}

/// Dependencies by path in the manifest of a program.
pub(crate) fn path_dependencies(manifest: &str) -> Vec<&str> {
    let lines = manifest.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter(|line| {
            let keys = line.split(['{', ',']);
            keys.map(str::trim_start)
                .any(|key| key.starts_with("path ") || key.starts_with("path="))
                || line
                    .split('=')
                    .next()
                    .is_some_and(|key| key.trim().ends_with(".path"))
        })
        .collect()
}

/// Dependencies of the balancer's manifest that stand in neither table, entries of the tables that
/// are no dependency, and sections that this function does not read.
pub(crate) fn unowned_dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split_once("\n[dependencies]\n");
    let lines = section.map_or("", |(_, lines)| lines).lines();
    let lines = lines.take_while(|line| !line.starts_with('['));
    let listed: BTreeSet<String> = lines
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect();
    let known = OWNERS.iter().map(|(name, _)| *name).chain(FREE);
    let known: BTreeSet<String> = known.map(str::to_owned).collect();
    let unknown = listed.difference(&known);
    let unknown = unknown.map(|name| format!("{name} stands neither in OWNERS nor in FREE"));
    let stale = known.difference(&listed);
    let stale = stale.map(|name| format!("{name} is no dependency: remove it from the tables"));
    let sections = manifest
        .lines()
        .filter(|line| line.starts_with("[dependencies.") || line.starts_with("[target."));
    let sections = sections.map(|line| format!("{line}: write it into [dependencies]"));
    unknown.chain(stale).chain(sections).collect()
}

/// Paths that the tables name.
pub(crate) fn table_paths() -> BTreeSet<&'static str> {
    let owners = OWNERS.iter().flat_map(|(_, owners)| owners.iter().copied());
    owners.chain(PURE).collect()
}

#[test]
fn programs_that_name_each_other_are_found() {
    let found = |path, text| names_no_other_program(path, text).len();
    assert_eq!(found("replica/src/main.rs", "use ringmaster::wire;"), 1);
    assert_eq!(found("loadgen/src/a.rs", "::replica::run()"), 1);
    let good = "use crate::replica::X; let ringmaster = 1; // ringmaster::x";
    assert_eq!(found("loadgen/src/a.rs", good), 0);
    assert_eq!(found("tests/e2e/a.rs", "use ringmaster::wire;"), 0);
}

#[test]
fn dependencies_by_path_are_found() {
    for bad in [
        "ringmaster = { path = \"..\" }",
        "ringmaster = { version = \"1\", path=\"..\" }",
        "ringmaster.path = \"..\"",
        "[dependencies.ringmaster]\npath = \"..\"",
    ] {
        assert_eq!(path_dependencies(bad).len(), 1, "{bad}");
    }
    assert!(path_dependencies("paths = 1\n# path = 2\ntokio.workspace = true").is_empty());
}

#[test]
fn dependencies_without_an_owner_are_found() {
    let known = OWNERS.iter().map(|(name, _)| *name).chain(FREE);
    let known: String = known
        .map(|name| format!("{name}.workspace = true\n"))
        .collect();
    let manifest = format!("\n[dependencies]\n{known}[dev-dependencies]\nurl = \"1\"\n");
    assert!(unowned_dependencies(&manifest).is_empty());
    let more = manifest.replace("nix.w", "left-pad = { version = \"1\" }\nnix.w");
    assert_eq!(
        unowned_dependencies(&more),
        ["left_pad stands neither in OWNERS nor in FREE"]
    );
    let hidden =
        format!("{manifest}\n[dependencies.left-pad]\n[target.'cfg(unix)'.dependencies]\n");
    assert_eq!(unowned_dependencies(&hidden).len(), 2);
    let fewer = manifest.replace("nix.workspace = true\n", "");
    assert_eq!(unowned_dependencies(&fewer).len(), 1);
}
