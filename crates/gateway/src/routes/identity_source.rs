//! The compiled `server.identity_answer`: the upstream that says who a client is, and its answers.

use std::sync::Arc;

use super::upstream::Upstream;
use crate::{
    identity::answers::{IdentityAnswer, IdentityAnswers},
    shared::single_flight::SingleFlight,
};
use cursorgate_config::settings::{AnswerPlace, IdentityAnswerSettings, IdentityWord, Settings};

/// The upstream that says who a client is, and what it has said.
#[derive(Debug)]
pub struct IdentitySource {
    pub upstream: Arc<Upstream>,
    /// The path and query of the request, with the upstream's `base_path`.
    pub target: String,
    pub answers: Arc<IdentityAnswers>,
    /// The requests in flight, by their credentials.
    pub asking: SingleFlight<[u8; 32], IdentityAnswer>,
}

impl IdentitySource {
    /// Compiles the source. Returns `None` if its upstream has faults, which have been reported.
    pub fn compile(
        answer: &IdentityAnswerSettings,
        upstreams: &[Option<Arc<Upstream>>],
        settings: &Settings,
    ) -> Option<Arc<Self>> {
        let upstream = Arc::clone(upstreams.get(answer.upstream)?.as_ref()?);
        Some(Arc::new(Self {
            target: format!("{}{}", upstream.base_path, answer.path.value),
            upstream,
            answers: IdentityAnswers::new(answer.credentials.clone(), places(settings), answer.ttl),
            asking: SingleFlight::default(),
        }))
    }
}

/// Returns the places of answers that some `identity` names.
fn places(settings: &Settings) -> Vec<AnswerPlace> {
    let services = &settings.services;
    let of_webhooks = services.webhooks.as_ref().and_then(|webhooks| webhooks.clients.as_ref());
    let of_services = services.bulk.iter().flat_map(|bulk| &bulk.identity);
    let of_services = of_services.chain(of_webhooks.iter().flat_map(|clients| &clients.identity));
    let mut places = Vec::new();
    for word in settings.routes.iter().flat_map(|route| &route.identity).chain(of_services) {
        if let IdentityWord::Answer(place) = word
            && !places.contains(place)
        {
            places.push(place.clone());
        }
    }
    places
}
