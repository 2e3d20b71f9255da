//! HTTP archives (HAR 1.2), which browsers and intercepting proxies export.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;

use super::{RecordedExchange, decoded_headers, is_credential};
use crate::{paging::token::query_of, prober::port::ProbeAnswer};

#[derive(Deserialize)]
struct Archive {
    log: ArchiveLog,
}

#[derive(Deserialize)]
struct ArchiveLog {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    /// The duration of the exchange in milliseconds; `None` if the archive lacks it.
    time: Option<f64>,
    request: ArchivedRequest,
    response: ArchivedResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchivedRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<ArchivedHeader>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct ArchivedHeader {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    text: Option<String>,
}

#[derive(Deserialize)]
struct ArchivedResponse {
    /// The status. Some programs write 0 or -1 for a request without an answer.
    status: i64,
    #[serde(default)]
    headers: Vec<ArchivedHeader>,
    content: ArchivedContent,
}

#[derive(Deserialize)]
struct ArchivedContent {
    text: Option<String>,
    encoding: Option<String>,
    #[serde(default)]
    size: i64,
}

/// The exchanges of an archive with one upstream.
#[derive(Debug)]
pub struct ArchivedExchanges {
    /// The complete exchanges, in the order of the archive.
    pub exchanges: Vec<RecordedExchange>,
    /// The number of exchanges with the upstream that have no complete answer, or whose body was not saved.
    pub incomplete: usize,
}

/// Reads the exchanges of an archive with the upstream at a URL. Leaves out exchanges with another scheme, host or
/// port.
///
/// # Errors
///
/// Returns an error with the line and the column of the fault if the text isn't an archive.
pub fn read(text: &[u8], upstream: &str) -> Result<ArchivedExchanges, String> {
    // Some programs write a byte order mark, which JSON does not allow, so it is removed. Test:
    // `exchanges_are_read_from_a_har_archive`.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let archive: Archive = serde_json::from_slice(text).map_err(|error| {
        // The message of `serde_json` for a wrong type contains the value, which may be a secret, so the message is not
        // shown. Test: `a_malformed_archive_is_an_error_that_repeats_none_of_its_text`.
        let (line, column) = (error.line(), error.column());
        format!(
            "line {line}, column {column}: this is not an HTTP archive (HAR 1.2): save the requests as HAR with content"
        )
    })?;
    let host = origin(upstream);
    let own = archive.log.entries.into_iter().filter(|entry| host.is_some() && origin(&entry.request.url) == host);
    let mut read = ArchivedExchanges { exchanges: Vec::new(), incomplete: 0 };
    for entry in own {
        match exchange(entry) {
            Some(exchange) => read.exchanges.push(exchange),
            None => read.incomplete += 1,
        }
    }
    Ok(read)
}

/// Returns the origin of a URL: `true` for https and `false` for http, the host, and the port. Returns `None` for
/// other schemes.
fn origin(url: &str) -> Option<(bool, String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
    let port = authority.rsplit_once(':').and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    let (host, port) = port.unwrap_or((authority, if tls { 443 } else { 80 }));
    Some((tls, host, port))
}

fn exchange(entry: Entry) -> Option<RecordedExchange> {
    let Entry { time, request, response } = entry;
    let status = u16::try_from(response.status).ok().filter(|status| (200..600).contains(status))?;
    let url = request.url.split('#').next().unwrap_or_default();
    let (_, rest) = url.split_once("://")?;
    let target = rest.find(['/', '?']).map_or("/", |at| &rest[at..]);
    let path = target.split('?').next().filter(|path| !path.is_empty()).unwrap_or("/");
    // A 304 has no content (RFC 9110, section 15.4.5), because the list was in the browser's cache, so the exchange is
    // incomplete.
    let body = body(response.content).filter(|_| status != 304)?;
    let names = request.headers.iter().filter_map(|header| header.name.parse().ok());
    Some(RecordedExchange {
        method: Method::from_bytes(request.method.to_ascii_uppercase().as_bytes()).ok()?,
        path: path.to_owned(),
        pairs: query_of(target),
        body: request.post_data.and_then(|data| serde_json::from_str(&data.text?).ok()),
        credentials: names.filter(is_credential).collect(),
        answer: ProbeAnswer {
            status,
            headers: decoded_headers(headers(&response.headers)),
            body,
            elapsed: Duration::try_from_secs_f64(time.unwrap_or_default() / 1_000.0).unwrap_or_default(),
        },
    })
}

/// Returns the decoded body; `None` if the body was not saved, or if it can't be decoded.
fn body(content: ArchivedContent) -> Option<Vec<u8>> {
    match (content.text, content.encoding.as_deref()) {
        (Some(text), Some("base64")) => BASE64_STANDARD.decode(text).ok(),
        (Some(text), None | Some("")) => Some(text.into_bytes()),
        (Some(_), Some(_)) => None,
        // A body without text and with a size was not saved. Test: `exchanges_are_read_from_a_har_archive`.
        (None, _) => (content.size <= 0).then(Vec::new),
    }
}

fn headers(archived: &[ArchivedHeader]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Invalid names are skipped, such as the pseudo-header `:status`.
    for ArchivedHeader { name, value } in archived {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    headers
}
