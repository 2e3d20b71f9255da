//! Bodies of requests: JSON objects within limits and without duplicate members. Their bytes are kept as the client sent
//! them.

use http::{HeaderMap, header::CONTENT_TYPE};

use crate::downstream::problem::{Code, Problem, shown};
use cursorgate_core::json::{CanonicalError, JsonError, Limits, Pointer, canonical, scan_facts};

/// A parsed body. It may contain secrets of clients, so its `Debug` form has only its length.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestBody {
    bytes: Vec<u8>,
    /// The bytes with the content coding in which the client sent them; `None` without a coding.
    coded: Option<Vec<u8>>,
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "RequestBody({} bytes)", self.bytes.len())
    }
}

/// Checks that a body with these headers can be read: JSON (RFC 8259, and types that end in `+json`, RFC 6839 section
/// 3.1) in UTF-8.
///
/// # Errors
///
/// Returns 415 `media_type_unsupported` (RFC 9110, section 15.5.16).
pub fn check_head(headers: &HeaderMap) -> Result<(), Box<Problem>> {
    let refuse = |detail: String| Err(Box::new(Problem::new(Code::MediaTypeUnsupported, detail)));
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    // Of two types, the upstream could read the other one, so two are refused. Test: `json_in_utf_8_is_read`.
    let (Some(media_type), None) = (types.next(), types.next()) else {
        return refuse("name the body's type: Content-Type: application/json".to_owned());
    };
    let text = media_type.to_str().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    // `+json` without a type before it isn't a media type, so it is refused. Test: `json_in_utf_8_is_read`.
    let is_json = essence == "application/json" || (essence.contains('/') && essence.ends_with("+json"));
    if !is_json {
        let detail = format!("bodies are JSON, not `{}`: send application/json", shown(essence));
        return refuse(detail);
    }
    let charset = parts.filter_map(|parameter| parameter.split_once('=')).find(|(name, _)| name.trim() == "charset");
    match charset.map(|(_, value)| value.trim().trim_matches('"')) {
        None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
        Some(other) => refuse(format!("a body is read in UTF-8, not in `{}`", shown(other))),
    }
}

/// Returns 413 `body_too_large`, for a body of more than `most` bytes.
#[must_use]
pub fn too_large(most: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("the body is larger than {most} bytes"))
}

impl RequestBody {
    /// Parses a body that is nested at most `depth` levels deep.
    ///
    /// # Errors
    ///
    /// Returns 400 `body_invalid` if the body isn't a JSON object, is nested deeper, or has a member twice.
    pub fn read(bytes: Vec<u8>, depth: u16) -> Result<Self, Box<Problem>> {
        let detail = match canonical(&bytes, depth) {
            Ok(spelling) if spelling.starts_with(b"{") => return Ok(Self { bytes, coded: None }),
            Ok(_) => "the body is not an object: write { … }".to_owned(),
            Err(_) if bytes.trim_ascii().is_empty() => "there is no body: send an object, at least {}".to_owned(),
            // The gateway could read the first of two equal members, and the upstream the last, so the body is refused.
            // Test: `a_body_is_one_object`.
            Err(CanonicalError::Duplicate(name)) => {
                format!("the body has the member `{}` twice in one object: which one is meant?", shown(&name))
            }
            Err(CanonicalError::Json(JsonError::TooDeep)) => {
                format!("the body is nested deeper than the {depth} levels that are read here")
            }
            Err(CanonicalError::Json(JsonError::Malformed { at })) => {
                format!("the body is not valid JSON from byte {at} on")
            }
            Err(CanonicalError::Json(error)) => format!("the body can't be read: {error}"),
        };
        Err(Box::new(Problem::new(Code::BodyInvalid, detail)))
    }

    /// Keeps the bytes with the content coding in which the client sent them.
    #[must_use]
    pub fn with_coded(self, coded: Vec<u8>) -> Self {
        Self { coded: Some(coded), ..self }
    }

    /// Returns the bytes of the body, without a content coding.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes of the body, without a content coding and without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the bytes of the body as the client sent them, in the content coding of the request.
    #[must_use]
    pub fn into_sent(self) -> Vec<u8> {
        self.coded.unwrap_or(self.bytes)
    }

    /// Returns the raw JSON values at these places, in the order of `places`; `None` for a place that the body doesn't
    /// have.
    #[must_use]
    pub fn find(&self, places: &[Pointer]) -> Vec<Option<&[u8]>> {
        // The nesting was bounded in [`Self::read`], so no limit is needed here.
        let limits = Limits { depth: u16::MAX, ..Limits::default() };
        let spans = if places.is_empty() { Ok(Vec::new()) } else { scan_facts(&self.bytes, places, limits) };
        let spans = spans.unwrap_or_default().into_iter();
        spans.map(|span| (!span.is_absent()).then(|| span.of(&self.bytes))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(fields: &[(&'static str, &'static str)]) -> Result<(), &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        check_head(&headers).map_err(|problem| problem.code.as_str())
    }

    #[test]
    fn json_in_utf_8_is_read() {
        for text in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/vnd.api+json",
            "application/json;charset=\"utf-8\"",
        ] {
            assert_eq!(head(&[("content-type", text)]), Ok(()), "{text}");
        }
        let json = ("content-type", "application/json");
        for fields in [
            &[][..],
            &[("content-type", "")],
            &[("content-type", "text/plain")],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[("content-type", "application/jsonp")],
            &[("content-type", "+json")],
            &[("content-type", "application/json; charset=utf-16")],
            &[json, ("content-type", "text/plain")],
        ] {
            assert_eq!(head(fields), Err("media_type_unsupported"), "{fields:?}");
        }
    }

    #[test]
    fn a_body_is_one_object() {
        let read = |text: &str| {
            let read = RequestBody::read(text.as_bytes().to_vec(), 3);
            read.map_err(|problem| (problem.code, problem.detail))
        };
        for text in ["{}", " {\"a\": [{}]}\n", r#"{"a":1,"b":{"a":2}}"#] {
            assert!(read(text).is_ok_and(|body| body.bytes() == text.as_bytes()), "{text}");
        }
        for (text, said) in [
            ("", "there is no body"),
            (" \n", "there is no body"),
            ("[]", "not an object"),
            ("null", "not an object"),
            ("\"{}\"", "not an object"),
            ("{\"a\":1", "not valid JSON from byte 6"),
            ("{\"a\":1}}", "not valid JSON from byte 7"),
            ("{\"a\":'x'}", "not valid JSON from byte 5"),
            ("{\"a\":1,\"\\u0061\":1}", "`a` twice"),
            ("{\"a\":[[[]]]}", "deeper than the 3 levels"),
        ] {
            let (code, detail) = read(text).unwrap_err();
            assert_eq!(code, Code::BodyInvalid);
            assert!(detail.contains(said), "{text}: {detail}");
        }
        let not_text = RequestBody::read(b"{\"a\":\"\xff\"}".to_vec(), 3).unwrap_err();
        assert!(not_text.detail.contains("byte 6"), "{}", not_text.detail);
    }

    #[test]
    fn values_of_a_body_keep_the_spelling_of_the_request() {
        let body = RequestBody::read(br#"{"payload": {"cursor" : null, "x": [ 1.0 ]}}"#.to_vec(), 8).unwrap();
        let places =
            ["/payload", "/payload/cursor", "/payload/x", "/missing"].map(|text| Pointer::parse(text).unwrap());
        let found: Vec<_> = body.find(&places).into_iter().map(|raw| raw.map(String::from_utf8_lossy)).collect();
        let expected = [Some(r#"{"cursor" : null, "x": [ 1.0 ]}"#), Some("null"), Some("[ 1.0 ]"), None];
        assert_eq!(found, expected.map(|text| text.map(Into::into)));
        assert!(body.find(&[]).is_empty());
        assert_eq!(format!("{body:?}"), "RequestBody(44 bytes)");
    }
}
