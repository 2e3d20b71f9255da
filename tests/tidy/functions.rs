//! A test of the length of functions: a function should fit on one screen.

use super::code;

/// The largest number of lines of a function, from its name to its end.
const LONGEST: usize = 60;

#[test]
fn functions_fit_on_a_screen() {
    let mut long = Vec::new();
    for source in &code() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let name = line.trim_start().split("fn ").nth(1).filter(|_| {
                let begins = ["fn ", "pub fn ", "pub(", "async fn ", "pub async fn ", "const fn ", "pub const fn "];
                begins.iter().any(|begin| line.trim_start().starts_with(begin))
            });
            let Some(name) = name.and_then(|rest| rest.split(['(', '<']).next()) else { continue };
            let end = format!("{}}}", " ".repeat(indent));
            let length =
                lines[at..].iter().position(|line| *line == end || (line.ends_with(';') && *line == lines[at]));
            let length = length.map_or(0, |last| last + 1);
            if length > LONGEST {
                long.push(format!("{}: {name} has {length} lines", source.path));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}
