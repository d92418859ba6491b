//! The shape of the house is a test: imports only go down the floors, files and functions stay short,
//! every file says what it is, and an outside crate is named only by the file that owns it.
//!
//! The rules are in architecture/rules.rs and read every .rs file of the workspace, committed or not.

#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rules::{RULES, stands_at_the_top};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every .rs file below `folder`, with its path from the repository's root.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let from_root = path.strip_prefix(root()).expect("below the root");
            all.push((
                from_root.to_string_lossy().into_owned(),
                std::fs::read_to_string(&path).expect("UTF-8 text"),
            ));
        }
    }
    all
}

#[test]
fn every_file_keeps_the_rules() {
    let mut wrong = BTreeSet::new();
    let mut files = 0;
    for folder in ["src", "replica", "loadgen", "tests"] {
        for (path, text) in sources(&root().join(folder)) {
            files += 1;
            let all = RULES.iter().flat_map(|rule| rule(&path, &text));
            wrong.extend(all.map(|what| format!("{path}: {what}")));
        }
    }
    assert!(files > 10, "only {files} files were found");
    assert!(wrong.is_empty(), "{}", Vec::from_iter(wrong).join("\n"));
}

#[test]
fn the_top_level_is_complete() {
    let git = ["-c", "safe.directory=*", "ls-files", "-z"];
    let list = Command::new("git")
        .args(git)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(list.status.success(), "{list:?}");
    let list = String::from_utf8(list.stdout).unwrap();
    let names: BTreeSet<&str> = list
        .split_terminator('\0')
        .filter_map(|path| path.split('/').next())
        .collect();
    assert!(names.contains("Cargo.toml"), "{names:?}");
    let wrong = stands_at_the_top(&names);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
