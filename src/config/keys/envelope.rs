//! An envelope: `[envelopes.NAME]`, or a JSON file of the same keys.

use crate::config::{
    key::{Defaulted, Key, Literal::Text, NamedTexts, json, named_texts, sub_table, table, text, word, words},
    schema::{Schema, SyntaxFault},
    settings::OverMax,
    spanned::Spanned,
    syntax,
    tree::LocatedTree,
};

table! {
    /// `[envelopes.NAME]`
    ENVELOPE: EnvelopeKeys {
        /// A description in one line.
        description: Key<String> => text(syntax::line).example(r#""items and where to go on""#);

        /// The address of its documentation.
        documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/envelope""#);

        /// A JSON file with all of these keys, in which members keep their order. No other key stands beside it.
        file: Key<String> => text(syntax::name).example(r#""partner.json""#);

        /// The media type of pages.
        content_type: Defaulted<String> => text(media_type).default(Text("application/json"));

        /// The query parameters of clients, or their places in the body of a request by POST ("/payload/cursor"). A
        /// parameter that is not named does not exist.
        parameters: Key<Spanned> => sub_table(EnvelopeParametersKeys::KEYS).section();

        /// The answer to a limit above the route's largest.
        over_max: Defaulted<OverMax> => word().default(Text("clamp"));

        /// The answer to a limit of 0.
        zero_limit: Defaulted<ZeroLimit> => word().default(Text("reject"));

        /// The answer to an empty cursor.
        empty_cursor: Defaulted<EmptyCursor> => word().default(Text("reject"));

        /// Headers of pages. A header whose placeholder is unknown is left out.
        headers: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::line), "write headers = { X-Total-Count = \"{total}\" }")
                .example(r#"{ X-Total-Count = "{total}" }"#);

        /// The body of a page. A member whose placeholder is unknown is left out, and with it an object or list in which only
        /// literals remain; `|null` writes null instead. [{ cursor = "{item.cursor}", node = "{item}" }] wraps each item.
        /// {request/payload} is the member /payload of the body of a request by POST, as it came. {collection} may stand in
        /// the names of members.
        body: Key<LocatedTree> => json().sample(r#"{ items = ["{item}"], next = "{links.next|null}" }"#);

        /// The body of an error. Default: problem documents (RFC 9457).
        error: Key<LocatedTree> => json().example(r#"{ error = { code = "{code}", message = "{detail}" } }"#);

        /// The media type of errors, beside `error`. Default: "application/json".
        error_content_type: Key<String> => text(media_type).example(r#""application/problem+json""#);

        /// The values of {type} in an error, by code or status, beside `error`. Default: `server.problem_types` and the code.
        error_types: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::line), "write error_types = { cursor_expired = \"https://…\" }")
                .example(r#"{ cursor_expired = "https://docs.example.com/expired", "503" = "https://docs.example.com/busy" }"#);
    }
}

table! {
    /// `parameters` of an envelope
    PARAMETERS: EnvelopeParametersKeys {
        /// The limit, or a preference for it (RFC 7240) such as "prefer:odata.maxpagesize".
        limit: Key<String> => text(limit).sample(r#""limit""#);

        /// A limit that reads backward.
        limit_backward: Key<String> => text(parameter).example(r#""last""#);

        /// The cursor of a page.
        cursor: Key<String> => text(parameter).sample(r#""cursor""#);

        /// The cursor of an item that the page begins after.
        after: Key<String> => text(parameter).example(r#""after""#);

        /// The cursor of an item that the page ends before.
        before: Key<String> => text(parameter).example(r#""before""#);

        /// The id of an item that the page begins after.
        after_id: Key<String> => text(parameter).example(r#""after_id""#);

        /// The id of an item that the page ends before.
        before_id: Key<String> => text(parameter).example(r#""before_id""#);

        /// The order.
        sort: Key<String> => text(parameter).sample(r#""sort""#);
    }
}

words! {
    /// The answer to a limit of 0.
    enum ZeroLimit {
        /// 400.
        Reject = "reject",
        /// The default limit is used.
        Default = "default",
    }
}

words! {
    /// The answer to an empty cursor.
    enum EmptyCursor {
        /// 400.
        Reject = "reject",
        /// The first page. A client that takes an empty cursor for the end of the list would begin again for ever.
        FirstPage = "first-page",
    }
}

/// Accepts the name of a query parameter, a pointer into the body, or a preference for the page size (RFC 7240), as OData
/// has one.
fn limit(text: &str) -> Result<(), SyntaxFault> {
    match text.strip_prefix("prefer:") {
        Some(name) if syntax::header_name(name).is_ok() => Ok(()),
        Some(_) => Err(SyntaxFault::new(format!("{text:?} is not a preference"), "write \"prefer:odata.maxpagesize\"")),
        None => parameter(text),
    }
}

/// Accepts the name of a query parameter, or a pointer into the body.
fn parameter(text: &str) -> Result<(), SyntaxFault> {
    if text.starts_with("prefer:") {
        let help = "write the name of a query parameter";
        return Err(SyntaxFault::new("only the limit can be a preference", help));
    }
    syntax::name(text)
}

fn media_type(text: &str) -> Result<(), SyntaxFault> {
    let essence = text.split(';').next().unwrap_or(text).trim();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let is_media_type = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    if is_media_type && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(SyntaxFault::new(format!("{text:?} is not a media type"), "write a media type such as \"application/json\""))
}
