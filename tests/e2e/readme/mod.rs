//! Documentation tests: every README agrees with the program (`program`, `flags`), its generated
//! blocks are current (`generated`), and its links and sentences keep the rules (`form`).
//!
//! `RINGMASTER_WRITE_README=1` rewrites the generated blocks instead of comparing them.

mod flags;
mod form;
mod generated;
mod makefile;
mod program;

use std::path::{Path, PathBuf};

const CONTROL: &str = "src/control/README.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Text of the file at `path`, from the repository's root.
fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// Folders with pages; the top and `.github` count without their folders.
const FOLDERS: [&str; 6] = [".github", "docker", "src", "replica", "loadgen", "tests"];

/// Every page of documentation, path from the repository's root, README.md first.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec![root().join("README.md")];
    for folder in FOLDERS {
        collect_pages(&root().join(folder), &mut paths);
    }
    let pages: Vec<_> = paths
        .into_iter()
        .map(|path| {
            let from_root = path.strip_prefix(root()).expect("below the root");
            let name = from_root.to_str().expect("text").to_owned();
            (name.clone(), text(&name))
        })
        .collect();
    assert!(pages.len() > 11, "only {} pages were found", pages.len());
    pages
}

fn collect_pages(folder: &Path, paths: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect_pages(&path, paths);
        } else if path.extension().is_some_and(|ext| ext == "md") {
            paths.push(path);
        }
    }
}

/// Rows of the table under the first line `head`, each as its cells.
fn table<'r>(page: &'r str, head: &str) -> Vec<Vec<&'r str>> {
    let after_head = page.split_once(&format!("\n{head}\n")).expect(head).1;
    let rows = after_head.lines().take_while(|line| line.starts_with('|'));
    let cells = |row: &'r str| row.split('|').skip(1).collect();
    rows.skip(1).map(cells).collect()
}

/// Texts in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
