//! Form of the pages: README.md is short, links resolve, every page is reachable, lines are short
//! and sentences begin with their actor. Each rule is a pure function of a text, and a test stops a
//! bad text by each. The architecture test holds the words and the length of sentences.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{pages, root, text};

/// Longest README.md, in lines: three minutes of reading.
const MAX_README_LINES: usize = 150;
/// Longest line of prose, in characters; tables and code may be longer.
const MAX_COLUMNS: usize = 100;

/// First words of a sentence that hide its actor. The architecture test bans more pronouns
/// everywhere.
const BANNED_BEGINNINGS: [&str; 5] = ["One", "Those", "Another", "Who", "What is"];

/// First words that hide the actor only where no sentence of the paragraph names it before.
const BANNED_OPENINGS: [&str; 1] = ["It"];

/// Lines outside fenced code and generated blocks, each with its number.
fn outside_code(page: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut lines = Vec::new();
    for (index, line) in page.lines().enumerate() {
        if line.starts_with("```") || line.starts_with("<!-- ") {
            in_code = !in_code;
        } else if !in_code {
            lines.push((index + 1, line));
        }
    }
    lines
}

/// A line with each piece in backticks, and each target of a link, as one word.
fn without_code(line: &str) -> String {
    let pieces = line.split('`').enumerate();
    let text: String = pieces
        .map(|(index, piece)| if index % 2 == 0 { piece } else { "code" })
        .collect();
    let mut plain = String::new();
    for (index, piece) in text.split("](").enumerate() {
        let rest = piece.split_once(')').map_or("", |(_, rest)| rest);
        plain.push_str(if index == 0 { piece } else { rest });
    }
    plain
}

/// Paragraphs and list items, each with the number of its first line. Tables and headings are none.
fn paragraphs(page: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut is_open = false;
    let mut last = 0;
    for (number, line) in outside_code(page) {
        let begins_item = line.starts_with("- ") || line.starts_with(|c: char| c.is_ascii_digit());
        let is_prose = !line.is_empty() && !line.starts_with(['|', '#', '!', '<']);
        if is_prose && (begins_item || !is_open || number != last + 1) {
            paragraphs.push((number, without_code(line)));
        } else if is_prose && let Some((_, paragraph)) = paragraphs.last_mut() {
            paragraph.push(' ');
            paragraph.push_str(&without_code(line));
        }
        is_open = is_prose;
        last = number;
    }
    paragraphs
}

fn sentences(paragraph: &str) -> impl Iterator<Item = &str> {
    let sentences = paragraph.split_inclusive(['.', '?', '!']);
    // A dot inside a number or a name ends no sentence: join them by looking at the next character.
    let mut begin = 0;
    let mut end = 0;
    let mut whole = Vec::new();
    for piece in sentences {
        end += piece.len();
        let next = paragraph[end..].chars().next();
        if next.is_none_or(|next| next == ' ' || next == '*') {
            whole.push(paragraph[begin..end].trim_matches([' ', '*', '-']));
            begin = end;
        }
    }
    if begin < end {
        whole.push(paragraph[begin..end].trim_matches([' ', '*', '-']));
    }
    whole.into_iter()
}

/// Returns `true` if the first words of `sentence` are `words`, in any emphasis.
fn begins_with(sentence: &str, words: &str) -> bool {
    let rest = sentence.trim_start_matches(['*', '_']).strip_prefix(words);
    rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
}

/// Long lines, and sentences that hide their actor.
fn faults_of_prose(page: &str) -> Vec<String> {
    let lines = outside_code(page).into_iter();
    let mut faults: Vec<String> = lines
        .filter(|(_, line)| line.chars().count() > MAX_COLUMNS && !line.starts_with(['|', '!']))
        .map(|(number, _)| format!("line {number}: more than {MAX_COLUMNS} columns"))
        .collect();
    for (number, paragraph) in paragraphs(page) {
        for (index, sentence) in sentences(&paragraph).enumerate() {
            let openings = BANNED_OPENINGS.iter().filter(|_| index == 0);
            let mut banned = BANNED_BEGINNINGS.iter().chain(openings);
            if let Some(first) = banned.find(|first| begins_with(sentence, first)) {
                faults.push(format!("line {number}: begins with {first}: {sentence}"));
            }
        }
    }
    faults
}

/// Targets of the links and pictures outside code that lie in the repository.
fn links(page: &str) -> Vec<String> {
    let lines = outside_code(page);
    let targets = lines.iter().flat_map(|(_, line)| {
        let pieces = line.split("](").skip(1);
        pieces.filter_map(|piece| piece.split_once(')').map(|(target, _)| target.to_owned()))
    });
    targets.filter(|target| !target.contains("://")).collect()
}

/// Anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_anchor(page: &str, wanted: &str) -> bool {
    outside_code(page)
        .iter()
        .any(|(_, line)| line.starts_with('#') && anchor(line.trim_start_matches('#')) == wanted)
}

/// Path of a link's target from the repository's root, without `..`.
fn resolve(page: &str, target: &str) -> PathBuf {
    let mut path = Path::new(page)
        .parent()
        .map(Path::to_path_buf)
        .unwrap_or_default();
    for part in Path::new(target).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

/// Links of a page without a file or a heading at their end.
fn broken_links(path: &str, page: &str) -> Vec<String> {
    let is_broken = |target: &String| {
        let (file, heading) = target.split_once('#').unwrap_or((target.as_str(), ""));
        let file = if file.is_empty() {
            PathBuf::from(path)
        } else {
            resolve(path, file)
        };
        if !root().join(&file).exists() {
            return true;
        }
        let read = || {
            if file == Path::new(path) {
                page.to_owned()
            } else {
                text(&file.to_string_lossy())
            }
        };
        !heading.is_empty() && !has_anchor(&read(), heading)
    };
    links(page).into_iter().filter(is_broken).collect()
}

/// Pages that no chain of links from README.md reaches.
fn unreachable_pages(pages: &[(String, String)]) -> BTreeSet<&str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![PathBuf::from("README.md")];
    while let Some(path) = next.pop() {
        let Some((name, page)) = pages.iter().find(|(name, _)| Path::new(name) == path) else {
            continue;
        };
        if reached.insert(name.as_str()) {
            let files = links(page).into_iter().map(|target| {
                let file = target.split('#').next().unwrap_or_default().to_owned();
                resolve(name, &file)
            });
            next.extend(files);
        }
    }
    let all = pages.iter().map(|(name, _)| name.as_str());
    all.filter(|name| !reached.contains(name)).collect()
}

fn is_too_long(readme: &str) -> bool {
    readme.lines().count() > MAX_README_LINES
}

#[test]
fn readme_is_read_in_three_minutes() {
    assert!(!is_too_long(&text("README.md")));
}

#[test]
fn every_link_resolves() {
    let broken = pages().into_iter().flat_map(|(path, page)| {
        let targets = broken_links(&path, &page);
        targets
            .into_iter()
            .map(move |target| format!("{path}: {target}"))
    });
    assert_eq!(Vec::from_iter(broken), Vec::<String>::new());
}

#[test]
fn every_page_is_reachable_from_readme() {
    assert_eq!(unreachable_pages(&pages()), BTreeSet::new());
}

#[test]
fn lines_are_short_and_sentences_name_their_actor() {
    let faults = pages().into_iter().flat_map(|(path, page)| {
        let faults = faults_of_prose(&page);
        faults
            .into_iter()
            .map(move |fault| format!("{path}: {fault}"))
    });
    let faults = Vec::from_iter(faults);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_line_too_many_is_too_long() {
    assert!(!is_too_long(&"x\n".repeat(150)));
    assert!(is_too_long(&"x\n".repeat(151)));
}

#[test]
fn links_to_missing_files_and_headings_are_broken() {
    let page = "# The ring\n[a](Cargo.toml) [b](src/nothing.rs) [c](#the-ring) [d](#the-rings)\n\
                [e](src/README.md#words) [f](src/README.md#word) [g](https://a.test/b)\n\
                ```\n[code](nowhere)\n```\n";
    let broken = ["src/nothing.rs", "#the-rings", "src/README.md#word"];
    assert_eq!(broken_links("README.md", page), broken);
    assert_eq!(
        broken_links("src/README.md", "[up](../Cargo.toml)"),
        Vec::<String>::new()
    );
    assert_eq!(
        broken_links("src/README.md", "[no](Cargo.toml)"),
        ["Cargo.toml"]
    );
}

#[test]
fn a_page_without_a_link_to_it_is_unreachable() {
    let page = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let pages = [
        page("README.md", "[a](a/README.md#x)"),
        page("a/README.md", "[b](../b/README.md)"),
        page("b/README.md", ""),
        page("c/README.md", "[a](../a/README.md)"),
    ];
    assert_eq!(unreachable_pages(&pages), BTreeSet::from(["c/README.md"]));
}

#[test]
fn long_lines_and_sentences_without_an_actor_are_found() {
    let bad = [
        &*"x".repeat(101),
        "The log warns. One that waits is closed.",
        "- Those wait.",
        "**Bold.** Another waits.",
        "A sentence that\nends. Who waits?",
        "*Who* waits?",
        "The log warns. What is\nlost is counted.",
        "It waits.",
        "- It waits.",
        "Those: two connections.",
    ];
    for text in bad {
        assert_eq!(faults_of_prose(text).len(), 1, "{text}");
    }
    let long = "word ".repeat(31);
    let good = format!(
        "| {long} | Those |\n\n```\nOne {long}\n```\nThe log is `One. Who` and \
         0.5 s.\nOnes are good. It is good. What isolates it is good.\n"
    );
    assert_eq!(faults_of_prose(&good), Vec::<String>::new());
}
