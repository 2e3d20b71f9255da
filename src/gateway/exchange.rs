//! The one loop of a page: the core says what to fetch, the upstream answers, until the core serves or refuses.

use std::sync::Arc;

use http::HeaderMap;
use pingora::http::RequestHeader;

use super::{
    Gateway,
    access_log::Outcome,
    asked::Asked,
    clock,
    failure::Failure,
    join::join_all,
    snapshot::{List, Route},
};
use crate::{
    downstream::{Code, Problem, Response},
    pagination::{
        answer::{Answer, Standing},
        page::Page,
        position::Target,
        refusal::Refusal,
        resolver::{PageRequest, Step, resolve},
        window::Fetch,
    },
    upstream::{self, Sorted, fetch::Bounds},
};

/// Who is asked for a page, on whose behalf.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    /// The connections.
    pub gateway: &'a Gateway,
    /// What the client asked.
    pub asked: &'a Asked,
    /// The route that covers it.
    pub route: &'a Route,
    /// How its list is served.
    pub list: &'a List,
    /// The order.
    pub sorted: &'a Arc<Sorted>,
    /// The client's filters, as they go upstream.
    pub filters: &'a str,
}

/// What the core decided.
pub(super) enum Decision {
    /// This page, made from answers with these headers.
    Serve(Box<Page>, Vec<HeaderMap>),
    /// No page.
    Refuse(Refusal),
}

impl Exchange<'_> {
    /// Finds the page at a place.
    ///
    /// # Errors
    ///
    /// The first fetch, in the core's order, that gave no answer; or the time is over.
    pub(super) async fn resolve(self, target: Target, limit: u32, outcome: &mut Outcome) -> Result<Decision, Failure> {
        let mut step = resolve(PageRequest {
            target,
            limit,
            order: Arc::clone(&self.sorted.order),
            paging: Arc::clone(self.list.dialect.paging()),
            learnt: self.list.learning.read(),
            budget: self.list.budgets.upstream_requests,
            unproven: self.list.unproven,
            short_pages: self.list.short_pages,
        });
        let mut headers = Vec::new();
        let mut past_end = None;
        loop {
            match step {
                Step::Fetch(fetches, pending) => {
                    outcome.upstream_requests += u32::try_from(fetches.len()).unwrap_or(u32::MAX);
                    let mut answers = Vec::with_capacity(fetches.len());
                    for fetched in self.fetch_all(&fetches).await {
                        let (answer, status, of_answer) = fetched?;
                        if answer.standing == Standing::PastEnd && past_end.is_none() {
                            let protected = &self.list.protected;
                            let body = answer.body.clone();
                            past_end = Some(Box::new(Response::upstream_refusal(status, &of_answer, body, protected)));
                        }
                        answers.push(answer);
                        headers.push(of_answer);
                    }
                    step = pending.resume(answers);
                }
                Step::Serve(page) => return Ok(Decision::Serve(page, headers)),
                Step::Refuse(Refusal::NoList) => {
                    let unlisted = || Failure::refusal(Refusal::NoList, |_| None);
                    return Err(past_end.map_or_else(unlisted, Failure::Passed));
                }
                Step::Refuse(refusal) => return Ok(Decision::Refuse(refusal)),
            }
        }
    }

    /// All at once; one alone, as nearly always, without ado.
    async fn fetch_all(self, fetches: &[Fetch]) -> Vec<Result<(Answer, u16, HeaderMap), Failure>> {
        match fetches {
            [one] => vec![self.fetch(*one).await],
            several => join_all(several.iter().map(|fetch| self.fetch(*fetch))).await,
        }
    }

    async fn fetch(self, fetch: Fetch) -> Result<(Answer, u16, HeaderMap), Failure> {
        let now = clock::instant();
        let budgets = &self.list.budgets;
        let Some(left) = budgets.time.checked_sub(now - self.asked.began).filter(|left| !left.is_zero()) else {
            return Err(Problem::new(Code::BudgetExceeded, "the page was not found in the time allowed").into());
        };
        let request = self.request(fetch)?;
        let timeouts = self.route.upstream.timeouts;
        let bounds = Bounds { timeouts, whole: timeouts.whole.min(left), answer_size: budgets.answer_size, now };
        let fetched = self.gateway.fetcher.fetch(&self.route.upstream.peers, &request, bounds).await?;
        let status = fetched.status.as_u16();
        let depth = budgets.answer_depth;
        let read = self.list.dialect.read(self.sorted, fetch, status, &fetched.headers, fetched.body, depth);
        match read {
            Ok(answer) => Ok((answer, status, fetched.headers)),
            Err(error) => Err(Failure::reading(error, &fetched.headers, &self.list.protected)),
        }
    }

    /// The request for a fetch: the client's headers as far as they concern the upstream, the dialect's, the operator's.
    fn request(self, fetch: Fetch) -> Result<RequestHeader, Failure> {
        let asked = self.asked;
        let ask = self.list.dialect.ask(self.sorted, fetch, self.filters);
        let origin = asked.client.origin(&asked.target);
        let added = &self.route.upstream.headers;
        let headers = upstream::request_headers(&asked.headers, origin, &self.list.protected, &ask.headers, added)?;
        let target = self.route.target(&asked.target.path, &asked.parameters, &ask.query);
        let mut request = RequestHeader::build_no_case("GET", target.as_bytes(), Some(headers.len() + 4))
            .map_err(|error| unsendable(&error))?;
        let host = self.route.upstream.host_for(asked.target.authority.as_deref());
        request.insert_header(http::header::HOST, host).map_err(|error| unsendable(&error))?;
        for (name, value) in &headers {
            request.append_header(name, value).map_err(|error| unsendable(&error))?;
        }
        Ok(request)
    }
}

/// What can't be written on the wire: a client's path or filters that no URL can hold.
fn unsendable(error: &pingora::BError) -> Failure {
    let said = "the request can't be passed on to the upstream";
    Failure::logged(Code::RequestInvalid, said, error.etype().as_str().to_owned())
}
