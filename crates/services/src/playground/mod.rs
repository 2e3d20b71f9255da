//! The playground at the admin listener. On its page, operators read a list of this gateway by page number and by
//! cursor, side by side. The page shows each request, its answer, the upstream requests that it caused, and its proof.
//!
//! A request of the page runs through the gateway with the headers that the operator typed. Limits, policies and logs
//! apply to it as to any other request. Its permit is signed by a random key that the process creates when it starts.
//! The gateway that serves clients doesn't have this key, so a client can't get explanations with a permit of the page.
//! The explanation is sent to the page, and isn't kept.

mod lists;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use zeroize::Zeroizing;

use self::request::PlayedRequest;
use super::inner::{InnerGateway, InnerRequest, Unanswered};
use cursorgate_gateway::{
    Gateway,
    request::identity::REQUEST_ID,
    runtime::clock,
    session::service::{OperatorFile, ReportRefusal, ServiceReport},
    shared::explanations::Explanations,
};

const LISTS: &str = "/playground/lists";
const REQUEST: &str = "/playground/request";

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The files of the page. The page uses the style and the icons of the admin listener's own page by relative links.
const FILES: [OperatorFile; 6] = [
    ("/playground/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/playground/playground.css", "text/css; charset=utf-8", include_str!("page/playground.css")),
    ("/playground/playground.js", SCRIPT, include_str!("page/playground.js")),
    ("/playground/ask.js", SCRIPT, include_str!("page/ask.js")),
    ("/playground/reader.js", SCRIPT, include_str!("page/reader.js")),
    ("/playground/told.js", SCRIPT, include_str!("page/told.js")),
];

const OFF: ReportRefusal = (StatusCode::NOT_FOUND, "there is no [services.playground]\n");
const BUSY: ReportRefusal = (StatusCode::SERVICE_UNAVAILABLE, "there is no memory for the answer: try again\n");
const FAILED: ReportRefusal = (StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed: the log says why\n");
const LATE: ReportRefusal =
    (StatusCode::GATEWAY_TIMEOUT, "the request took longer than services.playground.timeout and was given up\n");
const BROKEN: ReportRefusal = (StatusCode::BAD_GATEWAY, "the answer broke off: the log has the request\n");

/// The time for which a permit is valid, in seconds. A short time suffices, because the permit is used at once.
const PERMIT_LIFE: u64 = 60;

pub(super) struct Playground {
    /// The gateway for the page's requests. It exists even without `[services.playground]`, because a reload can add
    /// that table.
    inner: InnerGateway,
    explanations: Arc<Explanations>,
}

/// The JSON with which a request of the page is answered.
#[derive(Serialize)]
struct PlayedAnswer<'a> {
    /// The name of the list's route.
    list: &'a str,
    status: u16,
    milliseconds: f64,
    headers: Vec<(&'a str, String)>,
    body: String,
    /// True if the answer's body was too long, so `body` contains only its beginning.
    cut: bool,
    /// The explanation; `None` if too many requests were being explained.
    explanation: Option<Box<RawValue>>,
}

impl Playground {
    /// Opens the playground for a gateway that has no services yet.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no random bytes for the key that signs permits.
    pub(super) fn open(gateway: &Gateway) -> Result<Self, String> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|error| format!("the system has no random bytes: {error}"))?;
        let explanations = Arc::new(Explanations::of_service(secret.as_slice()));
        Ok(Self { inner: InnerGateway::explaining(gateway, Arc::clone(&explanations)), explanations })
    }

    fn is_on(&self) -> bool {
        self.inner.gateway().live.pin().services.playground.is_some()
    }

    /// Sends the request that `body` describes through the gateway. Returns the answer and its explanation as JSON.
    async fn play(&self, body: &[u8]) -> Result<String, ReportRefusal> {
        let snapshot = self.inner.gateway().live.pin();
        let settings = snapshot.services.playground.ok_or(OFF)?;
        let asked = PlayedRequest::read(&snapshot, body)?;
        // The permit is valid only for this path and a short time, so a leaked permit is of little use.
        let permit = self.explanations.sign(asked.scope(), clock::unix_seconds().saturating_add(PERMIT_LIFE));
        let PlayedRequest { route, caller, .. } = &asked;
        let request = InnerRequest { head: asked.head(&permit)?, body: bytes::Bytes::new() };
        let (held, mut kept, mut cut, mut is_full) = (snapshot.memory.share(), Vec::new(), false, false);
        // The rest of a longer body is read and dropped: the request must end by itself.
        let keep = |part: &[u8]| {
            let shown = part.len().min(settings.answer_size.saturating_sub(kept.len()));
            cut |= shown < part.len();
            match held.reserve(&mut kept, shown, settings.answer_size) {
                Ok(()) => kept.extend_from_slice(&part[..shown]),
                Err(_) => is_full = true,
            }
        };
        // The sender lives as long as the request, so only the time limit can end the request early.
        let (_kept, mut wanted) = watch::channel(());
        let began = clock::instant();
        let sent = request.send(self.inner.gateway(), caller, settings.timeout, &mut wanted, keep).await;
        let took = clock::instant().saturating_duration_since(began);
        let (status, headers) = sent.map_err(|fault| match fault {
            Unanswered::GivenUp => LATE,
            Unanswered::BrokenOff => BROKEN,
        })?;
        // The explanation is taken even if the answer is refused below, because it must not stay in the gateway.
        let explanation = self.explained(&headers);
        if is_full {
            return Err(BUSY);
        }
        let answer = PlayedAnswer {
            list: &route.name,
            status,
            milliseconds: took.as_secs_f64() * 1000.0,
            headers: written(&headers),
            body: String::from_utf8_lossy(&kept).into_owned(),
            cut,
            explanation,
        };
        serde_json::to_string(&answer).map(|text| text + "\n").map_err(|_| FAILED)
    }

    /// Takes the explanation of a request out of the gateway, by the request id in the headers of the answer.
    fn explained(&self, headers: &HeaderMap) -> Option<Box<RawValue>> {
        let kept = self.explanations.take(headers.get(REQUEST_ID)?.to_str().ok()?)?;
        RawValue::from_string(kept.text.to_string()).ok()
    }
}

/// Returns the headers of an answer as strings, in the order of the map.
fn written(headers: &HeaderMap) -> Vec<(&str, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (name.as_str(), text(value.as_bytes()))).collect()
}

#[async_trait]
impl ServiceReport for Playground {
    fn files(&self) -> &'static [OperatorFile] {
        if self.is_on() { &FILES } else { &[] }
    }

    fn reads(&self) -> &'static [&'static str] {
        if self.is_on() { &[LISTS] } else { &[] }
    }

    fn changes(&self) -> &'static [&'static str] {
        if self.is_on() { &[REQUEST] } else { &[] }
    }

    async fn read(&self, _path: &str, _query: Option<&str>) -> Result<String, ReportRefusal> {
        Ok(lists::render(&self.inner.gateway().live.pin()))
    }

    async fn change(&self, _path: &str, body: &[u8]) -> Result<String, ReportRefusal> {
        self.play(body).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content security policy forbids inline scripts, styles and handlers, and browsers report a violation only at
    /// run time.
    #[test]
    fn the_page_has_no_inline_script_style_or_handler() {
        for (path, _, text) in FILES {
            assert!(!text.contains("://"), "{path} names another place");
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"] {
                assert!(!text.contains(sink), "{path}: {sink}");
            }
            for kept in ["localStorage", "sessionStorage", "document.cookie", "indexedDB"] {
                assert!(!text.contains(kept), "{path}: {kept} would keep the token");
            }
        }
        let page = FILES[0].2;
        assert!(!page.contains("<style") && !page.contains("javascript:"), "{page}");
        let written = page.split_whitespace().filter(|word| word.contains('='));
        let inline = written.filter(|word| word.starts_with("on") || word.starts_with("style"));
        assert_eq!(inline.collect::<Vec<_>>(), [""; 0]);
        for name in ["../page/page.css", "../page/icon.svg", "playground.css", "playground.js"] {
            assert!(page.contains(&format!("\"{name}\"")), "{name} is named, by a relative link");
        }
    }
}
