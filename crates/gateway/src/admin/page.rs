//! The operator's page: its files, which are built into the program, and the security headers of all answers.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::session::service::OperatorFile;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files of the page: the path, the content type and the text of each.
pub(super) const FILES: [OperatorFile; 9] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/page/page.js", SCRIPT, include_str!("page/page.js")),
    ("/page/format.js", SCRIPT, include_str!("page/format.js")),
    ("/page/draw.js", SCRIPT, include_str!("page/draw.js")),
    ("/page/findings.js", SCRIPT, include_str!("page/findings.js")),
    ("/page/sections.js", SCRIPT, include_str!("page/sections.js")),
    ("/page/migration.js", SCRIPT, include_str!("page/migration.js")),
];

/// The headers of every answer. The policy permits only scripts, styles, images and requests of this listener. It
/// permits no inline scripts or styles, and no frame around the page. `Cross-Origin-Resource-Policy` prevents pages of
/// other origins from embedding a resource.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Adds the headers of every answer of this listener.
pub(super) fn add_headers(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Browsers report inline scripts and styles, which the policy forbids, only at run time, so the files are checked
    /// here.
    #[test]
    fn the_page_has_no_inline_script_style_or_handler() {
        for (path, _, text) in FILES {
            let foreign =
                text.match_indices("://").filter(|(at, _)| !text[*at..].starts_with("://www.w3.org/2000/svg"));
            assert_eq!(foreign.count(), 0, "{path} names another place");
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
                assert!(!text.contains(sink), "{path}: {sink}");
            }
        }
        let page = FILES[0].2;
        assert!(!page.contains("<style") && !page.contains("javascript:"), "{page}");
        let written = page.split_whitespace().filter(|word| word.contains('='));
        let inline = written.filter(|word| word.starts_with("on") || word.starts_with("style"));
        assert_eq!(inline.collect::<Vec<_>>(), [""; 0]);
        for name in ["page.css", "icon.svg", "page.js"] {
            assert!(page.contains(&format!("\"page/{name}\"")), "{name} is named, by a relative link");
        }
    }
}
