//! Paths: their normalization, the refusal of paths that servers read differently, and the templates of upstream paths.

use std::borrow::Cow;

use cursorgate_config::diagnostic::{Diagnostics, Located};
use cursorgate_translate::downstream::request::query::encoded_path;

/// A normalized path, with the ambiguity that remains in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    /// The path in a form that doesn't depend on its spelling. Unreserved characters and commas are decoded (RFC 3986
    /// section 6.2.2.2; links encode commas), and invalid characters are encoded. The links of a page therefore lead to
    /// the same path. Example: `/%75sers%2c/é` becomes `/users,/%C3%A9`.
    pub text: Cow<'a, str>,
    /// A remaining ambiguity: an encoded slash or an empty segment; `None` if there is none. A forwarded path may have
    /// an ambiguity, but a list's path must not.
    pub doubt: Option<&'static str>,
}

/// Normalizes a path.
///
/// # Errors
///
/// Returns the reason that a path is refused: the path isn't valid, or servers would resolve it differently. Refused
/// are text that isn't UTF-8 or doesn't begin with a slash, spaces, `#`, control bytes and backslashes (the last two
/// also if encoded), `.` and `..` (also between encoded slashes or with `;` parameters), and `%` without two
/// hexadecimal digits.
pub fn normalize(path: &[u8]) -> Result<NormalPath<'_>, &'static str> {
    let text = std::str::from_utf8(path).map_err(|_| "the path is not UTF-8")?;
    if !text.starts_with('/') {
        return Err("the path does not begin with a slash");
    }
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\' || byte == b'#') {
        return Err("the path contains a character that a path can't contain");
    }
    let text = if text.contains('%') { Cow::Owned(decode_unreserved(text)?) } else { Cow::Borrowed(text) };
    let text = encoded_path(&text).map_or(text, Cow::Owned);
    let inner = text.strip_suffix('/').unwrap_or(&text);
    // Most paths have neither escapes nor parameters, so the searches for both are skipped.
    let is_plain = !text.bytes().any(|byte| matches!(byte, b'%' | b';'));
    let mut doubt = (!is_plain && text.contains("%2F")).then_some("the path has an encoded slash");
    for segment in inner.split('/').skip(1) {
        // Some servers first remove parameters or decode `%2F`. For these servers, `/a/..;x/b` and `/a%2f..%2Fb` have
        // dot segments.
        let has_dots = |part| matches!(without_parameters(part), "." | "..");
        if matches!(segment, "." | "..") || (!is_plain && segment.split("%2F").any(has_dots)) {
            return Err("the path has a dot segment");
        }
        // An empty segment may be intended, as in `/proxy/http://example.com/x`, so it is only reported as a doubt.
        // Test: `encoded_slashes_and_empty_segments_are_reported_as_doubts`.
        if segment.is_empty() || (!is_plain && without_parameters(segment).is_empty()) {
            doubt = doubt.or(Some("the path has an empty segment"));
        }
    }
    Ok(NormalPath { text, doubt })
}

/// Normalizes the fixed segments of a route's path, as for the path of a request. Parameters stay unchanged. Returns
/// the reason if a segment isn't valid.
pub fn pattern(path: &str) -> Result<String, &'static str> {
    let mut pattern = String::with_capacity(path.len());
    for segment in path.split('/').skip(1) {
        let segment = format!("/{segment}");
        if segment.starts_with("/{") {
            pattern.push_str(&segment);
        } else {
            pattern.push_str(&normalize(segment.as_bytes())?.text);
        }
    }
    Ok(pattern)
}

/// Returns a normalized path as the most lenient server reads it; `None` if the path stays the same. Encoded slashes
/// become slashes, repeated slashes become one slash, and segment parameters and trailing spaces are removed. Example:
/// `/api;x//old%20` becomes `/api/old`.
pub fn folded(normal: &str) -> Option<String> {
    if !normal.contains(['%', ';']) && !normal.contains("//") {
        return None;
    }
    let slashed = normal.replace("%2F", "/");
    let mut folded = String::with_capacity(slashed.len());
    for segment in slashed.split('/').map(without_parameters).filter(|segment| !segment.is_empty()) {
        folded.push('/');
        folded.push_str(segment);
    }
    // `/api/old%20/` ends with a space and a slash, so spaces and slashes are removed in any order. Test:
    // `paths_are_folded_as_the_most_lenient_server_reads_them`.
    while let Some(rest) = ["%20", "%09", "/"].iter().find_map(|blank| folded.strip_suffix(blank)) {
        folded.truncate(rest.len());
    }
    if folded.is_empty() {
        folded.push('/');
    }
    (folded != normal).then_some(folded)
}

/// Removes everything from the first `;` on, which some servers treat as parameters (RFC 3986 section 3.3).
fn without_parameters(segment: &str) -> &str {
    let end = [";", "%3B"].iter().filter_map(|mark| segment.find(mark)).min();
    end.map_or(segment, |end| &segment[..end])
}

/// Decodes the escapes of unreserved characters and commas, and writes all other escapes in upper case.
///
/// # Errors
///
/// Returns the reason that an escape is invalid or ambiguous.
fn decode_unreserved(text: &str) -> Result<String, &'static str> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let escape = rest.get(at..at + 3).ok_or("the path has a % without two hexadecimal digits")?;
        // `from_str_radix` would also accept a sign, so a `+` is refused. Test:
        // `ambiguous_and_invalid_paths_are_refused`.
        let byte = u8::from_str_radix(&escape[1..], 16).ok().filter(|_| !escape.contains('+'));
        match byte.ok_or("the path has a % without two hexadecimal digits")? {
            b'\\' => return Err("the path has an encoded backslash"),
            0..=0x1f | 0x7f => return Err("the path has an encoded control character"),
            byte if byte.is_ascii_alphanumeric() || b"-._~,".contains(&byte) => decoded.push(char::from(byte)),
            _ => decoded.push_str(&escape.to_ascii_uppercase()),
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// A compiled `upstream_path`, such as `/v1{path}.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    pieces: Vec<PathPart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathPart {
    Literal(String),
    /// The client's path without its final slash.
    Path,
    /// The value of the parameter with this name in the route's path.
    Parameter(String),
}

impl PathTemplate {
    /// Compiles a template such as `/v1{path}/`. `parameters` are the names of the parameters in the route's path.
    /// Returns `None` if there is an error, which is reported in `diagnostics`.
    pub fn compile(written: &Located<String>, parameters: &[String], diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = written.value.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                literal.push_str(&tail[..1]);
                rest = after;
                continue;
            }
            let Some((name, after)) = tail.strip_prefix('{').and_then(|tail| tail.split_once('}')) else {
                diagnostics.error(written.at, "a brace has no partner", "write {name}, or {{ and }} for braces");
                return None;
            };
            if !literal.is_empty() {
                pieces.push(PathPart::Literal(std::mem::take(&mut literal)));
            }
            if name == "path" {
                pieces.push(PathPart::Path);
            } else if parameters.iter().any(|parameter| parameter == name) {
                pieces.push(PathPart::Parameter(name.to_owned()));
            } else {
                let known: Vec<&str> = std::iter::once("path").chain(parameters.iter().map(String::as_str)).collect();
                let message = format!("{{{name}}} is not a part of this route's path");
                diagnostics.error(written.at, message, format!("there is {{{}}}", known.join("}, {")));
                return None;
            }
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(PathPart::Literal(literal));
        }
        match pieces.first() {
            Some(PathPart::Path) => {}
            Some(PathPart::Literal(literal)) if literal.starts_with('/') => {}
            _ => {
                diagnostics.error(written.at, "an upstream path begins with a slash", "write / in front, or {path}");
                return None;
            }
        }
        Some(Self { pieces })
    }

    /// Compiles the path of a route, with the parameters in it. Returns `None` for an invalid path.
    pub fn of_route(path: &str) -> Option<Self> {
        let pattern = pattern(path).ok()?;
        let part = |segment: &str| match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(name) => [PathPart::Literal("/".to_owned()), PathPart::Parameter(name.to_owned())].to_vec(),
            None => vec![PathPart::Literal(format!("/{segment}"))],
        };
        Some(Self { pieces: pattern.split('/').skip(1).flat_map(part).collect() })
    }

    /// Returns the upstream's path for a client's path and its parameters, which stay percent-encoded as the client
    /// sent them.
    pub fn write(&self, path: &str, parameters: &[(String, String)]) -> String {
        let mut written = String::with_capacity(path.len() + 16);
        for piece in &self.pieces {
            match piece {
                PathPart::Literal(literal) => written.push_str(literal),
                PathPart::Path => written.push_str(path.strip_suffix('/').unwrap_or(path)),
                PathPart::Parameter(name) => {
                    let value = parameters.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
                    written.push_str(value);
                }
            }
        }
        // The path `/` is empty without its final slash, so the slash is added again. Test:
        // `upstream_paths_are_written_from_templates`.
        if written.is_empty() {
            written.push('/');
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::diagnostic::Location;

    /// Row: A23
    #[test]
    fn ambiguous_and_invalid_paths_are_refused() {
        for path in [
            "",
            "users",
            "*",
            "/./users",
            "/users/..",
            "http://people/users",
            "/a/../b",
            "/a/%2e%2E/b",
            "/a/%2E",
            "/a/..;/b",
            "/a/..;x=1/b",
            "/a/.;",
            "/a/..%3b/b",
            "/a/%2e.%3Bx",
            "/a%2f..%2Fb",
            "/a/%2e%2e%2fb",
            "/a%2F..;x/b",
            "/a%5cb",
            "/a\\b",
            "/a%00",
            "/a%0d",
            "/a%7F",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a%+1",
            "/a%é",
            "/a\x07",
            "/a b",
            "/a#b",
        ] {
            assert!(normalize(path.as_bytes()).is_err(), "{path}");
        }
        assert!(normalize(b"/\xff").is_err());
    }

    /// Row: A23
    #[test]
    fn encoded_and_plain_spellings_of_a_path_are_the_same_path() {
        for (path, normal) in [
            ("/", "/"),
            ("/users", "/users"),
            ("/users/", "/users/"),
            ("/%75sers", "/users"),
            ("/a%7eb", "/a~b"),
            ("/a%20b%c3%a9", "/a%20b%C3%A9"),
            ("/a.b/...", "/a.b/..."),
            ("/a;v=1/..a;b", "/a;v=1/..a;b"),
            ("/a%252fb", "/a%252fb"),
            ("/é", "/%C3%A9"),
            ("/a,b%2cc;d=(1)", "/a,b,c;d=(1)"),
            ("/a[0]|\"{}`^<>", "/a%5B0%5D%7C%22%7B%7D%60%5E%3C%3E"),
        ] {
            assert_eq!(normalize(path.as_bytes()), Ok(NormalPath { text: normal.into(), doubt: None }), "{path}");
        }
    }

    /// Row: A23
    #[test]
    fn encoded_slashes_and_empty_segments_are_reported_as_doubts() {
        for (path, normal) in [
            ("/a%2fb", "/a%2Fb"),
            ("//users", "//users"),
            ("/proxy/http://example.com/x", "/proxy/http://example.com/x"),
            ("/;x/users", "/;x/users"),
            ("/a/%3b/b", "/a/%3B/b"),
        ] {
            let NormalPath { text, doubt } = normalize(path.as_bytes()).unwrap();
            assert_eq!((text.as_ref(), doubt.is_some()), (normal, true));
        }
    }

    #[test]
    fn paths_are_folded_as_the_most_lenient_server_reads_them() {
        for (path, read) in [
            ("/api/old", None),
            ("/api/old/", None),
            ("/api/ol%C3%A9", None),
            ("//api/old", Some("/api/old")),
            ("/api//old/", Some("/api/old")),
            ("/api%2Fold", Some("/api/old")),
            ("/api/old%2F", Some("/api/old")),
            ("/api/old;a=b", Some("/api/old")),
            ("/api;x/old%3By", Some("/api/old")),
            ("/;x/api/old", Some("/api/old")),
            ("/api/old%20%09%20", Some("/api/old")),
            ("/api/old%20/", Some("/api/old")),
            ("/api/old%20x", None),
            ("//", Some("/")),
        ] {
            assert_eq!(folded(path).as_deref(), read, "{path}");
        }
    }

    fn template(text: &str) -> Result<PathTemplate, usize> {
        let mut diagnostics = Diagnostics::default();
        let source = diagnostics.add_source("a.toml".into(), text.into());
        let written = Located { value: text.to_owned(), at: Location { source, start: 0, end: 1 } };
        let names = ["user".to_owned(), "rest".to_owned()];
        PathTemplate::compile(&written, &names, &mut diagnostics).ok_or_else(|| diagnostics.counts().0)
    }

    #[test]
    fn upstream_paths_are_written_from_templates() {
        let parameters = [("user".to_owned(), "7%2C8".to_owned()), ("rest".to_owned(), "a/b/".to_owned())];
        for (text, written) in [
            ("{path}", "/api/users"),
            ("{path}/", "/api/users/"),
            ("/v1{path}.json", "/v1/api/users.json"),
            ("/people/{user}/{rest}", "/people/7%2C8/a/b/"),
            ("/fixed", "/fixed"),
            ("/{{x}}", "/{x}"),
        ] {
            assert_eq!(template(text).unwrap().write("/api/users/", &parameters), written, "{text}");
        }
        assert_eq!(template("{path}").unwrap().write("/", &[]), "/");
    }

    #[test]
    fn faults_in_upstream_paths_are_reported() {
        for text in ["{id}", "{path", "path}", "", "users", "{user}/x"] {
            assert_eq!(template(text), Err(1), "{text}");
        }
    }
}
