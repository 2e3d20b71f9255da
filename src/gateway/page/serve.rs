//! The path of a page from the request to the response: open, resolve, render. Read this first.

use super::{
    context::{ListCall, PageContext},
    cursors::{RequestCursors, at},
    exchange::{
        Exchange, PageDecision,
        watched::{OpenedPage, PageRecord},
    },
    render::render,
};
use crate::{
    downstream::Response,
    gateway::outcome::{access_log::Outcome, failure::Failure, trace::RequestTrace},
    upstream::net::{
        fetch::{AskedPeer, Fetcher},
        memory::MemoryShare,
    },
};

#[derive(Debug)]
pub(crate) enum Served {
    Response(Response),
    /// The upstream answers, byte for byte.
    Forward,
}

/// Serves one page of a list, and fills its record if it is explained. Dropping the future cancels its requests to the
/// upstream.
///
/// # Errors
///
/// Returns the problem of the request, the failure of the upstream, or the refusal of a page that can't be proven.
pub(crate) async fn serve(
    call: ListCall<'_>,
    record: Option<&PageRecord>,
    fetcher: &Fetcher,
    (held, outcome): (&MemoryShare, &mut Outcome),
) -> Result<Served, Failure> {
    let trace = call.asked.trace.as_deref();
    // Open: list, parameters, order and position.
    let phase = RequestTrace::phase(trace, "plan");
    let Some(context) = PageContext::open(call, outcome)? else { return Ok(Served::Forward) };
    if let Some(record) = record {
        record.open(OpenedPage::of(&context, Some(&context.list.keys)));
    }
    let cursors = RequestCursors::new(&context);
    if let Some(response) = context.redirect(&cursors)? {
        return Ok(Served::Response(response));
    }
    let start = cursors.start(&context)?;
    let (limit, backward) = (start.limit, start.cursor.target.position.is_backward());

    drop(phase);

    // Resolve: the core says which fetches it needs, until it has the page or refuses.
    let (asked, phase) = (AskedPeer::default(), RequestTrace::phase(trace, "page"));
    let visit = call.route.upstream.visit(&call.asked.headers, &call.asked.target.normal_path, true);
    let made_by = start.made_by.as_ref();
    let exchange = Exchange {
        context: &context,
        cursors: &cursors,
        fetcher,
        visit: &visit,
        held,
        asked: &asked,
        phase: &phase,
        made_by,
        record,
    };
    let resolved = exchange.resolve(start.cursor, limit, outcome).await;
    outcome.counted.upstream_requests += visit.retries();
    let (page, answers) = match resolved? {
        PageDecision::Serve(page, answers) => (page, answers),
        PageDecision::Refuse(refusal) => {
            let nearest = |offset| context.link_to(&at(offset), &cursors.seal_offset(offset).ok()?);
            return Err(Failure::refusal(refusal, nearest));
        }
    };
    let scope = exchange.scope();
    drop(phase);
    let known = context.list.learning.read(scope);
    context.list.learning.add(scope, page.notes.profile);
    cursors.remember(&page);
    outcome.served(&page);
    outcome.filtered(page.notes.profile.futile_filter(known));

    // Render: cursors and links, and the envelope around the items.
    let _phase = RequestTrace::phase(trace, "render");
    render(&context, &cursors, (*page, backward), (limit, &answers), held).map(Served::Response)
}
