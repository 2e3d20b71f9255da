//! The constants in generated code, as values that can be written in both languages.

use cursorgate_core::json::{Pointer, pointer::PointerStep};

/// A constant in generated code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SpecValue {
    Nothing,
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<Self>),
    /// A step in a place that selects the array element whose member has this value. The strings are the member's name
    /// and the value.
    Pair(String, String),
    Record(Vec<(&'static str, Self)>),
}

impl SpecValue {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// Returns the steps of a place as a list; [`Self::Nothing`] for `None`.
    pub(super) fn place(place: Option<&Pointer>) -> Self {
        let step = |step: &PointerStep| match step {
            PointerStep::Member(name) => Self::text(name),
            PointerStep::Matching { member, value } => Self::Pair(member.clone(), value.clone()),
        };
        place.map_or(Self::Nothing, |place| Self::List(place.steps().iter().map(step).collect()))
    }

    /// Returns the value as a TypeScript expression.
    pub(super) fn typescript(&self) -> String {
        match self {
            Self::Nothing => "null".to_owned(),
            Self::Flag(is) => is.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => quoted(text),
            Self::List(elements) => format!("[{}]", joined(elements, Self::typescript)),
            Self::Pair(name, value) => format!("[{}, {}]", quoted(name), quoted(value)),
            Self::Record(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{name}: {}", value.typescript())).collect();
                if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
            }
        }
    }

    /// Returns the value as a Python expression.
    pub(super) fn python(&self) -> String {
        match self {
            Self::Nothing => "None".to_owned(),
            Self::Flag(is) => if *is { "True" } else { "False" }.to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(text) => quoted(text),
            Self::List(elements) => format!("[{}]", joined(elements, Self::python)),
            Self::Pair(name, value) => format!("({}, {})", quoted(name), quoted(value)),
            Self::Record(members) => {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("{}: {}", quoted(name), value.python())).collect();
                format!("{{{}}}", members.join(", "))
            }
        }
    }
}

fn joined(elements: &[SpecValue], write: fn(&SpecValue) -> String) -> String {
    elements.iter().map(write).collect::<Vec<_>>().join(", ")
}

/// Returns a string literal that has the same meaning in TypeScript and in Python. The literal is ASCII, except for
/// characters above U+FFFF.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for unit in text.chars() {
        match unit {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            ' '..='~' => out.push(unit),
            // Characters above U+FFFF aren't escaped: an escaped pair of surrogates is one character in TypeScript but
            // two in Python. Test: `constants_mean_the_same_in_both_languages`.
            _ if u32::from(unit) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", u32::from(unit))),
            _ => out.push(unit),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_mean_the_same_in_both_languages() {
        let place = Pointer::parse("/links/[rel=next]/a~1b").unwrap();
        let value = SpecValue::Record(vec![
            ("at", SpecValue::place(Some(&place))),
            ("none", SpecValue::place(None)),
            ("text", SpecValue::text("a\"\\\n\u{e9}\u{1f600}")),
            ("count", SpecValue::Number(7)),
            ("is", SpecValue::Flag(true)),
        ]);
        assert_eq!(
            value.typescript(),
            "{ at: [\"links\", [\"rel\", \"next\"], \"a/b\"], none: null, text: \"a\\\"\\\\\\n\\u00e9\u{1f600}\", count: 7, is: true }"
        );
        assert_eq!(
            value.python(),
            "{\"at\": [\"links\", (\"rel\", \"next\"), \"a/b\"], \"none\": None, \"text\": \"a\\\"\\\\\\n\\u00e9\u{1f600}\", \"count\": 7, \"is\": True}"
        );
    }
}
