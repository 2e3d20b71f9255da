//! A query string as it came: pairs with decoded names, nothing reordered, and what may be written back.
//!
//! A query is split at `&` alone. A raw `;` is part of a value here, and is never sent on raw, because some servers
//! split at it as well (CVE-2021-23336).

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode};

/// One `name=value` of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'q> {
    /// All of it, as it came.
    pub raw: &'q str,
    /// What stands before the first `=`.
    pub raw_name: &'q str,
    /// What stands after it; empty where there is none.
    pub raw_value: &'q str,
}

impl<'q> Pair<'q> {
    /// The name, decoded. A `%` that begins no escape stands for itself.
    #[must_use]
    pub fn name(&self) -> Cow<'q, [u8]> {
        decode(self.raw_name)
    }

    /// The value, decoded likewise.
    #[must_use]
    pub fn value(&self) -> Cow<'q, [u8]> {
        decode(self.raw_value)
    }

    /// The value as text, for parameters that the gateway itself reads: none where an escape is malformed or what it
    /// says is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self.value() {
            Cow::Borrowed(_) => Some(self.raw_value.to_owned()),
            Cow::Owned(_) if has_malformed_escape(self.raw_value) => None,
            Cow::Owned(decoded) => String::from_utf8(decoded).ok(),
        }
    }
}

/// The pairs of a query, in order; empty ones are skipped.
pub fn pairs(query: &str) -> impl Iterator<Item = Pair<'_>> {
    query.split('&').filter(|raw| !raw.is_empty()).map(|raw| {
        let (raw_name, raw_value) = raw.split_once('=').unwrap_or((raw, ""));
        Pair { raw, raw_name, raw_value }
    })
}

/// Decodes a name or value of a query: `+` is a blank, `%XX` a byte.
fn decode(text: &str) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'+', b'%', text.as_bytes()).is_none() {
        return Cow::Borrowed(text.as_bytes());
    }
    let blanks: Vec<u8> = text.bytes().map(|byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&blanks).collect())
}

fn has_malformed_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().any(|(at, &byte)| byte == b'%' && !begins_escape(&bytes[at..]))
}

/// Whether these bytes begin with `%` and two hexadecimal digits.
fn begins_escape(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// What leaves encoded towards the upstream: what no browser sends raw in a query (the query percent-encode set of the
/// URL standard), and `;`. Everything else goes on byte for byte, malformed escapes included.
const FORWARDED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b';');

/// What leaves encoded in links: all that RFC 3986 (section 3.4) does not allow in a query, and `,` and `;`, at which
/// simple readers of `Link` lines split. `%` is looked at apart.
const LINKED: &AsciiSet =
    &FORWARDED.add(b',').add(b'[').add(b'\\').add(b']').add(b'^').add(b'`').add(b'{').add(b'|').add(b'}');

/// What leaves encoded of a value that the gateway writes: all but the unreserved characters of RFC 3986.
const COMPONENT: &AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Appends a pair for the upstream.
pub(crate) fn push_forwarded(out: &mut String, raw: &str) {
    push_separator(out);
    if is_unreserved(raw, b'=') {
        return out.push_str(raw);
    }
    out.extend(percent_encoding::utf8_percent_encode(raw, FORWARDED));
}

/// Appends a pair for a link.
pub(crate) fn push_linked(out: &mut String, raw: &str) {
    push_separator(out);
    push_encoded(out, raw, b'=', LINKED);
}

/// Appends `name=value`, both encoded.
pub(crate) fn push_written(out: &mut String, name: &str, value: &str) {
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

/// Whether a text holds nothing but unreserved characters of RFC 3986, which are never encoded, and `also`: nearly every
/// one is such, and that is seen faster than it is encoded.
fn is_unreserved(text: &str, also: u8) -> bool {
    // No branch on a byte within a block: so the compiler makes vector instructions of it.
    let is_plain = |byte: &u8| {
        u8::from((byte | 0x20).wrapping_sub(b'a') < 26)
            | u8::from(byte.wrapping_sub(b'0') < 10)
            | u8::from(*byte == b'-')
            | u8::from(*byte == b'.')
            | u8::from(*byte == b'_')
            | u8::from(*byte == b'~')
            | u8::from(*byte == also)
    };
    let all_plain = |block: &[u8; 16]| block.iter().fold(1, |all, byte| all & is_plain(byte)) == 1;
    let (blocks, rest) = text.as_bytes().as_chunks();
    let mut last = [b'-'; 16];
    last[..rest.len()].copy_from_slice(rest);
    blocks.iter().all(all_plain) && all_plain(&last)
}

/// A query that is being written behind what its link begins with.
#[derive(Debug)]
pub struct LinkQuery {
    text: String,
    /// What comes before the next pair.
    separator: &'static str,
}

impl LinkQuery {
    /// No pair yet. Behind nothing it is a query alone, without its `?`.
    pub(crate) fn behind(beginning: String) -> Self {
        let separator = if beginning.is_empty() { "" } else { "?" };
        Self { text: beginning, separator }
    }

    /// Appends pairs that are encoded already.
    pub(crate) fn push_pairs(&mut self, pairs: &str) {
        if !pairs.is_empty() {
            self.separate();
            self.text.push_str(pairs);
        }
    }

    /// Appends `name=value`, both encoded.
    pub(crate) fn push_written(&mut self, name: &str, value: &str) {
        self.separate();
        push_pair(&mut self.text, name, value);
    }

    /// All of it.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    fn separate(&mut self) {
        self.text.push_str(self.separator);
        self.separator = "&";
    }
}

/// What leaves encoded in a path: what RFC 3986 (section 3.3) does not allow there, and `,`. But `;` stays, whatever simple
/// readers make of it: to a server that takes parameters behind it, an encoded one is another path.
const LINKED_PATH: &AsciiSet = &LINKED.add(b'?').remove(b';');

/// Appends a path for a link, so that what is written is visible ASCII: what is not allowed is encoded, and so is a `%`
/// that begins no escape.
pub(crate) fn push_path(out: &mut String, path: &str) {
    push_encoded(out, path, b'/', LINKED_PATH);
}

/// A path with everything encoded that no path can hold, where there is any. A `%` stays as it is.
#[must_use]
pub fn encoded_path(path: &str) -> Option<String> {
    const PATH: &AsciiSet = &LINKED_PATH.remove(b',');
    if is_unreserved(path, b'/') {
        return None;
    }
    match percent_encoding::utf8_percent_encode(path, PATH).into() {
        Cow::Borrowed(_) => None,
        Cow::Owned(encoded) => Some(encoded),
    }
}

/// A whole URL as it may stand in a link; a fragment stays one.
pub(crate) fn encoded_url(url: &str) -> String {
    const WHOLE: &AsciiSet = &LINKED.remove(b'#');
    let mut encoded = String::with_capacity(url.len());
    push_behind_authority(&mut encoded, url, WHOLE);
    encoded
}

/// Appends a URL that links begin with, inert in a `Link` line.
pub(crate) fn push_url(out: &mut String, url: &str) {
    push_behind_authority(out, url, LINKED);
}

/// Appends a URL, of which `set` is encoded; but the brackets around an IPv6 address (RFC 3986 section 3.2.2) stay.
fn push_behind_authority(out: &mut String, url: &str, set: &'static AsciiSet) {
    const AUTHORITY: &AsciiSet = &LINKED.remove(b'[').remove(b']');
    let authority = url.find("://").map_or(0, |at| at + "://".len());
    let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |end| authority + end);
    push_encoded(out, &url[..end], b'/', AUTHORITY);
    push_encoded(out, &url[end..], b'/', set);
}

/// Encodes what is in `set`, in which neither `plain` nor an unreserved character is.
fn push_encoded(out: &mut String, text: &str, plain: u8, set: &'static AsciiSet) {
    if is_unreserved(text, plain) {
        return out.push_str(text);
    }
    let mut rest = text.as_bytes();
    while let Some(at) = memchr::memchr(b'%', rest) {
        out.extend(percent_encoding::percent_encode(&rest[..at], set));
        out.push_str(if begins_escape(&rest[at..]) { "%" } else { "%25" });
        rest = &rest[at + 1..];
    }
    out.extend(percent_encoding::percent_encode(rest, set));
}

/// A parameter's name as careless servers read it, for comparing: without regard to case, `.` and blank as `_`, nothing
/// after a NUL, no blanks before it. PHP does all of this.
#[must_use]
pub fn fold_name(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let name = name.split('\0').next().unwrap_or_default().trim_start_matches(' ');
    let mut folded = String::with_capacity(name.len());
    for letter in name.chars() {
        match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii() => folded.push(char::from(fold_byte(byte))),
            // Upper case first, so that letters with a second lower case (ſ, K) meet their plain form.
            _ => folded.extend(letter.to_uppercase().flat_map(char::to_lowercase)),
        }
    }
    folded
}

/// The same of one letter that is ASCII.
fn fold_byte(byte: u8) -> u8 {
    match byte {
        b'.' | b' ' => b'_',
        _ => byte.to_ascii_lowercase(),
    }
}

/// The names by which a dialect pages or sorts, and whether a client's name would reach one of them.
#[derive(Clone, Debug, Default)]
pub struct ReservedNames {
    /// As written, and folded.
    names: Vec<(String, String)>,
}

impl ReservedNames {
    /// Takes decoded names.
    #[must_use]
    pub fn new(names: &[String]) -> Self {
        Self { names: names.iter().map(|name| (name.clone(), fold_name(name.as_bytes()))).collect() }
    }

    /// The dialect's name that a client's decoded name would reach, if any: compared folded, and cut before `[` unless
    /// the dialect's own name has one: then what stands before it is the same parameter, said as a whole, as
    /// `filter={"limit":5}` beside `filter[limit]=5`. PHP reads a `[` that is never closed as `_`, so that is tried as well.
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&str> {
        if self.names.is_empty() {
            return None;
        }
        let found = |reaches: &dyn Fn(&str) -> bool| {
            self.names.iter().find(|(_, folded)| reaches(folded)).map(|(name, _)| name.as_str())
        };
        if name.is_ascii() && memchr::memchr2(b'[', 0, name).is_none() && name.first() != Some(&b' ') {
            // One byte stands for one here, as nearly always: nothing has to be folded to be compared.
            let is_folded = |(byte, own): (&u8, u8)| fold_byte(*byte) == own;
            return found(&|own| {
                let own = own.split('[').next().unwrap_or_default();
                own.len() == name.len() && name.iter().zip(own.bytes()).all(is_folded)
            });
        }
        let whole = fold_name(name);
        let cut = whole.split('[').next().unwrap_or_default();
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
