//! Templates: text as it is sent, with variables in braces.
//!
//! Braces that don't begin a name are literal, so JSON can be written unchanged: `{"size":{size}}`. Literal braces
//! around a name are doubled, `{{name}}`. If a text doubles one literal brace, it must double all.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use cursorgate_config::diagnostic::{Diagnostics, Located, nearest};

/// The set of characters that are encoded in values: all except the unreserved ones of RFC 3986 section 2.3.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The variables of templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The page number, in the upstream's counting.
    Page,
    /// The index of the slice's first item, in the upstream's counting.
    Offset,
    /// The number of items in the slice.
    Size,
    /// The index after the slice's last item, in the upstream's counting.
    End,
    /// The index of the slice's last item, in the upstream's counting.
    Last,
    /// The upstream's name of a field.
    Field,
    /// The word for the direction of a key.
    Direction,
    /// The word for the position of a key's nulls.
    Nulls,
    /// The name of the collection.
    Collection,
    /// The token of the page, in either direction.
    Token,
    /// The token of the next page.
    NextToken,
    /// The token of the previous page.
    PreviousToken,
    /// The id or token of the item after which to continue.
    After,
    /// The id or token of the item before which to continue.
    Before,
    /// The value in a comparison.
    Value,
    /// The number of a group of comparisons, which is one alternative of a filter.
    Group,
    /// The whole expression of a key filter.
    Filter,
    /// The first of two expressions that `and` or `or` joins.
    A,
    /// The second of two expressions that `and` or `or` joins.
    B,
    /// The filter expression that the client sent.
    Client,
    /// The list's path at the upstream, without its final slash.
    Path,
    /// The list's path at the upstream without its last segment.
    Parent,
    /// The id of an item.
    Id,
}

impl Variable {
    /// The variables that queries, headers and bodies may use for paging.
    pub const PAGING: &'static [Self] = &[
        Self::Page,
        Self::Offset,
        Self::Size,
        Self::End,
        Self::Last,
        Self::Token,
        Self::NextToken,
        Self::PreviousToken,
        Self::After,
        Self::Before,
    ];
    /// The variables that sorts may use.
    pub const SORTING: &'static [Self] = &[Self::Field, Self::Direction, Self::Nulls];

    /// Returns whether the variable is a continuation that the upstream gave: a token, or the id of an item.
    pub const fn is_token(self) -> bool {
        matches!(self, Self::Token | Self::NextToken | Self::PreviousToken | Self::After | Self::Before)
    }

    /// Returns the name of the variable, as it is written between braces.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Offset => "offset",
            Self::Size => "size",
            Self::End => "end",
            Self::Last => "last",
            Self::Field => "field",
            Self::Direction => "direction",
            Self::Nulls => "nulls",
            Self::Collection => "collection",
            Self::Token => "token",
            Self::NextToken => "next_token",
            Self::PreviousToken => "prev_token",
            Self::After => "after",
            Self::Before => "before",
            Self::Value => "value",
            Self::Group => "group",
            Self::Filter => "filter",
            Self::A => "a",
            Self::B => "b",
            Self::Client => "client",
            Self::Path => "path",
            Self::Parent => "parent",
            Self::Id => "id",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    Literal(String),
    Variable(Variable),
}

/// A text, parsed into literals and variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TemplateText {
    pieces: Vec<TemplatePart>,
}

impl TemplateText {
    /// Parses `part`, which may contain only the variables in `allowed`. `written` is the whole text, for diagnostics.
    /// Reports a fault and returns `None` if `part` is invalid.
    pub fn parse(
        part: &str,
        written: &Located<String>,
        allowed: &[Variable],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = part;
        // If one brace is doubled, all literal braces are, as in the format strings of Rust and Python.
        let doubled = part.contains("{{");
        // The number of open literal braces.
        let mut open = 0_u32;
        while let Some(brace) = rest.find(['{', '}']) {
            literal.push_str(&rest[..brace]);
            rest = &rest[brace..];
            if let Some(after) = rest.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = rest.strip_prefix("}}").filter(|_| doubled) {
                // Without `{{` in the text, `}}` are two closing braces of JSON, so only a text with `{{` has `}}` as
                // one brace. Test: `braces_without_the_name_of_a_variable_are_literal`.
                literal.push('}');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{').filter(|inside| !doubled && !begins_name(inside)) {
                literal.push('{');
                open += 1;
                rest = after;
            } else if let Some(after) = rest.strip_prefix('}').filter(|_| open > 0) {
                literal.push('}');
                open -= 1;
                rest = after;
            } else if let Some((name, after)) = rest.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
                let Some(&variable) = allowed.iter().find(|variable| variable.name() == name) else {
                    report_unknown(name, written, allowed, diagnostics);
                    return None;
                };
                if !literal.is_empty() {
                    pieces.push(TemplatePart::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(TemplatePart::Variable(variable));
                rest = after;
            } else {
                report_alone(part, written, diagnostics);
                return None;
            }
        }
        if open > 0 {
            report_alone(part, written, diagnostics);
            return None;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(TemplatePart::Literal(literal));
        }
        Some(Self { pieces })
    }

    pub fn pieces(&self) -> &[TemplatePart] {
        &self.pieces
    }

    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            TemplatePart::Variable(variable) => Some(*variable),
            TemplatePart::Literal(_) => None,
        })
    }

    /// Writes the text with unencoded values; returns `None` if a variable has no value.
    pub fn render<'v>(&self, value: &dyn Fn(Variable) -> Option<Cow<'v, str>>) -> Option<String> {
        let mut out = String::new();
        self.push(&mut out, value, String::push_str).then_some(out)
    }

    /// Appends the text; `write` appends each value. Returns `false` if a variable has no value; the appended text is
    /// then incomplete.
    fn push<'v>(
        &self,
        out: &mut String,
        value: &dyn Fn(Variable) -> Option<Cow<'v, str>>,
        write: fn(&mut String, &str),
    ) -> bool {
        for piece in &self.pieces {
            match piece {
                TemplatePart::Literal(literal) => out.push_str(literal),
                TemplatePart::Variable(variable) => match value(*variable) {
                    // In a query, `write` encodes the value because a raw one could end its parameter. Literals were
                    // encoded when the template was parsed.
                    Some(plain) => write(out, &plain),
                    None => return false,
                },
            }
        }
        true
    }

    /// Rewrites each literal with a function.
    pub fn with_literals(mut self, write: fn(&str) -> String) -> Self {
        for piece in &mut self.pieces {
            if let TemplatePart::Literal(literal) = piece {
                *literal = write(literal);
            }
        }
        self
    }
}

/// A parameter of a query template. Literals are already encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The part before the first `=`.
    pub name: TemplateText,
    /// The part after the first `=`; `None` if there is no `=`.
    pub value: Option<TemplateText>,
}

impl Parameter {
    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.name.variables().chain(self.value.iter().flat_map(TemplateText::variables))
    }

    /// Returns the name as a server reads it. If the name contains a variable, returns the part before the variable,
    /// without an open bracket: `$sort` for `$sort[{field}]`.
    pub fn decoded_name(&self) -> String {
        match self.name.pieces() {
            [TemplatePart::Literal(name)] => decode(name),
            // In `$sort[{field}]`, a client may send any field, so the part before the bracket represents all of them.
            [TemplatePart::Literal(name), ..] => decode(name).trim_end_matches('[').to_owned(),
            _ => String::new(),
        }
    }

    /// Writes `name=value` with encoded values; returns `None` if a variable has no value.
    pub fn render<'v>(&self, value: &dyn Fn(Variable) -> Option<Cow<'v, str>>) -> Option<String> {
        let mut out = String::new();
        self.push(&mut out, value).then_some(out)
    }

    /// Appends `name=value`. Returns `false` if a variable has no value; the appended text is then incomplete.
    fn push<'v>(&self, out: &mut String, value: &dyn Fn(Variable) -> Option<Cow<'v, str>>) -> bool {
        self.name.push(out, value, push_value)
            && self.value.as_ref().is_none_or(|text| {
                out.push('=');
                text.push(out, value, push_value)
            })
    }
}

/// A query template, without a leading `?`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryTemplate {
    pub parameters: Vec<Parameter>,
}

impl QueryTemplate {
    /// Parses a query template; the empty text has no parameters. Reports a fault and returns `None` if the text is
    /// invalid.
    pub fn parse(source: &Located<String>, allowed: &[Variable], diagnostics: &mut Diagnostics) -> Option<Self> {
        let Located { value: text, at } = source;
        if text.is_empty() {
            return Some(Self::default());
        }
        if text.starts_with('?') {
            diagnostics.error(*at, "a query template has no question mark", "leave out the leading `?`");
            return None;
        }
        let mut parameters = Vec::new();
        for part in text.split('&') {
            let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
            if name.is_empty() {
                let message = format!("a parameter without a name in {text:?}");
                diagnostics.error(*at, message, "write name=value, joined by single `&`");
                return None;
            }
            let name = TemplateText::parse(name, source, allowed, diagnostics)?.with_literals(encode_literal);
            let value = match value {
                Some(value) => {
                    Some(TemplateText::parse(value, source, allowed, diagnostics)?.with_literals(encode_literal))
                }
                None => None,
            };
            parameters.push(Parameter { name, value });
        }
        Some(Self { parameters })
    }

    pub fn variables(&self) -> impl Iterator<Item = Variable> + '_ {
        self.parameters.iter().flat_map(Parameter::variables)
    }

    /// Appends the parameters whose variables all have a value.
    pub fn append_to<'v>(&self, query: &mut String, value: &dyn Fn(Variable) -> Option<Cow<'v, str>>) {
        for parameter in &self.parameters {
            let before = query.len();
            if before > 0 {
                query.push('&');
            }
            let start = query.len();
            // If a parameter is left out, its `&` is removed too, because some servers would read a parameter with an
            // empty name.
            if !parameter.push(query, value) || query.len() == start {
                query.truncate(before);
            }
        }
    }
}

/// Appends pairs to a query. If neither is empty, an `&` separates the two.
pub fn append_pair(query: &mut String, pair: &str) {
    if pair.is_empty() {
        return;
    }
    if !query.is_empty() {
        query.push('&');
    }
    query.push_str(pair);
}

/// Decodes the text of a query: `%XX` is a byte, `+` is a space.
pub fn decode(text: &str) -> String {
    // `+` is replaced first, because a decoded `%2B` is a plus and not a space.
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Encodes a literal of a query. Characters that RFC 3986 section 3.4 allows in a query are kept, and so is `%XX`. All
/// others are encoded.
pub fn encode_literal(literal: &str) -> String {
    let bytes = literal.as_bytes();
    let is_hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let mut out = String::with_capacity(bytes.len());
    for (at, &byte) in bytes.iter().enumerate() {
        let kept = byte.is_ascii_alphanumeric()
            || b"-._~!$&'()*+,;=:@/?".contains(&byte)
            // The author may already have encoded a literal, so its escapes are kept. Test:
            // `literals_keep_what_a_query_can_hold`.
            || (byte == b'%' && is_hex(at + 1) && is_hex(at + 2));
        if kept {
            out.push(char::from(byte));
        } else {
            out.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
    out
}

/// Encodes a value in a query, or a segment of a path.
pub fn encode_value(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

fn push_value(out: &mut String, value: &str) {
    out.extend(utf8_percent_encode(value, ENCODED));
}

/// Returns whether the text after a brace begins a variable, that is, with a letter or `_`.
fn begins_name(inside: &str) -> bool {
    inside.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

fn report_alone(part: &str, written: &Located<String>, diagnostics: &mut Diagnostics) {
    let help =
        "variables are written {name}; other braces are literal in pairs, and are doubled around a name: {{name}}";
    diagnostics.error(written.at, format!("a brace has no partner in {part:?}"), help);
}

fn report_unknown(name: &str, written: &Located<String>, allowed: &[Variable], diagnostics: &mut Diagnostics) {
    let names: Vec<&str> = allowed.iter().map(|variable| variable.name()).collect();
    let known = names.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(" ");
    let help = match nearest(name, names.iter().copied()) {
        None if names.is_empty() => {
            format!("no variable can be here; braces around a name are doubled: {{{{{name}}}}}")
        }
        Some(near) => format!("did you mean {{{near}}}? variables here: {known}"),
        None if name.chars().all(|letter| letter.is_alphanumeric() || letter == '_') => {
            format!("variables here: {known}; literal braces are doubled: {{{{{name}}}}}")
        }
        None => format!("variables here: {known}; where one brace is doubled, all literal ones are"),
    };
    let variable = format!("{{{name}}}");
    // In a long query, the diagnostic points only at the variable. Test: `an_unknown_variable_is_pointed_at`.
    let start = written.value.find(&variable).unwrap_or_default();
    let at = diagnostics.part(written.at, &written.value, start..start + variable.len());
    diagnostics.error(at, format!("unknown variable {variable}"), help);
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::diagnostic::Location;

    #[test]
    fn an_unknown_variable_is_pointed_at() {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".to_owned(), "query = \"p={page}&s={sise}\"".to_owned());
        let at = Location { source, start: 8, end: 27 };
        let written = Located { value: "p={page}&s={sise}".to_owned(), at };
        assert!(QueryTemplate::parse(&written, Variable::PAGING, &mut diagnostics).is_none());
        let fault = diagnostics.iter().next().unwrap();
        assert_eq!(diagnostics.place(fault.at), ("a.toml", 1, 21));
        assert_eq!(fault.at.end - fault.at.start, 6);
        assert!(fault.help.starts_with("did you mean {size}?"), "{}", fault.help);
    }

    fn parsed(text: &str, allowed: &[Variable]) -> Result<String, String> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".to_owned(), text.to_owned());
        let written = Located { value: text.to_owned(), at: Location { source, start: 0, end: 1 } };
        let parsed = TemplateText::parse(text, &written, allowed, &mut diagnostics);
        let rendered = parsed.map(|text| text.render(&|variable| Some(variable.name().to_uppercase().into())).unwrap());
        rendered.ok_or_else(|| diagnostics.iter().map(|fault| format!("{}; {}", fault.message, fault.help)).collect())
    }

    #[test]
    fn braces_without_the_name_of_a_variable_are_literal() {
        let allowed = [Variable::Field, Variable::Value, Variable::A, Variable::B];
        for (text, rendered) in [
            (r#"{"$and":[{a},{b}]}"#, r#"{"$and":[A,B]}"#),
            (r#"{"{field}":{"$gt":{value}}}"#, r#"{"FIELD":{"$gt":VALUE}}"#),
            (r#"{ "x": {} }"#, r#"{ "x": {} }"#),
            (r#"{{"$and":[{a},{b}]}}"#, r#"{"$and":[A,B]}"#),
            (r#"{{"{field}":{{"$gt":{value}}}}}"#, r#"{"FIELD":{"$gt":VALUE}}"#),
            ("{{a}}", "{a}"),
            ("{$size:{value}}", "{$size:VALUE}"),
        ] {
            assert_eq!(parsed(text, &allowed).as_deref(), Ok(rendered), "{text}");
        }
        for (text, said) in [
            ("{a", "a brace has no partner"),
            ("a}", "a brace has no partner"),
            (r#"{"x":{a}"#, "a brace has no partner"),
            (r#"{"x":{a}}}"#, "a brace has no partner"),
            (
                "{zzzzzz}",
                "unknown variable {zzzzzz}; variables here: {field} {value} {a} {b}; literal braces are doubled: \
                 {{zzzzzz}}",
            ),
            ("{fied}", "unknown variable {fied}; did you mean {field}?"),
            (
                r#"{{"a":{"b":{value}}}}"#,
                "unknown variable {\"b\":{value}; variables here: {field} {value} {a} {b}; where one brace is doubled",
            ),
        ] {
            let found = parsed(text, &allowed).unwrap_err();
            assert!(found.starts_with(said), "{text}: {found}");
        }
    }

    #[test]
    fn literals_keep_what_a_query_can_hold() {
        for (literal, encoded) in [
            ("a%20b+c", "a%20b+c"),
            ("100%", "100%25"),
            ("%4", "%254"),
            ("%zz", "%25zz"),
            ("é", "%C3%A9"),
            ("[<\"#>]", "%5B%3C%22%23%3E%5D"),
            ("a\tb\n", "a%09b%0A"),
        ] {
            assert_eq!(encode_literal(literal), encoded);
        }
    }
}
