//! The handshake of a WebSocket (RFC 6455 section 4.2). Section numbers in this file are those of RFC 6455.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Version, header};
use pingora::protocols::http::ServerSession;

use cursorgate_translate::downstream::{Code, Problem, Response};

/// The string that is appended to the client's key before the key is hashed (section 1.3).
const HANDSHAKE: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Returns whether a request asks to open a WebSocket.
pub(super) fn is_asked_for(session: &ServerSession) -> bool {
    let head = session.req_header();
    let says = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    // HTTP/2 has no upgrades (RFC 9113 section 8.6).
    head.version == Version::HTTP_11
        && session.is_upgrade_req()
        && head.headers.get_all(header::UPGRADE).iter().any(says)
}

/// Returns the head of the answer that opens a WebSocket.
///
/// # Errors
///
/// Returns 400 `request_invalid` if the version isn't 13, or if the key isn't 16 bytes in base64 (section 4.2.1).
pub(super) fn head(asked: &HeaderMap) -> Result<Response, Box<Problem>> {
    let invalid = |detail: &str| Box::new(Problem::new(Code::RequestInvalid, detail));
    if asked.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        return Err(invalid("the WebSocket has another version than 13"));
    }
    let key = asked.get(header::SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).unwrap_or_default();
    // A key must be 16 bytes in base64 (section 4.2.1). Test: `the_sample_handshake_of_the_rfc_gets_its_answer`.
    if STANDARD.decode(key).map_or(0, |key| key.len()) != 16 {
        return Err(invalid("Sec-WebSocket-Key is not 16 bytes in base64"));
    }
    let proof = openssl::sha::sha1(&[key, HANDSHAKE.as_bytes()].concat());
    let mut response = Response::new(101, Vec::new());
    // An answer with status 1xx has no `Content-Length` (RFC 9110 section 8.6).
    response.headers.clear();
    response.headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response.headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(proof) = HeaderValue::from_str(&STANDARD.encode(proof)) {
        response.headers.insert(header::SEC_WEBSOCKET_ACCEPT, proof);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_handshake_of_the_rfc_gets_its_answer() {
        let mut asked = HeaderMap::new();
        assert_eq!(head(&asked).unwrap_err().code, Code::RequestInvalid);
        asked.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        assert_eq!(head(&asked).unwrap_err().code, Code::RequestInvalid);
        // The key from the sample handshake in section 1.3.
        asked.insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="));
        let response = head(&asked).unwrap();
        assert_eq!((response.status, response.headers.len()), (101, 3));
        assert_eq!(response.headers[header::SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
