//! The reference page of the public contract, on which Swagger UI shows the OpenAPI document to people. All its files
//! come from the gateway.

use std::io::Read as _;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, header};
use pingora::http::RequestHeader;
use url::Url;

use cursorgate_config::settings::{PublicContractSettings, REFERENCE_FILES};
use cursorgate_gateway::session::service::is_for;
use cursorgate_translate::downstream::{
    Response,
    response::{coding::accepts_gzip, etag},
};

/// The files, in the order of [`REFERENCE_FILES`].
const FILES: [ReferenceFile; REFERENCE_FILES.len()] = [
    ReferenceFile { media_type: SCRIPT, content: include_bytes!("reference.js"), is_compressed: false },
    ReferenceFile {
        media_type: SCRIPT,
        content: include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js.gz")),
        is_compressed: true,
    },
    ReferenceFile {
        media_type: "text/css; charset=utf-8",
        content: include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css.gz")),
        is_compressed: true,
    },
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The largest size of a file, in bytes.
const MOST: u64 = 8 << 20;

/// A file of the page.
struct ReferenceFile {
    media_type: &'static str,
    content: &'static [u8],
    /// True if `content` is compressed by gzip.
    is_compressed: bool,
}

/// A part of the page.
pub(super) enum ReferencePart {
    Page,
    /// The number of a file.
    File(usize),
}

/// Returns the part of the page that a request is for; `None` if it is for another path.
pub(super) fn part(contract: &PublicContractSettings, head: &RequestHeader) -> Option<ReferencePart> {
    let page = contract.reference.as_deref()?;
    if is_for(head, page) {
        return Some(ReferencePart::Page);
    }
    let path = head.raw_path().split(|byte| *byte == b'?').next()?;
    let name = path.strip_prefix(page.as_bytes())?.strip_prefix(b"/")?;
    REFERENCE_FILES.iter().position(|file| file.as_bytes() == name).map(ReferencePart::File)
}

/// Returns the page at a path, with links to the document at another path. All links are relative, so the page can be
/// read under each name of the gateway, and under a prefix that a proxy removes. Its script may send requests to these
/// servers.
pub(super) fn page(path: &str, document: &str, title: &str, servers: &[String]) -> Response {
    let above = "../".repeat(path.matches('/').count().saturating_sub(1));
    let base = escaped(path.rsplit('/').next().unwrap_or_default());
    let document = escaped(&format!("{above}{}", document.trim_start_matches('/')));
    let title = escaped(title);
    let [start, bundle, style] = REFERENCE_FILES;
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"{base}/{style}\">\n</head>\n<body>\n\
         <div id=\"reference\" data-document=\"{document}\"></div>\n<script src=\"{base}/{bundle}\"></script>\n\
         <script src=\"{base}/{start}\"></script>\n</body>\n</html>\n"
    );
    let mut response = answer("text/html; charset=utf-8", page.into());
    let origin = |server: &String| Url::parse(server).ok().map(|url| url.origin().ascii_serialization());
    let origins: Vec<String> = servers.iter().filter_map(origin).collect();
    // Swagger UI writes styles of elements, and has icons in URLs of `data:`.
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self' {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        origins.join(" ")
    );
    // An origin is ASCII, so this never fails.
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response.headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Returns a file of the page, compressed if the client accepts that.
pub(super) fn file(number: usize, headers: &HeaderMap) -> Response {
    let ReferenceFile { media_type, content, is_compressed } = &FILES[number];
    let sends_compressed = *is_compressed && accepts_gzip(headers);
    let body = if *is_compressed && !sends_compressed {
        let mut whole = Vec::new();
        // The files are part of the program, so they can be read.
        let read = GzDecoder::new(*content).take(MOST).read_to_end(&mut whole);
        debug_assert!(read.is_ok(), "{read:?}");
        whole.into()
    } else {
        Bytes::from_static(content)
    };
    let mut response = answer(media_type, body);
    if *is_compressed {
        response.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if sends_compressed {
        response.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn answer(media_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(200, Vec::new());
    let headers = &mut response.headers;
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ETAG, etag::weak(&[&body]));
    // The page changes with the configuration, and its files with the program.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.body = body.into();
    response
}

/// Returns a text as the value of an attribute or the content of an element of HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
