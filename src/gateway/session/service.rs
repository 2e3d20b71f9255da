//! Services above the gateway, as the dispatch of requests sees them.

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use pingora::{http::RequestHeader, protocols::http::ServerSession};

use crate::{
    downstream::Response,
    gateway::{lifecycle::snapshot::Snapshot, outcome::access_log::Outcome},
    upstream::net::memory::MemoryShare,
};

/// A service that answers requests in place of a route. Its requests are logged, counted and traced like all others.
#[async_trait]
pub(crate) trait Service: Debug + Send + Sync {
    /// Returns whether the service answers this request. Every request is asked about, so that this costs next to nothing.
    fn takes(&self, snapshot: &Snapshot, head: &RequestHeader) -> bool;

    /// Answers a request that the service takes; returns `None` if the client has gone.
    async fn answer(
        &self,
        session: &mut ServerSession,
        snapshot: &Arc<Snapshot>,
        seen: (&MemoryShare, &mut Outcome),
    ) -> Option<Response>;
}
