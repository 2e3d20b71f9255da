//! Dialects: found among the file's own and the built-in ones, laid over what they extend, and read.

use super::Context;
use crate::config::{
    diagnostic::{Located, nearest},
    form, keys, presets,
    settings::{
        DialectCount, DialectFilter, DialectItem, DialectMatch, DialectRequest, DialectResponse, DialectSettings,
        DialectSize, DialectSort, DialectTerms, EndWord, Quote, QuotedKind,
    },
    syntax, toml_text,
    written::Written,
};

/// What `extends` replaces as a whole, and not member by member.
const WHOLE: &[&str] = &["body", "headers"];

/// A dialect in a chain of `extends`: the file's own, or a built-in one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    Own(String),
    Preset(&'static str),
}

/// All dialects that routes can name, each built-in one read when it is first needed.
pub(super) struct Dialects<'a> {
    own: &'a Written,
    presets: Vec<(&'static str, Written)>,
}

impl<'a> Dialects<'a> {
    /// `own` is the table `dialects` of the file. Each of its `extends` is followed, so that faults show in dialects
    /// which no route uses.
    pub(super) fn new(own: &'a Written, context: &mut Context<'_>) -> Self {
        let mut dialects = Self { own, presets: Vec::new() };
        for (name, written) in own.members() {
            let _ = dialects.extended(written, &mut vec![Link::Own(name.value.clone())], context);
        }
        dialects
    }

    /// The dialect of this name, as a route wrote it.
    pub(super) fn find(&mut self, name: &Located<String>, context: &mut Context<'_>) -> Option<DialectSettings> {
        let written = self.named(name, &mut Vec::new(), context)?;
        read(name, &written, context)
    }

    fn named(&mut self, name: &Located<String>, chain: &mut Vec<Link>, context: &mut Context<'_>) -> Option<Written> {
        let own = self.own.find(&name.value);
        let is_preset = matches!(chain.last(), Some(Link::Preset(_)));
        let preset = presets::preset_dialects().find(|(preset, _)| *preset == name.value);
        // A built-in dialect extends built-in ones only; one of the file may have the name of the one that it extends.
        let link = match (own, preset) {
            (Some(_), None) => Link::Own(name.value.clone()),
            (Some(_), Some(_)) if !is_preset && !chain.contains(&Link::Own(name.value.clone())) => {
                Link::Own(name.value.clone())
            }
            (_, Some((preset, _))) => Link::Preset(preset),
            (None, None) => {
                unknown(name, self.own, context);
                return None;
            }
        };
        if chain.contains(&link) {
            let message = format!("the dialect {:?} extends itself", name.value);
            context.diagnostics.error(name.at, message, "extend one that stands on its own");
            return None;
        }
        chain.push(link.clone());
        let written = match (link, preset) {
            (Link::Preset(_), Some((preset, text))) => self.preset(preset, text, context),
            _ => own?.clone(),
        };
        self.extended(&written, chain, context)
    }

    fn extended(&mut self, written: &Written, chain: &mut Vec<Link>, context: &mut Context<'_>) -> Option<Written> {
        let Some(base) = written.text("extends") else {
            return Some(written.clone());
        };
        let base = self.named(&base, chain, context)?;
        Some(base.under(&written.clone().without("extends"), WHOLE))
    }

    fn preset(&mut self, name: &'static str, text: &str, context: &mut Context<'_>) -> Written {
        if let Some((_, read)) = self.presets.iter().find(|(known, _)| *known == name) {
            return read.clone();
        }
        let diagnostics = &mut *context.diagnostics;
        let source = diagnostics.add_source(format!("config/dialects/{name}.toml"), text.to_owned());
        let (written, _) = toml_text::read(source, text, diagnostics);
        form::inspect(&written, &form::Form::Table(keys::DIALECT), "", diagnostics);
        self.presets.push((name, written.clone()));
        written
    }
}

fn unknown(name: &Located<String>, own: &Written, context: &mut Context<'_>) {
    let lower = name.value.to_lowercase();
    let own_names = own.members().iter().map(|(known, _)| known.value.as_str());
    let names = own_names.chain(presets::preset_dialects().map(|(preset, _)| preset));
    let mentions =
        |text: &str| text.lines().any(|line| line.starts_with("description") && line.to_lowercase().contains(&lower));
    // Of several that are made for the same software, the one with the shortest name is the usual one.
    let by_description = || {
        let described = presets::preset_dialects().filter(|(_, text)| mentions(text)).map(|(preset, _)| preset);
        described.min_by_key(|preset| preset.len())
    };
    let meant = nearest(&name.value, names).or_else(by_description);
    let meant = meant.map(|meant| format!("did you mean {meant:?}? ")).unwrap_or_default();
    let count = presets::preset_dialects().count();
    let help = format!("{meant}`cursorgate dialects` lists {count}; your own go under [dialects.{}]", name.value);
    context.diagnostics.error(name.at, format!("there is no dialect {:?}", name.value), help);
}

fn read(name: &Located<String>, written: &Written, context: &mut Context<'_>) -> Option<DialectSettings> {
    let (request, size, response) = (written.table("request"), written.table("size"), written.table("response"));
    let size = read_size(&size, context);
    let sort = written.find("sort").and_then(|sort| read_sort(sort, context));
    let query = request.text("query").unwrap_or(Located { value: String::new(), at: request.at });
    let headers = read_headers(&request, context);
    let filter = written.find("filter").map(read_filter);
    let item = written.find("item").and_then(|item| read_item(item, context));
    let count = written.find("count").map(|count| read_count(count, context));
    let body = request.find("body").and_then(|body| body.as_json().ok());
    let says_nothing = query.value.is_empty() && headers.is_empty() && request.find("body").is_none();
    if says_nothing && response.string("end").as_deref() != Some("whole-list") {
        let message = format!("the dialect {:?} does not say how a page is asked for", name.value);
        let help = "request = { query = \"page={page}&page_size={size}\" }; or response.end = \"whole-list\", where each answer is \
                    the whole list";
        context.missing(request.at, message, help);
    }
    if response.find("items").is_none() {
        let message = format!("the dialect {:?} does not say where the items are", name.value);
        context.missing(
            response.at,
            message,
            "response = { items = \"/data\" } (JSON Pointer); \"\" is the whole body",
        );
    }
    Some(DialectSettings {
        name: name.value.clone(),
        at: name.at,
        description: written.string("description"),
        documentation: written.string("documentation"),
        request: DialectRequest {
            method: method(&request),
            query,
            headers,
            body,
            first_page: request.count("first_page").unwrap_or(1),
            also: request.texts("also"),
            max_depth: request.count("max_depth"),
            first_token: request.text("first_token"),
            token_alone: request.boolean("token_alone"),
            single_use: request.boolean("single_use"),
        },
        size,
        response: read_response(&response, context)?,
        sort,
        filter,
        item,
        count,
    })
}

/// `method` of a table: GET where it is not said.
fn method(table: &Written) -> http::Method {
    match table.string("method").as_deref() {
        Some("POST") => http::Method::POST,
        Some("HEAD") => http::Method::HEAD,
        _ => http::Method::GET,
    }
}

fn read_headers(table: &Written, context: &mut Context<'_>) -> Vec<(Located<String>, Located<String>)> {
    let headers = table.text_members("headers");
    for (header, _) in &headers {
        if let Err(wrong) = syntax::header_name(&header.value) {
            context.diagnostics.error(header.at, wrong.message, wrong.help);
        }
    }
    headers
}

fn read_size(size: &Written, context: &mut Context<'_>) -> DialectSize {
    let mut choices: Vec<u32> = size.list("choices").iter().filter_map(Written::as_count).collect();
    choices.sort_unstable();
    choices.dedup();
    let [default, min, max] = ["default", "min", "max"].map(|key| size.located_count::<u32>(key));
    if let (Some(min), Some(max)) = (&min, &max)
        && min.value > max.value
    {
        let message = format!("size.min is {}, and size.max {}", min.value, max.value);
        context.diagnostics.error(min.at, message, "lower this, or raise size.max");
    }
    DialectSize { default, min, max, choices }
}

fn read_response(response: &Written, context: &mut Context<'_>) -> Option<DialectResponse> {
    let end = response.text("end").and_then(|word| {
        let value = match word.value.as_str() {
            "flag" => EndWord::Flag,
            "short-page" => EndWord::ShortPage,
            "empty-page" => EndWord::EmptyPage,
            "same-token" => EndWord::SameToken,
            "whole-list" => EndWord::WholeList,
            _ => return None,
        };
        Some(Located { value, at: word.at })
    });
    Some(DialectResponse {
        items: response.text("items")?,
        items_optional: response.boolean("items_optional"),
        item: response.text("item"),
        id: response.text("id"),
        item_token: response.text("item_token"),
        total: response.text("total"),
        total_exact_when: values(response, "total_exact_when"),
        has_more: response.text("has_more"),
        is_last: response.text("is_last"),
        next_url: response.text("next_url"),
        prev_url: response.text("prev_url"),
        url_base: response.text("url_base"),
        next_token: response.text("next_token"),
        prev_token: response.text("prev_token"),
        token_param: response.text("token_param"),
        next_params: response.text("next_params"),
        next_page: response.text("next_page"),
        last_page: response.text("last_page"),
        page: response.text("page"),
        offset: response.text("offset"),
        size: response.text("size"),
        end,
        hidden: response.boolean("hidden"),
        repeats_last_page: response.boolean("repeats_last_page"),
        past_end: matches(response, "past_end", context),
        gone: matches(response, "gone", context),
        error: response.find("error").map(|_| matches(response, "error", context)),
    })
}

fn matches(table: &Written, key: &str, context: &mut Context<'_>) -> Vec<DialectMatch> {
    let mut read = Vec::new();
    for element in table.list(key) {
        let body = values(element, "body");
        let found =
            DialectMatch { at: element.at, status: element.count("status"), body, present: element.text("present") };
        if found.status.is_none() && found.body.is_empty() && found.present.is_none() {
            context.missing(element.at, "this matches every answer", "write { status = 404 }, or what its body holds");
        }
        read.push(found);
    }
    read
}

/// A table of JSON values by pointer.
fn values(table: &Written, key: &str) -> Vec<(Located<String>, crate::config::tree::LocatedTree)> {
    let table = table.table(key);
    let members = table.members().iter();
    members.filter_map(|(pointer, value)| Some((pointer.clone(), value.as_json().ok()?))).collect()
}

fn read_sort(sort: &Written, context: &mut Context<'_>) -> Option<DialectSort> {
    let body = sort.find("body").and_then(|body| body.as_json().ok());
    let unsaid = body.as_ref().map(|body| Located { value: String::new(), at: body.at });
    let Some(query) = sort.text("query").or(unsaid) else {
        context.missing(sort.at, "the sort has no query", "query = \"ordering={direction}{field}\"");
        return None;
    };
    Some(DialectSort {
        query,
        body,
        join: sort.string("join"),
        ascending: sort.string("ascending").unwrap_or_else(|| "asc".into()),
        descending: sort.string("descending").unwrap_or_else(|| "desc".into()),
        nulls_first: sort.string("nulls_first"),
        nulls_last: sort.string("nulls_last"),
        max_keys: sort.count("max_keys"),
    })
}

fn read_filter(filter: &Written) -> DialectFilter {
    let kinds = [
        ("number", QuotedKind::Number),
        ("string", QuotedKind::Text),
        ("number-in-string", QuotedKind::NumberInString),
        ("datetime", QuotedKind::Datetime),
        ("boolean", QuotedKind::Boolean),
        ("uuid", QuotedKind::Uuid),
    ];
    let quote = filter.table("quote");
    let quote = kinds.iter().filter_map(|(key, kind)| {
        let word = quote.text(key)?;
        let value = match word.value.as_str() {
            "none" => Quote::None,
            "single" => Quote::Single,
            "double" => Quote::Double,
            "json" => Quote::Json,
            _ => return None,
        };
        Some((*kind, Located { value, at: word.at }))
    });
    let fields = filter.table("fields");
    let fields = fields.members().iter().map(|(name, terms)| (name.clone(), read_terms(terms)));
    DialectFilter {
        at: filter.at,
        terms: read_terms(filter),
        query: filter.text("query"),
        and: filter.text("and"),
        or: filter.text("or"),
        merge: filter.text("merge"),
        repeatable: filter.boolean("repeatable"),
        quote: quote.collect(),
        fields: fields.collect(),
    }
}

fn read_terms(table: &Written) -> DialectTerms {
    DialectTerms {
        lt: table.text("lt"),
        gt: table.text("gt"),
        lte: table.text("lte"),
        gte: table.text("gte"),
        eq: table.text("eq"),
        null: table.text("null"),
        not_null: table.text("not_null"),
        from: table.text("from"),
        to: table.text("to"),
        after: table.text("after"),
        before: table.text("before"),
    }
}

fn read_item(item: &Written, context: &mut Context<'_>) -> Option<DialectItem> {
    let headers = read_headers(item, context);
    let gone = matches(item, "gone", context);
    let Some(path) = item.text("path") else {
        context.missing(item.at, "[item] does not say where an item is", "path = \"{path}/{id}\"");
        return None;
    };
    Some(DialectItem { at: item.at, path, query: item.text("query"), headers, value: item.text("value"), gone })
}

fn read_count(count: &Written, context: &mut Context<'_>) -> DialectCount {
    DialectCount {
        at: count.at,
        method: method(count),
        path: count.text("path"),
        query: count.text("query"),
        headers: read_headers(count, context),
        total: count.text("total"),
    }
}
