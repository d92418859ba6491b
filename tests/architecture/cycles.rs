//! Imports between files of one crate must not form a cycle.
//!
//! A path is followed to the file that defines its item: a module that only re-exports an item passes it on
//! from a child. So a `pub use` is no import of its own file, and a folder's `mod.rs` may be its face.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{code, is_word, production};

/// Returns one sentence for each group of files below `root` that import each other in a circle.
pub(crate) fn import_cycles(root: &str, sources: &[(String, String)]) -> Vec<String> {
    let krate = Crate::new(root, sources);
    let imports = krate.imports();
    let reach: BTreeMap<&str, BTreeSet<&str>> = imports
        .keys()
        .map(|file| (*file, reachable(&imports, file)))
        .collect();
    let mut told = BTreeSet::new();
    for (file, all) in &reach {
        let circle: BTreeSet<&str> = all
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
            .collect();
        if !circle.is_empty() {
            told.insert(format!(
                "import each other: {}",
                Vec::from_iter(circle).join(", ")
            ));
        }
    }
    told.into_iter().collect()
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

/// A path as written: where it starts, and its segments.
type Path = Vec<String>;

impl<'a> Crate<'a> {
    fn new(root: &str, sources: &'a [(String, String)]) -> Self {
        let below = sources.iter().filter_map(|(path, text)| {
            let inner = path.strip_prefix(root)?.strip_suffix(".rs")?;
            let inner = inner.trim_end_matches("/mod");
            let code = code(production(path, text));
            let mut module: Path = inner.split('/').map(str::to_owned).collect();
            if matches!(inner, "lib" | "main") {
                module.clear();
            }
            (!code.trim().is_empty()).then_some((module, (path.as_str(), code)))
        });
        Self {
            modules: below.collect(),
        }
    }

    /// Files that each file imports.
    fn imports(&self) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let all = self.modules.iter().map(|(module, (file, code))| {
            let paths = self.paths(module, &without_re_exports(code));
            let files = paths
                .iter()
                .filter_map(|path| self.file_of(path, 0))
                .filter(|other| other != file);
            (*file, files.collect())
        });
        all.collect()
    }

    /// Absolute paths that `code` of `module` names.
    fn paths(&self, module: &[String], code: &str) -> Vec<Path> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(start) = code[at..].find(is_word).map(|start| at + start) {
            let word: String = code[start..].chars().take_while(|c| is_word(*c)).collect();
            at = start + word.len();
            if code[..start].ends_with("::") || !code[at..].starts_with("::") {
                continue;
            }
            let Some(base) = self.base(module, &word) else {
                continue;
            };
            for rest in segments(&code[at + 2..]) {
                found.push(absolute(&base, rest));
            }
        }
        found
    }

    /// Module that a path begins in whose first word is `word`, if it is one of this crate.
    fn base(&self, module: &[String], word: &str) -> Option<Path> {
        match word {
            "crate" => Some(vec![]),
            "self" => Some(module.to_vec()),
            "super" => Some(module[..module.len().checked_sub(1)?].to_vec()),
            _ => {
                let child = [module, &[word.to_owned()]].concat();
                self.modules.contains_key(&child).then_some(child)
            }
        }
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
            let all = self.paths(module, text);
            all.into_iter().find(|path| path.last() == Some(item))
        });
        match passed_on {
            Some(other) if other != path => self.file_of(&other, depth + 1),
            _ => Some(file),
        }
    }
}

/// Joins a base and the segments behind it, each `super` of which goes up.
fn absolute(base: &[String], rest: Path) -> Path {
    let mut path = base.to_vec();
    for segment in rest {
        match segment.as_str() {
            "super" => drop(path.pop()),
            "self" => {}
            _ => path.push(segment),
        }
    }
    path
}

/// Segments of a path, of each path of a `{…}` group one list.
fn segments(rest: &str) -> Vec<Path> {
    if let Some(group) = rest.strip_prefix('{') {
        return members(group).into_iter().flat_map(segments).collect();
    }
    let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let (word, rest) = rest.split_at(end);
    let first = vec![word.to_owned()];
    match rest.strip_prefix("::") {
        _ if word.is_empty() => vec![],
        Some(rest) if rest.starts_with(|c| is_word(c) || c == '{') => segments(rest)
            .into_iter()
            .map(|rest| [first.clone(), rest].concat())
            .collect(),
        _ => vec![first],
    }
}

/// Members of a group, up to its closing bracket.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut all) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                all.push(group[start..at].trim());
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    all
}

/// `use` declarations of `code`, without the word `use`.
fn uses(code: &str) -> Vec<&str> {
    let all = code.match_indices("use ").filter(|(at, _)| {
        let before = code[..*at].trim_end_matches(' ');
        before.is_empty() || before.ends_with(['\n', ')']) || before.ends_with("pub")
    });
    all.map(|(at, _)| &code[at + 4..at + code[at..].find(';').unwrap_or(code.len() - at)])
        .collect()
}

/// `code` without its `pub use` declarations, which import nothing for the file itself.
fn without_re_exports(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("pub") {
        let after = rest[at + 3..].trim_start();
        let after = match after.strip_prefix('(') {
            Some(scope) => scope
                .split_once(')')
                .map_or("", |(_, after)| after)
                .trim_start(),
            None => after,
        };
        out.push_str(&rest[..at]);
        rest = &rest[at + 3..];
        if after.starts_with("use ") {
            rest = rest.split_once(';').map_or("", |(_, after)| after);
        }
    }
    out + rest
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
}

#[test]
fn tests_and_comments_import_what_they_like() {
    let b = ("src/b.rs", "use crate::c::D;");
    let c = "// crate::b\n#[cfg(test)]\nmod tests { use crate::b; }";
    assert!(cycles(&[b, ("src/c.rs", c)]).is_empty());
}
