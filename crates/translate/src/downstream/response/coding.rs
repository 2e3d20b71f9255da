//! Negotiation of content codings (RFC 9110, sections 8.4.1 and 12.5.3): which coding a response may have for a
//! request.
//!
//! A page has the same weak tag in every coding, because the tag is computed before the page is coded. So
//! `If-None-Match` matches whatever coding the client accepts now (RFC 9110, section 8.8.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        ACCEPT_ENCODING, ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH,
        COOKIE, VARY,
    },
};

use super::{Response, caching::vary_also};
use crate::downstream::render::content::Content;
use cursorgate_config::settings::{CompressionSettings, ContentCoding};

/// The header that relates the request's site to the site of the page that caused the request (Fetch Metadata, section
/// 2.3). Browsers write it, and no script can change it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Schemes whose credentials browsers send by themselves (RFC 7617, RFC 7616, RFC 4559).
const AMBIENT_SCHEMES: [&str; 4] = ["basic", "digest", "negotiate", "ntlm"];

/// The parts of a request that decide on the coding of its response.
#[derive(Clone, Copy, Debug)]
pub struct CodedRequest<'a> {
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// `true` if the gateway or a trusted proxy knows the client by a certificate.
    pub has_certificate: bool,
}

impl Response {
    /// Adds `Accept-Encoding` to `Vary` and returns the coding that the body should get; `None` if it stays uncoded.
    /// `Vary` stays as it is if no codings are configured, or if the response has a coding already, or no body (except
    /// a 304).
    ///
    /// A response is not coded if it has a coding already, if the upstream or the client forbids a transformation (RFC
    /// 9111, sections 5.2.1.6 and 5.2.2.6), or if its length could reveal the client's secrets to another site
    /// (BREACH). A body below the smallest size is coded only for a client that refuses bodies without a coding.
    pub fn negotiate(&mut self, request: CodedRequest<'_>, settings: &CompressionSettings) -> Option<ContentCoding> {
        // A 304 has the same `Vary` as the 200 that it replaces (RFC 9110, section 15.4.5), although it has no body.
        let is_coded = self.headers.contains_key(CONTENT_ENCODING);
        if settings.codings.is_empty() || is_coded || (self.body.is_empty() && self.status != 304) {
            return None;
        }
        if let Some(vary) = vary_also(&self.headers, ACCEPT_ENCODING) {
            self.headers.insert(VARY, vary);
        }
        choose(request, &self.headers, self.body.len(), settings).filter(|_| !self.body.is_empty())
    }

    /// Replaces the body with its coded form, and sets `Content-Encoding` and `Content-Length`.
    pub fn encode(&mut self, coding: ContentCoding, coded: Vec<u8>) {
        self.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.word()));
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(coded.len()));
        self.body = Content::from(coded);
    }
}

/// Returns the coding of a response with these headers and this length; `None` if it stays uncoded.
fn choose(
    request: CodedRequest<'_>,
    response: &HeaderMap,
    length: usize,
    settings: &CompressionSettings,
) -> Option<ContentCoding> {
    if !request.headers.contains_key(ACCEPT_ENCODING) {
        return None;
    }
    let accepted = Accepted::read(request.headers);
    let is_large_enough = length >= settings.least || accepted.refuses_identity();
    let may_be = |_: &ContentCoding| {
        is_large_enough
            && !forbids_transformation(response)
            && !forbids_transformation(request.headers)
            && !tells_another_site(request, response)
    };
    accepted.best(&settings.codings).filter(may_be)
}

/// Returns whether the client of a request accepts gzip, and prefers it to a body without a coding.
#[must_use]
pub fn accepts_gzip(request: &HeaderMap) -> bool {
    Accepted::read(request).best(&[ContentCoding::Gzip]).is_some()
}

/// The weights of an `Accept-Encoding`, in thousandths; `None` for a coding that it doesn't name. `others` is the
/// weight of `*`.
#[derive(Clone, Copy, Debug, Default)]
struct Accepted {
    zstd: Option<u16>,
    brotli: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

impl Accepted {
    /// Reads all `Accept-Encoding` lines. Elements that are malformed or unknown are skipped. Of several weights for
    /// one coding, the last counts.
    fn read(request: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        let lines = request.get_all(ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
        for element in lines.flat_map(|line| line.split(',')) {
            let mut parts = element.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = match (parts.next(), parts.next()) {
                (None, _) => Some(1_000),
                (Some(parameter), None) => read_weight(parameter),
                // The only parameter of a coding is its weight (RFC 9110, section 12.5.3), so an element with two is
                // malformed.
                (Some(_), Some(_)) => None,
            };
            let place = match name.to_ascii_lowercase().as_str() {
                "zstd" => &mut accepted.zstd,
                "br" => &mut accepted.brotli,
                // `x-gzip` is another name of `gzip` (RFC 9110, section 8.4.1.3).
                "gzip" | "x-gzip" => &mut accepted.gzip,
                "identity" => &mut accepted.identity,
                "*" => &mut accepted.others,
                _ => continue,
            };
            *place = weight.or(*place);
        }
        accepted
    }

    fn weight(&self, coding: ContentCoding) -> u16 {
        let own = match coding {
            ContentCoding::Zstd => self.zstd,
            ContentCoding::Brotli => self.brotli,
            ContentCoding::Gzip => self.gzip,
        };
        // `*` has the weight of the codings that aren't named (RFC 9110, section 12.5.3). Test:
        // `the_highest_weight_wins_and_the_operators_order_decides_ties`.
        own.or(self.others).unwrap_or(0)
    }

    /// Returns whether the client refuses a body without a coding.
    fn refuses_identity(&self) -> bool {
        self.identity.or(self.others) == Some(0)
    }

    /// Returns the coding with the highest weight; on a tie, the first in `offered`. Returns `None` if the client
    /// accepts none of them, or accepts `identity` with a higher weight. A client that accepts neither a coding nor
    /// `identity` gets `identity`, because a refusal would help nobody (RFC 9110, section 12.5.3).
    fn best(&self, offered: &[ContentCoding]) -> Option<ContentCoding> {
        let mut best = (self.identity.unwrap_or(0), None);
        for &coding in offered {
            let weight = self.weight(coding);
            // A coding is preferred to `identity` of the same weight. Test:
            // `the_highest_weight_wins_and_the_operators_order_decides_ties`.
            if weight > best.0 || (weight == best.0 && weight > 0 && best.1.is_none()) {
                best = (weight, Some(coding));
            }
        }
        best.1
    }
}

/// Reads a weight such as `q=0.5`, with at most three digits (RFC 9110, section 12.4.2), in thousandths; `None` if it
/// is malformed.
fn read_weight(parameter: &str) -> Option<u16> {
    let (name, value) = parameter.split_once('=')?;
    if !name.trim_end().eq_ignore_ascii_case("q") {
        return None;
    }
    let value = value.trim_start();
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

fn forbids_transformation(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|directive| directive.trim().eq_ignore_ascii_case("no-transform"))
}

/// Returns whether the length of a compressed body could reveal the client's secrets to another site (BREACH). That is
/// possible if a page of that site caused the request, and could therefore choose a part of the body, such as a filter
/// that links repeat, and if the browser added its credentials. An origin that the response allows by name can read the
/// body anyway.
fn tells_another_site(request: CodedRequest<'_>, response: &HeaderMap) -> bool {
    let CodedRequest { headers, has_certificate } = request;
    let is_foreign = headers.get_all(FETCH_SITE).iter().any(|site| site.as_bytes() == b"cross-site");
    // A bearer token is added by a script that knows it, not by the browser, so it doesn't count. Test:
    // `bodies_are_coded_unless_forbidden_or_revealing`.
    let is_ambient = |value: &HeaderValue| {
        let scheme = value.as_bytes().split(u8::is_ascii_whitespace).next().unwrap_or_default();
        AMBIENT_SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))
    };
    // A browser shows a certificate to every site that asks for it, whatever page caused the request, so a certificate
    // counts as credentials. Test: `bodies_are_coded_unless_forbidden_or_revealing`.
    let has_credentials =
        has_certificate || headers.contains_key(COOKIE) || headers.get_all(AUTHORIZATION).iter().any(is_ambient);
    // With `*`, no script can read an answer to a request with credentials (Fetch standard), so its length could reveal
    // more. Test: `bodies_are_coded_unless_forbidden_or_revealing`.
    let is_trusted = response.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|origin| origin != "*");
    is_foreign && has_credentials && !is_trusted
}

#[cfg(test)]
mod tests {
    use super::*;
    use ContentCoding::{Brotli, Gzip, Zstd};

    const ALL: [ContentCoding; 3] = [Zstd, Brotli, Gzip];

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn the_highest_weight_wins_and_the_operators_order_decides_ties() {
        for (accept, best) in [
            (&["gzip, deflate, br, zstd"][..], Some(Zstd)),
            (&["gzip, deflate, br"], Some(Brotli)),
            (&["gzip", "br"], Some(Brotli)),
            (&["GZip"], Some(Gzip)),
            (&["x-gzip"], Some(Gzip)),
            (&["gzip;q=1.0, br;q=0.9, zstd;q=0.999"], Some(Gzip)),
            (&["gzip ; Q=0.5 , br;q=0.4"], Some(Gzip)),
            (&["*"], Some(Zstd)),
            (&["*, zstd;q=0"], Some(Brotli)),
            (&["zstd;q=0, br;q=0.000, gzip;q=0."], None),
            (&["identity, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
            (&["identity;q=0.2, gzip;q=0.5"], Some(Gzip)),
            (&["identity;q=0"], None),
            (&["*;q=0"], None),
            (&["*;q=0, gzip"], Some(Gzip)),
            (&["gzip;q=2"], None),
            (&["gzip;q=1.001"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;q=-1, br;level=4"], None),
            (&["gzip;q=1;q=0"], None),
            (&["deflate, compress, nonsense"], None),
            (&[""], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in accept {
                headers.append(ACCEPT_ENCODING, HeaderValue::from_static(line));
            }
            assert_eq!(Accepted::read(&headers).best(&ALL), best, "{accept:?}");
        }
        let both = Accepted::read(&map(&[("accept-encoding", "gzip, br")]));
        assert_eq!(both.best(&[Gzip, Brotli]), Some(Gzip));
        assert_eq!(both.best(&[Zstd]), None);
    }

    /// Row: A43
    #[test]
    fn bodies_are_coded_unless_forbidden_or_revealing() {
        let accept = ("accept-encoding", "gzip");
        const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
        type Fields = &'static [(&'static str, &'static str)];
        // A header that represents a client's certificate in this test.
        const CERTIFICATE: (&str, &str) = ("x-client-subject", "CN=billing");
        let cases: [(Fields, Fields, bool); 16] = [
            (&[], &[], true),
            (&[], &[("cache-control", "private, No-Transform")], false),
            (&[("cache-control", "no-transform")], &[], false),
            (&[], &[("content-encoding", "br")], false),
            (&[("cookie", "a=b")], &[], true),
            (&[CROSS], &[], true),
            (&[CROSS, ("cookie", "a=b")], &[], false),
            (&[CROSS, ("authorization", "basic YTpi")], &[], false),
            (&[CROSS, ("authorization", "Bearer x")], &[], true),
            (&[CROSS, ("cookie", "a=b")], &[("access-control-allow-origin", "*")], false),
            (&[CROSS, ("cookie", "a=b")], &[("access-control-allow-origin", "https://app.example")], true),
            (&[("sec-fetch-site", "same-site"), ("cookie", "a=b")], &[], true),
            (&[("sec-fetch-site", "same-origin"), ("cookie", "a=b")], &[], true),
            (&[CERTIFICATE], &[], true),
            (&[CROSS, CERTIFICATE], &[], false),
            (&[CROSS, CERTIFICATE], &[("access-control-allow-origin", "https://app.example")], true),
        ];
        for (asked, answered, may_be) in cases {
            let mut request = map(asked);
            request.insert(accept.0, HeaderValue::from_static(accept.1));
            let mut response = Response::new(200, vec![b'x'; 10]);
            response.headers.extend(map(answered));
            let settings = CompressionSettings { codings: ALL.to_vec(), least: 10 };
            let asks = CodedRequest { headers: &request, has_certificate: request.contains_key(CERTIFICATE.0) };
            assert_eq!(response.negotiate(asks, &settings).is_some(), may_be, "{asked:?} {answered:?}");
        }
    }

    #[test]
    fn small_bodies_are_coded_for_clients_that_refuse_plain_ones() {
        let settings = CompressionSettings { codings: ALL.to_vec(), least: 11 };
        for (accept, coding) in [("br", None), ("br, identity;q=0", Some(Brotli)), ("br, *;q=0", Some(Brotli))] {
            let mut response = Response::new(200, vec![b'x'; 10]);
            let headers = map(&[("accept-encoding", accept)]);
            let asks = CodedRequest { headers: &headers, has_certificate: false };
            assert_eq!(response.negotiate(asks, &settings), coding, "{accept}");
            assert_eq!(response.headers[VARY], "accept-encoding", "{accept}");
        }
    }
}
