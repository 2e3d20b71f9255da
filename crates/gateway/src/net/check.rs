//! Health checks: requests that the gateway itself makes, each on a new connection, with the same code as all other
//! requests.

use std::{sync::Arc, time::Instant};

use http::{HeaderName, HeaderValue, header};
use pingora::{BError, http::RequestHeader};

use super::{
    connection::Connections,
    error::FetchError,
    peers::{peer::PendingCheck, set::Peers},
};
use cursorgate_config::settings::{HealthCheckSettings, Timeouts};

/// The client that makes health checks.
#[derive(Debug)]
pub struct Checker {
    connections: Arc<Connections>,
}

/// The request of an upstream's health checks.
#[derive(Debug)]
pub struct CheckRequest<'a> {
    /// The value of the `Host` header.
    pub host: HeaderValue,
    /// The headers that the operator adds to every request.
    pub headers: &'a [(HeaderName, HeaderValue)],
}

impl CheckRequest<'_> {
    fn head(&self, path: &str) -> Result<RequestHeader, BError> {
        let mut head = RequestHeader::build("GET", path.as_bytes(), None)?;
        head.insert_header(header::HOST, self.host.clone())?;
        head.insert_header(header::USER_AGENT, "cursorgate-health-check")?;
        // The operator's headers are last because they replace the headers above.
        for (name, value) in self.headers {
            head.insert_header(name.clone(), value.clone())?;
        }
        Ok(head)
    }
}

impl Checker {
    /// Creates a client that connects through these connections. Each check opens a new connection, outside the pool.
    #[must_use]
    pub fn new(connections: Arc<Connections>) -> Self {
        Self { connections }
    }

    /// Begins the due health checks of an upstream and returns them, each with the index of its peer's name. The first
    /// check of a peer is due at once.
    #[must_use]
    pub fn due(peers: &Peers, now: Instant) -> Vec<(usize, PendingCheck)> {
        let Some(settings) = peers.check() else { return Vec::new() };
        let names = peers.names().iter().enumerate();
        let due = names.flat_map(|(index, name)| {
            let resolved = name.resolved();
            let peers = resolved.as_ref().map_or(&[][..], |resolved| resolved.peers.as_slice());
            let due = peers.iter().filter_map(|peer| peer.begin_check(now, now + settings.interval));
            due.map(|check| (index, check)).collect::<Vec<_>>()
        });
        due.collect()
    }

    /// Makes a check and records its result. A check passes if the status is 2xx.
    pub async fn check(&self, peers: &Peers, name: usize, check: PendingCheck, request: &CheckRequest<'_>) {
        let Some(settings) = peers.check() else { return };
        let asked = self.ask(peers, name, &check, settings, request);
        let asked = tokio::time::timeout(settings.timeout, asked).await;
        let result = match asked {
            Ok(Ok(200..=299)) => Ok(()),
            Ok(Ok(status)) => Err(format!("status {status}")),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {:?}", settings.timeout)),
        };
        peers.checked(&check.peer, result, peers.now());
    }

    async fn ask(
        &self,
        peers: &Peers,
        name: usize,
        check: &PendingCheck,
        settings: &HealthCheckSettings,
        request: &CheckRequest<'_>,
    ) -> Result<u16, FetchError> {
        let head = request.head(&settings.path);
        let head = head
            .map_err(|error| FetchError::Malformed(format!("the check can't be sent: {}", error.etype().as_str())))?;
        let timeout = settings.timeout;
        let timeouts = Timeouts { connect: timeout, first_byte: timeout, forwarded: timeout, whole: timeout };
        let chosen = peers.chosen(name, &Arc::clone(&check.peer), None, peers.now());
        let mut connection = self.connections.open_to(peers, chosen, timeouts).await?;
        connection.send(Box::new(head)).await?;
        let (status, _) = connection.final_head().await?;
        Ok(status.as_u16())
    }
}
