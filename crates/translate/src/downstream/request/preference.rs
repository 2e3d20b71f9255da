//! Preferences: `Prefer` (RFC 7240) and the media ranges of `Accept` (RFC 9110, section 12.5.1). Both are lists in
//! which quoted strings may contain commas.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header with the preferences of a request (RFC 7240, section 2).
pub const PREFER: HeaderName = HeaderName::from_static("prefer");
/// The response header with the preferences that were followed (RFC 7240, section 3).
pub const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The preferences of a request, from all lines of `Prefer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// The names in lower case, each with its value; the value is empty for a preference without one.
    said: Vec<(String, String)>,
}

impl Preferences {
    /// Reads the preferences; invalid ones are ignored.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        Self { said: lines.flat_map(|line| split(line, ',')).filter_map(preference).collect() }
    }

    /// Returns the value of a preference: empty if the preference has no value, `None` if the client didn't send it. Of
    /// several preferences with the same name, the first counts (RFC 7240, section 2).
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let named = self.said.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// Returns the value of a preference as a number; `None` if it is absent or isn't a whole number.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u32> {
        // `parse` also accepts a sign, so only digits are parsed. Test: `a_limit_in_a_prefer_header_is_applied`.
        let digits = self.value(name).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse().ok()
    }

    /// Returns whether the client prefers a refusal to an ignored preference (RFC 7240, section 4.4).
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.value("handling").is_some_and(|handling| handling.eq_ignore_ascii_case("strict"))
    }
}

/// Removes the preferences `names` from a request's headers. The gateway follows these preferences itself, and an
/// upstream could read another meaning.
pub fn remove(headers: &mut HeaderMap, names: &[&str]) {
    // Names of preferences are case-insensitive (RFC 7240, section 2), so letter case is ignored. Test:
    // `preferences_that_the_gateway_follows_are_not_forwarded`.
    let is_ours = |text: &str| {
        preference(text).is_some_and(|(name, _)| names.iter().any(|ours| ours.eq_ignore_ascii_case(&name)))
    };
    let lines: Vec<HeaderValue> = headers.get_all(PREFER).iter().cloned().collect();
    headers.remove(PREFER);
    for line in lines {
        // A line that isn't text wasn't read as preferences either, so it passes unchanged.
        let Ok(text) = line.to_str() else {
            headers.append(PREFER, line);
            continue;
        };
        let kept: Vec<&str> = split(text, ',').filter(|text| !is_ours(text)).collect();
        if let Ok(value) = HeaderValue::from_str(&kept.join(", "))
            && !kept.is_empty()
        {
            headers.append(PREFER, value);
        }
    }
}

fn preference(text: &str) -> Option<(String, String)> {
    let (name, value) = pair(split(text, ';').next()?);
    // `=x` doesn't name a preference, so it is ignored. Test: `preferences_are_parsed_with_quotes_case_and_parameters`.
    (!name.is_empty()).then_some((name, value))
}

/// A media type or range with its weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRange {
    /// Type and subtype in lower case, `*` for any.
    pub essence: String,
    /// The parameters other than the weight: names in lower case, each with its value.
    pub parameters: Vec<(String, String)>,
    /// The weight in thousandths; 0 excludes the type.
    pub weight: u16,
}

impl MediaRange {
    /// Parses a range; returns `None` if it has no slash. An invalid weight counts as 1.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, ';');
        let essence = parts.next()?.to_ascii_lowercase();
        let mut read = Self { essence, parameters: Vec::new(), weight: 1_000 };
        for (name, value) in parts.map(pair) {
            match name.as_str() {
                "q" => read.weight = weight(&value).unwrap_or(1_000),
                "" => {}
                _ => read.parameters.push((name, value)),
            }
        }
        read.essence.contains('/').then_some(read)
    }

    /// Returns the ranges of all `Accept` lines.
    pub fn all(headers: &HeaderMap) -> Vec<Self> {
        let lines = headers.get_all(http::header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        lines.flat_map(|line| split(line, ',')).filter_map(Self::parse).collect()
    }
}

/// Parses a weight into thousandths (RFC 9110, section 12.4.2); `None` if it is malformed or more than 1.
fn weight(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse::<u16>().ok()?;
    match whole {
        "0" => Some(thousandths),
        // No weight exceeds 1, so `1.001` is invalid. Test: `media_ranges_have_weights_and_parameters`.
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

/// Parses `name=value`: returns the name in lower case, and the value without quotes. The value is empty without `=`.
fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let value = value.trim();
    // A value is a token or a quoted string (RFC 7240, section 2), so the quotes and escapes are removed. Test:
    // `preferences_are_parsed_with_quotes_case_and_parameters`.
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let value = match inner {
        Some(quoted) => unescaped(quoted),
        None => value.to_owned(),
    };
    (name.trim().to_ascii_lowercase(), value)
}

/// Removes the backslashes of a quoted string.
fn unescaped(quoted: &str) -> String {
    let mut escaped = false;
    quoted
        .chars()
        .filter(|&letter| {
            // An escaped backslash stays (RFC 9110, section 5.6.4).
            escaped = letter == '\\' && !escaped;
            !escaped
        })
        .collect()
}

/// Splits a header's value outside of quoted strings into trimmed, non-empty parts.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    let parts = text.split(move |letter| {
        if escaped {
            escaped = false;
            return false;
        }
        match letter {
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        !quoted && letter == separator
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn preferences_are_parsed_with_quotes_case_and_parameters() {
        let lines = [
            "respond-async, Envelope = \"re\\lay\"; x=\"a,b\", wait=10",
            "envelope=hal, odata.maxpagesize=20;;, , =x, handling=strict",
        ];
        let read = Preferences::read(&headers(&PREFER, &lines));
        assert_eq!(read.value("ENVELOPE"), Some("relay"));
        assert_eq!(read.value("respond-async"), Some(""));
        assert_eq!(read.value("wait"), Some("10"));
        assert_eq!(read.value("odata.maxpagesize"), Some("20"));
        assert_eq!(read.value("x"), None);
        assert!(read.is_strict() && !Preferences::default().is_strict());
    }

    #[test]
    fn preferences_that_the_gateway_follows_are_not_forwarded() {
        let mut both = headers(&PREFER, &["envelope=hal, count=exact, Wait=\"1,2\"", "Envelope=x"]);
        remove(&mut both, &["envelope", "odata.maxpagesize"]);
        let left: Vec<_> = both.get_all(PREFER).iter().collect();
        assert_eq!(left, ["count=exact, Wait=\"1,2\""]);
    }

    #[test]
    fn media_ranges_have_weights_and_parameters() {
        let accept = headers(&http::header::ACCEPT, &["Text/HTML;level=\"1\";q=0.25 , */*;q=0", "x, a/b; Q=1.001"]);
        let read: Vec<_> =
            MediaRange::all(&accept).into_iter().map(|range| (range.essence, range.parameters, range.weight)).collect();
        let level = vec![("level".to_owned(), "1".to_owned())];
        let expected = [("text/html".into(), level, 250), ("*/*".into(), vec![], 0), ("a/b".into(), Vec::new(), 1_000)];
        assert_eq!(read, expected);
        assert_eq!(
            ["1.000", "0.5", "0", "1.1", "0.1234", "-1"].map(weight),
            [Some(1_000), Some(500), Some(0), None, None, None]
        );
    }
}
