//! Links in forwarded answers. The upstream's links to itself are rewritten to lead to the gateway.

use std::io;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::ResponseHeader;

use crate::{
    lifecycle::snapshot::Snapshot,
    session::{compress::RecodedStream, context::Forwarded},
};
use cursorgate_translate::{
    downstream::{LinkBase, response::coding::accepts_gzip},
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
    /// The coders of the rewritten body, if the upstream has compressed it.
    recoded: Option<Box<RecodedStream>>,
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
        Some(Box::new(Self { map, places, body: None, recoded: None }))
    }

    /// Returns the `Accept-Encoding` of the request to the upstream, where the client's may lead to a body whose links
    /// can't be rewritten; otherwise `None`. Gzip can be decoded, so the upstream decides on it as for any client, and
    /// neither its coding nor its `Vary` changes. Test: `a_legacy_page_with_other_links_keeps_its_coding`.
    pub fn codings(&self, asked: &HeaderMap) -> Option<&'static str> {
        let accepts = asked.contains_key(header::ACCEPT_ENCODING) && self.are_in_bodies();
        accepts.then(|| if accepts_gzip(asked) { "gzip" } else { "identity" })
    }

    fn are_in_bodies(&self) -> bool {
        self.places.as_ref().is_some_and(|places| !places.pointers.is_empty())
    }

    /// Returns the memory that the rewriting of this body takes, in bytes.
    pub fn memory(&self) -> usize {
        if self.recoded.is_some() { RecodedStream::MEMORY } else { 0 }
    }

    /// Rewrites the links in the head of an answer and prepares the rewriting of its body. `has_body` is `true` if a
    /// body follows.
    ///
    /// # Errors
    ///
    /// Returns an error if a header can't be written.
    pub fn head(&mut self, answer: &mut ResponseHeader, has_body: bool) -> pingora::Result<()> {
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
        let coding = self.are_in_bodies().then(|| text(answer, &header::CONTENT_ENCODING)).filter(|_| is_json(answer));
        if let Some(coding @ ("" | "identity" | "gzip" | "x-gzip")) = coding.as_deref().filter(|_| !is_error) {
            let pointers = self.places.as_ref().map(|places| places.pointers.clone()).unwrap_or_default();
            self.body = Some(BodyRewriter::new(pointers, self.map.clone()));
            self.recoded = (has_body && coding.ends_with("gzip")).then(|| Box::new(RecodedStream::default()));
            // A strong tag is one of the upstream's bytes.
            let tag = answer.headers.get(header::ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
            if let Some(tag) = tag.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()).ok()) {
                answer.insert_header(header::ETAG, tag)?;
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

    /// Rewrites the links in a part of the body. `ends` is `true` for the last part.
    ///
    /// # Errors
    ///
    /// Returns an error if the body has a coding that it doesn't follow.
    pub async fn body(&mut self, bytes: bytes::Bytes, ends: bool) -> io::Result<bytes::Bytes> {
        let Some(rewriter) = &mut self.body else { return Ok(bytes) };
        let last = |rewriter: &mut BodyRewriter, text: &[u8]| [rewriter.push(text), rewriter.finish()].concat();
        let Some(recoded) = &mut self.recoded else {
            return Ok(if ends { last(rewriter, &bytes) } else { rewriter.push(&bytes) }.into());
        };
        let mut coded = recoded.push(&bytes, |text| rewriter.push(text)).await?;
        if ends && let Some(recoded) = self.recoded.take() {
            coded.extend(recoded.finish(|text| last(rewriter, text))?);
        }
        Ok(coded.into())
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

/// Returns whether the body of an answer is JSON, and not just a range of bytes.
fn is_json(answer: &ResponseHeader) -> bool {
    let media_type = text(answer, &header::CONTENT_TYPE);
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let is_json = essence == "application/json" || essence.ends_with("+json");
    let is_part =
        answer.status == StatusCode::PARTIAL_CONTENT && text(answer, &header::CONTENT_RANGE).starts_with("bytes");
    is_json && !is_part
}

/// Returns the value of a header in lower case; an empty text without the header.
fn text(answer: &ResponseHeader, name: &HeaderName) -> String {
    let value = answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.trim().to_ascii_lowercase()
}
