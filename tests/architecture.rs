//! The shape of the workspace is a test. Imports only go down the layers and form no cycle; files
//! and functions stay short, and a type has few methods. Every file has a header, and an outside
//! crate is named only by the file that owns it. Comments, texts and pages keep the rules of the
//! language.
//!
//! The rules are in architecture/ and read every file of the workspace, committed or not.

#[path = "architecture/cycles.rs"]
mod cycles;
#[path = "architecture/dependencies.rs"]
mod dependencies;
#[path = "architecture/methods.rs"]
mod methods;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/prose.rs"]
mod prose;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;
#[path = "architecture/tables.rs"]
mod tables;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use cycles::import_cycles;
use dependencies::{path_dependencies, table_paths, unowned_dependencies};
use methods::scattered_types;
use prose::{banned_words, page_speaks_plainly, speaks_plainly};
use rules::{RULES, differences_at_top_level};

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
    assert!(files > 600, "only {files} files were found");
    assert!(wrong.is_empty(), "{}", Vec::from_iter(wrong).join("\n"));
}

#[test]
fn comments_texts_and_pages_speak_plainly() {
    let mut wrong = Vec::new();
    for folder in ["src", "replica", "loadgen", "tests"] {
        for (path, text) in sources(&root().join(folder)) {
            let all = speaks_plainly(&path, &text);
            wrong.extend(all.into_iter().map(|what| format!("{path}: {what}")));
        }
    }
    let mut others = 0;
    for path in tracked().into_iter().filter(|path| is_text(path)) {
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else {
            continue; // Deleted, and not committed yet.
        };
        let all = if path.ends_with(".md") {
            page_speaks_plainly(&path, &text)
        } else {
            banned_words(&path, &text)
        };
        others += 1;
        wrong.extend(all.into_iter().map(|what| format!("{path}: {what}")));
    }
    assert!(others > 35, "only {others} other files were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns `true` for pages, the dashboard, build files and scripts: texts that are not Rust.
fn is_text(path: &str) -> bool {
    let endings = [
        ".md", ".js", ".html", ".css", ".toml", ".yaml", ".yml", ".sh", "Makefile",
    ];
    endings.iter().any(|ending| path.ends_with(ending))
        || ["docker/", ".ci/", "tests/api/"]
            .iter()
            .any(|folder| path.starts_with(folder))
}

#[test]
fn types_keep_their_methods_together_and_few() {
    let all = ["src", "replica/src", "loadgen/src"].into_iter();
    let sources: Vec<_> = all
        .flat_map(|folder| sources(&root().join(folder)))
        .collect();
    let wrong = scattered_types(&sources);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    for crate_root in ["src/", "loadgen/src/", "replica/src/"] {
        let sources = sources(&root().join(crate_root));
        assert!(!sources.is_empty(), "{crate_root} holds no source");
        let wrong = import_cycles(crate_root, &sources);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// Files of the repository, as git lists them.
fn tracked() -> Vec<String> {
    let git = ["-c", "safe.directory=*", "ls-files", "-z"];
    let list = Command::new("git")
        .args(git)
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(list.status.success(), "{list:?}");
    let list = String::from_utf8(list.stdout).expect("git lists the files");
    list.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn the_top_level_is_complete() {
    let tracked = tracked();
    let names: BTreeSet<&str> = tracked
        .iter()
        .filter_map(|path| path.split('/').next())
        .collect();
    assert!(names.contains("Cargo.toml"), "{names:?}");
    let wrong = differences_at_top_level(&names);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

#[test]
fn every_dependency_has_its_owner_and_every_owner_exists() {
    let wrong = unowned_dependencies(&text("Cargo.toml"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing = table_paths()
        .into_iter()
        .filter(|path| !root().join(path).exists());
    assert_eq!(Vec::from_iter(missing), [""; 0]);
}

#[test]
fn replica_and_loadgen_depend_on_no_crate_of_the_workspace() {
    for manifest in ["replica/Cargo.toml", "loadgen/Cargo.toml"] {
        assert_eq!(path_dependencies(&text(manifest)), [""; 0], "{manifest}");
    }
    // A dependency by path of the whole workspace is inherited without its path.
    let workspace = text("Cargo.toml");
    let inherited = workspace.split_once("\n[workspace.dependencies]\n");
    let inherited = inherited.expect("dependencies of the workspace").1;
    let inherited = inherited.split("\n[").next().expect("a first section");
    assert_eq!(path_dependencies(inherited), [""; 0]);
}
