//! The check of a route's path, such as `/api/users/{user}/orders` or `/files/{*rest}`.

use std::ops::Range;

use crate::schema::SyntaxFault;

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    Fixed(&'a str),
    Parameter(&'a str),
    /// The rest of the path: `{*name}`.
    Rest(&'a str),
}

/// Splits a path into its segments; none for `/`. Returns the fault of an invalid path.
pub(super) fn read(path: &str) -> Result<Vec<Segment<'_>>, SyntaxFault> {
    let Some(tail) = path.strip_prefix('/') else {
        return Err(SyntaxFault::new(format!("{path:?} is not a path"), format!("write \"/{path}\"")));
    };
    if let Some(at) = path.find(['?', '#']) {
        return Err(SyntaxFault::new(format!("{path:?} is more than a path"), "leave out the query").of(at..path.len()));
    }
    if tail.is_empty() {
        return Ok(Vec::new());
    }
    if tail.ends_with('/') {
        let help = "leave out the final slash: a path matches with and without it";
        return Err(SyntaxFault::new(format!("{path:?} ends in a slash"), help).of(path.len() - 1..path.len()));
    }
    let mut segments = Vec::new();
    let mut start = 1;
    for text in tail.split('/') {
        let range = start..start + text.len();
        start = range.end + 1;
        if matches!(segments.last(), Some(Segment::Rest(_))) {
            return Err(SyntaxFault::new(
                format!("a segment follows the rest of {path:?}"),
                "{*rest} must be the last segment",
            )
            .of(range));
        }
        let segment = segment(path, text, range.clone())?;
        let name = parameter(&segment);
        if name.is_some() && segments.iter().any(|known| parameter(known) == name) {
            let message = format!("{path:?} has this parameter twice");
            return Err(SyntaxFault::new(message, "give each its own name").of(range));
        }
        segments.push(segment);
    }
    Ok(segments)
}

fn segment<'a>(path: &str, text: &'a str, range: Range<usize>) -> Result<Segment<'a>, SyntaxFault> {
    let no_parameters =
        |help: &str| Err(SyntaxFault::new(format!("{path:?} has an invalid parameter"), help).of(range.clone()));
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    if let Some(inner) = inner {
        let (name, rest) = inner.strip_prefix('*').map_or((inner, false), |name| (name, true));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        // In `upstream_path`, `{path}` is the client's whole path, so no parameter can have this name.
        if name.is_empty() || name == "path" || !name.bytes().all(is_name) {
            let help = "a parameter's name has letters, digits and `_`; `path` is taken";
            return Err(SyntaxFault::new(format!("{text:?} is not a parameter"), help).of(range));
        }
        return Ok(if rest { Segment::Rest(name) } else { Segment::Parameter(name) });
    }
    // Express writes parameters as `:id` and Flask as `<id>`, so the help shows such a name in braces. Test:
    // `an_invalid_path_is_reported_with_its_place`.
    if let Some(name) = text.strip_prefix(':').or_else(|| text.strip_prefix('<')) {
        return no_parameters(&format!("write {{{}}}; the rest of a path is {{*rest}}", name.trim_end_matches('>')));
    }
    if text.contains('*') {
        return no_parameters("write {id}; the rest of a path is {*rest}");
    }
    if text.contains(['{', '}']) {
        return no_parameters("a parameter is a whole segment: write /{id}/");
    }
    if text.is_empty() || text == "." || text == ".." {
        let message = format!("{path:?} has a segment that no request has");
        return Err(SyntaxFault::new(message, "leave it out").of(range));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`|".contains(&byte)) {
        let message = format!("{path:?} has a character that a path can't have");
        return Err(SyntaxFault::new(message, "write it as %XX").of(range));
    }
    Ok(Segment::Fixed(text))
}

/// Returns the name of a parameter; `None` for a fixed segment.
pub(super) fn parameter<'a>(segment: &Segment<'a>) -> Option<&'a str> {
    match segment {
        Segment::Fixed(_) => None,
        Segment::Parameter(name) | Segment::Rest(name) => Some(name),
    }
}

/// Returns the path without the names of its parameters, such as `/users/{}/orders`. Paths that match the same requests
/// have the same pattern.
pub(super) fn pattern(segments: &[Segment<'_>]) -> String {
    let mut pattern = String::new();
    for segment in segments {
        pattern.push('/');
        pattern.push_str(match segment {
            Segment::Fixed(text) => text,
            // The names of parameters don't change the requests that a path matches, so the pattern leaves them out.
            // Test: `the_report_on_each_case_matches_its_snapshot` (tests/config/same-requests.toml).
            Segment::Parameter(_) => "{}",
            Segment::Rest(_) => "{*}",
        });
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_fixed_segments_and_parameters() {
        let read = |path| read(path).expect("a path");
        assert_eq!(read("/"), []);
        let segments = read("/api/users/{user}/orders");
        assert_eq!(pattern(&segments), "/api/users/{}/orders");
        assert_eq!(segments.iter().filter_map(parameter).collect::<Vec<_>>(), ["user"]);
        assert_eq!(pattern(&read("/{*rest}")), "/{*}");
    }

    #[test]
    fn an_invalid_path_is_reported_with_its_place() {
        let cases = [
            ("api", None, "write \"/api\""),
            ("/users/:id/orders", Some(7..10), "write {id}; the rest of a path is {*rest}"),
            ("/users/<id>", Some(7..11), "write {id}; the rest of a path is {*rest}"),
            ("/users/*", Some(7..8), "write {id}; the rest of a path is {*rest}"),
            ("/users/a-{id}", Some(7..13), "a parameter is a whole segment: write /{id}/"),
            ("/{a}/{a}", Some(5..8), "give each its own name"),
            ("/{*rest}/x", Some(9..10), "{*rest} must be the last segment"),
            ("/users/", Some(6..7), "leave out the final slash: a path matches with and without it"),
            ("/a//b", Some(3..3), "leave it out"),
            ("/a/../b", Some(3..5), "leave it out"),
            ("/a?b=c", Some(2..6), "leave out the query"),
            ("/a b", Some(1..4), "write it as %XX"),
            ("/{path}", Some(1..7), "a parameter's name has letters, digits and `_`; `path` is taken"),
        ];
        for (path, part, help) in cases {
            let fault = read(path).expect_err(path);
            assert_eq!((fault.part, fault.help.as_str()), (part, help), "{path}");
        }
    }
}
