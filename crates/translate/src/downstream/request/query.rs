//! Query strings: pairs with decoded names in their order, and their encodings for upstreams and links.
//!
//! A query is split only at `&`. A raw `;` is part of a value, and is encoded before it is sent on, because some
//! servers also split there (CVE-2021-23336).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode};

/// A `name=value` pair of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'q> {
    /// The pair as the client sent it, not decoded.
    pub raw: &'q str,
    /// The part before the first `=`, not decoded.
    pub raw_name: &'q str,
    /// The part after the first `=`, not decoded; empty without a `=`.
    pub raw_value: &'q str,
}

impl<'q> Pair<'q> {
    /// Returns the decoded name. A `%` that doesn't begin an escape is literal.
    #[must_use]
    pub fn name(&self) -> Cow<'q, [u8]> {
        decode(self.raw_name)
    }

    /// Returns the decoded value. A `%` that doesn't begin an escape is literal.
    #[must_use]
    pub fn value(&self) -> Cow<'q, [u8]> {
        decode(self.raw_value)
    }

    /// Returns the value as text, for the gateway's own parameters; `None` if an escape is malformed or the result is
    /// not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self.value() {
            Cow::Borrowed(_) => Some(self.raw_value.to_owned()),
            // The gateway doesn't guess the value of its own parameter: `limit=%zz` is refused. Test:
            // `limits_are_whole_numbers_of_at_least_one`.
            Cow::Owned(_) if has_malformed_escape(self.raw_value) => None,
            Cow::Owned(decoded) => String::from_utf8(decoded).ok(),
        }
    }
}

/// Returns the pairs of a query in order, without empty ones.
pub fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (raw_name, raw_value) = raw.split_once('=').unwrap_or((raw, ""));
        Pair { raw, raw_name, raw_value }
    })
}

/// Decodes a name or value: `+` is a space, `%XX` a byte.
fn decode(text: &str) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'+', b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text.as_bytes());
    }
    // `+` is replaced before escapes are decoded, because the plus of `%2B` must stay.
    let blanks: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&blanks).collect())
}

fn has_malformed_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, &byte)| byte == b'%' && !begins_escape(&bytes[at..]))
}

/// Returns whether these bytes begin with `%` and two hexadecimal digits.
fn begins_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// The characters that are encoded for upstreams: those that no browser sends raw in a query (the query percent-encode
/// set of the URL standard), and `;`. All other bytes pass unchanged, malformed escapes included.
const FORWARDED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b';');

/// The characters that are encoded in links: those that RFC 3986 (section 3.4) does not allow in a query, and `,` and
/// `;`, at which simple readers of `Link` split. [`push_encoded`] handles `%` separately.
const LINKED: &AsciiSet =
    &FORWARDED.add(b',').add(b'[').add(b'\\').add(b']').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// The characters that are encoded in values that the gateway writes: all but the unreserved ones of RFC 3986.
const COMPONENT: &AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Appends a raw `name=value` for the upstream, with the characters of [`FORWARDED`] encoded.
pub fn push_forwarded(out: &mut String, raw: &str) {
    push_separator(out);
    if is_unreserved(raw, b'=') {
        return out.push_str(raw);
    }
    out.extend(percent_encoding::utf8_percent_encode(raw, FORWARDED));
}

/// Appends a raw `name=value` for a link, with the characters of [`LINKED`] encoded.
pub fn push_linked(out: &mut String, raw: &str) {
    push_separator(out);
    push_encoded(out, raw, b'=', LINKED);
}

/// Appends a decoded name and value as `name=value`, both encoded.
pub fn push_written(out: &mut String, name: &str, value: &str) {
    push_separator(out);
    push_pair(out, name, value);
}

fn push_separator(out: &mut String) {
    if !out.is_empty() {
        out.push('&');
    }
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    push_component(out, name);
    out.push('=');
    push_component(out, value);
}

fn push_component(out: &mut String, text: &str) {
    if is_unreserved(text, b'-') {
        return out.push_str(text);
    }
    out.extend(percent_encoding::utf8_percent_encode(text, COMPONENT));
}

/// Returns whether a string has only unreserved characters of RFC 3986 and `also`, none of which is encoded. Most
/// strings do, and this check is faster than encoding.
fn is_unreserved(text: &str, also: u8) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || byte == also;
    text.bytes().all(is_plain)
}

/// A link under construction: its start, and the pairs of its query so far.
#[derive(Debug)]
pub struct LinkQuery {
    text: String,
    /// The separator before the next pair.
    separator: &'static str,
}

impl LinkQuery {
    /// Creates a link without pairs. If `beginning` is empty, the result is only a query, without its `?`.
    pub fn after(beginning: String) -> Self {
        let separator = if beginning.is_empty() { "" } else { "?" };
        Self { text: beginning, separator }
    }

    /// Appends pairs that are already encoded, such as `a=1&b=2`.
    pub fn push_pairs(&mut self, pairs: &str) {
        if !pairs.is_empty() {
            self.separate();
            self.text.push_str(pairs);
        }
    }

    /// Appends a decoded name and value as `name=value`, both encoded.
    pub fn push_written(&mut self, name: &str, value: &str) {
        self.separate();
        push_pair(&mut self.text, name, value);
    }

    /// Returns the link with its query.
    pub fn into_text(self) -> String {
        self.text
    }

    fn separate(&mut self) {
        self.text.push_str(self.separator);
        self.separator = "&";
    }
}

/// The characters that are encoded in a path: those that RFC 3986 (section 3.3) does not allow, and `,`. `;` stays
/// although simple readers of `Link` split there, because a server that reads parameters after `;` takes an encoded `;`
/// for another path.
const LINKED_PATH: &AsciiSet = &LINKED.add(b'?').remove(b';');

/// Appends a path for a link as visible ASCII: invalid characters are encoded, and so is a `%` that begins no escape.
pub fn push_path(out: &mut String, path: &str) {
    push_encoded(out, path, b'/', LINKED_PATH);
}

/// Returns a path with its invalid characters encoded; `None` if all its characters are valid. `%` stays as it is.
#[must_use]
pub fn encoded_path(path: &str) -> Option<String> {
    // Commas are encoded only in links, for readers of `Link` that split at them.
    const PATH: &AsciiSet = &LINKED_PATH.remove(b',');
    if is_unreserved(path, b'/') {
        return None;
    }
    match percent_encoding::utf8_percent_encode(path, PATH).into() {
        Cow::Borrowed(_) => None,
        Cow::Owned(encoded) => Some(encoded),
    }
}

/// Returns a URL as it is written in a link: invalid characters are encoded, and the fragment stays.
pub fn encoded_url(url: &str) -> String {
    const WHOLE: &AsciiSet = &LINKED.remove(b'#');
    let mut encoded = String::with_capacity(url.len());
    push_after_authority(&mut encoded, url, WHOLE);
    encoded
}

/// Appends a URL as the prefix of links, encoded so that it is safe in a `Link` line.
pub fn push_url(out: &mut String, url: &str) {
    push_after_authority(out, url, LINKED);
}

/// Appends a URL with the characters in `set` encoded. The brackets of an IPv6 address stay (RFC 3986, section 3.2.2).
fn push_after_authority(out: &mut String, url: &str, set: &'static AsciiSet) {
    const AUTHORITY: &AsciiSet = &LINKED.remove(b'[').remove(b']');
    let authority = url.find("://").map_or(0, |at| at + "://".len());
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |end| authority + end);
    push_encoded(out, &url[..end], b'/', AUTHORITY);
    push_encoded(out, &url[end..], b'/', set);
}

/// Appends a string with the characters in `set` encoded. `set` contains neither `plain` nor unreserved characters.
fn push_encoded(out: &mut String, text: &str, plain: u8, set: &'static AsciiSet) {
    if is_unreserved(text, plain) {
        return out.push_str(text);
    }
    let mut rest = text.as_bytes();
    // An escape stays as it is, and a lone `%` is encoded. So the link reads back as the same string. Test:
    // `links_of_any_query_read_back_as_the_same_request`.
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend(percent_encoding::percent_encode(&rest[..at], set));
        out.push_str(if begins_escape(&rest[at..]) { "%" } else { "%25" });
        rest = &rest[at + 1..];
    }
    out.extend(percent_encoding::percent_encode(rest, set));
}

/// Folds a parameter's name as lenient servers read it, for comparison: case-insensitive, as ASP.NET does; `.` and
/// space as `_`, nothing after NUL, and no leading spaces, as PHP does.
#[must_use]
pub fn fold_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let name = name.split('\0').next().unwrap_or_default().trim_start_matches(' ');
    let mut folded = String::with_capacity(name.len());
    for letter in name.chars() {
        match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii() => folded.push(char::from(fold_byte(byte))),
            // Letters become upper case first, because some have a second lower case (ſ, K) that must equal the plain
            // one.
            _ => folded.extend(letter.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    folded
}

fn fold_byte(byte: u8) -> u8 {
    match byte {
        b'.' | b' ' => b'_',
        _ => byte.to_ascii_lowercase(),
    }
}

/// Names of parameters, such as a dialect's, which are found in every spelling that an upstream might accept.
#[derive(Clone, Debug, Default)]
pub struct ReservedNames {
    /// Each name as it is written, and in the form of [`fold_name`].
    names: Vec<(String, String)>,
}

impl ReservedNames {
    /// Creates the set from decoded names.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        Self { names: names.iter().map(|name| (name.clone(), fold_name(name.as_bytes()))).collect() }
    }

    /// Returns the name in the set as which an upstream could read a client's decoded name; `None` if there isn't one.
    /// Names are compared folded. A name in the set without a bracket is also found by `name` with brackets after it:
    /// `page[size]` finds `page`. A name in the set with a bracket is also found by the part before it, because
    /// `filter={"limit":5}` can mean `filter[limit]=5`. PHP reads an unclosed `[` as `_`, so this form counts too.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&str> {
        if self.names.is_empty() {
            return None;
        }
        let found = |reaches: &dyn Fn(&str) -> bool| {
            self.names.iter().find(|(_, folded)| reaches(folded)).map(|(name, _)| name.as_str())
        };
        if name.is_ascii() && memchr::memchr2(b'[', 0, name).is_none() && name.first() != Some(&b' ') {
            // Most names fold byte by byte, so they can be compared without allocation.
            let is_folded = |(byte, own): (&u8, u8)| fold_byte(*byte) == own;
            return found(&|own| {
                let own = own.split('[').next().unwrap_or_default();
                own.len() == name.len() && name.iter().zip(own.bytes()).all(is_folded)
            });
        }
        let whole = fold_name(name);
        let cut = whole.split('[').next().unwrap_or_default();
        // PHP reads `page[size` as `page_size`, so this spelling is compared too. Test:
        // `careless_spellings_reach_a_reserved_name`.
        let unclosed = (whole.contains('[') && !whole.contains(']')).then(|| whole.replacen('[', "_", 1));
        let reached = |own: &str| {
            if let Some((outer, _)) = own.split_once('[') {
                return whole == own
                    || whole == outer
                    || whole.strip_prefix(own).is_some_and(|rest| rest.starts_with('['));
            }
            cut == own || unclosed.as_deref() == Some(own)
        };
        found(&reached)
    }
}
