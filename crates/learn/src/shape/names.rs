//! Usual names of parameters and members in APIs, the most usual first. A name is only a reason to try a parameter or
//! to examine a member: its meaning is found by its effect.

/// Parameters that take the number of items in an answer.
pub(crate) const SIZES: [&str; 39] = [
    "limit",
    "per_page",
    "page_size",
    "pageSize",
    "size",
    "perPage",
    "count",
    "_limit",
    "$top",
    "$limit",
    "maxResults",
    "rows",
    "page[size]",
    "pagination[pageSize]",
    "pagination[limit]",
    "top",
    "take",
    "max_results",
    "results",
    "page[limit]",
    "itemsPerPage",
    "items_per_page",
    "pagelen",
    "_per_page",
    "n",
    "num",
    "max",
    "length",
    "pagesize",
    "first",
    "resultsPerPage",
    "_count",
    "_size",
    "hitsPerPage",
    "resultRecordCount",
    "sysparm_limit",
    "rpp",
    "page_limit",
    "filter[limit]",
];

/// Parameters that take the number of a page.
pub(crate) const PAGES: [&str; 16] = [
    "page",
    "p",
    "pageNumber",
    "page_number",
    "pageNo",
    "page_no",
    "pageIndex",
    "page_index",
    "_page",
    "pg",
    "currentPage",
    "current_page",
    "page[number]",
    "pagination[page]",
    "pagenum",
    "seite",
];

/// Parameters that take an offset.
pub(crate) const OFFSETS: [&str; 22] = [
    "offset",
    "skip",
    "start",
    "startAt",
    "from",
    "$skip",
    "startIndex",
    "start_index",
    "startIdx",
    "_start",
    "_offset",
    "page[offset]",
    "pagination[start]",
    "pagination[offset]",
    "first",
    "firstResult",
    "begin",
    "first_result",
    "resultOffset",
    "sysparm_offset",
    "filter[offset]",
    "filter[skip]",
];

/// Parameters that take a token.
pub(crate) const TOKENS: [&str; 17] = [
    "cursor",
    "page_token",
    "pageToken",
    "after",
    "token",
    "next_token",
    "nextToken",
    "next",
    "continuation",
    "continuationToken",
    "continuation_token",
    "next_cursor",
    "nextPageToken",
    "marker",
    "page_info",
    "scroll_id",
    "bookmark",
];

/// Parameters that take the id of an item.
pub(crate) const AFTERS: [&str; 11] = [
    "starting_after",
    "after",
    "after_id",
    "since_id",
    "last_id",
    "start_after",
    "startAfter",
    "afterId",
    "min_id",
    "max_id",
    "from_id",
];

/// Members that contain the items. These names decide between several arrays.
pub(crate) const ITEMS: [&str; 18] = [
    "data", "items", "results", "records", "value", "values", "content", "entries", "rows", "list", "docs", "hits",
    "features", "objects", "elements", "members", "nodes", "edges",
];

/// Members that identify items.
pub(crate) const IDS: [&str; 14] =
    ["id", "_id", "uuid", "guid", "ID", "Id", "key", "sku", "code", "slug", "number", "pk", "uid", "identifier"];

/// Parts of the names of fields by which lists are usually sorted: times, positions, names, scores.
pub(crate) const ORDERING: [&str; 12] = [
    "created",
    "date",
    "time",
    "updated",
    "modified",
    "published",
    "at",
    "position",
    "rank",
    "sequence",
    "name",
    "score",
];

/// Members and headers that may contain the total, in the form of [`plain`].
pub(crate) const TOTALS: [&str; 21] = [
    "total",
    "totalcount",
    "count",
    "totalelements",
    "totalitems",
    "itemcount",
    "totalresults",
    "totalrecords",
    "recordstotal",
    "numfound",
    "totalsize",
    "xtotalcount",
    "xtotal",
    "xwptotal",
    "nbhits",
    "resultcount",
    "totalhits",
    "filtercount",
    "numbermatched",
    "odatacount",
    "value",
];

/// Returns whether a name, in the form of [`plain`], is that of a total: a usual one, or one that begins with `total` and
/// has the service's own word for its items, as in `total_courses`.
pub(crate) fn is_total(step: &str) -> bool {
    TOTALS.contains(&step) || step.starts_with("total") && !PAGE_COUNTS.contains(&step)
}

/// Members that may contain the URL or the token of the next page, in the form of [`plain`].
pub(crate) const NEXTS: [&str; 24] = [
    "next",
    "nextpage",
    "nextpageurl",
    "nexturl",
    "nextlink",
    "odatanextlink",
    "nextpagetoken",
    "nexttoken",
    "nextcursor",
    "after",
    "cursor",
    "endcursor",
    "continuation",
    "continuationtoken",
    "bookmark",
    "marker",
    "aftercursor",
    "nextmarker",
    "href",
    "scrollid",
    "continue",
    "afterkey",
    "nextkey",
    "lastevaluatedkey",
];

/// Flags that are true while more items follow, in the form of [`plain`].
pub(crate) const MORE: [&str; 9] = [
    "hasmore",
    "more",
    "hasnext",
    "hasnextpage",
    "istruncated",
    "truncated",
    "morepages",
    "hasmoreitems",
    "hasmorepages",
];

/// Flags that are true on the last page, in the form of [`plain`].
pub(crate) const LAST: [&str; 10] =
    ["last", "islast", "islastpage", "lastpage", "done", "complete", "eof", "isend", "finished", "exhausted"];

/// Members that contain the number of the answer's page, in the form of [`plain`].
pub(crate) const PAGE_ECHOES: [&str; 6] = ["page", "currentpage", "pagenumber", "pageno", "pageindex", "number"];

/// Members that contain the offset at which the answer begins, in the form of [`plain`].
pub(crate) const OFFSET_ECHOES: [&str; 6] = ["offset", "skip", "start", "startat", "startindex", "from"];

/// Members and headers that contain the number of pages, in the form of [`plain`].
pub(crate) const PAGE_COUNTS: [&str; 8] =
    ["totalpages", "pages", "lastpage", "pagecount", "numpages", "xtotalpages", "xwptotalpages", "maxpage"];

/// Returns the letters and digits of a name, in lower case. Example: `pagesize` for `page_size`.
pub(crate) fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Returns the last step of a place in the form of [`plain`], such as `next` for `/links/next`, `link:next` or
/// `/links/[rel=next]/href`.
pub(crate) fn last_step(place: &str) -> String {
    if let Some((_, name)) = place.split_once(':').filter(|(kind, _)| !kind.contains('/')) {
        return plain(name);
    }
    let mut steps = place.rsplit('/').filter(|step| !matches!(*step, "href" | "url"));
    let step = steps.next().unwrap_or_default();
    plain(step.strip_prefix("[rel=").and_then(|rest| rest.strip_suffix(']')).unwrap_or(step))
}

/// Words that make a parameter a bound of the values of a field, before or after its name.
const BOUNDS: [&str; 12] = ["lt", "gt", "lte", "gte", "min", "max", "before", "after", "since", "until", "from", "to"];

/// Returns whether a parameter has the name of a bound of a field, such as `id_gt`, `filter[id][gte]` or `since_id` for
/// `id`.
pub(crate) fn is_bound(name: &str, field: &str) -> bool {
    let (name, field) = (plain(name), plain(field));
    let name = name.strip_prefix("filters").or_else(|| name.strip_prefix("filter")).unwrap_or(&name);
    let words = [name.strip_prefix(&field), name.strip_suffix(&field)];
    words.into_iter().flatten().any(|word| BOUNDS.contains(&word))
}

/// Returns the likely names and then the usual ones, without duplicates.
pub(crate) fn likely_first(likely: &[String], usual: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(likely.len() + usual.len());
    for name in likely.iter().cloned().chain(usual.iter().map(|name| (*name).to_owned())) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Returns the names that a parameter may have whose value an answer repeats at a place: the name of the member, and
/// for a nested member also both names, as in `searchCriteria[pageSize]` for `/search_criteria/page_size`.
pub(crate) fn echoed(place: &str) -> Vec<String> {
    let steps: Vec<&str> = place.rsplit(['/', ':']).take(2).filter(|step| !step.starts_with('[')).collect();
    let Some(own) = steps.first().filter(|step| !step.is_empty()) else { return Vec::new() };
    let mut names = vec![(*own).to_owned()];
    if let Some(outer) = steps.get(1).filter(|step| !step.is_empty() && place.starts_with('/')) {
        names.extend([format!("{outer}[{own}]"), format!("{}[{}]", camel(outer), camel(own))]);
        names.dedup();
    }
    names
}

/// Returns a name in camel case. Example: `pageSize` for `page_size`.
fn camel(name: &str) -> String {
    let mut words = name.split(['_', '-']);
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let mut letters = word.chars();
        let upper = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
        name + &upper + letters.as_str()
    })
}
