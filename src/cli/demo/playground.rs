//! The playground of the demo: a page that reads the list by `page=` and by `cursor=` side by side. The page also shows
//! the requests to the legacy API, and the first page of the list as it changes.

use std::sync::{Mutex, PoisonError};

use http::{HeaderValue, Response, header};
use percent_encoding::percent_decode_str;

/// The files of the page: the path, the content type and the text of each.
const FILES: [(&str, &str, &str); 4] = [
    ("/playground/", "text/html; charset=utf-8", include_str!("playground/index.html")),
    ("/playground/playground.css", "text/css; charset=utf-8", include_str!("playground/playground.css")),
    ("/playground/playground.js", "text/javascript; charset=utf-8", include_str!("playground/playground.js")),
    ("/playground/live.js", "text/javascript; charset=utf-8", include_str!("playground/live.js")),
];

/// The `Content-Security-Policy` of the page. It forbids scripts, styles and requests of other origins, inline scripts
/// and styles, and frames around the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The largest number of requests that are remembered. Older requests are dropped.
const REMEMBERED: usize = 100;

/// Returns the response with a file of the page; `None` for other paths.
pub(super) fn file(path: &str) -> Option<Response<Vec<u8>>> {
    let path = if path == "/playground" { "/playground/" } else { path };
    let (_, kind, text) = FILES.into_iter().find(|(known, _, _)| *known == path)?;
    let mut response = Response::new(text.as_bytes().to_vec());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(text.len()));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Some(response)
}

/// The last [`REMEMBERED`] requests for the list, in order.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<RequestLog>);

#[derive(Debug, Default)]
struct RequestLog {
    /// The number of all requests so far.
    count: usize,
    last: Vec<String>,
}

impl Requests {
    /// Adds a request. Drops the oldest one if there are more than [`REMEMBERED`].
    pub(super) fn note(&self, request: &str) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.count += 1;
        if log.last.len() >= REMEMBERED {
            log.last.remove(0);
        }
        log.last.push(request.to_owned());
    }

    /// Returns the number of the last request, and the remembered requests after the number `since` in `query`, as
    /// JSON. Without `since`, lists no requests.
    pub(super) fn since(&self, query: &str) -> String {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let since = pairs(query).find(|(name, _)| name == "since").and_then(|(_, value)| value.parse().ok());
        // Older requests were dropped, so at most the remembered ones are listed. Test:
        // `requests_after_a_number_are_listed`.
        let new = log.count.saturating_sub(since.unwrap_or(log.count)).min(log.last.len());
        let requests = &log.last[log.last.len() - new..];
        serde_json::json!({ "last": log.count, "requests": requests }).to_string()
    }
}

pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        // In a query, `+` also means a blank, as forms encode it
        // (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>).
        let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
        Some((decode(name), decode(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_after_a_number_are_listed() {
        let requests = Requests::default();
        for number in 1..=150 {
            requests.note(&format!("GET /users?page={number}"));
        }
        let told = |query: &str| serde_json::from_str::<serde_json::Value>(&requests.since(query)).unwrap();
        assert_eq!(told(""), serde_json::json!({ "last": 150, "requests": [] }));
        assert_eq!(told("since=148")["requests"], serde_json::json!(["GET /users?page=149", "GET /users?page=150"]));
        assert_eq!(told("since=0")["requests"].as_array().unwrap().len(), REMEMBERED);
        assert_eq!(told("since=999")["requests"], serde_json::json!([]));
    }
}
