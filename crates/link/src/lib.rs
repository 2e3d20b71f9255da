//! A parser of `Link` header fields (RFC 8288, appendices B.2 to B.4).
//!
//! Targets may contain commas and semicolons. Parameters come in any order. The value of `rel` may be quoted, and may
//! contain several relations, separated by blanks. A syntax error ends the parsing of its field; the other fields are
//! still parsed.

#![warn(missing_docs)]

use std::borrow::Cow;

use http::{HeaderMap, header::LINK};

/// Returns the target of the first link with this relation, as it is written in the field, without resolving it. Links
/// with an `anchor` parameter are ignored, because their context is another resource. Relations are compared without
/// regard to case.
#[must_use]
pub fn find_target(headers: &HeaderMap, relation: &str) -> Option<String> {
    find(headers, relation, None)
}

/// Returns the same as [`find_target`], but only of links that have a parameter with this name and value, as in
/// `rel="next"; results="true"`. Names of parameters are compared without regard to case, and values byte for byte. If
/// a parameter is repeated, its first value counts.
#[must_use]
pub fn find_target_where(headers: &HeaderMap, relation: &str, parameter: (&str, &str)) -> Option<String> {
    find(headers, relation, Some(parameter))
}

fn find(headers: &HeaderMap, relation: &str, wanted: Option<(&str, &str)>) -> Option<String> {
    headers.get_all(LINK).iter().find_map(|field| {
        // Each field is parsed separately, so a malformed field hides no link of another field. Test:
        // `a_link_is_found_in_any_of_several_header_fields`.
        let field = String::from_utf8_lossy(field.as_bytes());
        let mut parser = Parser { rest: &field };
        while let Some(link) = parser.next_link(wanted) {
            // A link with an `anchor` has another context (section 3.2), so it is ignored. Test:
            // `a_missing_or_malformed_link_is_not_found`.
            let is_related = || link.relations.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case(relation));
            if !link.anchored && link.has_wanted && is_related() {
                return Some(link.target.to_owned());
            }
        }
        None
    })
}

#[derive(Debug, PartialEq, Eq)]
struct LinkValue<'a> {
    target: &'a str,
    /// The value of the first `rel` parameter; empty without one. RFC 8288, section 3.3, requires that later `rel`
    /// parameters are ignored.
    relations: Cow<'a, str>,
    anchored: bool,
    /// True if the link has the wanted parameter, or if none is wanted.
    has_wanted: bool,
}

/// A parser of a field; `rest` is the text that isn't parsed yet.
struct Parser<'a> {
    rest: &'a str,
}

const BLANKS: [char; 2] = [' ', '\t'];

impl<'a> Parser<'a> {
    /// Parses the next link, and skips empty list elements before it. Returns `None` at the end of the field or at a
    /// syntax error. `wanted` is the name and the value of a parameter that the link is expected to have.
    fn next_link(&mut self, wanted: Option<(&str, &str)>) -> Option<LinkValue<'a>> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        // A target may contain commas and semicolons, so only `>` ends it. Test: `targets_hold_commas_and_semicolons`.
        let (target, rest) = self.rest.strip_prefix('<')?.split_once('>')?;
        self.rest = rest;
        let mut relations = None;
        let mut anchored = false;
        let mut has_wanted = wanted.is_none().then_some(true);
        while let Some((name, of_parameter)) = self.next_parameter() {
            if name.eq_ignore_ascii_case("rel") {
                // Only the first `rel` counts (RFC 8288, section 3.3). Test:
                // `a_missing_or_malformed_link_is_not_found`.
                relations.get_or_insert(of_parameter);
            } else if name.eq_ignore_ascii_case("anchor") {
                anchored = true;
            } else if let Some((_, value)) = wanted.filter(|(wanted, _)| name.eq_ignore_ascii_case(wanted)) {
                has_wanted.get_or_insert(of_parameter == value);
            }
        }
        let relations = relations.unwrap_or_default();
        Some(LinkValue { target, relations, anchored, has_wanted: has_wanted.unwrap_or_default() })
    }

    /// Parses the name and the value of the current link's next parameter. The value is empty without `=`. Returns
    /// `None` after the last parameter.
    fn next_parameter(&mut self) -> Option<(&'a str, Cow<'a, str>)> {
        self.skip_blanks();
        self.rest = self.rest.strip_prefix(';')?;
        self.skip_blanks();
        let name = self.take_until(&[' ', '\t', '=', ';', ',']);
        self.skip_blanks();
        let Some(rest) = self.rest.strip_prefix('=') else {
            return Some((name, Cow::Borrowed("")));
        };
        self.rest = rest;
        self.skip_blanks();
        let value = if self.rest.starts_with('"') {
            self.take_quoted()
        } else {
            Cow::Borrowed(self.take_until(&[';', ',']).trim_end_matches(BLANKS))
        };
        Some((name, value))
    }

    /// Parses a quoted string (RFC 8288, appendix B.4), and decodes its escapes. An unterminated string extends to the
    /// end of the field.
    fn take_quoted(&mut self) -> Cow<'a, str> {
        let inside = &self.rest[1..];
        let mut unescaped = String::new();
        let mut kept_from = 0;
        let mut characters = inside.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = &inside[at + 1..];
                    return joined(unescaped, &inside[kept_from..at]);
                }
                '\\' => {
                    unescaped.push_str(&inside[kept_from..at]);
                    kept_from = at + 1;
                    // The character after a backslash is kept as it is, even if it is a quotation mark or a backslash.
                    // Test: `a_relation_is_found_in_every_spelling`.
                    characters.next();
                }
                _ => {}
            }
        }
        self.rest = "";
        joined(unescaped, &inside[kept_from..])
    }

    fn take_until(&mut self, ends: &[char]) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find(ends).unwrap_or(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches(BLANKS);
    }
}

fn joined(mut unescaped: String, tail: &str) -> Cow<'_, str> {
    if unescaped.is_empty() {
        return Cow::Borrowed(tail);
    }
    unescaped.push_str(tail);
    Cow::Owned(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next_of(fields: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(LINK, field.parse().unwrap());
        }
        find_target(&headers, "next")
    }

    #[test]
    fn a_relation_is_found_in_every_spelling() {
        for field in [
            r#"</a?page=2>; rel="next""#,
            "</a?page=2>; rel=next",
            "</a?page=2>;rel=next;title=x",
            r#"</a?page=2>; title="a, b; c"; rel="last next""#,
            r#"</a?page=2>; title="say \"hi\", <b>"; REL="NEXT""#,
            r#"<x>; rel="prev", </a?page=2>; rel="next""#,
            r#"<x>; rel=prev,</a?page=2>; rel=next ,<y>; rel=last"#,
            r#", ,</a?page=2> ; rel = "next""#,
            r#"<x>; crossorigin; rel=prev, </a?page=2>; crossorigin; rel=next"#,
            r#"</a?page=2>; rel="n\ext""#,
        ] {
            assert_eq!(next_of(&[field]).as_deref(), Some("/a?page=2"), "{field}");
        }
    }

    #[test]
    fn a_link_is_found_by_a_parameter() {
        let found = |field: &str| {
            let mut headers = HeaderMap::new();
            headers.append(LINK, field.parse().unwrap());
            find_target_where(&headers, "next", ("results", "true"))
        };
        for field in [
            r#"</a>; rel="next"; results="true"; cursor="0:100:0""#,
            "</a>; RESULTS=true; rel=next",
            r#"</b>; rel="next"; results="false", </a>; rel="next"; results="true""#,
            r#"</b>; rel="previous"; results="true", </a>; rel="next"; results="true""#,
            r#"</a>; rel="next"; results="true"; results="false""#,
        ] {
            assert_eq!(found(field).as_deref(), Some("/a"), "{field}");
        }
        for field in [
            r#"</a>; rel="next"; results="false"; cursor="0:100:0""#,
            r#"</a>; rel="next"; results="TRUE""#,
            r#"</a>; rel="next"; results"#,
            r#"</a>; rel="next""#,
            r#"</a>; rel="next"; title="results=true""#,
            r#"</a>; rel="next"; results="false"; results="true""#,
            r##"</a>; rel="next"; results="true"; anchor="#other""##,
        ] {
            assert_eq!(found(field), None, "{field}");
        }
    }

    #[test]
    fn targets_hold_commas_and_semicolons() {
        let field = r#"</a?sort=x,-y;z&page=2>; rel="next", </a?page=9>; rel="last""#;
        assert_eq!(next_of(&[field]).as_deref(), Some("/a?sort=x,-y;z&page=2"));
    }

    #[test]
    fn a_link_is_found_in_any_of_several_header_fields() {
        assert_eq!(next_of(&["<1>; rel=prev", "<3>; rel=next"]).as_deref(), Some("3"));
        assert_eq!(next_of(&["nonsense", "<3>; rel=next"]).as_deref(), Some("3"), "a bad field spoils no other");
    }

    #[test]
    fn a_missing_or_malformed_link_is_not_found() {
        for field in [
            "",
            "</a>",
            "</a>; rel=prev",
            "</a>; rel=nextish",
            r#"</a>; title="rel=next""#,
            "</a>; rev=next",
            "</a; rel=next",
            "/a; rel=next",
            r#"</a>; rel="prev"; rel="next""#,
            r##"</a>; rel="next"; anchor="#other""##,
            r#"</a>; rel="next"#,
        ] {
            let expected = (field == r#"</a>; rel="next"#).then_some("/a");
            assert_eq!(next_of(&[field]).as_deref(), expected, "{field}");
        }
    }
}
