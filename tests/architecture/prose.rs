//! Rules of the language that a machine can hold: how a doc block begins, words that hide the actor, the
//! length of a sentence. They read the comments and string literals of Rust files, and README pages.

use crate::source::{code, line};

/// First words that a summary line must not have: the noun or the verb of the thing itself says more.
const OPENINGS: [&str; 16] = [
    "What", "How", "Whether", "Who", "Whom", "Whose", "Whoever", "When", "Where", "Why", "Which",
    "One", "It", "Those", "Nobody", "Another",
];

/// Words and phrases that hide the actor, or that are not current English.
const BANNED: [&str; 10] = [
    "whoever",
    "nobody",
    "somebody",
    "lest",
    "anew",
    "afresh",
    "of late",
    "in vain",
    "be it",
    "surprising:",
];

/// Places that may have a banned word: a part of the path, and a part of the line. All name the
/// Unix user.
const ALLOWED: [(&str, &str); 5] = [
    ("", "user nobody"),
    ("", "`nobody`"),
    ("tests/e2e/services/nginx.rs", "\"nobody nogroup\""),
    ("tests/e2e/services/postgres.rs", "--reuid=nobody"),
    ("tests/e2e/services/postgres.rs", "\"nobody:nogroup\""),
];

const MAX_SENTENCE_WORDS: usize = 30;

/// Returns what is wrong with the language of a Rust file.
pub(crate) fn speaks_plainly(path: &str, text: &str) -> Vec<String> {
    // The rules name what they forbid.
    if path == "tests/architecture/prose.rs" {
        return vec![];
    }
    let mut wrong = banned(path, &literals_and_comments(text));
    for block in comment_blocks(text) {
        let first = block.lines.first().map_or("", |first| first.as_str());
        let word = first.split(|c: char| !c.is_alphanumeric()).next();
        if block.is_doc && word.is_some_and(|word| OPENINGS.contains(&word)) {
            wrong.push(format!("line {}: begins with a riddle: {first}", block.at));
        }
        wrong.extend(long_sentences(block.at, &block.lines));
    }
    wrong
}

/// Returns what is wrong with the language of a page of documentation.
pub(crate) fn page_speaks_plainly(path: &str, text: &str) -> Vec<String> {
    let mut wrong = banned(path, text);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    wrong.extend(long_sentences(1, &lines));
    wrong
}

/// Comment lines that follow each other, without their slashes.
struct Block {
    at: usize,
    is_doc: bool,
    lines: Vec<String>,
}

fn comment_blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut before = "";
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        let marker = ["///", "//!", "//"]
            .into_iter()
            .find(|marker| trimmed.starts_with(marker));
        let marker = marker.unwrap_or_default();
        if !marker.is_empty() {
            let content = trimmed[marker.len()..].to_owned();
            let content = content.strip_prefix(' ').unwrap_or(&content).to_owned();
            match blocks.last_mut().filter(|_| before == marker) {
                Some(block) => block.lines.push(content),
                None => blocks.push(Block {
                    at: at + 1,
                    is_doc: marker.len() == 3,
                    lines: vec![content],
                }),
            }
        }
        before = marker;
    }
    blocks
}

/// `text` with its code turned into blanks: what is left is comments and literals.
fn literals_and_comments(text: &str) -> String {
    let code = code(text);
    let mut code = code.chars();
    let pairs = text.chars().map(|c| (c, code.next()));
    pairs
        .map(|(c, code)| match code {
            Some(code) if code == c && c != '\n' => ' ',
            _ => c,
        })
        .collect()
}

fn banned(path: &str, text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let mut wrong = Vec::new();
    for phrase in BANNED {
        for (at, _) in lower.match_indices(phrase) {
            let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let is_part = word(lower[..at].chars().next_back())
                || (!phrase.ends_with(':') && word(lower[at + phrase.len()..].chars().next()));
            let number = line(&lower, at);
            let whole = lower.lines().nth(number - 1).unwrap_or_default();
            let is_allowed = ALLOWED
                .iter()
                .any(|(file, part)| path.contains(file) && whole.contains(part));
            if !is_part && !is_allowed {
                wrong.push(format!("line {number}: {phrase}"));
            }
        }
    }
    wrong
}

/// Sentences of prose that are too long. Fenced blocks and tables are no prose, a list item is a sentence.
fn long_sentences(first_line: usize, lines: &[String]) -> Vec<String> {
    let (mut wrong, mut sentence, mut is_fenced) = (Vec::new(), Vec::new(), false);
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_fence = trimmed.starts_with("```");
        is_fenced ^= is_fence;
        let begins_item = trimmed.is_empty()
            || trimmed.starts_with(['|', '#', '>'])
            || ["- ", "* "].iter().any(|mark| trimmed.starts_with(mark))
            || trimmed
                .split_once(". ")
                .is_some_and(|(n, _)| n.parse::<u8>().is_ok());
        if is_fence || is_fenced || begins_item {
            sentence.clear();
        }
        if is_fence || is_fenced || trimmed.starts_with(['|', '#']) || line.starts_with("    ") {
            continue;
        }
        for word in trimmed.split_whitespace() {
            sentence.push(word);
            if sentence.len() == MAX_SENTENCE_WORDS + 1 {
                let number = first_line + at;
                wrong.push(format!("line {number}: a sentence of more than 30 words"));
            }
            let ends = [')', '"', '`', '*'];
            if word
                .trim_end_matches(ends)
                .ends_with(['.', '!', '?', ':', ';'])
            {
                sentence.clear();
            }
        }
    }
    wrong
}

#[cfg(test)]
fn expect_found(bad: &str, good: &str) {
    assert!(!speaks_plainly("src/a.rs", bad).is_empty(), "passed: {bad}");
    assert_eq!(speaks_plainly("src/a.rs", good), [""; 0], "stopped: {good}");
}

#[test]
fn a_question_word_or_pronoun_at_the_beginning_of_a_doc_block_is_found() {
    expect_found(
        "/// Whether it was said.\nfn a() {}",
        "/// Returns `true`.\n/// When it was.\nfn a() {}",
    );
    expect_found(
        "//! One that waits.",
        "// When the queue is full, the record is dropped.",
    );
    expect_found(
        "fn a() {}\n    /// Who waits.\n    x: u8,",
        "    /// Whole lines only.\n    x: u8,",
    );
}

#[test]
fn words_that_hide_the_actor_are_found_in_comments_and_texts() {
    expect_found("// Nobody waits.", "let nobody = 1; // No request waits.");
    expect_found("let text = \"opened anew\";", "let anew = \"reopened\";");
    expect_found("/// Surprising: it lasts.", "/// A surprising one.");
    expect_found(
        "// Told of late.",
        "// A list of latecomers, as user nobody.",
    );
}

#[test]
fn a_long_sentence_is_found_and_a_list_is_none() {
    let words = |n: usize| vec!["word"; n].join(" ");
    expect_found(
        &format!("// {}.", words(31)),
        &format!("// {}.\n// {}.", words(30), words(30)),
    );
    expect_found(
        &format!("// {}\n// {}.", words(16), words(15)),
        &format!("// - {}\n// - {}.", words(16), words(15)),
    );
    let page = format!(
        "{}\n\n```\n{}\n```\n| {} |\n",
        words(30),
        words(40),
        words(40)
    );
    assert_eq!(page_speaks_plainly("README.md", &page), [""; 0]);
    assert!(!page_speaks_plainly("README.md", &words(31)).is_empty());
}
