//! Descriptions of response bodies for the log, without the values in them.

use http::{HeaderMap, header::CONTENT_TYPE};

use cursorgate_core::json::members;

/// Describes a body by its first bytes and its media type, without quoting it.
pub fn kind_of_document(headers: &HeaderMap, body: &[u8]) -> &'static str {
    let text = beginning(body);
    let begins = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    match text.first() {
        None => "an empty body",
        // An HTML document is reported separately from XML: it is usually a sign-in page or a proxy's page, not another
        // format of the API.
        Some(b'<') if begins(b"<!doctype html") || begins(b"<html") || starts_html(content_type) => "an HTML document",
        Some(b'<') => "an XML document",
        Some(b'{') => "a JSON object",
        Some(b'[') => "a JSON array",
        Some(b'"') => "a JSON string",
        Some(b'-' | b'0'..=b'9') => "a JSON number",
        _ if begins(b"null") => "a JSON null",
        _ if begins(b"true") || begins(b"false") => "a JSON boolean",
        // A body that is still compressed came without its `Content-Encoding`, so it wasn't decoded.
        _ if body.starts_with(b"\x1f\x8b") => "a gzip stream",
        _ => "plain text",
    }
}

/// Returns whether a JSON body is an object.
pub fn is_object(body: &[u8]) -> bool {
    beginning(body).starts_with(b"{")
}

/// Returns the body without a byte order mark and leading spaces.
fn beginning(body: &[u8]) -> &[u8] {
    // Some upstreams on Windows write a byte order mark, which is skipped. Test:
    // `the_kind_of_a_body_follows_from_its_first_bytes`.
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start()
}

fn starts_html(content_type: &[u8]) -> bool {
    content_type.get(..9).is_some_and(|start| start.eq_ignore_ascii_case(b"text/html"))
}

/// The largest number of member names in a description. `…` stands for all others, and for each name of more than
/// [`LONGEST_NAME`] bytes.
const MOST_NAMES: usize = 12;
const LONGEST_NAME: usize = 40;

/// Describes a body by its kind and the names of its members, without quoting values.
pub fn described(headers: &HeaderMap, body: &[u8]) -> String {
    let kind = kind_of_document(headers, body);
    member_names(body).map_or_else(|| kind.to_owned(), |names| format!("{kind}, whose members are {names}"))
}

/// Returns the names of a document's members, from which an operator can see where the list is. Names that aren't
/// identifiers may be data, as in a map of addresses, and are replaced by `…`. Returns `None` if there are no members.
fn member_names(body: &[u8]) -> Option<String> {
    let members = members(body)?;
    let is_identifier = |name: &[u8]| {
        name.len() <= LONGEST_NAME
            && name.first().is_some_and(|byte| !byte.is_ascii_digit())
            && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_-$".contains(byte))
    };
    let names = members.iter().take(MOST_NAMES).map(|(name, _)| match std::str::from_utf8(name) {
        Ok(text) if is_identifier(name) => text,
        // A name that isn't an identifier could be a user's data, which must not get into the log. Test:
        // `a_body_without_a_list_is_described_without_its_content`.
        _ => "…",
    });
    let mut names: Vec<&str> = names.collect();
    if members.len() > MOST_NAMES {
        names.push("…");
    }
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_body_follows_from_its_first_bytes() {
        for (body, kind) in [
            (&b""[..], "an empty body"),
            (b" \r\n", "an empty body"),
            (b"\n<!DOCTYPE html><html>", "an HTML document"),
            (b"\xef\xbb\xbf<html lang=en>", "an HTML document"),
            (b"<?xml version=\"1.0\"?>", "an XML document"),
            (b"{\"secret\":1", "a JSON object"),
            (b"[1", "a JSON array"),
            (b"\"x\"", "a JSON string"),
            (b"-1", "a JSON number"),
            (b"null", "a JSON null"),
            (b"false", "a JSON boolean"),
            (b"\x1f\x8b\x08", "a gzip stream"),
            (b"upstream connect error", "plain text"),
        ] {
            assert_eq!(kind_of_document(&HeaderMap::new(), body), kind);
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "text/html; charset=utf-8".parse().unwrap());
        assert_eq!(kind_of_document(&headers, b"<div>"), "an HTML document");
    }
}
