//! Links in forwarded answers. The upstream's links to itself are rewritten to lead to the gateway.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::ResponseHeader;

use crate::{
    lifecycle::snapshot::Snapshot,
    net::memory::MemoryShare,
    session::{compress::CodedStream, context::Forwarded},
};
use cursorgate_config::settings::CompressionSettings;
use cursorgate_translate::{
    downstream::{
        LinkBase,
        response::coding::{CodedRequest, PassedCoding},
    },
    upstream::place::{link_map::LinkMap, link_places::LinkPlaces},
    upstream::response::rewriting::BodyRewriter,
};

/// Headers that describe the bytes of a body, and would be wrong for a rewritten body.
const OF_BYTES: [&str; 5] = ["accept-ranges", "content-digest", "content-md5", "digest", "repr-digest"];

/// The rewriting of the links in one answer.
#[derive(Debug)]
pub struct AnswerLinks {
    /// The authorities and the path that are replaced, and the address that replaces them.
    map: LinkMap,
    /// The places of links in the dialect's answers; `None` if the answer isn't a page of a list.
    places: Option<LinkPlaces>,
    /// The rewriter of the body; `None` before the head has arrived, and if the body isn't rewritten.
    body: Option<BodyRewriter>,
    /// The encoder of the rewritten body; `None` if the body is sent without compression. The upstream sends a body
    /// with links uncompressed, so without this encoder a client that accepts compression would get many times the
    /// bytes. Test: `a_legacy_page_with_other_links_is_compressed`.
    coded: Option<CodedStream>,
}

impl AnswerLinks {
    /// Returns the rewriting for the answer to a forwarded request; `None` if the route leaves links unchanged.
    pub fn of(forwarded: &Forwarded, method: &Method, headers: &HeaderMap, snapshot: &Snapshot) -> Option<Box<Self>> {
        let Forwarded { found, target, client, successor, .. } = forwarded;
        let route = &found.route;
        if !route.rewrites_links {
            return None;
        }
        let address = client.asked_address(target, headers, route, snapshot);
        let authorities = route.upstream.authorities.clone();
        let map = match route.upstream_path {
            // `upstream_path` may rename the whole path. The gateway's names are known only for the requested path and
            // the paths below it.
            Some(_) => LinkMap {
                authorities,
                from: route.passed_target(&target.path, &found.parameters, ""),
                to: LinkBase::new(&address, &target.path).url(""),
            },
            None => LinkMap { authorities, from: route.upstream.base_path.clone(), to: address.as_str().to_owned() },
        };
        // The places of links are known only for pages. The bodies of other answers stay unchanged.
        let served = route.list.as_ref().filter(|_| successor.is_some());
        let observed = route.observed.as_ref().map(|observed| &observed.list).filter(|_| *method == Method::GET);
        let places = served.or(observed).map(|list| list.dialect.link_places().clone());
        Some(Box::new(Self { map, places, body: None, coded: None }))
    }

    /// Returns whether the body can contain links. The request for such a body must exclude content codings, because
    /// links in a compressed body can't be rewritten.
    pub fn are_in_bodies(&self) -> bool {
        self.places.as_ref().is_some_and(|places| !places.pointers.is_empty())
    }

    /// Rewrites the links in the head of an answer and prepares the rewriting of its body. `has_body` is `true` if a
    /// body follows; `asked` is the request.
    ///
    /// # Errors
    ///
    /// Returns an error if a header can't be written.
    pub fn head(
        &mut self,
        answer: &mut ResponseHeader,
        has_body: bool,
        asked: CodedRequest<'_>,
        settings: &CompressionSettings,
        held: &MemoryShare,
    ) -> pingora::Result<()> {
        let own = self.places.iter().flat_map(|places| &places.headers);
        // A redirect to the upstream itself would take the client past the gateway. Test:
        // `redirects_of_the_upstream_to_itself_lead_to_the_gateway`.
        let whole: Vec<HeaderName> = own.cloned().chain([header::LOCATION]).collect();
        for name in whole {
            self.map_header(answer, &name, LinkMap::mapped)?;
        }
        self.map_header(answer, &header::LINK, LinkMap::mapped_field)?;
        // An error isn't a page, so it has no links at these places, and keeps its bytes, its tag and its `Vary`.
        let is_error = answer.status.is_client_error() || answer.status.is_server_error();
        if self.are_in_bodies() && !is_error && is_plain_json(answer) {
            let pointers = self.places.as_ref().map(|places| places.pointers.clone()).unwrap_or_default();
            self.body = Some(BodyRewriter::new(pointers, self.map.clone()));
            if let Some(passed) = PassedCoding::of(asked, &answer.headers, settings) {
                let coding = passed.coding.filter(|_| has_body);
                self.coded = coding.and_then(|coding| CodedStream::begin(coding, held));
                let word =
                    coding.filter(|_| self.coded.is_some()).map(|coding| HeaderValue::from_static(coding.word()));
                for (name, value) in
                    [(header::CONTENT_ENCODING, word), (header::VARY, passed.vary), (header::ETAG, passed.etag)]
                {
                    if let Some(value) = value {
                        answer.insert_header(name, value)?;
                    }
                }
            }
            // The rewritten body has a different length, different hashes and different byte ranges, so the headers
            // with these are removed.
            answer.remove_header(&header::CONTENT_LENGTH);
            for name in OF_BYTES {
                answer.remove_header(name);
            }
        }
        Ok(())
    }

    /// Rewrites the links in a part of the body and compresses the part, if the answer needs either. `ends` is `true`
    /// for the last part.
    ///
    /// # Errors
    ///
    /// Returns an error if the encoder fails.
    pub fn body(&mut self, bytes: bytes::Bytes, ends: bool) -> io::Result<bytes::Bytes> {
        let Some(rewriter) = &mut self.body else { return Ok(bytes) };
        let mut written = rewriter.push(&bytes);
        if ends {
            written.extend(rewriter.finish());
        }
        let Some(coded) = &mut self.coded else { return Ok(written.into()) };
        let mut compressed = coded.push(&written)?;
        if ends && let Some(coded) = self.coded.take() {
            compressed.extend(coded.finish()?);
        }
        Ok(compressed.into())
    }

    fn map_header(
        &self,
        answer: &mut ResponseHeader,
        name: &HeaderName,
        mapped: impl Fn(&LinkMap, &str) -> Option<String>,
    ) -> pingora::Result<()> {
        let lines: Vec<HeaderValue> = answer.headers.get_all(name).iter().cloned().collect();
        let written = |line: &HeaderValue| {
            let mapped = line.to_str().ok().and_then(|text| mapped(&self.map, text))?;
            HeaderValue::try_from(mapped).ok()
        };
        let changed: Vec<Option<HeaderValue>> = lines.iter().map(written).collect();
        if changed.iter().all(Option::is_none) {
            return Ok(());
        }
        answer.remove_header(name);
        for (line, changed) in lines.into_iter().zip(changed) {
            answer.append_header(name.clone(), changed.unwrap_or(line))?;
        }
        Ok(())
    }
}

/// Returns whether the body of an answer is JSON without a content coding, and not just a range of bytes.
fn is_plain_json(answer: &ResponseHeader) -> bool {
    let text = |name: HeaderName| {
        let value = answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.trim().to_ascii_lowercase()
    };
    let media_type = text(header::CONTENT_TYPE);
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let is_json = essence == "application/json" || essence.ends_with("+json");
    let is_part = answer.status == StatusCode::PARTIAL_CONTENT && text(header::CONTENT_RANGE).starts_with("bytes");
    is_json && !is_part && matches!(text(header::CONTENT_ENCODING).as_str(), "" | "identity")
}
