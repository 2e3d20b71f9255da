//! Paging facts for the core, derived from the variables in the dialect's templates.

use crate::upstream::{
    request::query::RequestTemplate,
    response::token::TokenStyle,
    template::{places::Places, text::Variable},
};
use cursorgate_config::{
    diagnostic::{Diagnostics, Located},
    settings::{DialectSettings, DialectSize, EndWord, TotalCounts},
};
use cursorgate_core::pagination::paging::{CountedThings, EndEvidence, Family, Paging, Sizes, Tokens};

/// The paging of a dialect.
#[derive(Clone, Debug)]
pub struct CompiledPaging {
    /// The facts that the core needs.
    pub paging: Paging,
    /// The style of tokens; `None` unless the family is [`Family::Token`].
    pub style: Option<TokenStyle>,
    /// The way in which requests name the part of the list that they ask for.
    pub places: Places,
}

/// The way in which requests name a position, in more detail than the core needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PagingScheme {
    Page,
    Offset,
    /// With `{token}`, or with `{next_token}` and `{prev_token}`.
    Token,
    /// With an item: `{after}` and `{before}`.
    Item,
    /// With the parameters of a link in the answer, or with a map of parameters.
    Link,
    /// Only with range filters: an answer begins where its filter begins.
    Range,
    /// Not at all: each answer is the whole list, which is read as its only page.
    Whole,
}

impl PagingScheme {
    fn places(self) -> Places {
        match self {
            Self::Page => Places::Pages,
            Self::Offset => Places::Offsets,
            Self::Range => Places::Ranges,
            Self::Token | Self::Item | Self::Link | Self::Whole => Places::Tokens,
        }
    }
}

/// Compiles the paging facts. Reports all faults in them, and returns `None` if there are any.
pub fn compile_paging(
    settings: &DialectSettings,
    request: &RequestTemplate,
    diagnostics: &mut Diagnostics,
) -> Option<CompiledPaging> {
    let way = compile_way(settings, request, diagnostics);
    let sizes = compile_sizes(settings, request, diagnostics);
    let sizes = sizes.and_then(|sizes| sizes_of_new_items(settings, sizes, diagnostics));
    for (source, template) in settings.request.also.iter().zip(&request.also) {
        // A client's query in this form must name only one place in the list. Test:
        // `faults_in_equivalent_queries_are_reported`.
        if ways(template.variables()).len() > 1 {
            report_two_families(source, diagnostics);
            return None;
        }
    }
    let way = way?;
    let tokens_are_sound = check_tokens(settings, request, way, diagnostics);
    let end = compile_end(settings, way, diagnostics);
    let counted = compile_counted(settings, diagnostics);
    let places_are_sound = check_places(settings, way, diagnostics);
    let uses = |variable| request.variables().any(|used| used == variable);
    let response = &settings.response;
    let ends_empty = matches!(&response.end, Some(end) if end.value == EndWord::EmptyPage);
    let backward = match way {
        PagingScheme::Page | PagingScheme::Offset | PagingScheme::Range => false,
        PagingScheme::Token => response.prev_token.is_some(),
        PagingScheme::Item => uses(Variable::Before),
        PagingScheme::Link => response.prev_url.is_some() && response.next_params.is_none(),
        PagingScheme::Whole => false,
    };
    let (family, style) = match way {
        PagingScheme::Page => (Family::Page, None),
        // The core reads whole pages, and their offsets are written as number times size.
        PagingScheme::Offset if settings.request.aligned => (Family::Page, None),
        PagingScheme::Offset | PagingScheme::Range => (Family::Offset, None),
        // A token in a body keeps its JSON type: a number stays a number.
        PagingScheme::Token if request.token_in_body() => (Family::Token, Some(TokenStyle::Json)),
        PagingScheme::Token => (Family::Token, Some(TokenStyle::Plain)),
        PagingScheme::Item => (Family::Token, Some(TokenStyle::Item)),
        PagingScheme::Link | PagingScheme::Whole => (Family::Token, Some(TokenStyle::Pairs)),
    };
    let tokens = Tokens {
        backward,
        by_item: way == PagingScheme::Item,
        single_use: settings.request.single_use,
        ends_empty: style.is_some() && ends_empty,
    };
    let mut paging = Paging::new(family, sizes?);
    paging.max_depth = settings.request.max_depth;
    // An answer to a range begins with its first item, so no later item of the range can be requested. Test:
    // `equal_items_beyond_an_answer_without_offsets_do_not_end_the_list`.
    let by_range = (way == PagingScheme::Range).then_some(0);
    paging.max_offset = settings.request.max_offset.as_ref().map(|most| most.value).or(by_range);
    paging.end = end?;
    paging.repeats_last_page = response.repeats_last_page;
    paging.hidden = response.hidden;
    paging.complete = response.complete;
    paging.counted = counted?;
    paging.tokens = tokens;
    let is_sound = tokens_are_sound && places_are_sound;
    is_sound.then_some(CompiledPaging { paging, style, places: way.places() })
}

fn compile_way(
    settings: &DialectSettings,
    request: &RequestTemplate,
    diagnostics: &mut Diagnostics,
) -> Option<PagingScheme> {
    let response = &settings.response;
    if let Some(end) = response.end.as_ref().filter(|end| end.value == EndWord::WholeList) {
        let leads_on = response.next_url.as_ref().or(response.next_params.as_ref());
        if let Some(place) = leads_on {
            diagnostics.error(place.at, "a whole list has no next page", "remove this, or `end`");
            return None;
        }
        let pages = |variable| !matches!(variable, Variable::Collection);
        if request.variables().any(pages) {
            let help = "leave variables out of the request: it is the same for each page";
            diagnostics.error(end.at, "a request for the whole list names no place and no size", help);
            return None;
        }
        return Some(PagingScheme::Whole);
    }
    match ways(request.variables()).as_slice() {
        [way] if response.next_params.is_none() => Some(*way),
        [_] => {
            let at = response.next_params.as_ref().map_or(settings.at, |place| place.at);
            let help = "leave the variable out of request.query: all members of next_params are added to it";
            diagnostics.error(at, "next_params continues the list, and so does a variable of the request", help);
            None
        }
        [] if response.next_url.is_some() || response.next_params.is_some() => Some(PagingScheme::Link),
        [] if settings.filter.is_some() => Some(PagingScheme::Range),
        [] => {
            let help = "put {page} or {offset} into request.query, as \"page={page}&limit={size}\"; or {token} where \
                        the upstream hands out tokens; or set response.next_url, to follow its links, or response.end \
                        = \"whole-list\", where each answer is the whole list; or [filter], where a range is all that \
                        can be asked for";
            let message = "the request never names the part of the list that it wants";
            diagnostics.error(settings.request.query.at, message, help);
            None
        }
        _ => {
            report_two_families(&settings.request.query, diagnostics);
            None
        }
    }
}

/// Returns the paging schemes that the variables of a template indicate, each once.
fn ways(variables: impl Iterator<Item = Variable>) -> Vec<PagingScheme> {
    let mut ways = Vec::new();
    for variable in variables {
        let way = match variable {
            Variable::Page => PagingScheme::Page,
            Variable::Offset | Variable::End | Variable::Last => PagingScheme::Offset,
            Variable::Token | Variable::NextToken | Variable::PreviousToken => PagingScheme::Token,
            Variable::After | Variable::Before => PagingScheme::Item,
            _ => continue,
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

fn report_two_families(source: &Located<String>, diagnostics: &mut Diagnostics) {
    let help = "use {page}, or {offset}, {end} and {last}, or {token}, or {after} and {before}; other ways by which \
                clients page go into request.also";
    diagnostics.error(source.at, "one request can't name a place in two ways", help);
}

/// Reports settings about offsets of a dialect whose requests name none. Returns whether there is no such fault.
fn check_places(settings: &DialectSettings, way: PagingScheme, diagnostics: &mut Diagnostics) -> bool {
    let request = &settings.request;
    let mut sound = true;
    if request.aligned && way != PagingScheme::Offset {
        let help = "remove aligned; pages by {page} are always whole";
        diagnostics.error(request.query.at, "request.aligned is set, and the request has no {offset}", help);
        sound = false;
    }
    if request.after_inclusive && way != PagingScheme::Item {
        let help = "remove it, or put {after} into request.query";
        diagnostics.error(request.query.at, "request.after_inclusive is set, and the request has no {after}", help);
        sound = false;
    }
    if let Some(place) = settings.response.item_token.as_ref().filter(|_| request.after_inclusive) {
        // Several items may share such a value, and an answer doesn't show which of them was asked for.
        let help = "remove item_token: an answer shows by its id alone which item was asked for";
        diagnostics.error(place.at, "request.after_inclusive needs ids, and item_token names another value", help);
        sound = false;
    }
    if let Some(most) =
        request.max_offset.as_ref().filter(|_| !matches!(way, PagingScheme::Offset | PagingScheme::Page))
    {
        let help = "remove it, or put {offset} or {page} into request.query";
        diagnostics.error(most.at, "request.max_offset is set, and the request names no offset and no page", help);
        sound = false;
    }
    sound
}

/// Reports tokens that are sent and never read, read and never sent, configured for a scheme without tokens, or unable
/// to lead to the next page. Returns whether there is no such fault.
fn check_tokens(
    settings: &DialectSettings,
    request: &RequestTemplate,
    way: PagingScheme,
    diagnostics: &mut Diagnostics,
) -> bool {
    let (asked, response) = (&settings.request, &settings.response);
    let uses = |variable| request.variables().any(|used| used == variable);
    let mut faults = Vec::new();
    let mut fault = |at, message: &str, help: &str| faults.push((at, message.to_owned(), help.to_owned()));
    let at_query = asked.query.at;
    if uses(Variable::Token) && (uses(Variable::NextToken) || uses(Variable::PreviousToken)) {
        fault(at_query, "{token} leads both ways", "use only {token}, or {next_token} and {prev_token}");
    }
    if way == PagingScheme::Token && response.next_token.is_none() {
        fault(
            at_query,
            "the token is sent and never read",
            "set response.next_token, the place of the token in answers",
        );
    }
    if uses(Variable::PreviousToken) && response.prev_token.is_none() {
        fault(
            at_query,
            "{prev_token} is sent and never read",
            "set response.prev_token, the place of the token in answers",
        );
    }
    if way == PagingScheme::Token && !uses(Variable::Token) && !uses(Variable::NextToken) {
        fault(at_query, "no token leads to the next page", "put {next_token} into request.query");
    }
    if way == PagingScheme::Item && !uses(Variable::After) {
        fault(at_query, "no item leads to the next page", "put {after} into request.query");
    }
    for (source, is_used, message, help) in parts_of_tokens(settings, way, uses) {
        if let Some(source) = source.as_ref().filter(|_| !is_used) {
            fault(source.at, message, help);
        }
    }
    let by_place = matches!(way, PagingScheme::Page | PagingScheme::Offset | PagingScheme::Range);
    for (said, name) in [(asked.token_alone, "token_alone"), (asked.single_use, "single_use")] {
        if said && by_place {
            fault(
                at_query,
                &format!("{name} is set, and there is no token"),
                "remove it, or put {token} into request.query",
            );
        }
    }
    if let Some(end) = response.end.as_ref().filter(|end| end.value == EndWord::SameToken && way != PagingScheme::Token)
    {
        fault(end.at, "end = \"same-token\", and there is no token", "set another proof of an end, or leave `end` out");
    }
    if let Some((member, _)) = response.param_names.first().filter(|_| response.next_params.is_none()) {
        fault(member.at, "param_names is for the members of next_params", "set next_params, or remove param_names");
    }
    let sound = faults.is_empty();
    for (at, message, help) in faults {
        diagnostics.error(at, message, help);
    }
    sound
}

/// Returns the settings about tokens. Each comes with whether the scheme uses it, and with the message and help for an
/// unused one.
fn parts_of_tokens(
    settings: &DialectSettings,
    way: PagingScheme,
    uses: impl Fn(Variable) -> bool,
) -> [(&Option<Located<String>>, bool, &'static str, &'static str); 6] {
    let (asked, response) = (&settings.request, &settings.response);
    let leads_back = uses(Variable::Token) || uses(Variable::PreviousToken);
    [
        (
            &response.next_token,
            way == PagingScheme::Token,
            "next_token is read and never sent",
            "put {token} into request.query",
        ),
        (&response.prev_token, leads_back, "prev_token is read and never sent", "put {prev_token} into request.query"),
        (
            &response.token_param,
            way == PagingScheme::Token,
            "token_param is not a part of any token",
            "set next_token, and put {token} into the request",
        ),
        (&response.url_base, way == PagingScheme::Link, "url_base is for links that are followed", "remove it"),
        (&response.item_token, way == PagingScheme::Item, "item_token is never sent", "put {after} into request.query"),
        (&asked.first_token, way == PagingScheme::Token, "first_token is never sent", "put {token} into request.query"),
    ]
}

fn compile_sizes(
    settings: &DialectSettings,
    request: &RequestTemplate,
    diagnostics: &mut Diagnostics,
) -> Option<Sizes> {
    let DialectSize { default, min, max, choices } = &settings.size;
    let mut sound = true;
    for (size, name) in [(default, "default"), (min, "min"), (max, "max")] {
        // A walk in pages of no items would never end, so 0 is refused. Test: `faults_in_sizes_and_ends_are_reported`.
        if let Some(size) = size.as_ref().filter(|size| size.value == 0) {
            diagnostics.error(size.at, format!("size.{name} is at least 1"), "a page holds at least one item");
            sound = false;
        }
    }
    if let (Some(min), Some(max)) = (min, max)
        && min.value > max.value
    {
        let help = format!("min is {}, max is {}: no size lies between them", min.value, max.value);
        diagnostics.error(min.at, "size.min is larger than size.max", help);
        sound = false;
    }
    let says_size = |variable| matches!(variable, Variable::Size | Variable::End | Variable::Last);
    let asked = request.variables().any(says_size);
    if matches!(&settings.response.end, Some(end) if end.value == EndWord::WholeList) {
        // The answer has all items, so any page can be cut from it. Test: `whole_lists_are_cut_into_pages`.
        return sound.then_some(Sizes::Free { least: 1, most: None });
    }
    if !asked {
        if !choices.is_empty() || min.is_some() || max.is_some() {
            let help = "put {size} into request.query, or set only size.default";
            diagnostics.error(settings.at, "the request names no size, so min, max and choices mean nothing", help);
            sound = false;
        }
        let Some(default) = default else {
            let help = "set size.default, the number of items on a page, or put {size} into request.query";
            diagnostics.error(settings.request.query.at, "the request never names the size of a page", help);
            return None;
        };
        return sound.then_some(Sizes::Fixed(default.value));
    }
    let least = min.as_ref().map_or(1, |size| size.value);
    let most = max.as_ref().map(|size| size.value);
    if choices.is_empty() {
        return sound.then_some(Sizes::Free { least, most });
    }
    let mut listed = choices.clone();
    // The core takes the first choice for the smallest size, and the last for the largest, so the choices are sorted.
    // Test: `the_variables_decide_the_family_and_the_sizes`.
    listed.sort_unstable();
    listed.dedup();
    listed.retain(|size| *size >= least && most.is_none_or(|most| *size <= most));
    if listed.is_empty() {
        let help = "a choice is at least size.min (1 where it is not set), and at most size.max";
        diagnostics.error(settings.at, "none of size.choices can be asked for", help);
        sound = false;
    }
    sound.then_some(Sizes::Listed(listed))
}

/// Returns the sizes without the item that an answer repeats, where requests name an item that is included. Reports
/// sizes that leave no room for new items, and returns `None` for them.
fn sizes_of_new_items(settings: &DialectSettings, sizes: Sizes, diagnostics: &mut Diagnostics) -> Option<Sizes> {
    if !settings.request.after_inclusive {
        return Some(sizes);
    }
    let (has_room, sizes) = match sizes {
        Sizes::Free { least, most } => {
            let most = most.map(|most| most.saturating_sub(1));
            (most.is_none_or(|most| most >= least), Sizes::Free { least, most })
        }
        Sizes::Listed(mut listed) => {
            listed.retain(|size| *size > 1);
            (!listed.is_empty(), Sizes::Listed(listed))
        }
        Sizes::Fixed(size) => (size > 1, Sizes::Fixed(size)),
    };
    if !has_room {
        let help = "set a size.max above size.min, or larger choices: one item of each answer is the item asked for";
        diagnostics.error(settings.at, "request.after_inclusive leaves no room for new items", help);
        return None;
    }
    let is_less_than_asked = !matches!(sizes, Sizes::Free { .. });
    if let Some(end) =
        settings.response.end.as_ref().filter(|end| end.value == EndWord::ShortPage && is_less_than_asked)
    {
        let help = "the item asked for is left out of each answer: write \"empty-page\", or read has_more";
        diagnostics.error(end.at, "end = \"short-page\", and every answer is short with request.after_inclusive", help);
        return None;
    }
    Some(sizes)
}

fn compile_end(settings: &DialectSettings, way: PagingScheme, diagnostics: &mut Diagnostics) -> Option<EndEvidence> {
    let response = &settings.response;
    let flags = [&response.has_more, &response.is_last, &response.next_url, &response.next_page];
    let reads_flag = response.has_more.is_some() || response.is_last.is_some();
    let has_flag = match way {
        // A token or link comes from the slice itself, so it counts as a flag. Other facts may be derived from a count.
        PagingScheme::Token | PagingScheme::Link | PagingScheme::Whole => true,
        PagingScheme::Item | PagingScheme::Range => reads_flag,
        PagingScheme::Page | PagingScheme::Offset => flags.iter().any(|flag| flag.is_some()),
    };
    let Some(end) = &response.end else {
        if let (PagingScheme::Item | PagingScheme::Range, false) = (way, has_flag) {
            let (by, or) =
                if way == PagingScheme::Item { ("item", "end = \"empty-page\", or ") } else { ("range", "end = ") };
            let help =
                format!("set response.has_more or is_last; else {or}\"short-page\" where every size is honoured");
            let message = format!("by {by}, answers must say where the list ends");
            diagnostics.error(settings.request.query.at, message, help);
            return None;
        }
        // Without the dialect's word, no fact proves an end: a flag may be false, and a token may be missing once. A
        // range has only its flag.
        return Some(if way == PagingScheme::Range { EndEvidence::Flag } else { EndEvidence::Unvouched });
    };
    match end.value {
        EndWord::ShortPage if response.hidden => {
            let help = "items are hidden after the limit, so a short page is not an end: remove one of the two";
            diagnostics.error(end.at, "end = \"short-page\", and hidden = true", help);
            None
        }
        // The dialect promises that the upstream honours every size up to `size.max`, so a short page is the end.
        EndWord::ShortPage => Some(EndEvidence::ShortPage),
        // Even if the dialect calls an empty answer the end, the answer shows only where to search for the end. Test:
        // `the_evidence_of_an_end_follows_the_setting`.
        EndWord::EmptyPage => Some(EndEvidence::Unvouched),
        EndWord::Token if matches!(way, PagingScheme::Token | PagingScheme::Link) => Some(EndEvidence::Token),
        EndWord::Token => {
            let help =
                "by page, offset, item or range no token leads on: set another proof of an end, or leave `end` out";
            diagnostics.error(end.at, "end = \"token\", and there is no token", help);
            None
        }
        EndWord::SameToken => Some(EndEvidence::Token),
        EndWord::WholeList => Some(EndEvidence::Flag),
        // Without another flag, the token is what the dialect vouches for.
        EndWord::Flag if matches!(way, PagingScheme::Token | PagingScheme::Link) && !reads_flag => {
            Some(EndEvidence::Token)
        }
        // The dialect promises that the flag comes from the slice itself (limit + 1), not from a count, so the flag
        // proves the end.
        EndWord::Flag if has_flag => Some(EndEvidence::Flag),
        EndWord::Flag => {
            let help = "set has_more, is_last, next_url or next_page, or leave end out";
            diagnostics.error(end.at, "end = \"flag\", and no flag is read", help);
            None
        }
    }
}

/// Returns the things that totals count. Reports a fault and returns `None` if no total is read, or if it would be both
/// exact and an estimate.
fn compile_counted(settings: &DialectSettings, diagnostics: &mut Diagnostics) -> Option<CountedThings> {
    let response = &settings.response;
    let Some(counts) = &response.total_counts else { return Some(CountedThings::Unsaid) };
    if response.total.is_none() {
        let help = "set response.total, the place of the total in answers, or remove this";
        diagnostics.error(counts.at, "total_counts is set, and no total is read", help);
        return None;
    }
    if counts.value == TotalCounts::Estimate && !response.total_exact_when.is_empty() {
        let help = "remove total_exact_when; or total_counts, if the total is exact in some answers";
        diagnostics.error(counts.at, "an estimate is never exact, and total_exact_when says when it is", help);
        return None;
    }
    Some(match counts.value {
        TotalCounts::Items => CountedThings::Items,
        TotalCounts::Rows => CountedThings::Rows,
        TotalCounts::Estimate => CountedThings::Estimate,
    })
}
