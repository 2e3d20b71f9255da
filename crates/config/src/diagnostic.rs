//! Diagnostics: the faults of a configuration with their locations and with help. All faults of a file are collected
//! and reported at once, in the format of rustc's diagnostics.

mod render;

use std::ops::Range;

/// The largest number of faults that are kept. Further faults are counted but not shown.
const KEPT: usize = 1_000;

/// The end of a message about a text with environment variables, because the report doesn't show the value of such a
/// text.
const FILLED_IN: &str = " (from the environment)";

/// A location in one of the texts from which a configuration was read.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Location {
    /// The index of the text in the sources of [`Diagnostics`].
    pub source: u32,
    /// The position of the first byte.
    pub start: u32,
    /// The position after the last byte.
    pub end: u32,
}

/// Prints no position, so equal settings at different places of a file print alike. A hash of that text shows whether a
/// reload has changed the settings (`gateway::routes::list::page_cache`).
impl std::fmt::Debug for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Location(…)")
    }
}

impl Location {
    fn overlaps(self, other: Self) -> bool {
        self.source == other.source && self.start < other.end && other.start < self.end
    }
}

/// A value with its location.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the struct's documentation names them")]
pub struct Located<T> {
    pub value: T,
    pub at: Location,
}

/// The severity of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Severity {
    /// The configuration can't be used.
    Error,
    /// The configuration can be used, but may not have the effect that was meant.
    Warning,
}

/// A fault with its severity and its location.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the struct's documentation names them")]
pub struct Diagnostic {
    pub severity: Severity,
    pub at: Location,
    /// The fault in a sentence, without a final dot.
    pub message: String,
    /// A correction; empty if there is none.
    pub help: String,
}

/// All faults of a configuration, and the texts that contain them. At most 1,000 are kept; the others are only counted.
/// The same fault at the same location is kept once, so a fault in `[defaults]` isn't repeated for each route.
#[derive(Debug, Default)]
pub struct Diagnostics {
    sources: Vec<Source>,
    /// The locations of texts whose environment variables were filled in.
    filled_in: std::collections::HashSet<Location>,
    kept: Vec<Diagnostic>,
    seen: std::collections::HashSet<Diagnostic>,
    errors: usize,
    warnings: usize,
}

/// A file that was read, or a built-in text.
#[derive(Debug)]
struct Source {
    name: String,
    text: String,
    /// The byte ranges that reports never show.
    masked: Vec<Range<usize>>,
}

impl Diagnostics {
    /// Adds the text of a file, to which locations may refer, and returns its index. Locations reach its first 4 GiB.
    pub fn add_source(&mut self, name: String, text: String) -> u32 {
        self.sources.push(Source { name, text, masked: Vec::new() });
        u32::try_from(self.sources.len() - 1).unwrap_or(u32::MAX)
    }

    /// Reports an error. `message` is the fault, and `help` a correction.
    pub fn error(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Error, at, message.into(), help.into());
    }

    /// Reports a warning. `message` is the fault, and `help` a correction.
    pub fn warning(&mut self, at: Location, message: impl Into<String>, help: impl Into<String>) {
        self.push(Severity::Warning, at, message.into(), help.into());
    }

    /// Does `work`, and drops the faults that it reports. Returns its result; `None` if it reported an error. Texts that it
    /// adds stay, because later locations may refer to them.
    pub fn unreported<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let before = (std::mem::take(&mut self.kept), std::mem::take(&mut self.seen), self.errors, self.warnings);
        self.errors = 0;
        let done = work(self);
        let is_sound = !self.has_errors();
        (self.kept, self.seen, self.errors, self.warnings) = before;
        is_sound.then_some(done)
    }

    /// Returns whether there is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Returns the number of errors and the number of warnings.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.errors, self.warnings)
    }

    /// Drops all warnings.
    pub fn drop_warnings(&mut self) {
        self.kept.retain(|fault| fault.severity == Severity::Error);
        self.warnings = 0;
    }

    /// Returns the faults, sorted by file and location. Files are in the order in which they were read.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        let mut sorted: Vec<&Diagnostic> = self.kept.iter().collect();
        sorted.sort_by_key(|fault| (fault.at.source, fault.at.start));
        sorted.into_iter()
    }

    /// Returns the file name, the line and the column of a location. The column counts characters; both numbers begin
    /// at 1.
    #[must_use]
    pub fn place(&self, at: Location) -> (&str, usize, usize) {
        let Some(source) = self.source(at) else {
            return ("", 1, 1);
        };
        // A location may be after the end of the text, and then counts as its end. Test:
        // `places_outside_the_text_are_shown_at_its_end`.
        let before = source.text.get(..at.start as usize).unwrap_or(&source.text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        (&source.name, before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// Returns the column after the last character of a location, in the line in which the location begins.
    #[must_use]
    pub fn end_column(&self, at: Location) -> usize {
        let (_, _, column) = self.place(at);
        let text = self.source(at).and_then(|source| source.text.get(at.start as usize..at.end as usize));
        // If a location spans several lines, the first one counts. Test:
        // `annotations_are_escaped_and_end_with_their_line`.
        column + text.and_then(|text| text.lines().next()).map_or(0, |line| line.chars().count())
    }

    /// Returns the location of the bytes `part` of the text `value`, which was written at `at`. Returns `at` if the
    /// text has escapes or spans lines, or if `part` is empty or out of range.
    #[must_use]
    pub fn part(&self, at: Location, value: &str, part: Range<usize>) -> Location {
        // The location includes the quotes. If the text between them differs from the value, it has escapes or spans
        // lines, and byte positions don't match. Test: `a_part_of_a_text_has_its_own_place_unless_it_is_escaped`.
        let written = self
            .source(at)
            .and_then(|source| source.text.get(at.start as usize + 1..(at.end as usize).saturating_sub(1)));
        if written != Some(value) || part.end > value.len() || part.is_empty() {
            return at;
        }
        let (Ok(start), Ok(end)) = (u32::try_from(part.start), u32::try_from(part.end)) else {
            return at;
        };
        Location { source: at.source, start: at.start + 1 + start, end: at.start + 1 + end }
    }

    /// Masks the text at a location: all reports show `*` in place of its characters.
    pub fn mask(&mut self, at: Location) {
        if let Some(source) = self.sources.get_mut(at.source as usize) {
            source.masked.push(at.start as usize..at.end as usize);
        }
    }

    /// Returns the name of a location for a message about `from`: `line 7` in the same file, or `other.toml:7` in
    /// another one.
    #[must_use]
    pub fn place_seen_from(&self, at: Location, from: Location) -> String {
        let (name, line, _) = self.place(at);
        if at.source == from.source { format!("line {line}") } else { format!("{name}:{line}") }
    }

    /// Returns the name of the file that contains a location.
    #[must_use]
    pub fn file(&self, at: Location) -> &str {
        self.source(at).map_or("", |source| &source.name)
    }

    /// Marks a text with environment variables. Messages about such a text mention the environment, because the file
    /// doesn't show the value.
    pub fn filled_in(&mut self, at: Location) {
        self.filled_in.insert(at);
    }

    /// Returns the report for people: each fault with its number, location, line and help.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        render::report(self, color)
    }

    /// Runs a further check of settings that have errors. Drops the faults whose location overlaps with an earlier
    /// error, because they may be consequences of that error.
    pub fn check_further(&mut self, check: impl FnOnce(&mut Self)) {
        let (before, errors, warnings) = (self.kept.len(), self.errors, self.warnings);
        check(self);
        let later = self.kept.split_off(before);
        (self.errors, self.warnings) = (errors, warnings);
        for fault in later {
            // The check has recorded the fault, so `push` would skip it as a duplicate.
            self.seen.remove(&fault);
            let is_consequence = |known: &Diagnostic| known.severity == Severity::Error && known.at.overlaps(fault.at);
            if !self.kept[..before].iter().any(is_consequence) {
                self.push(fault.severity, fault.at, fault.message, fault.help);
            }
        }
    }

    fn push(&mut self, severity: Severity, at: Location, mut message: String, help: String) {
        // A fault of a further check is pushed twice, by the check and again when it is kept, but its message gets this
        // end only once.
        if self.filled_in.contains(&at) && !message.ends_with(FILLED_IN) {
            message.push_str(FILLED_IN);
        }
        let fault = Diagnostic { severity, at, message, help };
        if self.seen.contains(&fault) {
            return;
        }
        match severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.kept.len() < KEPT {
            self.seen.insert(fault.clone());
            self.kept.push(fault);
        }
    }

    fn source(&self, at: Location) -> Option<&Source> {
        self.sources.get(at.source as usize)
    }
}

/// Returns the candidate that `word` probably means: the candidate with the smallest edit distance, ignoring case. A
/// candidate counts if its distance is at most a third of the number of the word's letters (but at least 1). It also
/// counts if it begins with the word, or the word with it, and the shorter of both has at least three bytes. Example:
/// `maximum` means `max`. Returns `None` if no candidate counts.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let lower = candidate.to_lowercase();
        // The distance from `maximum` to `max` is large, so a common beginning counts too. Test:
        // `a_misspelt_key_gets_the_nearest_key_as_suggestion`.
        let prefix = lower.len().min(word.len()) >= 3 && (lower.starts_with(&word) || word.starts_with(&lower));
        let distance = if lower == word { 0 } else { edits(&word, &lower) };
        let near = distance <= (word.chars().count() / 3).max(1);
        if (near || prefix) && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Returns the edit distance of two words: the number of insertions, deletions, replacements and swaps of neighbours
/// (optimal string alignment). Only the first 64 letters count.
fn edits(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(64).collect();
    let to: Vec<char> = to.chars().take(64).collect();
    let mut two_rows_up: Vec<usize> = Vec::new();
    let mut row_up: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut least = (row_up[j] + usize::from(a != b)).min(row_up[j + 1] + 1).min(row[j] + 1);
            // `defualt` is one mistake, not two. Test: `a_misspelt_key_gets_the_nearest_key_as_suggestion`.
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                least = least.min(two_rows_up[j - 1] + 1);
            }
            row.push(least);
        }
        two_rows_up = std::mem::replace(&mut row_up, row);
    }
    row_up[to.len()]
}

/// Returns whether a terminal would obey a character or hide it: control characters, and the characters that reverse
/// the direction of text or have no width. Text from outside could otherwise look like another text.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_gets_the_nearest_key_as_suggestion() {
        let keys = ["default", "max", "over_max"];
        let cases = [
            ("maximum", Some("max")),
            ("defualt", Some("default")),
            ("MAX", Some("max")),
            ("overmax", Some("over_max")),
            ("sealed", None),
            ("", None),
        ];
        for (word, meant) in cases {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }

    #[test]
    fn the_same_fault_at_the_same_place_is_one_fault() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), "a = 1\nb = 2\n".into());
        let at = Location { source, start: 6, end: 7 };
        diagnostics.error(at, "wrong", "write c");
        diagnostics.error(at, "wrong", "write c");
        diagnostics.warning(Location { start: 0, end: 1, ..at }, "odd", "");
        assert_eq!(diagnostics.counts(), (1, 1));
        assert_eq!(diagnostics.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>(), ["odd", "wrong"]);
        assert_eq!(diagnostics.place(at), ("a.toml", 2, 1));
    }

    #[test]
    fn a_fault_that_encloses_another_error_is_not_reported() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), "a = { b = 1 }\nc = 2\n".into());
        let at = |start, end| Location { source, start, end };
        diagnostics.error(at(10, 11), "no number here", "");
        diagnostics.check_further(|diagnostics| {
            diagnostics.error(at(4, 13), "b is missing", "");
            diagnostics.error(at(10, 11), "b is no number", "");
            diagnostics.warning(at(18, 19), "c is odd", "");
        });
        let messages: Vec<&str> = diagnostics.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!((messages, diagnostics.counts()), (vec!["no number here", "c is odd"], (1, 1)));
    }

    #[test]
    fn unreported_faults_leave_nothing_but_their_texts() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), "a = 1\n".into());
        let at = Location { source, start: 0, end: 1 };
        diagnostics.error(at, "wrong", "");
        let mut added = None;
        let failed = diagnostics.unreported(|diagnostics| {
            added = Some(diagnostics.add_source("b.toml".into(), "b = 1\n".into()));
            diagnostics.warning(at, "odd", "");
            diagnostics.error(at, "worse", "");
        });
        let sound = diagnostics.unreported(|diagnostics| diagnostics.warning(at, "odd", ""));
        assert_eq!((failed, sound, diagnostics.counts()), (None, Some(()), (1, 0)));
        let at = Location { source: added.unwrap(), start: 0, end: 1 };
        diagnostics.error(at, "worse", "");
        assert_eq!(diagnostics.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>(), ["wrong", "worse"]);
        assert_eq!(diagnostics.place(at).0, "b.toml");
    }

    #[test]
    fn a_part_of_a_text_has_its_own_place_unless_it_is_escaped() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), r#"a = "/x/:id" "\u002Fab""#.into());
        let plain = Location { source, start: 4, end: 12 };
        assert_eq!(diagnostics.part(plain, "/x/:id", 3..6), Location { source, start: 8, end: 11 });
        let escaped = Location { source, start: 13, end: 23 };
        assert_eq!(diagnostics.part(escaped, "/ab", 1..3), escaped);
    }
}
