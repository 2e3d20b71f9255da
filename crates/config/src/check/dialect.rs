//! Dialects: finds them among the dialects of the file and the built-in ones, follows `extends`, and reads them.

use super::{Context, principal::is_credential};
use crate::{
    diagnostic::{Located, nearest},
    key::{FlagOrWord, NamedTexts, TableSettings as _},
    keys::{COUNT, DIALECT, DIALECT_SCHEMA, FILTER, HiddenWord, ITEM, QUOTE, REQUEST, RESPONSE, SORT},
    presets, schema,
    settings::{
        DialectCount, DialectFilter, DialectItem, DialectMatch, DialectRequest, DialectResponse, DialectSettings,
        DialectSize, DialectSort, DialectTerms, EndWord, QuotedKind,
    },
    spanned::Spanned,
    syntax, toml_text,
};

/// Returns the keys that `extends` replaces as a whole, instead of merging them member by member.
fn whole() -> [&'static str; 2] {
    [REQUEST.body.definition.name, REQUEST.headers.definition.name]
}

/// A dialect in a chain of `extends`: a dialect of the file, or a built-in one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    Own(String),
    Preset(&'static str),
}

/// All dialects that routes can name. A built-in dialect is read when it is first needed.
pub(super) struct Dialects<'a> {
    own: &'a Spanned,
    presets: Vec<(&'static str, Spanned)>,
}

impl<'a> Dialects<'a> {
    /// Takes the dialects of the file from its table `dialects`. Follows each `extends` in that table, also of dialects
    /// that no route uses, to report their faults.
    pub(super) fn new(own: &'a Spanned, context: &mut Context<'_>) -> Self {
        let mut dialects = Self { own, presets: Vec::new() };
        for (name, written) in own.members() {
            let _ = dialects.extended(written, &mut vec![Link::Own(name.value.clone())], context);
        }
        dialects
    }

    /// Returns the dialect that a route names, with `extends` followed. Returns `None` if there is no such dialect, or
    /// if a required part is missing; either is reported.
    pub(super) fn find(&mut self, name: &Located<String>, context: &mut Context<'_>) -> Option<DialectSettings> {
        let written = self.named(name, &mut Vec::new(), context)?;
        read(name, &written, context)
    }

    fn named(&mut self, name: &Located<String>, chain: &mut Vec<Link>, context: &mut Context<'_>) -> Option<Spanned> {
        let own = self.own.find(&name.value);
        let is_preset = matches!(chain.last(), Some(Link::Preset(_)));
        let preset = presets::preset_dialects().find(|(preset, _)| *preset == name.value);
        // A built-in dialect extends only built-in ones. A dialect of the file may have the same name as the built-in
        // dialect that it extends, so in its own chain that name means the built-in one.
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
            context.diagnostics.error(name.at, message, "extend another one");
            return None;
        }
        chain.push(link.clone());
        let written = match (link, preset) {
            (Link::Preset(_), Some((preset, text))) => self.preset(preset, text, context),
            _ => own?.clone(),
        };
        self.extended(&written, chain, context)
    }

    fn extended(&mut self, written: &Spanned, chain: &mut Vec<Link>, context: &mut Context<'_>) -> Option<Spanned> {
        let Some(base) = DIALECT.extends.located(written) else {
            return Some(written.clone());
        };
        let base = self.named(&base, chain, context)?;
        // Headers of the base must not be sent together with the headers that replace them. Test:
        // `a_dialect_replaces_its_base_key_by_key_and_lists_and_headers_as_a_whole`.
        let over = written.clone().without(DIALECT.extends.definition.name);
        let merged = base.under(&over, &whole());
        let asks = |dialect: &Spanned| names_size(&DIALECT.request.table(dialect));
        if asks(&merged) || !asks(&base) {
            return Some(merged);
        }
        // The sizes of the base are for its own request. Test: `a_request_without_a_size_inherits_no_sizes`.
        Some(base.without(DIALECT.size.definition.name).under(&over, &whole()))
    }

    fn preset(&mut self, name: &'static str, text: &str, context: &mut Context<'_>) -> Spanned {
        if let Some((_, read)) = self.presets.iter().find(|(known, _)| *known == name) {
            return read.clone();
        }
        let diagnostics = &mut *context.diagnostics;
        let source = diagnostics.add_source(format!("config/dialects/{name}.toml"), text.to_owned());
        let (written, _) = toml_text::read(source, text, diagnostics);
        schema::inspect(&written, &DIALECT_SCHEMA, "", diagnostics);
        self.presets.push((name, written.clone()));
        written
    }
}

/// Returns whether a part of a request contains a variable that says how many items an answer has.
fn names_size(request: &Spanned) -> bool {
    let in_text = |text: &str| ["{size", "{end", "{last"].iter().any(|variable| text.contains(variable));
    request.as_text().is_some_and(|text| in_text(&text.value))
        || request.members().iter().any(|(_, value)| names_size(value))
        || request.elements().iter().any(names_size)
}

fn unknown(name: &Located<String>, own: &Spanned, context: &mut Context<'_>) {
    let lower = name.value.to_lowercase();
    let own_names = own.members().iter().map(|(known, _)| known.value.as_str());
    let names = own_names.chain(presets::preset_dialects().map(|(preset, _)| preset));
    let mentions =
        |text: &str| text.lines().any(|line| line.starts_with("description") && line.to_lowercase().contains(&lower));
    // Of several dialects for the same software, the dialect with the shortest name is the most common one, so it is
    // suggested.
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

fn read(name: &Located<String>, written: &Spanned, context: &mut Context<'_>) -> Option<DialectSettings> {
    let request = DIALECT.request.table(written);
    let response = DIALECT.response.table(written);
    let size = read_size(&DIALECT.size.table(written), context);
    let sort = DIALECT.sort.find(written).and_then(|sort| read_sort(sort, context));
    let query = REQUEST.query.read(&request).unwrap_or(Located { value: String::new(), at: request.at });
    warn_of_credentials(&query, context);
    let headers = checked(REQUEST.headers.read(&request), context);
    let filter = DIALECT.filter.find(written).map(read_filter);
    let item = DIALECT.item.find(written).and_then(|item| read_item(item, context));
    let count = DIALECT.count.find(written).map(|count| read_count(count, context));
    let says_nothing = query.value.is_empty() && headers.is_empty() && REQUEST.body.find(&request).is_none();
    if says_nothing && RESPONSE.end.read(&response) != Some(EndWord::WholeList) {
        let message = format!("the dialect {:?} has no request", name.value);
        let help = "request = { query = \"page={page}&page_size={size}\" }; or response.end = \"whole-list\", where each answer is \
                    the whole list";
        context.missing(request.at, message, help);
    }
    if RESPONSE.items.find(&response).is_none() {
        let message = format!("the dialect {:?} has no response.items", name.value);
        context.missing(
            response.at,
            message,
            "response = { items = \"/data\" } (JSON Pointer); \"\" is the whole body",
        );
    }
    Some(DialectSettings {
        name: name.value.clone(),
        at: name.at,
        request: DialectRequest { query, headers, ..DialectRequest::read(&request) },
        size,
        response: read_response(&response, context)?,
        sort,
        filter,
        item,
        count,
        ..DialectSettings::read(written)
    })
}

/// Warns of literal parameters of the query that are probably credentials, such as a key in a URL from which the dialect
/// was learnt: every client of the route would use them. Words of the API, such as `sort_key=id`, are short or have no
/// digit. Test: `a_key_in_the_url_is_warned_of`.
fn warn_of_credentials(query: &Located<String>, context: &mut Context<'_>) {
    for (name, value) in query.value.split('&').filter_map(|pair| pair.split_once('=')) {
        let may_be_word = value.len() < 8 || !value.contains(|letter: char| letter.is_ascii_digit());
        if value.contains('{') || may_be_word || !is_credential(name) {
            continue;
        }
        context.diagnostics.mask(query.at);
        let message =
            format!("the upstream gets this {name} for every client, and everybody who can read the file has it");
        let help = format!("leave it out, and let clients send their own: parameters = {{ private = [\"{name}\"] }}");
        context.diagnostics.warning(query.at, message, help);
    }
}

/// Returns the headers as they are written. Reports names that no header can have.
fn checked(headers: Option<NamedTexts>, context: &mut Context<'_>) -> NamedTexts {
    let headers = headers.unwrap_or_default();
    for (header, value) in &headers {
        if let Err(fault) = syntax::header_name(&header.value) {
            context.diagnostics.error(header.at, fault.message, fault.help);
        }
        // Reports show the headers of a dialect. Those of an upstream are hidden, and may refer to a secret.
        if schema::is_credential(&header.value) && !value.value.contains('{') {
            context.diagnostics.mask(value.at);
            let help =
                format!("write it in `headers` of the upstream: headers = {{ {} = \"env:NAME\" }}", header.value);
            context.diagnostics.error(value.at, "a secret can't be written in a dialect", help);
        }
    }
    headers
}

fn read_size(size: &Spanned, context: &mut Context<'_>) -> DialectSize {
    let size = DialectSize::read(size);
    if let (Some(min), Some(max)) = (&size.min, &size.max)
        && min.value > max.value
    {
        let message = format!("size.min is {}, and size.max {}", min.value, max.value);
        context.diagnostics.error(min.at, message, "lower this, or raise size.max");
    }
    size
}

fn read_response(response: &Spanned, context: &mut Context<'_>) -> Option<DialectResponse> {
    Some(DialectResponse {
        items: RESPONSE.items.read(response)?,
        complete: matches!(RESPONSE.hidden.read(response), FlagOrWord::Word(HiddenWord::Nothing)),
        past_end: matches(&RESPONSE.past_end.read(response), context),
        gone: matches(&RESPONSE.gone.read(response), context),
        error: RESPONSE.error.read(response).map(|listed| matches(&listed, context)),
        ..DialectResponse::read(response)
    })
}

fn matches(listed: &[Spanned], context: &mut Context<'_>) -> Vec<DialectMatch> {
    let mut read = Vec::new();
    for element in listed {
        let found = DialectMatch { at: element.at, ..DialectMatch::read(element) };
        if found.status.is_none() && found.body.is_empty() && found.present.is_none() {
            context.missing(
                element.at,
                "an empty table matches every answer",
                "write { status = 404 }, or a member of the body",
            );
        }
        read.push(found);
    }
    read
}

fn read_sort(sort: &Spanned, context: &mut Context<'_>) -> Option<DialectSort> {
    let settings = DialectSort::read(sort);
    // A sort that is sent in the body needs no query, so an empty one is used.
    let unsaid = settings.body.as_ref().map(|body| Located { value: String::new(), at: body.at });
    let Some(query) = SORT.query.read(sort).or(unsaid) else {
        context.missing(sort.at, "the sort has no query", "query = \"ordering={direction}{field}\"");
        return None;
    };
    Some(DialectSort { query, ..settings })
}

fn read_filter(filter: &Spanned) -> DialectFilter {
    let kinds = [
        (QuotedKind::Number, &QUOTE.number),
        (QuotedKind::Text, &QUOTE.text),
        (QuotedKind::NumberInString, &QUOTE.number_in_string),
        (QuotedKind::Datetime, &QUOTE.datetime),
        (QuotedKind::Boolean, &QUOTE.boolean),
        (QuotedKind::Uuid, &QUOTE.uuid),
    ];
    let quote = FILTER.quote.table(filter);
    let quote = kinds.into_iter().filter_map(|(kind, key)| Some((kind, key.located(&quote)?))).collect();
    let fields = FILTER.fields.table(filter);
    let fields = fields.members().iter().map(|(name, terms)| (name.clone(), DialectTerms::read(terms))).collect();
    DialectFilter { at: filter.at, terms: DialectTerms::read(filter), quote, fields, ..DialectFilter::read(filter) }
}

fn read_item(item: &Spanned, context: &mut Context<'_>) -> Option<DialectItem> {
    let headers = checked(ITEM.headers.read(item), context);
    let gone = matches(&ITEM.gone.read(item), context);
    let Some(path) = ITEM.path.read(item) else {
        context.missing(item.at, "[item] has no path", "path = \"{path}/{id}\"");
        return None;
    };
    Some(DialectItem { at: item.at, path, headers, gone, ..DialectItem::read(item) })
}

fn read_count(count: &Spanned, context: &mut Context<'_>) -> DialectCount {
    let headers = checked(COUNT.headers.read(count), context);
    DialectCount { at: count.at, headers, ..DialectCount::read(count) }
}
