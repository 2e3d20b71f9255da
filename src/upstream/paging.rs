//! What the core must know of a dialect, from the variables that its templates use.

use super::{query::RequestTemplate, template::Variable};
use crate::{
    config::{
        diagnostic::{Diagnostics, Located},
        settings::{DialectSettings, DialectSize, EndWord},
    },
    pagination::paging::{EndEvidence, Family, Paging, Sizes},
};

/// Compiles the facts that the core decides with.
pub(super) fn compile_paging(
    settings: &DialectSettings,
    request: &RequestTemplate,
    diagnostics: &mut Diagnostics,
) -> Option<Paging> {
    let family = compile_family(settings, request, diagnostics);
    let sizes = compile_sizes(settings, request, diagnostics);
    let end = compile_end(settings, diagnostics);
    for (source, template) in settings.request.also.iter().zip(&request.also) {
        let (pages, offsets) = families(template.variables());
        if pages && offsets {
            report_two_families(source, diagnostics);
            return None;
        }
    }
    Some(Paging {
        family: family?,
        sizes: sizes?,
        max_depth: settings.request.max_depth,
        end: end?,
        repeats_last_page: settings.response.repeats_last_page,
    })
}

fn compile_family(
    settings: &DialectSettings,
    request: &RequestTemplate,
    diagnostics: &mut Diagnostics,
) -> Option<Family> {
    match families(request.variables()) {
        (true, false) => Some(Family::Page),
        (false, true) => Some(Family::Offset),
        (true, true) => {
            report_two_families(&settings.request.query, diagnostics);
            None
        }
        (false, false) => {
            let help = "put {page} or {offset} into request.query, as \"page={page}&limit={size}\"";
            diagnostics.error(
                settings.request.query.at,
                "the request never says which part of the list it wants",
                help,
            );
            None
        }
    }
}

/// Whether the variables name a place by page, and by offset.
fn families(variables: impl Iterator<Item = Variable>) -> (bool, bool) {
    variables.fold((false, false), |(pages, offsets), variable| match variable {
        Variable::Page => (true, offsets),
        Variable::Offset | Variable::End | Variable::Last => (pages, true),
        _ => (pages, offsets),
    })
}

fn report_two_families(source: &Located<String>, diagnostics: &mut Diagnostics) {
    let help = "use {page}, or {offset}, {end} and {last}; other ways by which clients page go into request.also";
    diagnostics.error(source.at, "one request can't name a page and an offset", help);
}

fn compile_sizes(
    settings: &DialectSettings,
    request: &RequestTemplate,
    diagnostics: &mut Diagnostics,
) -> Option<Sizes> {
    let DialectSize { default, min, max, choices } = &settings.size;
    let mut sound = true;
    for (size, name) in [(default, "default"), (min, "min"), (max, "max")] {
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
    if !asked {
        if !choices.is_empty() || min.is_some() || max.is_some() {
            let help = "put {size} into request.query, or say size.default alone";
            diagnostics.error(settings.at, "the request never says a size, so min, max and choices mean nothing", help);
            sound = false;
        }
        let Some(default) = default else {
            let help = "say size.default, the number of items on a page, or put {size} into request.query";
            diagnostics.error(settings.request.query.at, "how large is a page? the request never says it", help);
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
    listed.sort_unstable();
    listed.dedup();
    listed.retain(|size| *size >= least && most.is_none_or(|most| *size <= most));
    if listed.is_empty() {
        let help = "a choice is at least size.min (1 where it is not said), and at most size.max";
        diagnostics.error(settings.at, "none of size.choices can be asked for", help);
        sound = false;
    }
    sound.then_some(Sizes::Listed(listed))
}

fn compile_end(settings: &DialectSettings, diagnostics: &mut Diagnostics) -> Option<EndEvidence> {
    let Some(end) = &settings.response.end else {
        return Some(EndEvidence::Unvouched);
    };
    match end.value {
        EndWord::ShortPage => Some(EndEvidence::ShortPage),
        // An empty answer says where to look, whatever the dialect calls it.
        EndWord::EmptyPage => Some(EndEvidence::Unvouched),
        EndWord::Flag => {
            let response = &settings.response;
            let flags = [&response.has_more, &response.is_last, &response.next_url, &response.next_page];
            if flags.iter().any(|flag| flag.is_some()) {
                return Some(EndEvidence::Flag);
            }
            let help = "say has_more, is_last, next_url or next_page, or leave end out";
            diagnostics.error(end.at, "end = \"flag\", and no flag is read", help);
            None
        }
    }
}
