//! Imports between files of one crate must not form a cycle.
//!
//! A path is followed to the file that defines its item: a module that only re-exports an item
//! passes it on from a child. So a `pub use` of a name that the file itself does not need is no
//! import, and a folder's `mod.rs` may be its face.

use std::collections::{BTreeMap, BTreeSet};

use crate::paths::{Path, base, module_of, named};
use crate::source::{production_code, uses, words};

/// Returns one sentence for each group of files below `root` that import each other in a circle.
pub(crate) fn import_cycles(root: &str, sources: &[(String, String)]) -> Vec<String> {
    let krate = Crate::new(root, sources);
    let imports = krate.imports();
    let reach: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|file| (*file, reachable(&imports, file)))
        .collect();
    let mut cycles = BTreeSet::new();
    for (file, all) in &reach {
        let circle: BTreeSet<&str> = all
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        if !circle.is_empty() {
            cycles.insert(format!(
                "import each other: {}",
                Vec::from_iter(circle).join(", ")
            ));
        }
    }
    cycles.into_iter().collect()
}

/// Files that `file` imports, directly or not; `file` itself only if a cycle leads back to it.
fn reachable<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>, file: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&'a str> = imports[file].iter().copied().collect();
    while let Some(file) = next.pop() {
        if found.insert(file) {
            next.extend(&imports[file]);
        }
    }
    found
}

/// Modules of a crate by their path, and the code of each.
struct Crate<'a> {
    modules: BTreeMap<Vec<String>, (&'a str, String)>,
}

impl<'a> Crate<'a> {
    /// Reads the modules. A main.rs beside a lib.rs is a crate of its own, and is left out.
    fn new(root: &str, sources: &'a [(String, String)]) -> Self {
        let has_library = sources
            .iter()
            .any(|(path, _)| path.strip_prefix(root) == Some("lib.rs"));
        let below = sources.iter().filter_map(|(path, text)| {
            let is_binary = has_library && path.strip_prefix(root) == Some("main.rs");
            let module = module_of(root, path).filter(|_| !is_binary)?;
            let code = production_code(path, text);
            (!code.trim().is_empty()).then_some((module, (path.as_str(), code)))
        });
        Self {
            modules: below.collect(),
        }
    }

    /// Files that each file imports.
    fn imports(&self) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let all = self.modules.iter().map(|(module, (file, code))| {
            let (own, re_exports) = split_re_exports(code);
            let mut paths = self.paths(module, &own);
            let re_exported = re_exports
                .iter()
                .flat_map(|text| self.paths(module, text))
                .filter(|path| is_needed(path, &own));
            paths.extend(re_exported);
            let files = paths
                .iter()
                .filter_map(|path| self.file_of(path, 0))
                .filter(|other| other != file);
            (*file, files.collect())
        });
        all.collect()
    }

    /// Absolute paths that `code` of `module` names, those through a child module included.
    fn paths(&self, module: &[String], code: &str) -> Vec<Path> {
        named(code, |word| {
            base(module, word).or_else(|| {
                let child = [module, &[word.to_owned()]].concat();
                self.modules.contains_key(&child).then_some(child)
            })
        })
    }

    /// File that defines the item of an absolute path.
    fn file_of(&self, path: &[String], depth: usize) -> Option<&'a str> {
        let of_module = (0..=path.len())
            .rev()
            .find(|len| self.modules.contains_key(&path[..*len]))?;
        let (module, item) = path.split_at(of_module);
        let (file, code) = self.modules.get(module)?;
        let Some(item) = item.first().filter(|_| depth < 8) else {
            return Some(file);
        };
        let passed_on = uses(code).into_iter().find_map(|text| {
            let all = self.paths(module, &code[text]);
            all.into_iter().find(|path| path.last() == Some(item))
        });
        match passed_on {
            Some(other) if other != path => self.file_of(&other, depth + 1),
            _ => Some(file),
        }
    }
}

/// `code` without its `pub use` declarations, and these declarations.
fn split_re_exports(code: &str) -> (String, Vec<&str>) {
    let (mut own, mut re_exports, mut from) = (String::new(), Vec::new(), 0);
    for range in uses(code) {
        if code[range.clone()].starts_with("pub") {
            own.push_str(&code[from..range.start]);
            from = range.end;
            re_exports.push(&code[range]);
        }
    }
    (own + &code[from..], re_exports)
}

/// Returns `true` if `own` names the item that `path` re-exports.
fn is_needed(path: &[String], own: &str) -> bool {
    let item = path.last().map_or("", String::as_str);
    // `mod b;` declares the module and does not need the function `b::b`.
    let mut places = words(own, item).filter(|at| !own[..*at].ends_with("mod "));
    !item.is_empty() && places.next().is_some()
}

#[cfg(test)]
fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    let owned = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    import_cycles("src/", &Vec::from_iter(owned))
}

#[test]
fn a_cycle_is_found_however_the_import_is_written() {
    let b = ("src/a/b.rs", "use super::c::D; fn f() {}");
    let top = ("src/a/mod.rs", "mod b; mod c;");
    for c in [
        "use crate::a::b;",
        "fn g() { super::b::f() }",
        "use super::{x, b::{self, f}};",
        "use crate::{a::{b::f}, e};",
        "use super::b::*;",
        "#[cfg(test)]\nmod tests;\nuse super::b;",
    ] {
        let found = cycles(&[b, top, ("src/a/c.rs", c)]);
        assert_eq!(found, ["import each other: src/a/b.rs, src/a/c.rs"], "{c}");
    }
    let long = [
        ("src/a.rs", "use crate::b;"),
        ("src/b.rs", "use crate::c::X;"),
        ("src/c.rs", "use crate::a::Y;"),
    ];
    assert_eq!(
        cycles(&long),
        ["import each other: src/a.rs, src/b.rs, src/c.rs"]
    );
}

#[test]
fn a_child_that_needs_its_parent_is_a_cycle_unless_the_parent_only_re_exports() {
    let child = ("src/a/b.rs", "use super::Limits; pub struct B;");
    let mixed = "mod b; use b::B; pub struct Limits(B);";
    assert_eq!(
        cycles(&[child, ("src/a/mod.rs", mixed)]),
        ["import each other: src/a/b.rs, src/a/mod.rs"]
    );
    let face = "mod b; mod limits; pub use b::B; pub(crate) use limits::Limits;";
    let limits = ("src/a/limits.rs", "pub struct Limits;");
    assert!(cycles(&[child, ("src/a/mod.rs", face), limits]).is_empty());
    let used = "mod b; mod limits; use b::B; pub use limits::Limits; fn f(_: B) {}";
    assert!(cycles(&[child, ("src/a/mod.rs", used), limits]).is_empty());
    let namesake = "mod b; pub use b::b; pub struct Limits;";
    assert!(cycles(&[child, ("src/a/mod.rs", namesake)]).is_empty());
    let needed = "mod b; pub use b::B; pub struct Limits(B);";
    assert_eq!(
        cycles(&[child, ("src/a/mod.rs", needed)]),
        ["import each other: src/a/b.rs, src/a/mod.rs"]
    );
    let glob = ("src/a/b.rs", "use super::*; pub struct B;");
    assert_eq!(cycles(&[glob, ("src/a/mod.rs", needed)]).len(), 1);
}

#[test]
fn a_cycle_through_the_library_is_found_beside_a_binary() {
    let files = [
        ("src/a.rs", "use crate::run;"),
        ("src/lib.rs", "mod a; pub fn run() { a::b() }"),
        ("src/main.rs", "fn main() { ringmaster::run() }"),
    ];
    assert_eq!(cycles(&files), ["import each other: src/a.rs, src/lib.rs"]);
}

#[test]
fn tests_and_comments_import_what_they_like() {
    let b = ("src/b.rs", "use crate::c::D;");
    let c = "// crate::b\n#[cfg(test)]\nmod tests { use crate::b; }";
    assert!(cycles(&[b, ("src/c.rs", c)]).is_empty());
}
