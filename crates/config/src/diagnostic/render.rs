//! The report for people, in the format of rustc's diagnostics.

use std::fmt::Write as _;

use super::{Diagnostic, Diagnostics, Severity, Source, is_hidden};

/// The largest number of characters of a line that are shown. Of a longer line, only the part around the fault is
/// shown.
const SHOWN: usize = 160;
/// The number of characters that are shown of a long line before the fault.
const BEFORE: usize = 60;

/// Returns the report: all kept faults with their numbers, and the number of further ones.
pub(super) fn report(diagnostics: &Diagnostics, color: bool) -> String {
    let paint = Paint { color };
    let mut out = String::new();
    for (index, fault) in diagnostics.iter().enumerate() {
        one(&mut out, diagnostics, index + 1, fault, paint);
    }
    let hidden = (diagnostics.errors + diagnostics.warnings).saturating_sub(diagnostics.kept.len());
    if hidden > 0 {
        let _ = writeln!(out, "   and {hidden} more");
    }
    out
}

/// The escape sequences for a terminal. Without colours they are empty.
#[derive(Clone, Copy)]
struct Paint {
    color: bool,
}

impl Paint {
    fn bold(self, severity: Severity) -> &'static str {
        match (self.color, severity) {
            (false, _) => "",
            (true, Severity::Error) => "\x1b[1;31m",
            (true, Severity::Warning) => "\x1b[1;33m",
        }
    }

    fn dim(self) -> &'static str {
        if self.color { "\x1b[34m" } else { "" }
    }

    fn end(self) -> &'static str {
        if self.color { "\x1b[0m" } else { "" }
    }
}

fn one(out: &mut String, diagnostics: &Diagnostics, number: usize, fault: &Diagnostic, paint: Paint) {
    let word = match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let (strong, dim, end) = (paint.bold(fault.severity), paint.dim(), paint.end());
    let message = printable(&fault.message);
    let _ = writeln!(out, "{number:>2} {strong}{word}{end}: {message}");
    let (name, line, column) = diagnostics.place(fault.at);
    let mut lines = fault.help.split('\n').map(printable);
    let help = lines.next().unwrap_or_default();
    // A file that can't be read has no line, so only its name is shown. Test:
    // `places_outside_the_text_are_shown_at_its_end`.
    let Some(source) = diagnostics.source(fault.at).filter(|source| !source.text.is_empty()) else {
        let _ = writeln!(out, "     {dim}-->{end} {name}");
        if !help.is_empty() {
            let _ = writeln!(out, "      {dim}={end} {help}");
        }
        further(out, lines, paint);
        return;
    };
    let shown = excerpt(source, fault.at.start as usize, fault.at.end as usize);
    let _ = writeln!(out, "     {dim}-->{end} {name}:{line}:{column}");
    let _ = writeln!(out, "{dim}{line:>5} |{end} {}", shown.text);
    let (blank, carets) = (" ".repeat(shown.indent), "^".repeat(shown.width));
    let tail = if help.is_empty() { String::new() } else { format!(" {help}") };
    let _ = writeln!(out, "{dim}      |{end} {blank}{strong}{carets}{end}{tail}");
    further(out, lines, paint);
}

/// Writes the lines of a help after its first one.
fn further(out: &mut String, lines: impl Iterator<Item = String>, paint: Paint) {
    let (dim, end) = (paint.dim(), paint.end());
    for line in lines {
        let _ = writeln!(out, "      {dim}={end}   {line}");
    }
}

/// A line as it is shown, with the position and the number of the carets under it, in characters.
struct Excerpt {
    text: String,
    indent: usize,
    width: usize,
}

fn excerpt(source: &Source, start: usize, end: usize) -> Excerpt {
    let text = source.text.as_str();
    let start = floor(text, start);
    let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
    // A carriage return is a part of the line end, so it isn't marked. Test:
    // `a_fault_over_several_lines_is_marked_to_the_end_of_the_first`.
    let line_end = line_end - usize::from(text[line_start..line_end].ends_with('\r'));
    let end = floor(text, end).clamp(start.min(line_end), line_end);
    let indent = text[line_start..start.min(line_end)].chars().count();
    let width = text[start.min(end)..end].chars().count().max(1);
    let mut shown: Vec<char> = text[line_start..line_end]
        .char_indices()
        .map(|(at, character)| {
            let at = line_start + at;
            if source.masked.iter().any(|masked| masked.contains(&at)) { '*' } else { plain(character) }
        })
        .collect();
    if shown.len() <= SHOWN {
        let text = shown.into_iter().collect::<String>().trim_end().to_owned();
        return Excerpt { text, indent, width };
    }
    let from = indent.saturating_sub(BEFORE).min(shown.len() - SHOWN);
    shown.drain(..from);
    let cut = shown.len() > SHOWN;
    shown.truncate(SHOWN);
    let mut text = String::from(if from > 0 { "…" } else { "" });
    text.extend(shown);
    text.push_str(if cut { "…" } else { "" });
    // The `…` at a cut takes one column. Test: `a_long_line_is_cut_around_the_fault`.
    let indent = indent - from + usize::from(from > 0);
    Excerpt { text, indent, width: width.min((SHOWN + 1).saturating_sub(indent)).max(1) }
}

/// Returns the last character boundary that isn't after `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Replaces a tab by a blank, and any other character that a terminal would obey or hide by U+FFFD.
fn plain(character: char) -> char {
    match character {
        // The carets are placed by characters, so a tab must take one column.
        '\t' => ' ',
        other if is_hidden(other) => char::REPLACEMENT_CHARACTER,
        other => other,
    }
}

fn printable(text: &str) -> String {
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Diagnostics, Location};

    fn rendered(text: &str, start: u32, end: u32) -> String {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), text.into());
        diagnostics.error(Location { source, start, end }, "wrong", "write it so");
        diagnostics.render(false)
    }

    #[test]
    fn a_fault_is_shown_with_its_line_and_carets() {
        let expected = " 1 error: wrong\n     --> a.toml:2:5\n    2 | b = \"ü\" # x\n      |     ^^^ write it so\n";
        assert_eq!(rendered("a = 1\nb = \"ü\" # x\nc = 2\n", 10, 14), expected);
    }

    #[test]
    fn a_fault_over_several_lines_is_marked_to_the_end_of_the_first() {
        let shown = rendered("a = [\r\n  1,\r\n]\r\n", 4, 13);
        assert!(shown.contains("    1 | a = [\n      |     ^ write it so\n"), "{shown}");
    }

    #[test]
    fn places_outside_the_text_are_shown_at_its_end() {
        assert!(rendered("a = 1\n", 6, 6).contains("--> a.toml:2:1\n"), "end of the file");
        assert!(rendered("a = 1\n", 900, 1000).contains("--> a.toml:2:1\n"), "beyond the end");
        assert_eq!(rendered("", 0, 0), " 1 error: wrong\n     --> a.toml\n      = write it so\n");
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let line = format!("a = \"{}!{}\"\n", "x".repeat(5_000), "y".repeat(5_000));
        let shown = rendered(&line, 5_005, 5_006);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(lines[2].chars().count() < 180, "{shown}");
        let caret = lines[3].chars().position(|character| character == '^').expect("a caret");
        assert_eq!(lines[2].chars().nth(caret), Some('!'), "{shown}");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let shown = rendered("a\t= \"\u{1b}[31m \u{202e}kcart\u{200b}\"\n", 4, 5);
        for hidden in ['\u{1b}', '\t', '\u{202e}', '\u{200b}'] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }

    #[test]
    fn masked_text_is_not_shown() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), "keys = { 1 = \"hunter2\" }\n".into());
        let at = Location { source, start: 13, end: 22 };
        diagnostics.mask(at);
        diagnostics.error(Location { start: 0, end: 4, ..at }, "wrong", "");
        let shown = diagnostics.render(true);
        assert!(shown.contains("keys = { 1 = ********* }") && !shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("\x1b[1;31merror\x1b[0m"), "{shown}");
    }
}
