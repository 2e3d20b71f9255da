//! JSON documents that the gateway itself writes for people and tools: a tree whose members keep their order. The
//! bodies of pages aren't built with this type.

use super::write::push_text;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number, written exactly as this string.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Self>),
    /// An object: its members in the order of writing. No name may come twice.
    Object(Vec<(String, Self)>),
}

impl Document {
    /// Makes an object of these members, in their order.
    pub fn object<N: Into<String>>(members: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// Makes an array of strings.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::Array(texts.into_iter().map(|text| Self::Text(text.into())).collect())
    }

    /// Returns the value of the member with this name; `None` if the object lacks it, or if this value isn't an object.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Adds a member at the end of an object. Returns a value of any other type unchanged.
    #[must_use]
    pub fn with(mut self, name: &str, value: Self) -> Self {
        if let Self::Object(members) = &mut self {
            members.push((name.to_owned(), value));
        }
        self
    }

    /// Returns the document as JSON text, indented by two blanks per level, with a line feed at the end.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        self.push(&mut out, 0);
        out.push(b'\n');
        String::from_utf8(out).unwrap_or_default()
    }

    fn push(&self, out: &mut Vec<u8>, depth: usize) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Boolean(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
            Self::Number(spelling) => out.extend_from_slice(spelling.as_bytes()),
            Self::Text(text) => push_text(out, text),
            Self::Array(elements) if elements.is_empty() => out.extend_from_slice(b"[]"),
            Self::Object(members) if members.is_empty() => out.extend_from_slice(b"{}"),
            Self::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    push_line(out, if index == 0 { b"[" } else { b"," }, depth + 1);
                    element.push(out, depth + 1);
                }
                push_line(out, b"", depth);
                out.push(b']');
            }
            Self::Object(members) => {
                for (index, (name, value)) in members.iter().enumerate() {
                    push_line(out, if index == 0 { b"{" } else { b"," }, depth + 1);
                    push_text(out, name);
                    out.extend_from_slice(b": ");
                    value.push(out, depth + 1);
                }
                push_line(out, b"", depth);
                out.push(b'}');
            }
        }
    }
}

fn push_line(out: &mut Vec<u8>, end: &[u8], depth: usize) {
    out.extend_from_slice(end);
    out.push(b'\n');
    out.resize(out.len() + 2 * depth, b' ');
}

impl From<&str> for Document {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Document {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Document {
    fn from(flag: bool) -> Self {
        Self::Boolean(flag)
    }
}

impl From<u64> for Document {
    fn from(number: u64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<u32> for Document {
    fn from(number: u32) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<Vec<Self>> for Document {
    fn from(elements: Vec<Self>) -> Self {
        Self::Array(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_written_as_it_stands() {
        let document = Document::object([
            ("b", Document::object([("x", 1_u32.into()), ("y", Document::Null)])),
            ("a", vec![true.into(), Document::Array(Vec::new()), "<\"".into()].into()),
            ("none", Document::Object(Vec::new())),
        ]);
        let text = document.render();
        assert_eq!(
            text,
            "{\n  \"b\": {\n    \"x\": 1,\n    \"y\": null\n  },\n  \"a\": [\n    true,\n    [],\n    \
             \"\\u003c\\\"\"\n  ],\n  \"none\": {}\n}\n"
        );
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
    }
}
