//! The facts of a dialect, as values of a contract's `[facts]`.

use crate::upstream::dialect::Dialect;
use cursorgate_config::settings::{ContractValue, Mode};
use cursorgate_core::pagination::{
    filter::Comparisons,
    order::Ties,
    paging::{CountedThings, EndEvidence, Family, Sizes},
};

/// A key of `[facts]`, the noun for the fact in reports, and the fact's value; `None` if the dialect doesn't have the
/// fact.
type ContractFact = (&'static str, &'static str, Option<ContractValue>);

/// Returns the facts of a dialect. A flag that is false has no value.
pub fn facts_of(dialect: &Dialect) -> Vec<ContractFact> {
    let (paging, sorted) = (dialect.paging(), dialect.default_sorted());
    let text = |word: &str| Some(ContractValue::Text(word.to_owned()));
    let flag = |flag: bool| flag.then_some(ContractValue::Flag(true));
    let texts = |texts: &[String]| Some(ContractValue::Texts(texts.to_vec()));
    let family = match paging.family {
        Family::Offset => "offset",
        Family::Page => "page",
        Family::Token => "token",
    };
    let end = match paging.end {
        EndEvidence::Unvouched => "unvouched",
        EndEvidence::Flag => "flag",
        EndEvidence::ShortPage => "short-page",
        EndEvidence::Token => "token",
    };
    let counted = match paging.counted {
        CountedThings::Unsaid => None,
        CountedThings::Items => text("items"),
        CountedThings::Rows => text("rows"),
        CountedThings::Estimate => text("estimate"),
    };
    let usual = if paging.family == Family::Token { Mode::Token } else { Mode::Offset };
    let mode = (sorted.mode != usual).then(|| sorted.mode.word());
    let filters = sorted.filters.as_ref().map_or_else(Vec::new, |filters| {
        let columns = filters.columns.iter().map(|column| comparisons(*column));
        let combined = [filters.both.then_some("and"), filters.either.then_some("or")];
        columns.chain(combined.into_iter().flatten().map(str::to_owned)).collect()
    });
    vec![
        ("family", "family", text(family)),
        ("sizes", "range of sizes", text(&sizes(paging.sizes()))),
        ("end", "proof of the end", text(end)),
        ("mode", "mode", mode.and_then(text)),
        ("repeats_last_page", "fact repeats_last_page", flag(paging.repeats_last_page)),
        ("hidden", "fact hidden", flag(paging.hidden)),
        ("complete", "fact complete", flag(paging.complete)),
        ("total_counts", "fact total_counts", counted),
        ("tokens_lead_back", "fact tokens_lead_back", flag(paging.tokens.backward)),
        ("by_item", "fact by_item", flag(paging.tokens.by_item)),
        ("asks_for_order", "fact asks_for_order", flag(dialect.asks_for_order())),
        ("ties_ordered", "fact ties_ordered", flag(sorted.order.ties() == Ties::Ordered)),
        ("flips", "fact flips", flag(sorted.flips)),
        ("paging_names", "list of paging parameters", texts(dialect.paging_names())),
        ("sort_names", "list of sort parameters", texts(dialect.sort_names())),
        ("paging_places", "list of paging members", texts(&dialect.paging_places())),
        ("sort_places", "list of sort members", texts(&dialect.sort_places())),
        ("filters", "list of filters", texts(&filters)),
    ]
}

/// Describes the sizes that requests may ask for, as `1 to 100`, `1 or more`, `10, 20` or `15 alone`.
fn sizes(sizes: &Sizes) -> String {
    match sizes {
        Sizes::Free { least, most: Some(most) } => format!("{least} to {most}"),
        Sizes::Free { least, most: None } => format!("{least} or more"),
        Sizes::Listed(sizes) => sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
        Sizes::Fixed(size) => format!("{size} alone"),
    }
}

/// Lists the comparisons of a column by their keys in `[filter]`, as `lt gt eq`.
fn comparisons(column: Comparisons) -> String {
    let words = [
        (column.less, "lt"),
        (column.less_or_equal, "lte"),
        (column.greater, "gt"),
        (column.greater_or_equal, "gte"),
        (column.equal, "eq"),
        (column.nulls, "null"),
    ];
    words.iter().filter(|(has, _)| *has).map(|(_, word)| *word).collect::<Vec<_>>().join(" ")
}
