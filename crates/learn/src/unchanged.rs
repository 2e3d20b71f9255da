//! Whether two answers are the same for a client: an upstream's own, and the one through the gateway. It compares what
//! arrived, and knows nothing of how the gateway treats a request.
//!
//! An upstream may give two answers to the same request: tokens, times and rows change. So a difference counts only if
//! the upstream repeats itself: it is asked again after the gateway. If both of its answers are equal, the gateway's
//! must be, to the byte. Otherwise the parts in which they differ are left out.

use std::{
    collections::{BTreeSet, HashSet},
    io::Read as _,
};

use flate2::read::MultiGzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;

use crate::shape::names::IDS;

/// Headers that belong to one connection or one moment.
const FREE: [&str; 15] = [
    "date",
    "age",
    "server-timing",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "trailer",
    "te",
    "upgrade",
    "via",
    "x-request-id",
    "retry-after",
    "alt-svc",
    "content-length",
];

/// The largest size of a decoded body, in bytes. The rest is left out.
const DECODED: u64 = 64 << 20;

/// A whole answer, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeAnswer {
    /// The HTTP status code.
    pub status: u16,
    /// The headers of the answer.
    pub headers: HeaderMap,
    /// The body without its framing, and not decoded.
    pub body: Vec<u8>,
}

/// Changes to old answers that the configuration itself demands.
#[derive(Clone, Debug, Default)]
pub struct Meant {
    /// The authorities that links to the service have, if the gateway rewrites links; empty if it doesn't.
    pub authorities: Vec<String>,
    /// True if the route has a cross-origin policy of its own.
    pub shares: bool,
    /// True if the route announces dates or documentation.
    pub announces: bool,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerComparison {
    /// A client sees no difference.
    Same,
    /// The gateway's answer differs where the upstream repeats itself: the difference in words.
    Differs(String),
    /// The upstream's own answers differ too much to compare a third one: the list moved.
    Moved,
}

impl WholeAnswer {
    /// Reads an answer from the bytes of a connection that ends with it. Returns `None` if it is incomplete.
    #[must_use]
    pub fn read(bytes: &[u8], to_head: bool) -> Option<Self> {
        let mut rest = bytes;
        // Informational answers come before the final one.
        for _ in 0..8 {
            let end = rest.windows(4).position(|four| four == b"\r\n\r\n")?;
            let (head, after) = (rest.get(..end)?, rest.get(end + 4..)?);
            let (status, headers) = read_head(head)?;
            if (100..200).contains(&status) && status != 101 {
                rest = after;
                continue;
            }
            let is_empty = to_head || matches!(status, 204 | 304);
            let body = if is_empty { Vec::new() } else { read_body(&headers, after)? };
            return Some(Self { status, headers, body });
        }
        None
    }

    /// Returns whether the upstream asks its client to wait.
    #[must_use]
    pub fn asks_to_wait(&self) -> bool {
        self.status == 429 || (self.status == 503 && self.headers.contains_key(header::RETRY_AFTER))
    }

    /// Returns whether the status is one of success (2xx).
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the body as JSON; `None` if it is something else.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.decoded()).ok()
    }

    /// Returns the body without gzip.
    #[must_use]
    pub fn decoded(&self) -> Vec<u8> {
        let is_gzip = self.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
        let mut decoded = Vec::new();
        let read = is_gzip.then(|| MultiGzDecoder::new(&self.body[..]).take(DECODED).read_to_end(&mut decoded));
        match read {
            Some(Ok(_)) => decoded,
            _ => self.body.clone(),
        }
    }
}

fn read_head(head: &[u8]) -> Option<(u16, HeaderMap)> {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let first = std::str::from_utf8(lines.next()?).ok()?;
    let status = first.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        headers.append(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some((status, headers))
}

fn read_body(headers: &HeaderMap, bytes: &[u8]) -> Option<Vec<u8>> {
    if headers.get(header::TRANSFER_ENCODING).is_none() {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        return match length {
            Some(length) => bytes.get(..length).map(<[u8]>::to_vec),
            None => Some(bytes.to_vec()),
        };
    }
    let (mut body, mut rest) = (Vec::new(), bytes);
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        rest = &rest[end + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size.checked_add(2)?..)?;
    }
}

/// Compares the upstream's answer, the gateway's, and the upstream's next one. Without the next one, a difference
/// between the first two is one, and whether it counts is open.
#[must_use]
pub fn compare(
    direct: &WholeAnswer,
    through: &WholeAnswer,
    again: Option<&WholeAnswer>,
    meant: &Meant,
) -> AnswerComparison {
    let again = again.unwrap_or(direct);
    if direct.status == again.status && direct.status != through.status {
        return AnswerComparison::Differs(format!("the status is {} instead of {}", through.status, direct.status));
    }
    if direct.status != again.status {
        return AnswerComparison::Moved;
    }
    if let Some(difference) = unlike_headers(direct, through, again, meant) {
        return AnswerComparison::Differs(difference);
    }
    bodies(direct, through, again, meant)
}

/// Compares the form of two answers, for a list that changes all the time: the status, and the names of the members.
#[must_use]
pub fn compare_form(direct: &WholeAnswer, through: &WholeAnswer) -> AnswerComparison {
    if direct.status != through.status {
        return AnswerComparison::Differs(format!("the status is {} instead of {}", through.status, direct.status));
    }
    match (form(direct), form(through)) {
        (own, other) if own == other => AnswerComparison::Same,
        (own, other) => AnswerComparison::Differs(format!("the body has {other} instead of {own}")),
    }
}

/// Returns the form of a body in words.
fn form(answer: &WholeAnswer) -> String {
    match answer.json() {
        Some(Value::Object(members)) => {
            let names: BTreeSet<&str> = members.keys().map(String::as_str).collect();
            format!("the members {}", names.into_iter().collect::<Vec<_>>().join(", "))
        }
        Some(Value::Array(_)) => "an array".to_owned(),
        Some(_) => "a single value".to_owned(),
        None => "no JSON".to_owned(),
    }
}

fn unlike_headers(direct: &WholeAnswer, through: &WholeAnswer, again: &WholeAnswer, meant: &Meant) -> Option<String> {
    let names: BTreeSet<&str> = direct.headers.keys().chain(through.headers.keys()).map(HeaderName::as_str).collect();
    for name in names.into_iter().filter(|name| !is_free(name, meant)) {
        let [own, got, next] = [direct, through, again].map(|answer| values(answer, name, meant));
        if own == next && own != got {
            let shown = |values: &[String]| match values {
                // A cookie may be a credential.
                _ if name == "set-cookie" => "others".to_owned(),
                [] => "missing".to_owned(),
                values => format!("{:?}", values.join(", ")),
            };
            return Some(format!("the header {name} is {} instead of {}", shown(&got), shown(&own)));
        }
    }
    None
}

fn is_free(name: &str, meant: &Meant) -> bool {
    let rewrites = !meant.authorities.is_empty();
    FREE.contains(&name)
        || name.contains("ratelimit")
        || name.contains("rate-limit")
        // A body with other links has other byte ranges, and is compressed by gzip alone.
        || (rewrites && matches!(name, "content-encoding" | "accept-ranges"))
        || (meant.shares && (name.starts_with("access-control-") || name == "vary"))
        || (meant.announces && matches!(name, "deprecation" | "sunset"))
}

/// Returns the values of a header in the form in which they are compared.
fn values(answer: &WholeAnswer, name: &str, meant: &Meant) -> Vec<String> {
    let texts = answer.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut values: Vec<String> = match name {
        "vary" => {
            let names: Vec<String> = texts.collect();
            names.iter().flat_map(|text| text.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
        }
        // Only the value of a cookie may change.
        "set-cookie" => texts
            .map(|text| {
                let (pair, attributes) = text.split_once(';').unwrap_or((&text, ""));
                format!("{};{attributes}", pair.split('=').next().unwrap_or_default())
            })
            .collect(),
        "link" if meant.announces => texts
            .flat_map(|text| text.split(", <").map(str::to_owned).collect::<Vec<_>>())
            .map(|link| format!("<{}", link.trim_start_matches('<')))
            .filter(|link| !["successor-version", "deprecation", "sunset"].iter().any(|rel| link.contains(rel)))
            .collect(),
        "etag" if !meant.authorities.is_empty() => {
            texts.map(|text| text.strip_prefix("W/").unwrap_or(&text).to_owned()).collect()
        }
        _ => texts.collect(),
    };
    if matches!(name, "vary" | "set-cookie") {
        values.sort();
    }
    values.into_iter().map(|text| plain(&text, meant)).collect()
}

/// Replaces the addresses of the service by one word, if the gateway rewrites links.
fn plain(text: &str, meant: &Meant) -> String {
    let mut plain = text.to_owned();
    for authority in &meant.authorities {
        for scheme in ["https", "http"] {
            plain = plain.replace(&format!("{scheme}://{authority}"), "(service)");
            plain = plain.replace(&format!("{scheme}:\\/\\/{authority}"), "(service)");
        }
    }
    plain
}

fn bodies(direct: &WholeAnswer, through: &WholeAnswer, again: &WholeAnswer, meant: &Meant) -> AnswerComparison {
    let (own, got, next) = if meant.authorities.is_empty() {
        (direct.body.clone(), through.body.clone(), again.body.clone())
    } else {
        let mapped = |answer: &WholeAnswer| plain(&String::from_utf8_lossy(&answer.decoded()), meant).into_bytes();
        (mapped(direct), mapped(through), mapped(again))
    };
    if own == next {
        return match own == got {
            true => AnswerComparison::Same,
            false => AnswerComparison::Differs(unlike_bodies(direct, through)),
        };
    }
    let [Some(own), Some(got), Some(next)] = [direct, through, again].map(WholeAnswer::json) else {
        // Only JSON has members that can be left out.
        return AnswerComparison::Moved;
    };
    let mut moved = false;
    match unlike(&own, &got, &next, String::new(), &mut moved) {
        Some(place) => AnswerComparison::Differs(format!("the body differs at {place:?}")),
        None if moved => AnswerComparison::Moved,
        None => AnswerComparison::Same,
    }
}

/// Describes how two bodies differ.
fn unlike_bodies(direct: &WholeAnswer, through: &WholeAnswer) -> String {
    let (own, other) = (form(direct), form(through));
    if own != other {
        return format!("the body has {other} instead of {own}");
    }
    let (Some(own), Some(other)) = (direct.json(), through.json()) else {
        return format!("the body has {} other bytes instead of {}", through.body.len(), direct.body.len());
    };
    match unlike(&own, &other, &own, String::new(), &mut false) {
        Some(place) => format!("the body differs at {place:?}"),
        None => "the body has the same JSON in other bytes".to_owned(),
    }
}

/// Returns the first place where a value differs although the upstream's two values don't. Sets `moved` where the
/// upstream's own arrays have other lengths.
fn unlike(own: &Value, got: &Value, next: &Value, place: String, moved: &mut bool) -> Option<String> {
    if own == next {
        return match (own, got) {
            _ if own == got => None,
            (Value::Object(members), Value::Object(others)) => {
                let names: BTreeSet<&String> = members.keys().chain(others.keys()).collect();
                let differs = |name: &&String| members.get(*name) != others.get(*name);
                names
                    .into_iter()
                    .find(differs)
                    .and_then(|name| {
                        let (one, other) = (members.get(name)?, others.get(name)?);
                        unlike(one, other, one, format!("{place}/{name}"), moved)
                    })
                    .or(Some(place))
            }
            _ => Some(place),
        };
    }
    match (own, got, next) {
        (Value::Object(own), Value::Object(got), Value::Object(next)) => {
            let names: BTreeSet<&String> = own.keys().chain(got.keys()).collect();
            names.into_iter().find_map(|name| {
                let place = format!("{place}/{name}");
                match (own.get(name), got.get(name), next.get(name)) {
                    (Some(own), Some(got), Some(next)) => unlike(own, got, next, place, moved),
                    (Some(_), None, Some(_)) | (None, Some(_), None) => Some(place),
                    // The upstream itself has the member only at times.
                    _ => None,
                }
            })
        }
        (Value::Array(own), Value::Array(got), Value::Array(next)) => {
            if own.len() != next.len() || !is_aligned(own, next) {
                *moved = true;
                return None;
            }
            if own.len() != got.len() {
                return Some(place);
            }
            let rows = own.iter().zip(got).zip(next).enumerate();
            rows.into_iter().find_map(|(at, ((own, got), next))| unlike(own, got, next, format!("{place}/{at}"), moved))
        }
        (Value::Object(_) | Value::Array(_), _, _) if std::mem::discriminant(own) != std::mem::discriminant(got) => {
            Some(place)
        }
        _ => None,
    }
}

/// Returns whether the elements of two arrays are the same ones, in the same order: their ids agree. Without a member
/// with a usual name for an id, any member may be it whose values agree, and differ from each other. Test:
/// `rows_in_another_order_are_not_compared_one_by_one`.
fn is_aligned(own: &[Value], next: &[Value]) -> bool {
    let Some(Value::Object(first)) = own.first() else { return own == next };
    let agrees = |name: &str| {
        let mut known = HashSet::new();
        own.iter().zip(next).all(|(own, next)| {
            let (own, next) = (own.get(name), next.get(name));
            own == next && own.is_some_and(|own| (own.is_string() || own.is_number()) && known.insert(own.to_string()))
        })
    };
    match IDS.iter().find(|name| first.contains_key(**name)) {
        Some(id) => agrees(id),
        None => first.keys().any(|name| agrees(name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> WholeAnswer {
        let pairs = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        WholeAnswer { status, headers: pairs.collect(), body: body.as_bytes().to_vec() }
    }

    #[test]
    fn whole_answers_are_read_from_their_bytes() {
        let chunked =
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: 1\r\n\
            a: 2\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        let read = WholeAnswer::read(chunked, false).unwrap();
        assert_eq!((read.status, read.body.as_slice()), (200, &b"abcde"[..]));
        assert_eq!(read.headers.get_all("a").iter().count(), 2);
        let fixed = b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(WholeAnswer::read(fixed, false).unwrap().body, b"abc");
        assert_eq!(WholeAnswer::read(fixed, true).unwrap().body, b"");
        for broken in [&fixed[..fixed.len() - 1], &chunked[..chunked.len() - 8], b"HTTP/1.1 200 OK\r\n"] {
            assert_eq!(WholeAnswer::read(broken, false), None);
        }
    }

    #[test]
    fn a_difference_counts_where_the_upstream_repeats_itself() {
        let meant = Meant::default();
        let one = answer(200, &[("etag", "\"1\""), ("date", "a")], r#"{"data":[1,2],"time":1}"#);
        let same =
            answer(200, &[("etag", "\"1\""), ("date", "b"), ("via", "1.1 cursorgate")], r#"{"data":[1,2],"time":1}"#);
        assert_eq!(compare(&one, &same, None, &meant), AnswerComparison::Same);
        for (through, said) in [
            (answer(404, &[("etag", "\"1\"")], ""), "the status is 404 instead of 200"),
            (answer(200, &[("etag", "\"2\"")], "{}"), "the header etag is \"\\\"2\\\"\" instead of \"\\\"1\\\"\""),
            (
                answer(200, &[("etag", "\"1\""), ("link", "</a>")], "{}"),
                "the header link is \"</a>\" instead of missing",
            ),
            (
                answer(200, &[("etag", "\"1\"")], r#"{"items":[]}"#),
                "the body has the members items instead of the members data, time",
            ),
            (answer(200, &[("etag", "\"1\"")], r#"{"data":[1],"time":1}"#), "the body differs at \"/data\""),
            (
                answer(200, &[("etag", "\"1\"")], r#"{"data":[1,2], "time":1}"#),
                "the body has the same JSON in other bytes",
            ),
        ] {
            assert_eq!(compare(&one, &through, None, &meant), AnswerComparison::Differs(said.to_owned()));
            assert_eq!(compare(&one, &through, Some(&one), &meant), AnswerComparison::Differs(said.to_owned()));
        }
        // A member that changes by itself is left out, and no other.
        let next = answer(200, &[("etag", "\"9\"")], r#"{"data":[1,2],"time":3}"#);
        let between = answer(200, &[("etag", "\"5\"")], r#"{"data":[1,2],"time":2}"#);
        assert_eq!(compare(&one, &between, Some(&next), &meant), AnswerComparison::Same);
        let other = answer(200, &[("etag", "\"5\"")], r#"{"data":[1,3],"time":2}"#);
        assert_eq!(
            compare(&one, &other, Some(&next), &meant),
            AnswerComparison::Differs("the body differs at \"/data\"".to_owned())
        );
        let added = answer(200, &[], r#"{"data":[1,2],"time":2,"next":1}"#);
        assert!(matches!(compare(&one, &added, Some(&next), &meant), AnswerComparison::Differs(_)));
        let longer = answer(200, &[], r#"{"data":[1,2,3],"time":3}"#);
        assert_eq!(compare(&one, &between, Some(&longer), &meant), AnswerComparison::Moved);
        assert_eq!(compare_form(&one, &longer), AnswerComparison::Same);
        assert!(matches!(compare_form(&one, &added), AnswerComparison::Differs(_)));
        assert_eq!(compare(&one, &one, Some(&answer(500, &[], "")), &meant), AnswerComparison::Moved);
    }

    #[test]
    fn rows_in_another_order_are_not_compared_one_by_one() {
        let rows = |ids: &[u64]| {
            let rows: Vec<Value> = ids.iter().map(|id| json!({ "id": id, "kind": id % 2, "seen": ids[0] })).collect();
            answer(200, &[], &json!({ "data": rows }).to_string())
        };
        let meant = Meant::default();
        assert_eq!(
            compare(&rows(&[1, 3, 2]), &rows(&[2, 3, 1]), Some(&rows(&[3, 1, 2])), &meant),
            AnswerComparison::Moved
        );
        assert_eq!(compare(&rows(&[1, 2]), &rows(&[1, 3]), Some(&rows(&[3, 4])), &meant), AnswerComparison::Moved);
        // The same rows, of which a member changes, are compared.
        let seen =
            |first: u64, id: u64| answer(200, &[], &json!({ "data": [{ "id": id, "seen": first }] }).to_string());
        assert_eq!(compare(&seen(1, 7), &seen(2, 7), Some(&seen(3, 7)), &meant), AnswerComparison::Same);
        assert!(matches!(compare(&seen(1, 7), &seen(2, 8), Some(&seen(3, 7)), &meant), AnswerComparison::Differs(_)));
    }

    #[test]
    fn changes_that_are_meant_are_no_differences() {
        let body = json!({ "next": "http://service:8000/a?page=2" }).to_string();
        let direct = answer(200, &[("etag", "\"1\""), ("link", "<http://service:8000/a>; rel=\"next\"")], &body);
        let through = answer(
            200,
            &[("etag", "W/\"1\""), ("link", "<https://api.test/a>; rel=\"next\"")],
            &body.replace("http://service:8000", "https://api.test"),
        );
        assert!(matches!(compare(&direct, &through, None, &Meant::default()), AnswerComparison::Differs(_)));
        let meant = Meant { authorities: vec!["service:8000".into(), "api.test".into()], ..Meant::default() };
        assert_eq!(compare(&direct, &through, None, &meant), AnswerComparison::Same);
        let cookie = |value: &str| answer(200, &[("set-cookie", value)], "");
        assert_eq!(compare(&cookie("a=1; Path=/"), &cookie("a=2; Path=/"), None, &meant), AnswerComparison::Same);
        assert!(matches!(
            compare(&cookie("a=1; Path=/"), &cookie("a=1; Path=/x"), None, &meant),
            AnswerComparison::Differs(_)
        ));
        let announced = answer(200, &[("sunset", "x"), ("link", "</b>; rel=\"successor-version\"")], "");
        let meant = Meant { announces: true, ..Meant::default() };
        assert_eq!(compare(&answer(200, &[], ""), &announced, None, &meant), AnswerComparison::Same);
    }
}
