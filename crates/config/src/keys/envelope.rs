//! The keys of an envelope: of a table `[envelopes.NAME]`, or of a JSON file.

use crate::{
    diagnostic::{Located, Location},
    key::{Defaulted, Key, Literal::Text, NamedTexts, json, named_texts, sub_table, table, text, word, words},
    schema::{Schema, SyntaxFault},
    settings::{ErrorSettings, OverMax, Role},
    spanned::Spanned,
    syntax,
    tree::LocatedTree,
};

table! {
    /// The keys of `[envelopes.NAME]`.
    ENVELOPE: EnvelopeKeys => #[derive(Debug, Clone)] EnvelopeSettings {
        /// A description of the envelope in one line, for people.
        pub description: Key<String> => text(syntax::line).example(r#""items and where to go on""#);

        /// The address of the envelope's documentation.
        pub documentation: Key<String> => text(syntax::url).example(r#""https://docs.example.com/envelope""#);

        /// A JSON file with all keys of the envelope. The members of its bodies keep their order. No other key is
        /// allowed beside `file`.
        file: Key<String> => text(syntax::name).example(r#""partner.json""#);

        /// The media type of pages.
        pub content_type: Defaulted<String> => text(media_type).default(Text("application/json"));

        /// The query parameters of clients, or their places in the body of a POST ("/payload/cursor"). Without a name
        /// here, clients have no such parameter.
        pub parameters: Key<Spanned> as Vec<(Role, Located<String>)> =>
            sub_table(EnvelopeParametersKeys::KEYS).section();

        /// The answer to a request for more items than `page_size.max` of the route.
        pub over_max: Defaulted<OverMax> => word().default(Text("clamp"));

        /// The answer to a request for 0 items.
        pub zero_limit: Defaulted<ZeroLimit> => word().default(Text("reject"));

        /// The answer to a request with an empty cursor.
        pub empty_cursor: Defaulted<EmptyCursor> => word().default(Text("reject"));

        /// The headers of pages. A header whose placeholder has no value is left out.
        pub headers: Key<NamedTexts> as NamedTexts =>
            named_texts(&Schema::Text(syntax::line), "write headers = { X-Total-Count = \"{total}\" }")
                .example(r#"{ X-Total-Count = "{total}" }"#);

        /// The body of a page. A member whose placeholder has no value is left out, or null with `|null`. An object or
        /// list that then contains only literals is left out too. Placeholders are {item}, {item.id}, {item.cursor},
        /// {item.fields} and {item.reserved} in an item; {count}, {limit}, {path}, {level}, {now}, {has_next},
        /// {has_prev}, {has_more}, {total}, {total_at_least}, {page}, {pages}, {next.cursor}, {prev.cursor},
        /// {start.cursor}, {end.cursor}, {links.self}, {links.first}, {links.prev}, {links.next} and {links.last} in a
        /// page. [{ cursor = "{item.cursor}", node = "{item}" }] wraps
        /// each item. {request/payload} is the member /payload of the body of a POST, unchanged. {collection} may also
        /// occur in the names of members.
        pub body: Key<LocatedTree> as LocatedTree =>
            json().sample(r#"{ items = ["{item}"], next = "{links.next|null}" }"#);

        /// The body of an error. Default: problem documents (RFC 9457).
        pub error: Key<LocatedTree> as Option<ErrorSettings> =>
            json().example(r#"{ error = { code = "{code}", message = "{detail}" } }"#);

        /// The media type of errors. This key needs `error`. Default: "application/json".
        error_content_type: Key<String> => text(media_type).example(r#""application/problem+json""#);

        /// The values of {type} in an error, by the code or the status of the error. This key needs `error`. Default:
        /// `server.problem_types` followed by the code.
        error_types: Key<NamedTexts> =>
            named_texts(&Schema::Text(syntax::line), "write error_types = { cursor_expired = \"https://…\" }")
                .example(r#"{ cursor_expired = "https://docs.example.com/expired", "503" = "https://docs.example.com/busy" }"#);

        /// The name of the envelope.
        pub name: String;

        /// The location of the name, for faults that have no more exact one: in the route or, for an envelope of
        /// `own_envelopes`, in the header of its table.
        pub at: Location;
    }
}

table! {
    /// The keys of `parameters` of an envelope.
    PARAMETERS: EnvelopeParametersKeys {
        /// The parameter for the number of items, or a preference for it (RFC 7240) such as "prefer:odata.maxpagesize".
        limit: Key<String> => text(limit).sample(r#""limit""#);

        /// The parameter for the number of items of a page that is read backward, from the end of the list or from
        /// `before`.
        limit_backward: Key<String> => text(parameter).example(r#""last""#);

        /// The parameter for the cursor of a page.
        cursor: Key<String> => text(parameter).sample(r#""cursor""#);

        /// The parameter for the cursor of an item after which the page begins.
        after: Key<String> => text(parameter).example(r#""after""#);

        /// The parameter for the cursor of an item before which the page ends.
        before: Key<String> => text(parameter).example(r#""before""#);

        /// The parameter for the id of an item after which the page begins. It needs `mode = "seek"` of the route.
        after_id: Key<String> => text(parameter).example(r#""after_id""#);

        /// The parameter for the id of an item before which the page ends. It needs `mode = "seek"` of the route.
        before_id: Key<String> => text(parameter).example(r#""before_id""#);

        /// The parameter for the order.
        sort: Key<String> => text(parameter).sample(r#""sort""#);
    }
}

words! {
    /// The answer to a request for 0 items.
    pub enum ZeroLimit {
        /// The request is refused with 400.
        Reject = "reject",
        /// The page has `page_size.default` items.
        Default = "default",
    }
}

words! {
    /// The answer to a request with an empty cursor.
    pub enum EmptyCursor {
        /// The request is refused with 400.
        Reject = "reject",
        /// The first page. A client that sends an empty cursor at the end of the list would then begin again and never
        /// end.
        FirstPage = "first-page",
    }
}

/// Accepts a name that [`parameter`] accepts, or a preference for the page size (RFC 7240) such as
/// `prefer:odata.maxpagesize`.
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
