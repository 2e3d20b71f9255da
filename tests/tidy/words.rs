//! Tests of the language of comments, as far as a search can check it.

use super::{Source, rust_files};

/// The folders with Rust files.
const FOLDERS: [&str; 5] = ["src", "tests", "benches", "fuzz", "crates"];

/// Words with which no paragraph of a doc comment begins, because it begins with a noun or with what a function does.
const NO_SUBJECTS: [&str; 11] =
    ["What", "Who", "Whose", "Whoever", "It", "One", "Nothing", "Nobody", "How", "Whether", "Where"];

/// Words with which no name of a test begins, because it also begins with a noun.
const NO_NAMES: [&str; 11] =
    ["what", "who", "whose", "whoever", "whatever", "it", "nothing", "nobody", "none", "how", "whether"];

/// A word that comments avoid, and its replacement.
const UNWANTED: (&str, &str) = ("behind", "after");

/// Sentences in which the unwanted word has its literal sense.
const LITERAL: [&str; 1] = ["behind a proxy"];

/// Returns the comments of a file: the line of each, whether it is documentation, and its text.
fn comments(source: &Source) -> impl Iterator<Item = (usize, bool, &str)> {
    source.text.lines().enumerate().filter_map(|(at, line)| {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        let text = doc.or_else(|| line.strip_prefix("//"))?;
        Some((at + 1, doc.is_some(), text.trim()))
    })
}

/// Returns the files whose comments are read.
fn sources() -> impl Iterator<Item = Source> {
    FOLDERS.into_iter().flat_map(rust_files).filter(|source| !source.path.contains("target/"))
}

/// Returns the first word of a text.
fn first(text: &str) -> &str {
    text.split(|character: char| !character.is_alphabetic()).next().unwrap_or_default()
}

#[test]
fn a_doc_comment_begins_with_its_subject() {
    let mut faults = Vec::new();
    for source in sources() {
        let (mut last, mut was_blank) = (0, true);
        for (line, is_doc, text) in comments(&source) {
            let begins = is_doc && (line != last + 1 || was_blank);
            if begins && NO_SUBJECTS.contains(&first(text)) {
                faults.push(format!("{}:{line}: {text}", source.path));
            }
            (last, was_blank) = (line, text.is_empty());
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn comments_use_plain_words() {
    let mut faults = Vec::new();
    for source in sources() {
        for (line, _, text) in comments(&source) {
            let literal = LITERAL.iter().fold(text.to_owned(), |text, sentence| text.replace(sentence, ""));
            let (word, instead) = UNWANTED;
            if literal.split(|character: char| !character.is_alphabetic()).any(|part| part == word) {
                faults.push(format!("{}:{line}: {word}, for {instead}: {text}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_name_of_a_test_begins_with_its_subject() {
    let mut faults = Vec::new();
    for source in sources() {
        let mut is_test = false;
        for (at, line) in source.text.lines().map(str::trim_start).enumerate() {
            let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            match name.and_then(|name| name.split(['(', '<']).next()) {
                Some(name) if is_test && NO_NAMES.contains(&name.split('_').next().unwrap_or_default()) => {
                    faults.push(format!("{}:{}: {name}", source.path, at + 1));
                }
                _ => {}
            }
            // Attributes and comments may be in between.
            is_test = line.starts_with("#[test]")
                || line.starts_with("#[tokio::test")
                || (is_test && line.starts_with(['#', '/']));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
