//! `cursorgate dialects` and `cursorgate envelopes`: list the built-in dialects or envelopes, or print one of them.

use super::{Failure, report};
use cursorgate_config::{diagnostic::nearest, preset_dialects, preset_envelopes};

/// A built-in dialect or envelope: its name and its text.
type Preset = (&'static str, &'static str);

/// Lists the built-in dialects, or prints the dialect with this name.
pub(super) fn dialects(name: Option<&str>) -> Result<(), Failure> {
    shown("dialect", &preset_dialects().collect::<Vec<_>>(), of_toml, name)
}

/// Lists the built-in envelopes, or prints the envelope with this name.
pub(super) fn envelopes(name: Option<&str>) -> Result<(), Failure> {
    shown("envelope", &preset_envelopes().collect::<Vec<_>>(), of_json, name)
}

fn shown(noun: &str, presets: &[Preset], description: fn(&str) -> String, name: Option<&str>) -> Result<(), Failure> {
    let Some(name) = name else {
        let width = presets.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let lines = presets.iter().map(|(name, text)| format!("{name:width$}  {}\n", description(text)));
        return report::output(&lines.collect::<String>());
    };
    match presets.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => report::output(text),
        None => {
            // `django` is the name of no dialect, but of a framework that some describe.
            let is_about = |text: &str| description(text).to_lowercase().contains(&name.to_lowercase());
            let about = || presets.iter().filter(|(_, text)| is_about(text)).map(|(name, _)| *name).collect();
            let near = nearest(name, presets.iter().map(|(name, _)| *name));
            let near: Vec<String> =
                near.map_or_else(about, |near| vec![near]).iter().map(|near| format!("{near:?}")).collect();
            let hint = if near.is_empty() { String::new() } else { format!(" did you mean {}?", near.join(" or ")) };
            let message = format!("there is no built-in {noun} {name:?}.{hint} `cursorgate {noun}s` lists them");
            Err(Failure::failed(message))
        }
    }
}

/// Returns the description of a dialect, from the line with the key `description`.
fn of_toml(text: &str) -> String {
    let value = text.lines().find_map(|line| line.strip_prefix("description = "));
    // A basic string in TOML on one line has the syntax of a JSON string, so it is parsed as JSON.
    value.and_then(|value| serde_json::from_str(value).ok()).unwrap_or_default()
}

/// Returns the description of an envelope, from the member `description`.
fn of_json(text: &str) -> String {
    let envelope = serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    envelope["description"].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_one_line_about_itself() {
        let dialects = preset_dialects().map(|(name, text)| (name, of_toml(text)));
        let envelopes = preset_envelopes().map(|(name, text)| (name, of_json(text)));
        for (name, description) in dialects.chain(envelopes) {
            assert!(!description.is_empty() && !description.contains('\n'), "{name}");
        }
    }
}
