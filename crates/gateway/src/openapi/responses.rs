//! The responses of an operation: the page, 304 and redirects, the problems, and the upstream's refusals.

use super::{
    described::{DescribedRoute, Method},
    names::{Names, pascal},
};
use crate::routes::list::List;
use cursorgate_config::settings::{
    AfterSunset, BrownoutEffect, BrownoutSettings, EnvelopeSettings, Mode, OldClients, OverMax, WhenEndUnproven,
};
use cursorgate_core::{
    json::Document,
    pagination::{paging::Family, resolver::ShortPages},
};
use cursorgate_translate::downstream::{Code, envelope::schema};

const PROBLEM: &str = "application/problem+json";

struct Header {
    name: &'static str,
    text: &'static str,
    schema: fn() -> Document,
}

/// The name of the header that every response has.
pub(super) const REQUEST_ID: &str = "X-Request-Id";

const HEADERS: [Header; 15] = [
    Header {
        name: "Link",
        text: "Links to the pages around this one, one relation each (RFC 8288), and to services of the list",
        schema: string,
    },
    Header { name: "ETag", text: "A weak validator of this page (RFC 9110, section 8.8.3)", schema: string },
    Header {
        name: "Cursorgate-Level",
        text: "The level of this page: the strength of its proof",
        schema: || string().with("enum", Document::texts(schema::LEVELS)),
    },
    Header {
        name: "Cursorgate-Drift",
        text: "The distance in items between the estimated and the actual position of this page",
        schema: || schema::integer(None),
    },
    Header {
        name: "Cursorgate-Unproven",
        text: "The reason that the position of this page is not proven",
        schema: || string().with("enum", Document::texts(["position", "order", "tie-run", "pivot", "seam"])),
    },
    Header {
        name: "Cursorgate-End",
        text: "The upstream says that more items follow after the end of the list on this page",
        schema: || string().with("enum", Document::texts(["unproven"])),
    },
    Header {
        name: "Cursorgate-Short",
        text: "The page could not be filled",
        schema: || string().with("enum", Document::texts(["budget"])),
    },
    Header {
        name: "Preference-Applied",
        text: "The preferences that were followed (RFC 7240, section 3)",
        schema: string,
    },
    Header {
        name: "Deprecation",
        text: "On answers to legacy requests: the start of their deprecation (RFC 9745)",
        schema: || string().with("pattern", "^@-?[0-9]+$".into()),
    },
    Header {
        name: "Sunset",
        text: "On answers to legacy requests: the end of their support (RFC 8594)",
        schema: string,
    },
    Header {
        name: "Location",
        text: "The same page by cursor (RFC 9110, section 10.2.2)",
        schema: || string().with("format", "uri-reference".into()),
    },
    Header {
        name: "RateLimit-Policy",
        text: "The limits that the request counts for, a quota `q` in a window of `w` seconds each (draft-ietf-httpapi-ratelimit-headers)",
        schema: string,
    },
    Header {
        name: "RateLimit",
        text: "The requests `r` that remain of each limit; after `t` seconds it is whole again (draft-ietf-httpapi-ratelimit-headers)",
        schema: string,
    },
    Header { name: "Retry-After", text: "The time of the next attempt, in seconds or as a date", schema: string },
    Header {
        name: REQUEST_ID,
        text: "The id of the request, which the log has too: quote it to support",
        schema: string,
    },
];

fn string() -> Document {
    schema::kind("string")
}

/// Describes all headers as components.
pub(super) fn headers() -> Document {
    let described = |header: &Header| {
        let members = [("description", header.text.into()), ("schema", (header.schema)())];
        (header.name, Document::object(members))
    };
    Document::object(HEADERS.iter().map(described))
}

fn referred(names: &[&str]) -> Vec<(String, Document)> {
    let refer = |name: &&str| {
        let reference = format!("#/components/headers/{name}");
        ((*name).to_owned(), Document::object([("$ref", reference.into())]))
    };
    names.iter().map(refer).collect()
}

/// The description of a list's pages, in all envelopes.
pub(super) struct Pages {
    contents: Document,
    headers: Vec<(String, Document)>,
}

impl Pages {
    /// Describes the pages, and returns their schemas by name. `echoed` is the schema of the request's body, which some
    /// envelopes repeat in the answer; `None` if the route doesn't take POST.
    pub(super) fn describe(
        described: &DescribedRoute<'_>,
        item: &Document,
        echoed: Option<&Document>,
        names: &mut Names,
    ) -> (Self, Vec<(String, Document)>) {
        let DescribedRoute { list_settings, stem, .. } = described;
        let (mut bodies, mut contents) = (Vec::new(), Contents::default());
        let mut headers: Vec<(String, Document)> = Vec::new();
        for (index, (envelope, _)) in described.conventions().enumerate() {
            let form = if index == 0 { String::new() } else { pascal(&envelope.name) };
            let name = names.claim(&format!("{stem}{form}Page"));
            let reference = Document::object([("$ref", format!("#/components/schemas/{name}").into())]);
            contents.push(&envelope.content_type, reference);
            bodies.push((name, schema::of_body(&envelope.body, &list_settings.collection, item, echoed)));
            for (name, value) in &envelope.headers {
                if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name.value)) {
                    let members = [("description", format!("`{}`", value.value).into()), ("schema", string())];
                    headers.push((name.value.clone(), Document::object(members)));
                }
            }
        }
        (Self { contents: contents.into_document(), headers }, bodies)
    }
}

pub(super) fn responses(described: &DescribedRoute<'_>, method: Method, pages: &Pages) -> Document {
    let DescribedRoute { list_settings, list, .. } = described;
    let mut known = vec!["Cursorgate-Level", "Cursorgate-Drift", "Cursorgate-Unproven", REQUEST_ID];
    if method == Method::Get {
        // Pages by POST have neither links nor a validator.
        known.splice(0..0, ["Link", "ETag"]);
    }
    if list_settings.unproven_end == WhenEndUnproven::Flag {
        known.push("Cursorgate-End");
    }
    if list_settings.short_pages == ShortPages::Serve {
        known.push("Cursorgate-Short");
    }
    let of_legacy = of_legacy(list);
    known.extend(&of_legacy);
    let of_limits = of_limits(described);
    known.extend(of_limits);
    if list.conventions.all().count() > 1 || list.conventions.own().parameters.preferred_limit().is_some() {
        known.push("Preference-Applied");
    }
    let own = |header: &&(String, Document)| !known.iter().any(|known| header.0.eq_ignore_ascii_case(known));
    let headers = [referred(&known), pages.headers.iter().filter(own).cloned().collect()].concat();
    let mut responses = vec![(
        "200".to_owned(),
        Document::object([
            ("description", format!("A page of {}", list_settings.collection).into()),
            ("headers", Document::Object(headers)),
            ("content", pages.contents.clone()),
        ]),
    )];
    if method == Method::Get {
        let headers = [&["Link", "ETag", REQUEST_ID][..], of_limits].concat();
        responses.push(bare("304", "The page is the one that If-None-Match names", &headers));
    }
    if list_settings.legacy.old_clients == OldClients::Redirect && described.redirects() {
        let headers = [&["Location", "Link", REQUEST_ID][..], &of_legacy, of_limits].concat();
        responses
            .insert(1, bare("307", "The address of the page that an old client asked for, by its cursor", &headers));
    }
    let is_possible =
        |status: u16| Code::ALL.iter().any(|code| code.has_status(status) && can_be(*code, described, method));
    let mut statuses: Vec<u16> =
        Code::ALL.iter().map(|code| code.status()).filter(|status| is_possible(*status)).collect();
    statuses.sort_unstable();
    statuses.dedup();
    responses.extend(statuses.into_iter().map(|status| (status.to_string(), problem(status, described, method))));
    responses.push(bare("4XX", "The upstream's own refusal, as it came", &[REQUEST_ID]));
    Document::Object(responses)
}

/// Returns the names of the headers about rate limits that the route's answers have; empty for a route without rate
/// limits.
fn of_limits(described: &DescribedRoute<'_>) -> &'static [&'static str] {
    if described.is_limited { &["RateLimit-Policy", "RateLimit"] } else { &[] }
}

/// Returns the names of the headers that answers to legacy requests have.
fn of_legacy(list: &List) -> Vec<&'static str> {
    let is_sent = |known: &&str| list.legacy_headers.iter().any(|(name, _)| name == *known);
    ["Deprecation", "Sunset"].into_iter().filter(is_sent).collect()
}

/// Describes a response by its headers. The body, if there is one, isn't described.
fn bare(status: &str, text: &str, headers: &[&str]) -> (String, Document) {
    let members = [("description", text.into()), ("headers", Document::Object(referred(headers)))];
    (status.to_owned(), Document::object(members))
}

/// Describes the problems that have this status.
fn problem(status: u16, described: &DescribedRoute<'_>, method: Method) -> Document {
    let codes = Code::ALL.iter().filter(|code| code.has_status(status) && can_be(**code, described, method));
    let codes: Vec<Code> = codes.copied().collect();
    let words: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let titles: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.as_str(), code.title())).collect();
    let collection = &described.list_settings.collection;
    let mut contents = Contents::default();
    for (envelope, _) in described.conventions() {
        // These statuses are sent before the route is known, so the route's error form doesn't apply.
        match envelope.error.as_ref().filter(|_| !matches!(status, 414 | 431)) {
            Some(error) => contents.push(&error.content_type, schema::of_error(&error.body, collection, &words)),
            None => contents.push(PROBLEM, problem_document()),
        }
    }
    let mut members = vec![("description", titles.join("; ").into())];
    let mut headers = match status {
        429 => [&["Retry-After"], of_limits(described)].concat(),
        502..=504 => vec!["Retry-After"],
        410 if codes.contains(&Code::LegacyRejected) && method == Method::Get => {
            [vec!["Link"], of_legacy(described.list)].concat()
        }
        _ => Vec::new(),
    };
    headers.push(REQUEST_ID);
    members.push(("headers", Document::Object(referred(&headers))));
    members.push(("content", contents.into_document()));
    Document::object(members)
}

/// Returns a reference to the schema of all problem documents. Separate schemas for the codes of each status would be
/// lost in generated clients, because generators don't merge schemas.
fn problem_document() -> Document {
    Document::object([("$ref", "#/components/schemas/Problem".into())])
}

/// Schemas by media type. A media type may have several schemas.
#[derive(Default)]
struct Contents(Vec<(String, Vec<Document>)>);

impl Contents {
    fn push(&mut self, media_type: &str, schema: Document) {
        match self.0.iter_mut().find(|(known, _)| known == media_type) {
            Some((_, schemas)) if schemas.contains(&schema) => {}
            Some((_, schemas)) => schemas.push(schema),
            None => self.0.push((media_type.to_owned(), vec![schema])),
        }
    }

    fn into_document(self) -> Document {
        Document::object(self.0.into_iter().map(|(media_type, mut schemas)| {
            let schema = match schemas.len() {
                1 => schemas.swap_remove(0),
                _ => Document::object([("anyOf", schemas.into())]),
            };
            (media_type, Document::object([("schema", schema)]))
        }))
    }
}

/// Returns whether a request for this list with this method can be refused with a code.
fn can_be(code: Code, described: &DescribedRoute<'_>, method: Method) -> bool {
    let list = described.list_settings;
    let by_token = described.list.dialect.paging().family == Family::Token;
    match code {
        Code::LimitTooLarge => {
            let over = |envelope: &EnvelopeSettings| list.page_size.over_max.unwrap_or(envelope.over_max);
            described.conventions().any(|(envelope, _)| over(envelope) == OverMax::Reject)
        }
        Code::EnvelopeUnknown => !list.envelopes.is_empty(),
        Code::PageInvalid => {
            matches!(list.legacy.old_clients, OldClients::Translate | OldClients::Redirect)
        }
        Code::CursorExpired => list.cursor.ttl.is_some(),
        Code::CursorGone => by_token || list.mode.value == Mode::Seek,
        Code::LegacyRejected => {
            let ends = list.legacy.after_sunset == AfterSunset::Reject && list.legacy.old_clients != OldClients::None;
            let rejects = |brownout: &BrownoutSettings| brownout.effect == BrownoutEffect::Reject;
            ends || list.legacy.brownouts.iter().any(rejects) || list.legacy.old_clients == OldClients::Reject
        }
        Code::BodyInvalid | Code::BodyTooLarge | Code::MediaTypeUnsupported => method == Method::Post,
        Code::RateLimited => {
            let per_client = described.settings.concurrency.as_ref().is_some_and(|limits| limits.per_client.is_some());
            per_client || described.is_limited
        }
        // Paths without a route have no operation, and services aren't routes, so these codes aren't described here.
        Code::RouteNotFound
        | Code::OperationInvalid
        | Code::OperationTimeout
        | Code::IdempotencyKeyInvalid
        | Code::IdempotencyKeyInUse
        | Code::IdempotencyKeyReused
        | Code::IdempotencyResultLost
        | Code::ExportNotFound
        | Code::ExportNotFailed
        | Code::ExportWithoutResult
        | Code::ExportUnsupported
        | Code::JobNotFound
        | Code::JobNotFailed
        | Code::JobWithoutResult
        | Code::JobLimit
        | Code::WebhookNotFound
        | Code::WebhookUnverified
        | Code::WebhookLimit
        | Code::WebhookUrlRefused
        | Code::ExportLimit
        | Code::StoreUnavailable
        | Code::LiveLimit
        | Code::OriginRefused
        | Code::CredentialsRefused
        | Code::RangeUnsatisfiable => false,
        _ => true,
    }
}
