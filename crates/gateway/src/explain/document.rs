//! Explanations as JSON.

use serde_json::{Value, json};

use crate::page::exchange::watched::{OpenedPage, PlannedFetch, WatchedFetch, WatchedPage};

/// Returns the explanation of a page as JSON. `watched` is the page with the upstream requests that were sent; `None`
/// if the requests were only planned.
pub fn of_page(
    opened: &OpenedPage,
    requests: &Result<Vec<PlannedFetch>, String>,
    watched: Option<&WatchedPage>,
) -> Value {
    let cursor = opened.cursor.as_ref().map(|cursor| {
        let lines = cursor.to_string();
        let pairs = lines.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(word, text)| json!({ "about": word, "text": text.trim() })).collect::<Vec<_>>()
    });
    json!({
        "action": "page",
        "envelope": opened.envelope,
        "content_type": opened.content_type,
        "limit": opened.limit,
        "place": opened.place,
        "filters": opened.filters,
        "sort": opened.sort,
        "mode": opened.mode,
        "cursor": cursor,
        "peers": opened.peers,
        "added_headers": opened.added,
        "requests": requests.as_ref().ok().map(|requests| requests.iter().map(of_request).collect::<Vec<_>>()),
        "refused": requests.as_ref().err(),
        "live": watched.map(of_watched),
    })
}

fn of_request(request: &PlannedFetch) -> Value {
    let headers: Vec<Value> =
        request.headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "purpose": request.purpose,
        "method": request.method,
        "target": request.target,
        "headers": headers,
        "body": request.body,
    })
}

/// Returns a page and the upstream requests that were sent for it, as JSON.
pub fn of_watched(watched: &WatchedPage) -> Value {
    let fetch = |fetch: &WatchedFetch| {
        let mut document = of_request(&fetch.planned);
        document["step"] = fetch.step.into();
        document["milliseconds"] = (fetch.elapsed.as_secs_f64() * 1000.0).into();
        document["answer"] = match &fetch.answer {
            Err(why) => json!({ "fault": why }),
            Ok(answer) => json!({
                "status": answer.status,
                "bytes": answer.bytes,
                "standing": answer.standing,
                "items": answer.items,
                "first": answer.edges.as_ref().map(|(first, _)| first),
                "last": answer.edges.as_ref().map(|(_, last)| last),
                "total": answer.total,
                "more": answer.more,
            }),
        };
        document
    };
    json!({
        "requests": watched.fetches.iter().map(fetch).collect::<Vec<_>>(),
        "refused": watched.page.as_ref().err(),
        "page": watched.page.as_ref().ok().map(|page| json!({
            "items": page.items,
            "level": page.level,
            "proven": page.is_proven,
            "end_unproven": page.doubted_end,
            "next": page.has_next,
            "previous": page.has_previous,
            "total": page.total,
            "proof": page.verdict.as_ref().and_then(|verdict| verdict.as_ref().ok()),
            "checker": match &page.verdict {
                Some(Ok(_)) => "follows".to_owned(),
                Some(Err(fault)) => fault.to_string(),
                None => "no result: there was no memory for the answers, or the check failed".to_owned(),
            },
        })),
    })
}
