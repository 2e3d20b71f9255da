//! `cursorgate dialects`

use super::{Failure, report};
use crate::config::{diagnostic::nearest, preset_dialects};

/// Lists the built-in dialects, or shows one.
pub(super) fn run(name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else {
        let width = preset_dialects().map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines = preset_dialects().map(|(name, text)| format!("{name:width$}  {}\n", description(text)));
        return report::output(&lines.collect::<String>());
    };
    match preset_dialects().find(|(known, _)| *known == name) {
        Some((_, text)) => report::output(text),
        None => {
            let near = nearest(name, preset_dialects().map(|(name, _)| name));
            let hint = near.map(|near| format!(" did you mean {near:?}?")).unwrap_or_default();
            let message = format!("there is no built-in dialect {name:?}.{hint} `cursorgate dialects` lists them");
            Err(Failure::failed(message))
        }
    }
}

/// Returns the description of a built-in dialect, which is its first line.
fn description(text: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix("description = "));
    // A basic string of one line is spelt in TOML as it is in JSON.
    value.and_then(|value| serde_json::from_str(value).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_has_one_line_about_itself() {
        for (name, text) in preset_dialects() {
            let description = description(text);
            assert!(!description.is_empty() && !description.contains('\n'), "{name}");
        }
    }
}
