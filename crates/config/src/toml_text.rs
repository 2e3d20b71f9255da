//! The parser of TOML: from text to a tree with locations, with all syntax errors.
//!
//! After a syntax error the underlying parser skips text. Therefore the faulty statement is replaced with spaces, which
//! keeps the locations of all other text, and the text is parsed again, until it has no errors or too many.

use std::ops::Range;

use chrono::{NaiveDate, NaiveTime};
use toml::de::{DeTable, DeValue};

use super::{
    diagnostic::{Diagnostics, Located, Location},
    keys::{CONTRACT_SCHEMA, FILE_SCHEMA},
    schema::{self, Schema},
    spanned::{Members, Spanned, Value},
};

/// The largest number of syntax errors that are reported for a text.
const SYNTAX_ERRORS: usize = 20;

/// Reads a text that was added as `source`. Returns the root table without the statements with syntax errors, and
/// `true` if there are no such errors. After [`SYNTAX_ERRORS`] errors the table contains what the parser reads of the
/// remaining text.
pub(super) fn read(source: u32, text: &str, diagnostics: &mut Diagnostics) -> (Spanned, bool) {
    let mut remaining = text.to_owned();
    for attempt in 0..=SYNTAX_ERRORS {
        // The parser limits the depth of values, so later recursion over them is bounded. Test: `depth_is_bounded`.
        let (table, errors) = DeTable::parse_recoverable(&remaining);
        let first = errors.iter().min_by_key(|error| error.span().map_or(usize::MAX, |span| span.start));
        let Some(first) = first.filter(|_| attempt < SYNTAX_ERRORS) else {
            let at = Location { source, start: 0, end: 0 };
            let root = Spanned { value: Value::Table(members(source, table.get_ref())), at };
            return (root, attempt == 0);
        };
        let span = first.span().unwrap_or(text.len()..text.len());
        let lines = statement(&remaining, span.start);
        // The report shows these lines, which might contain a secret, so the secret is masked. Test:
        // `a_secret_beside_a_syntax_error_is_not_shown`.
        for line in lines.clone() {
            mask_line(source, text, line, diagnostics);
        }
        let at = location(source, &span);
        let (_, line, _) = diagnostics.place(at);
        let other = match text.trim_start().starts_with('{') {
            true => Some("JSON"),
            false => is_yaml(&remaining, span.start).then_some("YAML"),
        };
        if let Some(other) = other {
            let help = "write version = 1; a table begins with a line such as [server]".to_owned();
            diagnostics.error(at, format!("this is {other}, and a configuration is TOML"), help);
            break;
        }
        let (message, help) = match first.message().split_once(", expected ") {
            _ if first.message() == "duplicate key" => {
                let place =
                    earlier(text, &span).map(|line| format!("it is also in line {line}: remove one of the two"));
                (first.message(), place.unwrap_or_default())
            }
            // For an unclosed bracket, the parser reports an error lines later, at the first text that can't follow, so
            // the help names the line of the bracket.
            _ if lines.start + 1 < line => {
                (first.message(), format!("is the bracket that line {} opens closed?", lines.start + 1))
            }
            Some((message, expected)) => (message, format!("expected here: {expected}")),
            None => (first.message(), String::new()),
        };
        diagnostics.error(at, message, help);
        let blank = |(number, line): (usize, &str)| {
            if lines.contains(&number) { " ".repeat(line.len()) } else { line.into() }
        };
        remaining = remaining.split('\n').enumerate().map(blank).collect::<Vec<String>>().join("\n");
    }
    (Spanned::empty(Location { source, start: 0, end: 0 }), false)
}

/// Returns whether the text begins as YAML does, apart from comments: with a name and a colon at `at`.
fn is_yaml(text: &str, at: usize) -> bool {
    let Some((before, after)) = text.split_at_checked(at) else { return false };
    let mut written = before.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let (Some(name), None) = (written.next(), written.next()) else { return false };
    let is_name =
        !name.is_empty() && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter));
    is_name && after.strip_prefix(':').is_some_and(|rest| rest.starts_with(char::is_whitespace))
}

/// Returns the line, counted from 1, of the nearest earlier definition of a duplicate key or table; `None` if it isn't
/// found.
fn earlier(text: &str, span: &Range<usize>) -> Option<usize> {
    let name = text.get(span.clone())?;
    let before = text.get(..span.start)?;
    let number = before.matches('\n').count();
    let line = text.lines().nth(number)?.trim();
    let mut above: Vec<(usize, &str)> = before.lines().enumerate().take(number).collect();
    above.reverse();
    if line.starts_with('[') {
        return above
            .iter()
            .find(|(_, other)| other.split('#').next().map(str::trim) == Some(line))
            .map(|(at, _)| at + 1);
    }
    let in_table = above.iter().take_while(|(_, other)| !other.starts_with('['));
    // `a.b = 1` also defines `a`, so a dot may follow the name.
    let is_same = |other: &str| {
        other.trim_start().strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
    };
    in_table.clone().find(|(_, other)| is_same(other)).map(|(at, _)| at + 1)
}

/// Returns the lines, counted from 0, of the faulty statement at `at`: a single line, all lines from an unclosed
/// bracket on, or the whole table if its header is faulty.
fn statement(text: &str, at: usize) -> Range<usize> {
    let lines: Vec<&str> = text.split('\n').collect();
    let fault = text.get(..at).unwrap_or(text).matches('\n').count().min(lines.len() - 1);
    // A line that begins with `["` is an element of a list of lists, and not a header. Test:
    // `a_secret_beside_a_syntax_error_is_not_shown`.
    let is_header = |line: &usize| {
        let line = lines[*line];
        line.starts_with('[') && !line.trim_start_matches(['[', ' ']).starts_with(['"', '\''])
    };
    let opened = (0..fault)
        .rev()
        .take_while(|line| !is_header(line))
        .scan(0_usize, |closed, line| {
            // The lines are read from the bottom up, so a closing bracket comes before its opening one.
            *closed += lines[line].matches([']', '}']).count();
            let open = lines[line].matches(['[', '{']).count();
            let unclosed = open > *closed;
            *closed = closed.saturating_sub(open);
            Some((line, unclosed))
        })
        .find_map(|(line, unclosed)| unclosed.then_some(line));
    match (opened, is_header(&fault)) {
        // After an unclosed bracket the parser stops at the header of the next table, which isn't faulty and is kept.
        // Test: `an_unclosed_bracket_does_not_swallow_the_next_table`.
        (Some(opened), true) => opened..fault,
        (Some(opened), false) => opened..fault + 1,
        (None, false) => fault..fault + 1,
        // Without its header, the keys of the table would become keys of the table above, so the whole table is
        // dropped. Test: `statements_after_a_syntax_error_are_read`.
        (None, true) => fault..(fault + 1..lines.len()).find(is_header).unwrap_or(lines.len()),
    }
}

fn members(source: u32, table: &DeTable<'_>) -> Members {
    let mut members: Members = table
        .iter()
        .map(|(key, value)| {
            let name = Located { value: key.get_ref().to_string(), at: location(source, &key.span()) };
            let value = Spanned { value: read_value(source, value.get_ref()), at: location(source, &value.span()) };
            (name, value)
        })
        .collect();
    members.sort_by_key(|(key, _)| key.at.start);
    members
}

fn read_value(source: u32, value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Integer(number) => {
            // Settings and JSON have only decimal numbers, so numbers such as `0xFF` are converted. Test:
            // `members_keep_the_order_of_the_file_and_numbers_their_value`.
            let spelling = number.as_str();
            let decimal = i128::from_str_radix(spelling, number.radix()).map(|number| number.to_string());
            Value::Number(decimal.unwrap_or_else(|_| spelling.trim_start_matches('+').to_owned()))
        }
        DeValue::Float(number) => Value::Number(number.as_str().trim_start_matches('+').to_owned()),
        DeValue::Datetime(moment) => Value::Day(match (moment.date, moment.time, moment.offset) {
            (Some(date), None, None) => midnight(date.year, date.month, date.day),
            _ => None,
        }),
        DeValue::Array(elements) => {
            let written = |element: &toml::Spanned<DeValue<'_>>| Spanned {
                value: read_value(source, element.get_ref()),
                at: location(source, &element.span()),
            };
            Value::List(elements.iter().map(written).collect())
        }
        DeValue::Table(table) => Value::Table(members(source, table)),
    }
}

/// Returns the beginning of a day in UTC, in seconds since 1970; `None` if there is no such day.
fn midnight(year: u16, month: u8, day: u8) -> Option<i64> {
    let date = NaiveDate::from_ymd_opt(year.into(), month.into(), day.into())?;
    Some(date.and_time(NaiveTime::MIN).and_utc().timestamp())
}

fn location(source: u32, span: &Range<usize>) -> Location {
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Location { source, start: place(span.start), end: place(span.end) }
}

/// Masks possible secrets in a line with a syntax error, whose structure isn't known. All words of the line are masked
/// if the text since the header of the table contains a word such as `key`, `token` or `header`. Exceptions are short
/// numbers, names of tables, names before a `=`, and references such as `env:NAME`.
fn mask_line(source: u32, text: &str, line: usize, diagnostics: &mut Diagnostics) {
    let lines: Vec<&str> = text.split('\n').take(line + 1).collect();
    let Some(shown) = lines.get(line) else { return };
    let begins = lines[..line].iter().map(|line| line.len() + 1).sum::<usize>();
    let table = lines[..line].iter().rposition(|line| header(line) > 0).unwrap_or(0);
    let spoken = lines[table..].join("\n").to_lowercase();
    let words = ["key", "token", "secret", "password", "header", "cursor", "admin"];
    if !words.iter().any(|word| spoken.contains(word)) {
        return;
    }
    let is_word = |character: char| !character.is_whitespace() && !"{}[]=,\"'".contains(character);
    let mut at = header(shown);
    while let Some(start) = shown[at..].find(is_word).map(|found| at + found) {
        let end = shown[start..].find(|character| !is_word(character)).map_or(shown.len(), |found| start + found);
        let word = &shown[start..end];
        let is_name = shown[end..].trim_start_matches(['"', '\'', ' ', '\t']).starts_with('=');
        let is_short_number = word.len() <= 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        if !is_name && !is_short_number && !schema::is_reference(word) {
            diagnostics.mask(location(source, &(begins + start..begins + end)));
        }
        at = end;
    }
}

/// Returns the length of the brackets and the names at the beginning of a line with the header of a table; 0 for other
/// lines. Only the tables of configurations and contracts count: any other line that begins with a bracket may be an
/// element of a list, and contain a secret.
fn header(line: &str) -> usize {
    let names = line.trim_start().trim_start_matches('[');
    let before = line.len() - names.len();
    let is_name = |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
    let length = names.find(|character| !is_name(character)).unwrap_or(names.len());
    let table = names[..length].split('.').next().unwrap_or_default();
    let is_known = |schema: &Schema| matches!(schema, Schema::Table(keys) if keys.iter().any(|key| key.name == table));
    let is_header = line.trim_start().starts_with('[') && [FILE_SCHEMA, CONTRACT_SCHEMA].iter().any(is_known);
    if is_header { before + length } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> (Spanned, Vec<(usize, String)>, String) {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), text.into());
        let (root, whole) = read(source, text, &mut diagnostics);
        assert_eq!(whole, !diagnostics.has_errors());
        let messages = diagnostics.iter().map(|fault| (diagnostics.place(fault.at).1, fault.message.clone())).collect();
        (root, messages, diagnostics.render(false))
    }

    fn table<'t>(root: &'t Spanned, name: &str) -> &'t Spanned {
        root.find(name).unwrap_or_else(|| panic!("{name}"))
    }

    fn count(table: &Spanned, name: &str) -> Option<u64> {
        table.find(name)?.as_count()
    }

    #[test]
    fn members_keep_the_order_of_the_file_and_numbers_their_value() {
        let (root, faults, _) = messages("z = 1_000\na = 0x1f\nm = 2026-01-15\n[k]\nb = +1.50\n");
        assert_eq!(faults, []);
        let names: Vec<&str> = root.members().iter().map(|(key, _)| key.value.as_str()).collect();
        assert_eq!(names, ["z", "a", "m", "k"]);
        assert_eq!(count(&root, "z"), Some(1_000));
        assert_eq!(count(&root, "a"), Some(31));
        assert_eq!(root.find("m").map(|day| day.value.clone()), Some(Value::Day(Some(1_768_435_200))));
        assert_eq!(table(&root, "k").find("b").map(|b| b.value.clone()), Some(Value::Number("1.50".into())));
    }

    #[test]
    fn statements_after_a_syntax_error_are_read() {
        let (root, faults, _) =
            messages("[a]\nx = \"unterminated\ny 3\nz = 1\n[b\nq = 1\n[c]\nk = [1, 2\nm = 5\nn = 6\n");
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 5, 9], "{faults:?}");
        assert_eq!(count(table(&root, "a"), "z"), Some(1));
        assert_eq!(table(&root, "a").find("q"), None, "the lines under a broken header belong to no table");
        assert_eq!(count(table(&root, "c"), "n"), Some(6));
    }

    #[test]
    fn an_unclosed_bracket_does_not_swallow_the_next_table() {
        let (root, faults, _) = messages("[a]\nk = [\n  1,\n[b]\nq = 1\n");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(count(table(&root, "b"), "q"), Some(1));
    }

    #[test]
    fn yaml_is_reported_once() {
        let (_, faults, _) = messages("# Routes.\nversion: 1\nserver:\n  public_url: http://x\n");
        assert_eq!(faults, [(2, "this is YAML, and a configuration is TOML".to_owned())]);
        let (_, faults, _) = messages("version = 1\nserver: 1\n");
        assert_eq!(faults, [(2, "invalid unquoted key".to_owned())]);
    }

    #[test]
    fn json_is_reported_once() {
        let (_, faults, _) = messages("{\n  \"version\": 1,\n  \"server\": {}\n}\n");
        assert_eq!(faults, [(1, "this is JSON, and a configuration is TOML".to_owned())]);
    }

    #[test]
    fn the_number_of_reported_syntax_errors_is_bounded() {
        let (_, faults, _) = messages(&"= \"\n".repeat(1_000));
        assert_eq!(faults.len(), SYNTAX_ERRORS);
    }

    #[test]
    fn a_secret_beside_a_syntax_error_is_not_shown() {
        let texts = [
            "[cursor]\nkeys = { 1 = \"hunter2hunter2\" 2 = \"env:B\" }\n",
            "[cursor]\nkeys = { 1 = \"hunter2hunter2\n",
            "[cursor]\nkeys = { 1 = hunter2hunter2 }\n",
            "cursor = {\n keys = {\n 1 = 'hunter2hunter2\n",
            "[upstreams.a]\nheaders = { X-Api-Key: \"hunter2hunter2\" }\n",
            "[cursor]\nkeys = [\n[\"hunter2hunter2\" 5],\n",
            "[cursor]\nkeys = [\n  [\"hunter2hunter2\" 5],\n",
            "[cursor]\nkeys = [\n[hunter2hunter2 5],\n[\"hunter2hunter2\" 5],\n]\n",
            "[cursor]\nkeys = [1\n[\"hunter2hunter2\"]\n]\n",
            "[cursor] keys = { 1 = \"hunter2hunter2\" }\n",
        ];
        for text in texts {
            let (_, faults, shown) = messages(text);
            assert!(!faults.is_empty() && !shown.contains("hunter2"), "{shown}");
        }
        for (text, plain) in [("[routes.a]\npath = \"/a\n", "\"/a"), ("[admin]\n[cursor\nttl = 5\n", "[cursor")] {
            let (_, _, shown) = messages(text);
            assert!(shown.contains(plain), "{shown}");
        }
    }
}
