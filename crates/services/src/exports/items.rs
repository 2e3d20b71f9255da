//! Writes the items of a page in the format of the result.

use bytes::Bytes;

use super::{
    format::{ExportFormat, Formulas},
    job::{JobFault, JobProgress},
};
use cursorgate_core::json;

/// The largest number of columns that a table takes from its first page. Further members get no column, and are counted
/// as omitted.
const MOST_COLUMNS: usize = 1_000;

/// Returns the bytes with which the items of a page continue a result, and counts the items in `progress`. The columns
/// of a table are the ones that the client named. If the client didn't name columns, they are the members of the first
/// page's items in the order in which they first occur.
///
/// # Errors
///
/// Returns the fault `items_not_tabular` if the format is a table and an item isn't an object, or has too many members.
pub(super) fn write_page(
    format: ExportFormat,
    formulas: Formulas,
    items: &[Bytes],
    is_last: bool,
    progress: &mut JobProgress,
) -> Result<Vec<u8>, JobFault> {
    let size: usize = items.iter().map(|item| item.len() + 2).sum();
    let mut out = Vec::with_capacity(size + 8);
    match format {
        ExportFormat::Ndjson => {
            for item in items {
                push_line(item, &mut out);
            }
        }
        ExportFormat::Json => {
            for (place, item) in items.iter().enumerate() {
                // The first page can be empty, so the number of earlier items decides whether an item is the first, not
                // the number of pages. Test: `lines_and_arrays_keep_the_bytes_of_items`.
                let is_first = place == 0 && progress.items == 0;
                out.extend_from_slice(if is_first { b"[\n" } else { b",\n" });
                out.extend_from_slice(item);
            }
            if is_last {
                let is_empty = items.is_empty() && progress.items == 0;
                out.extend_from_slice(if is_empty { b"[]\n" } else { b"\n]\n" });
            }
        }
        ExportFormat::Csv => write_rows(items, formulas, progress, &mut out)?,
    }
    progress.items += u64::try_from(items.len()).unwrap_or(u64::MAX);
    Ok(out)
}

/// Writes an item as one line, with spaces in place of line ends. Valid JSON has line ends only between tokens, where a
/// space has the same meaning.
fn push_line(item: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(item);
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.push(b'\n');
}

fn write_rows(
    items: &[Bytes],
    formulas: Formulas,
    progress: &mut JobProgress,
    out: &mut Vec<u8>,
) -> Result<(), JobFault> {
    let no_table = || {
        let detail = "an item is not an object, or has too many members: ask for ndjson or json";
        JobFault::new("items_not_tabular", detail)
    };
    let rows: Vec<_> = items.iter().map(|item| json::members(item).ok_or_else(no_table)).collect::<Result<_, _>>()?;
    if progress.pages == 0 {
        // The header row is part of the first page, so later pages can't add columns.
        // Test: `a_table_has_the_columns_of_its_first_page`.
        let columns = progress.columns.get_or_insert_with(|| {
            let mut columns: Vec<String> = Vec::new();
            for (name, _) in rows.iter().flatten() {
                let name = String::from_utf8_lossy(name);
                if columns.len() < MOST_COLUMNS && columns.iter().all(|known| *known != name) {
                    columns.push(name.into_owned());
                }
            }
            columns
        });
        // A table without columns and rows stays empty, because its header would be a row with one empty cell.
        // Test: `a_table_has_the_columns_of_its_first_page`.
        if !(columns.is_empty() && rows.is_empty()) {
            let names: Vec<Vec<u8>> = columns.iter().map(|name| text_cell(name.as_bytes(), formulas)).collect();
            push_row(names.iter().map(Vec::as_slice), out);
        }
    }
    let columns = progress.columns.as_deref().unwrap_or_default();
    for row in &rows {
        let cell = |column: &String| {
            let member = row.iter().find(|(name, _)| **name == *column.as_bytes());
            member.map_or_else(Vec::new, |(_, value)| cell(value, formulas))
        };
        let cells: Vec<Vec<u8>> = columns.iter().map(cell).collect();
        push_row(cells.iter().map(Vec::as_slice), out);
        let with_column = |name: &[u8]| columns.iter().any(|column| column.as_bytes() == name);
        let omitted = row.iter().filter(|(name, _)| !with_column(name)).count();
        progress.omitted += u64::try_from(omitted).unwrap_or(u64::MAX);
    }
    Ok(())
}

/// Returns the cell for a value: the content of a string without quotes, nothing for null, and the JSON of any other
/// value.
fn cell(value: &[u8], formulas: Formulas) -> Vec<u8> {
    match value.first() {
        Some(b'"') => json::scalar::text(value).map_or_else(|| value.to_vec(), |text| text_cell(&text, formulas)),
        Some(b'n') => Vec::new(),
        _ => value.to_vec(),
    }
}

/// Returns the cell for a text. If formulas are escaped, a text that a spreadsheet would read as one begins with `'`,
/// which a spreadsheet doesn't show.
fn text_cell(text: &[u8], formulas: Formulas) -> Vec<u8> {
    // Spreadsheets read the full-width forms of the four signs like the signs.
    let signs = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"];
    let begins = signs.iter().any(|sign| text.starts_with(sign.as_bytes()));
    let is_escaped = formulas == Formulas::Escaped && begins;
    is_escaped.then_some(b'\'').into_iter().chain(text.iter().copied()).collect()
}

/// Writes a row (RFC 4180 section 2). A cell is quoted if it contains a comma, a quote or a line end, or begins or ends
/// with a space. An empty cell is quoted if it is the only cell of the row.
fn push_row<'c>(cells: impl Iterator<Item = &'c [u8]>, out: &mut Vec<u8>) {
    let start = out.len();
    for (place, cell) in cells.enumerate() {
        if place > 0 {
            out.push(b',');
        }
        // Spaces are part of a cell (RFC 4180 section 2), but some readers drop them at the edges of unquoted cells.
        // Test: `a_table_has_the_columns_of_its_first_page`.
        let has_blank_edge = cell.first() == Some(&b' ') || cell.last() == Some(&b' ');
        if has_blank_edge || cell.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
            out.push(b'"');
            for byte in cell {
                if *byte == b'"' {
                    out.push(b'"');
                }
                out.push(*byte);
            }
            out.push(b'"');
        } else {
            out.extend_from_slice(cell);
        }
    }
    // Without the quotes, the row would be a blank line, which readers skip.
    // Test: `a_csv_row_without_values_is_not_a_blank_line`.
    if out.len() == start {
        out.extend_from_slice(b"\"\"");
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    /// Writes pages one after the other, and returns the result and the progress after the last page.
    fn written(format: ExportFormat, pages: &[&[&'static str]], columns: Option<&[&str]>) -> (String, JobProgress) {
        let columns = columns.map(|columns| columns.iter().map(|&column| column.to_owned()).collect());
        let mut progress = JobProgress { columns, ..JobProgress::default() };
        let mut whole = Vec::new();
        for (place, page) in pages.iter().enumerate() {
            let is_last = place + 1 == pages.len();
            whole.extend(write_page(format, Formulas::Kept, &items(page), is_last, &mut progress).unwrap());
            progress.pages += 1;
        }
        (String::from_utf8(whole).unwrap(), progress)
    }

    #[test]
    fn lines_and_arrays_keep_the_bytes_of_items() {
        let one = r#"{"a" : 1.0,"b":"\n"}"#;
        let pages: &[&[&str]] = &[&[one, "{\"c\":\r\n2}"], &[], &["3"]];
        assert_eq!(written(ExportFormat::Ndjson, pages, None).0, format!("{one}\n{{\"c\":  2}}\n3\n"));
        let array = written(ExportFormat::Json, pages, None).0;
        assert_eq!(array, format!("[\n{one},\n{{\"c\":\r\n2}},\n3\n]\n"));
        assert_eq!(serde_json::from_str::<Vec<serde_json::Value>>(&array).unwrap().len(), 3);
        assert_eq!(written(ExportFormat::Json, &[&[]], None).0, "[]\n");
        assert_eq!(written(ExportFormat::Json, &[&["1"], &[]], None).0, "[\n1\n]\n");
    }

    #[test]
    fn a_table_has_the_columns_of_its_first_page() {
        let pages: &[&[&str]] = &[
            &[r#"{"id":1,"name":"a, \"b\"\nc"}"#, r#"{"name":null,"more":[1, 2],"id":2.50}"#],
            &[r#"{"id":3,"new":true,"name":" blank"}"#],
        ];
        let (table, progress) = written(ExportFormat::Csv, pages, None);
        let rows = ["id,name,more", "1,\"a, \"\"b\"\"\nc\",", "2.50,,\"[1, 2]\"", "3,\" blank\",", ""];
        assert_eq!(table, rows.join("\r\n"));
        assert_eq!((progress.items, progress.omitted), (3, 1));
        let (table, progress) = written(ExportFormat::Csv, pages, Some(&["new", "id"]));
        assert_eq!(table, "new,id\r\n,1\r\n,2.50\r\ntrue,3\r\n");
        assert_eq!(progress.omitted, 4);
        let fault = write_page(ExportFormat::Csv, Formulas::Kept, &items(&["[1]"]), true, &mut JobProgress::default())
            .unwrap_err();
        assert_eq!(fault.code, "items_not_tabular");
        assert_eq!(written(ExportFormat::Csv, &[&[]], None).0, "");
    }

    #[test]
    fn texts_that_begin_like_formulas_are_escaped_on_request() {
        let item = items(&[r#"{"=a":"=1+1","b":"-2","c":-2,"d":"\t@x","e":"a=b","f":["=1"],"g":"＝1"}"#]);
        for (formulas, expected) in [
            (Formulas::Kept, "=a,b,c,d,e,f,g\r\n=1+1,-2,-2,\t@x,a=b,\"[\"\"=1\"\"]\",＝1\r\n"),
            (Formulas::Escaped, "'=a,b,c,d,e,f,g\r\n'=1+1,'-2,-2,'\t@x,a=b,\"[\"\"=1\"\"]\",'＝1\r\n"),
        ] {
            let table = write_page(ExportFormat::Csv, formulas, &item, true, &mut JobProgress::default()).unwrap();
            assert_eq!(String::from_utf8(table).unwrap(), expected);
        }
    }

    #[test]
    fn a_csv_row_without_values_is_not_a_blank_line() {
        let pages: &[&[&str]] = &[&[r#"{"name":null}"#, r#"{"name":"a"}"#], &[r#"{"id":1}"#, r#"{"name":""}"#]];
        let table = written(ExportFormat::Csv, pages, Some(&["name"])).0;
        assert_eq!(table, "name\r\n\"\"\r\na\r\n\"\"\r\n\"\"\r\n");
        let table = written(ExportFormat::Csv, pages, Some(&["name", "none"])).0;
        assert_eq!(table, "name,none\r\n,\r\na,\r\n,\r\n,\r\n");
        let (table, progress) = written(ExportFormat::Csv, &[&["{}"], &[r#"{"id":1}"#]], None);
        assert_eq!((table.as_str(), progress.omitted), ("\"\"\r\n\"\"\r\n\"\"\r\n", 1), "a header and two rows");
    }
}
