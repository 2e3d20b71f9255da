//! Cache headers of a page that was made from several answers: the strictest answer decides (RFC 9111).

pub mod storing;

use std::{borrow::Cow, time::UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AGE, CACHE_CONTROL, DATE, EXPIRES, SET_COOKIE, VARY},
};

use cursorgate_core::json::write::push_number;

/// The directives of an answer that has no `Cache-Control`.
const SILENT: &str = "private, no-cache";

/// Directives that apply if one answer has them, in the order in which they are written. `must-understand` is left out:
/// caches that know it ignore `no-store` with it (RFC 9111, section 5.2.2.3).
const STRICT: [&str; 6] = ["no-store", "private", "no-cache", "must-revalidate", "proxy-revalidate", "no-transform"];

/// Directives that apply only if every answer has them. Of several numbers, the least applies.
const LAX: [&str; 4] = ["public", "immutable", "stale-while-revalidate", "stale-if-error"];

/// Directives that permit shared caches to store answers to requests with credentials (RFC 9111, section 3.5).
const PERMITS: [&str; 3] = ["public", "s-maxage", "must-revalidate"];

/// The directives of one answer.
#[derive(Debug, Default)]
struct Directives<'h> {
    named: Vec<(Cow<'h, str>, Option<u64>)>,
}

impl<'h> Directives<'h> {
    /// Reads the directives of `Cache-Control`, with names in lower case.
    fn said(headers: &'h HeaderMap) -> Self {
        let mut read = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            match String::from_utf8_lossy(value.as_bytes()) {
                Cow::Borrowed(text) => read.named.extend(directives(text)),
                Cow::Owned(text) => {
                    read.named.extend(directives(&text).map(|(name, number)| (name.into_owned().into(), number)));
                }
            }
        }
        read
    }

    /// Reads the directives that an answer imposes on its page. An answer without `Cache-Control` has those of
    /// [`SILENT`], and an answer with a cookie has `private` and `no-store` in addition to its own.
    fn read(headers: &'h HeaderMap) -> Self {
        let mut read = Self::said(headers);
        if !headers.contains_key(CACHE_CONTROL) {
            read.named = split(SILENT).map(|name| (name.into(), None)).collect();
        }
        if headers.contains_key(SET_COOKIE) {
            // A cookie belongs to one client, so no cache may keep the page.
            read.named.extend([("private".into(), None), ("no-store".into(), None)]);
        }
        read
    }

    fn has(&self, name: &str) -> bool {
        self.named.iter().any(|(other, _)| other == name)
    }

    /// Returns the least number of a directive; `None` if the answer doesn't have the directive. An invalid or missing
    /// number counts as 0: caches may take such an answer to be stale (RFC 9111, section 4.2.1).
    fn number(&self, name: &str) -> Option<u64> {
        self.named.iter().filter(|(other, _)| other == name).map(|(_, number)| number.unwrap_or(0)).min()
    }
}

/// Reads the directives of a line, with names in lower case.
fn directives(line: &str) -> impl Iterator<Item = (Cow<'_, str>, Option<u64>)> {
    split(line).map(|directive| {
        let (name, argument) = directive.split_once('=').unwrap_or((directive, ""));
        let name = name.trim_ascii();
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) };
        (name, delta_seconds(argument.trim_ascii().trim_matches('"')))
    })
}

/// Parses a number of seconds; `None` if it has other characters than digits. A number that is too large counts as the
/// largest (RFC 9111, section 1.2.2).
fn delta_seconds(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Returns the greatest valid `Age` of an answer, in seconds; `None` if there isn't one.
fn age_of(answer: &HeaderMap) -> Option<u64> {
    answer.get_all(AGE).iter().filter_map(|value| delta_seconds(value.to_str().ok()?.trim())).max()
}

/// Returns the lifetime of an answer by its `Expires` (RFC 9111, section 4.2.1); `None` without that header. `now` is
/// the time at which an answer without `Date` was made, in seconds since 1970. An invalid `Expires` counts as expired.
fn expires_after(answer: &HeaderMap, now: u64) -> Option<u64> {
    let expires = answer.get(EXPIRES)?;
    let seconds = |value: &HeaderValue| {
        let time = httpdate::parse_http_date(value.to_str().ok()?.trim()).ok()?;
        time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs())
    };
    // An answer without `Date` was made when it arrived (RFC 9110, section 6.6.1), so `now` replaces its date.
    let made = answer.get(DATE).and_then(seconds).unwrap_or(now);
    Some(seconds(expires).map_or(0, |expires| expires.saturating_sub(made)))
}

/// Splits a `Cache-Control` value at commas outside of quoted strings.
fn split(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    let parts = std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        // Commas and quotes are ASCII, so a text can be cut at them. An argument may be a list of names, whose commas
        // don't split: `no-cache="set-cookie, x"`. Test: `the_strictest_answer_determines_cache_control`.
        let comma = text.bytes().position(|byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        rest = comma.map(|comma| &text[comma + 1..]);
        Some(&text[..comma.unwrap_or(text.len())])
    });
    parts.map(str::trim_ascii).filter(|part| !part.is_empty())
}

/// Returns the `Cache-Control` of a page made from these answers; `private, no-cache` if no answer says anything.
#[must_use]
pub fn cache_control(answers: &[&HeaderMap]) -> HeaderValue {
    let is_silent = |headers: &&HeaderMap| !headers.contains_key(CACHE_CONTROL) && !headers.contains_key(SET_COOKIE);
    if answers.iter().all(is_silent) {
        return HeaderValue::from_static(SILENT);
    }
    let mut all: Vec<Directives<'_>> = answers.iter().map(|headers| Directives::read(headers)).collect();
    if answers.len() > 1 {
        // A page of several answers has no `Expires`, so each answer's `Expires` becomes its `max-age`. Otherwise the
        // `max-age` of another answer would apply to it. An answer without `Date` counts as expired, because no clock
        // is read here. Test: `the_strictest_answer_determines_cache_control`.
        for (own, headers) in all.iter_mut().zip(answers).filter(|(own, _)| !own.has("max-age")) {
            own.named.extend(expires_after(headers, u64::MAX).map(|seconds| ("max-age".into(), Some(seconds))));
        }
    }
    let any = |name: &str| all.iter().any(|one| one.has(name));
    // The permission of one answer doesn't extend to the others, so a page that only some answers permit is private.
    // Test: `the_strictest_answer_determines_cache_control`.
    let permitting = all.iter().filter(|one| PERMITS.iter().any(|name| one.has(name))).count();
    let is_private = any("private") || (permitting > 0 && permitting < all.len());
    let mut line = Vec::with_capacity(64);
    let mut say = |name: &str, number: Option<u64>| {
        if !line.is_empty() {
            line.extend_from_slice(b", ");
        }
        line.extend_from_slice(name.as_bytes());
        if let Some(number) = number {
            line.push(b'=');
            push_number(&mut line, number);
        }
    };
    for name in STRICT {
        if any(name) || (name == "private" && is_private) {
            say(name, None);
        }
    }
    for name in LAX {
        let contradicted = name == "public" && is_private;
        if all.is_empty() || contradicted || !all.iter().all(|one| one.has(name)) {
            continue;
        }
        let least = all.iter().filter_map(|one| one.number(name)).min();
        say(name, least.filter(|_| name.starts_with("stale")));
    }
    if let Some(least) = all.iter().filter_map(|one| one.number("max-age")).min() {
        say("max-age", Some(least));
    }
    // A lifetime for shared caches would contradict `private`, so it is left out beside `private`. Test:
    // `the_strictest_answer_determines_cache_control`.
    if any("s-maxage") && !is_private {
        // For a shared cache, an answer without `s-maxage` is fresh for its `max-age`, so this number counts instead.
        let shared = all.iter().filter_map(|one| one.number("s-maxage").or_else(|| one.number("max-age")));
        if let Some(least) = shared.min() {
            say("s-maxage", Some(least));
        }
    }
    let silent = HeaderValue::from_static(SILENT);
    if line.is_empty() { silent } else { HeaderValue::try_from(line).unwrap_or(silent) }
}

/// Returns the greatest `Age` of these answers; `None` if no answer has a valid one.
#[must_use]
pub fn age(answers: &[&HeaderMap]) -> Option<HeaderValue> {
    answers.iter().filter_map(|headers| age_of(headers)).max().map(HeaderValue::from)
}

/// The request headers that the pages of a route vary by, compiled.
#[derive(Clone, Debug, Default)]
pub struct Varies {
    names: Vec<HeaderName>,
    /// The `Vary` line for a page whose answers have no `Vary`; `None` if there are no names.
    line: Option<HeaderValue>,
}

impl Varies {
    /// Creates the set from the headers of the principal, of cursor contexts, and of negotiation.
    #[must_use]
    pub fn new(names: Vec<HeaderName>) -> Self {
        Self { line: line(std::iter::empty(), &names), names }
    }
}

/// Returns `Vary` of the response: the names in the answers' `Vary`, and the gateway's own. If one of the names is `*`,
/// the result is only `*`. Returns `None` if there are no names.
#[must_use]
pub fn vary(answers: &[&HeaderMap], own: &Varies) -> Option<HeaderValue> {
    if !answers.iter().any(|headers| headers.contains_key(VARY)) {
        return own.line.clone();
    }
    let said = answers.iter().flat_map(|headers| headers.get_all(VARY)).filter_map(|value| value.to_str().ok());
    let said = said.flat_map(|value| value.split(',')).map(str::trim_ascii).filter(|name| !name.is_empty());
    line(said, &own.names)
}

/// Returns the `Vary` of a response with another name; `None` if the response has the name already.
#[must_use]
pub fn vary_also(headers: &HeaderMap, name: HeaderName) -> Option<HeaderValue> {
    let mut lines = headers.get_all(VARY).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Some(name.into()),
        // Nearly always the line is one of `vary`, which isn't written anew.
        (Some(line), None) if let Ok(said) = line.to_str() => {
            let said_bytes = said.as_bytes();
            let ends = memchr::memchr_iter(b',', said_bytes).chain([said_bytes.len()]);
            let mut names = ends.scan(0, |start, end| Some(&said_bytes[std::mem::replace(start, end + 1)..end]));
            let is_name = |known: &[u8]| known == b"*" || known.eq_ignore_ascii_case(name.as_str().as_bytes());
            let has_name = names.any(|known| is_name(known.trim_ascii()));
            if has_name { None } else { HeaderValue::try_from([said, ", ", name.as_str()].concat()).ok() }
        }
        _ => vary(&[headers], &Varies::new(vec![name])),
    }
}

/// Joins the names without duplicates; `None` if there are no names.
fn line<'s>(said: impl Iterator<Item = &'s str>, own: &'s [HeaderName]) -> Option<HeaderValue> {
    let mut names: Vec<&str> = Vec::with_capacity(own.len() + 4);
    for name in said.chain(own.iter().map(HeaderName::as_str)) {
        // `*` means that more than the request's headers decides, so other names are useless (RFC 9110, section
        // 12.5.5). Test: `age_is_the_greatest_and_vary_the_union`.
        if name == "*" {
            return Some(HeaderValue::from_static("*"));
        }
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    (!names.is_empty()).then(|| HeaderValue::try_from(names.join(", ")).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(values: &[&[(&'static str, &'static str)]]) -> Vec<HeaderMap> {
        let one = |pairs: &&[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in *pairs {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            headers
        };
        values.iter().map(one).collect()
    }

    /// Row: A22
    #[test]
    fn the_strictest_answer_determines_cache_control() {
        const CC: &str = "cache-control";
        type Said = &'static [&'static [(&'static str, &'static str)]];
        const DATED: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let cases: [(Said, &str); 22] = [
            (&[], "private, no-cache"),
            (&[&[]], "private, no-cache"),
            (&[&[(CC, "max-age=60")]], "max-age=60"),
            (&[&[(CC, "public, max-age=60")]], "public, max-age=60"),
            (&[&[(CC, "max-age=60")], &[]], "private, no-cache, max-age=60"),
            (&[&[(CC, "max-age=60")], &[(CC, "Max-Age=\"30\", public")]], "private, max-age=30"),
            (&[&[(CC, "public, max-age=60")], &[(CC, "private, max-age=90")]], "private, max-age=60"),
            (&[&[(CC, "max-age=60")], &[(CC, "no-store")]], "no-store, max-age=60"),
            (&[&[(CC, "must-understand, no-store, max-age=60")]], "no-store, max-age=60"),
            (&[&[(CC, "max-age=abc")]], "max-age=0"),
            (&[&[(CC, "max-age=99999999999999999999")]], "max-age=18446744073709551615"),
            (&[&[(CC, "s-maxage=90, max-age=5")], &[(CC, "max-age=20")]], "private, max-age=5"),
            (&[&[(CC, "s-maxage=90, max-age=5")], &[(CC, "max-age=20, public")]], "max-age=5, s-maxage=20"),
            (&[&[(CC, "no-cache=\"set-cookie, x\", max-age=5")]], "no-cache, max-age=5"),
            (
                &[&[(CC, "max-age=9, stale-if-error=7")], &[(CC, "max-age=9, stale-if-error=5")]],
                "stale-if-error=5, max-age=9",
            ),
            (&[&[(CC, "max-age=9"), ("set-cookie", "a=b")]], "no-store, private, max-age=9"),
            (&[&[(CC, "public, max-age=600")], &[(CC, "public"), ("expires", "0")]], "public, max-age=0"),
            (
                &[
                    &[(CC, "public, max-age=600")],
                    &[(CC, "public"), DATED, ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")],
                ],
                "public, max-age=60",
            ),
            (
                &[&[(CC, "public, max-age=600, s-maxage=90")], &[(CC, "public"), DATED, ("expires", "soon")]],
                "public, max-age=0, s-maxage=0",
            ),
            (&[&[(CC, "max-age=60")], &[(CC, "max-age=90"), ("expires", "0")]], "max-age=60"),
            (&[&[(CC, "public"), ("expires", "0")]], "public"),
            (
                &[&[(CC, "no-transform, max-age=1"), (CC, "must-revalidate")]],
                "must-revalidate, no-transform, max-age=1",
            ),
        ];
        for (said, strictest) in cases {
            let owned = answers(said);
            let all: Vec<&HeaderMap> = owned.iter().collect();
            assert_eq!(cache_control(&all), strictest, "{said:?}");
        }
    }

    /// Row: A22
    #[test]
    fn age_is_the_greatest_and_vary_the_union() {
        let owned = answers(&[
            &[("age", "7"), ("vary", "Accept, X-A")],
            &[("age", "90"), ("vary", "x-a, authorization")],
            &[("age", "x")],
        ]);
        let all: Vec<&HeaderMap> = owned.iter().collect();
        assert_eq!(age(&all).unwrap(), "90");
        assert_eq!(age(&all[2..]), None);
        let ages = answers(&[&[("age", "99999999999999999999")], &[("age", "+7")]]);
        assert_eq!(age(&[&ages[0]]).unwrap(), "18446744073709551615", "too large, and not none");
        assert_eq!(age(&[&ages[1]]), None);
        let protected = Varies::new(vec![http::header::AUTHORIZATION, http::header::COOKIE]);
        assert_eq!(vary(&all, &protected).unwrap(), "Accept, X-A, authorization, cookie");
        assert_eq!(vary(&all[2..], &protected).unwrap(), "authorization, cookie");
        assert_eq!(vary(&[], &Varies::default()), None);
        let star = answers(&[&[("vary", "Accept")], &[("vary", "*")]]);
        assert_eq!(vary(&star.iter().collect::<Vec<_>>(), &protected).unwrap(), "*");
    }
}
