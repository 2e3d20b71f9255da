//! Live pages: a client gets a page of a list, and then the changes of the page. The upstream needs no support for live
//! pages, because the gateway polls it.
//!
//! The subscribers of one page are a group (`group`): clients with the same principal and the same target. One poller
//! requests the page of a group by inner requests (`poller`, `services::inner`), with the credentials of a subscriber
//! that is still connected. The intervals between requests are short while the page changes (`rhythm`), or all pages of a
//! route wait for one request that tells of changes (`detector`). The limits, the proofs and the principal of the list apply to these requests. Each page is compared with the page before it (`page`,
//! `patch`). Subscribers get the difference, or the whole page if they have missed too much (`history`). A subscriber
//! doesn't have a queue, but stores the id of the page that it has.
//!
//! `request` reads requests, `window` identifies pages, `places` bounds the number of subscribers, `stay` contains the
//! state of a subscriber, and `message` writes messages. `events` sends the messages as an event stream, and `socket`
//! sends them over a WebSocket. `handshake` opens the WebSocket, and `watch` reads the client's messages. With
//! webhooks, the poller reports each version of a page for the event `collection.changed`.

mod detector;
mod events;
mod group;
mod handshake;
mod history;
mod message;
mod page;
mod patch;
mod places;
mod poller;
mod report;
mod request;
mod rhythm;
mod socket;
mod stay;
mod watch;
mod window;

use std::{pin::pin, sync::Arc};

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};

use self::{
    events::EventStream, group::LiveGroups, history::LivePageEnd, places::SubscriberPlaces, report::LivePageReport,
    request::LiveCall, socket::LiveSocket, stay::LiveStay,
};
use super::{inner::InnerGateway, webhooks::Events};
use cursorgate_gateway::{
    Snapshot,
    net::memory::MemoryShare,
    outcome::{access_log::Outcome, failure::Failure},
    server::dispatch::unless_gone,
    session::{
        client_request::Client,
        identity::IdentityCall,
        service::{LastingResponse, Service, ServiceAnswer},
    },
};
use cursorgate_translate::downstream::{Code, CorsPolicy, Problem};

pub(super) struct LivePages {
    groups: Arc<LiveGroups>,
    places: Arc<SubscriberPlaces>,
}

#[async_trait]
impl Service for LivePages {
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool {
        snapshot.services.live.is_some() && request::read(snapshot, head).is_some()
    }

    fn policy(&self, snapshot: &Snapshot, head: &RequestHeader) -> Option<Arc<CorsPolicy>> {
        request::read(snapshot, head)?.route.cors.clone()
    }

    fn name(&self) -> &'static str {
        "live"
    }

    async fn answer(
        &self,
        session: &mut ServerSession,
        client: &Client,
        snapshot: &Arc<Snapshot>,
        _held: &MemoryShare,
        outcome: &mut Outcome,
    ) -> Result<Option<ServiceAnswer>, Failure> {
        let below = request::read(snapshot, session.req_header());
        let Some((below, settings)) = below.zip(snapshot.services.live.as_ref()) else {
            // This doesn't happen: `takes` accepts only requests for live pages that the configuration permits.
            return Err(Box::new(Problem::new(Code::RouteNotFound, "no route covers this path")).into());
        };
        let asked = IdentityCall { gateway: self.groups.inner.gateway(), snapshot, outcome };
        let call = LiveCall::new(below, session, client, asked).await?;
        // The place is taken before the page is requested, so a subscriber that exceeds a limit doesn't cost the
        // upstream a request.
        let place = self.places.enter(settings, &call.route.name, call.subscriber(&settings.key))?;
        let gateway = self.groups.inner.gateway();
        let stay = LiveStay::begin(place, settings, &self.groups.inner.gateway().vitals);
        // A WebSocket opens before a page is requested, because the client's first message can name another page.
        if handshake::is_asked_for(session) {
            let head = handshake::head(&session.req_header().headers)?;
            let conversation =
                Box::new(LiveSocket { groups: Arc::clone(&self.groups), gateway: Arc::clone(gateway), call, stay });
            return Ok(Some(ServiceAnswer::Lasting(Box::new(LastingResponse { head, conversation }))));
        }
        let window = call.window(call.query());
        let has = last_event(&session.req_header().headers);
        let entering = pin!(poller::enter(&self.groups, gateway, &window, &call.caller, has));
        // A client that leaves before the first page must not keep its place.
        let Some(entered) = unless_gone(session, entering).await else { return Ok(None) };
        let subscription = match entered {
            Ok(subscription) => subscription,
            Err(end) => return refused(end).map(Some),
        };
        let conversation = Box::new(EventStream { subscription, stay });
        Ok(Some(ServiceAnswer::Lasting(Box::new(LastingResponse { head: events::head(), conversation }))))
    }
}

impl LivePages {
    /// Creates the service. If there are `events`, the service raises them for changes of pages.
    pub(super) fn new(inner: Arc<InnerGateway>, events: Option<Events>) -> Self {
        let counts = Arc::clone(inner.gateway().vitals.live_counts());
        Self { groups: LiveGroups::new(inner, events), places: SubscriberPlaces::new(counts) }
    }
}

impl LivePages {
    /// Returns the report of the pages for operators.
    pub(super) fn report(&self) -> LivePageReport {
        LivePageReport(Arc::clone(&self.groups))
    }
}

/// Returns the list's own answer to a client that gets no page.
///
/// # Errors
///
/// Returns a problem if there is no answer of the list.
fn refused(end: LivePageEnd) -> Result<ServiceAnswer, Failure> {
    let refusal = match end {
        LivePageEnd::Refused(refusal) => refusal,
        LivePageEnd::Closing(_) => {
            let mut problem = Problem::new(Code::Overloaded, "the page is about to change: come again");
            // The poller of the page has ended, and a later request starts another poller.
            problem.retry_after = Some(HeaderValue::from_static("1"));
            return Err(Box::new(problem).into());
        }
    };
    if let Some(answer) = &refusal.answer {
        return Ok(ServiceAnswer::Whole(answer.passed()));
    }
    let code = Code::ALL.iter().copied().find(|code| code.as_str() == refusal.fault.code).unwrap_or(Code::Internal);
    Err(Box::new(Problem::new(code, refusal.fault.detail.clone())).into())
}

/// Returns the id of the page that a client has, from its `Last-Event-ID`; `None` if the header is missing.
fn last_event(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(header::HeaderName::from_static("last-event-id"))?.to_str().ok()?.to_owned())
}
