//! A parsed request for a list, bound to its route: everything that determines its page before the first upstream
//! request.

use std::sync::Arc;

use super::legacy_page::LegacyPage;
use crate::{
    lifecycle::snapshot::Snapshot,
    outcome::{access_log::Outcome, failure::Failure, migration::CountedClient},
    routes::{list::List, route::Route},
    session::client_request::ClientRequest,
    shared::{
        learning::LearningScope,
        pages::{KeptPages, key::KeptScope},
    },
};
use cursorgate_config::settings::Role;
use cursorgate_core::pagination::paging::UpstreamProfile;
use cursorgate_cursor::cursor;
use cursorgate_translate::{
    downstream::{
        LegacyDecision, LinkBase, ListRequest, NegotiatedConvention, Parameters, Problem, RequestKind,
        request::query::pairs,
        response::{caching::storing::StoringPolicy, legacy},
    },
    upstream::{CompiledOrder, Unsortable},
};

/// A request whose parameters haven't been parsed yet, and the list that its route serves.
#[derive(Clone, Copy)]
pub struct ListCall<'r> {
    /// The configuration that was in force when the request began.
    pub snapshot: &'r Snapshot,
    pub asked: &'r ClientRequest,
    pub route: &'r Route,
    pub list: &'r List,
    /// The convention that the client chose.
    pub chosen: &'r NegotiatedConvention<'r>,
    /// The cache of pages and answers; `None` if the route has no page cache, or if the request must not use it.
    pub kept: Option<&'r KeptRequest<'r>>,
}

/// The cache of pages and answers, with the facts that one request needs to use it.
#[derive(Debug)]
pub struct KeptRequest<'r> {
    pub pages: &'r KeptPages,
    pub scope: KeptScope,
    pub policy: StoringPolicy,
    /// The number of purges by this process before the look-up of the page.
    pub before: u64,
}

/// A request whose parameters have been parsed. It asks for a page of `list` in the order `sorted`.
pub struct PageContext<'r> {
    pub snapshot: &'r Snapshot,
    pub asked: &'r ClientRequest,
    pub route: &'r Route,
    pub list: &'r List,
    /// The convention that the client chose.
    pub chosen: &'r NegotiatedConvention<'r>,
    /// The cache of answers; `None` if the route has no page cache, or if the request must not use it.
    pub kept: Option<&'r KeptRequest<'r>>,
    /// The parsed parameters of the request.
    pub request: ListRequest,
    /// The order of the page.
    pub sorted: Arc<CompiledOrder>,
    /// The page by number or offset that a legacy request asks for; `None` for other requests.
    pub legacy_page: Option<LegacyPage>,
    /// The preference that was applied, for the header `Preference-Applied`; `None` without one.
    pub preferred: Option<String>,
    /// The beginning of every link: the public address and the path.
    pub(super) base: LinkBase,
    /// `true` if the legacy request should be redirected to its page by cursor.
    pub(super) redirects: bool,
}

impl<'r> PageContext<'r> {
    /// Parses a request. Returns `None` for a legacy request that the route forwards to the upstream.
    ///
    /// # Errors
    ///
    /// Returns the problem of the request, which names the faulty parameter. Returns the refusal of a legacy request
    /// that exceeds a limit.
    pub async fn open(call: &ListCall<'r>, outcome: &mut Outcome) -> Result<Option<Self>, Failure> {
        let ListCall { snapshot, asked, route, list, chosen, kept } = *call;
        let parameters = &chosen.convention.parameters;
        refuse_stray_cursor(list, parameters, asked.query())?;
        let mut request = parameters.read_with(asked.query(), asked.body.as_ref(), asked.is_new)?;
        let preferred = parameters.prefer(&mut request, &chosen.preferences);
        request.limit = asked.part.limit.unwrap_or(request.limit).max(1);
        let base = asked.link_base(route, snapshot);
        let restart = || base.url(&parameters.link_query(&request, None));
        let decision = legacy::decide(&request.kind, &list.legacy, asked.now, restart);
        // The request is counted before any refusal, because the migration board also counts refused legacy clients.
        note_paging(list, asked, &request.kind, outcome);
        // A request that the legacy policy refuses isn't charged to the limits.
        if !matches!(decision, LegacyDecision::Reject(_) | LegacyDecision::Refuse(_)) {
            let restart = || base.url(&parameters.link_query(&request, None));
            limit_legacy(list, &request.kind, asked.now, restart, outcome).await?;
        }
        let redirects = decision == LegacyDecision::Redirect;
        let legacy_page = match decision {
            LegacyDecision::Serve => None,
            LegacyDecision::Pass => return Ok(None),
            LegacyDecision::Translate | LegacyDecision::Redirect => Some(LegacyPage::read(list, &request)?),
            LegacyDecision::Reject(problem) | LegacyDecision::Refuse(problem) => return Err(problem.into()),
        };
        // The convention is refused only after the route's policy for legacy requests has been applied. A request that
        // passes gets the upstream's own form, no matter which convention the client requested.
        if let Some(problem) = &chosen.refused {
            return Err(problem.clone().into());
        }
        if let Some(page) = &legacy_page {
            // The links of a legacy page lead to pages of the same size, so they contain its limit.
            request.limit_written.get_or_insert_with(|| page.limit.to_string());
        }
        let sorted = sorted(list, parameters, &request)?;
        Ok(Some(Self {
            snapshot,
            asked,
            route,
            list,
            chosen,
            kept,
            request,
            sorted,
            legacy_page,
            preferred,
            base,
            redirects,
        }))
    }

    /// Returns whether the list can be read backward in the requested order.
    pub(super) fn reads_back(&self) -> bool {
        self.list.dialect.reads_back(&self.sorted)
    }

    /// Returns the scope of learnt limits: the list with these filters, as the client's principal sees it.
    #[must_use]
    pub fn learning_scope(&self) -> LearningScope {
        let (headers, known) = self.asked.client_parts();
        let viewer = self.list.viewer(headers, known);
        self.list.learning.scope(self.asked.target.collection_path(), &self.request.filters.forwarded, viewer)
    }

    /// Returns the learnt limits for requests of this scope. The peer isn't known yet, so the cap is the largest one; if
    /// a healthy peer has no known cap, there is none: the small pages of one peer must not make those of all peers
    /// small. Test: `a_page_that_one_peer_can_not_give_is_made_by_another`.
    #[must_use]
    pub fn learnt(&self, scope: LearningScope) -> UpstreamProfile {
        let learning = &self.list.learning;
        let largest = self
            .route
            .upstream
            .peers
            .fold_healthy(Some(0), |largest, address| Some(learning.cap(scope, address)?.max(largest?)));
        learning.read(largest.filter(|cap| *cap > 0))
    }

    /// Returns the parameters of the client's convention.
    pub(super) fn parameters(&self) -> &'r Parameters {
        &self.chosen.convention.parameters
    }
}

/// Checks that no parameter but those of cursors contains a cursor of the gateway. The upstream doesn't know the
/// parameter, and so would answer with the first page: the walk would begin again, or end early, without an error.
/// Example: one of two processes has another envelope, whose parameter for cursors has another name. A cursor of a key
/// that this process lacks is recognised too, by its mark.
///
/// # Errors
///
/// Returns 400 `cursor_mismatch`.
fn refuse_stray_cursor(list: &List, parameters: &Parameters, query: Option<&str>) -> Result<(), Failure> {
    const OWN: [Role; 3] = [Role::Cursor, Role::After, Role::Before];
    let own: Vec<&str> = OWN.into_iter().filter_map(|role| parameters.query_name(role)).collect();
    for pair in pairs(query.unwrap_or_default()) {
        let name = pair.name();
        let is_own = own.iter().any(|own| own.as_bytes() == &*name);
        // Test: `a_cursor_in_another_parameter_never_reaches_the_upstream`.
        if !is_own && cursor::is_framed(&list.keys, &pair.value(), list.cursor.length) {
            return Err(Failure::stray_cursor(&String::from_utf8_lossy(&name), own.first().copied()));
        }
    }
    Ok(())
}

/// Records the kind of a request's paging. A legacy request is also counted for its client.
pub fn note_paging(list: &List, asked: &ClientRequest, kind: &RequestKind, outcome: &mut Outcome) {
    let (headers, known) = asked.client_parts();
    let client = CountedClient { headers, query: asked.query().unwrap_or_default(), known };
    list.note_paging(kind, client, asked.now, &mut outcome.counted);
}

/// Charges a legacy request to the limits for legacy requests; other requests aren't charged. `now` is in seconds since
/// 1970. `restart` returns the link to the first page by cursor, for the problem.
///
/// # Errors
///
/// Returns the problem of a client that has used up a limit, or of a brownout.
pub async fn limit_legacy(
    list: &List,
    kind: &RequestKind,
    now: u64,
    restart: impl FnOnce() -> String,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let Some(limited) = outcome.limited.as_mut().filter(|_| legacy::is_legacy(kind, &list.legacy)) else {
        return Ok(());
    };
    let Err(refusal) = limited.admit_legacy(now).await else { return Ok(()) };
    outcome.counted.limit = Some(refusal.policy.word());
    Err(Failure::from(refusal).with_restart(restart()))
}

/// Returns the order that a request asks for, or else the route's default order. Returns a problem if the list can't be
/// sorted in the requested order.
fn sorted(list: &List, parameters: &Parameters, request: &ListRequest) -> Result<Arc<CompiledOrder>, Box<Problem>> {
    let Some(terms) = &request.sort else { return Ok(Arc::clone(list.dialect.default_sorted())) };
    match list.dialect.sorted(terms, request.id_direction) {
        Ok(sorted) => Ok(Arc::new(sorted)),
        Err(unsortable) => Err(parameters.unsortable(request, &detail(&unsortable))),
    }
}

/// Describes, for the client, why the upstream can't sort in an order.
fn detail(unsortable: &Unsortable) -> String {
    match unsortable {
        Unsortable::Opaque(field) => {
            format!("the list sorts `{field}` by its own rules: it can only be the last field of a sort")
        }
        Unsortable::TooManyKeys(1) => "the list can be sorted by one field at a time".to_owned(),
        Unsortable::TooManyKeys(most) => format!("the list can be sorted by at most {most} fields"),
        Unsortable::OneOrder => "the list has one order, which can only be reversed".to_owned(),
        Unsortable::Unplaced(field) => format!("the list can't be paged in an order that begins with `{field}`"),
    }
}
