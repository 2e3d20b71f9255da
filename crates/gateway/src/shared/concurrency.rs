//! The limits of a route's concurrent requests (`concurrency`), in total and for each client. A request counts from its
//! head to the last byte of its response, so slow readers count too. Requests beyond a limit are refused at once, so
//! one route, or one client, leaves room for the others.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::HeaderName;

use super::clients::{ClientHash, ClientHashes, LimitedClient};
use cursorgate_config::settings::ConcurrencySettings;

/// The requests in flight of one route, and their limits. The next snapshot continues to use this state if the limits
/// stay the same.
#[derive(Debug)]
pub struct RouteConcurrency {
    limits: ConcurrencySettings,
    known: ClientHashes,
    counts: Mutex<RequestCounts>,
}

/// The numbers of requests in flight. A client without requests has no entry, so the map never has more entries than
/// there are requests.
#[derive(Debug, Default)]
struct RequestCounts {
    requests: usize,
    clients: HashMap<ClientHash, usize>,
}

/// The limit that refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConcurrencyLimit {
    /// `concurrency.requests`.
    Route,
    /// `concurrency.per_client`.
    Client,
}

/// The place of one request among those of its route. Dropping it frees the place.
#[derive(Debug)]
pub struct RequestPlace {
    concurrency: Arc<RouteConcurrency>,
    /// `None` if the request counts only among those of all clients.
    client: Option<ClientHash>,
}

impl RouteConcurrency {
    /// Creates the limits of a route that has no requests in flight.
    #[must_use]
    pub fn new(limits: ConcurrencySettings) -> Arc<Self> {
        let known = ClientHashes::by(limits.principal.clone(), true);
        Arc::new(Self { limits, known, counts: Mutex::default() })
    }

    /// Returns the limits of the configuration.
    #[must_use]
    pub fn limits(&self) -> &ConcurrencySettings {
        &self.limits
    }

    /// Returns the headers by which clients are identified.
    #[must_use]
    pub fn named_by(&self) -> &[HeaderName] {
        self.known.named_by()
    }

    /// Takes a place for a request. The client is identified by the configured headers, or by its address if the
    /// request has none of these headers. A request without a client counts only among those of all clients.
    ///
    /// # Errors
    ///
    /// Returns the limit that the route, or the client, has reached.
    pub fn enter(self: &Arc<Self>, client: Option<LimitedClient<'_>>) -> Result<RequestPlace, ConcurrencyLimit> {
        let client = client.map(|client| self.known.find(client));
        let mut counts = self.counts();
        // This limit is checked before the client's entry is made, so a refused request leaves no entry. Test:
        // `a_client_at_its_limit_leaves_the_rest_to_others`.
        if self.limits.requests.is_some_and(|most| counts.requests >= most) {
            return Err(ConcurrencyLimit::Route);
        }
        if let Some(client) = client {
            let of_client = counts.clients.entry(client).or_default();
            if self.limits.per_client.is_some_and(|most| *of_client >= most) {
                return Err(ConcurrencyLimit::Client);
            }
            *of_client += 1;
        }
        counts.requests += 1;
        drop(counts);
        Ok(RequestPlace { concurrency: Arc::clone(self), client })
    }

    fn counts(&self) -> MutexGuard<'_, RequestCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        let mut counts = self.concurrency.counts();
        counts.requests -= 1;
        let Some(client) = self.client else { return };
        if let Some(of_client) = counts.clients.get_mut(&client) {
            *of_client -= 1;
            // Made-up clients take no memory after their requests have ended.
            if *of_client == 0 {
                counts.clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use http::{HeaderMap, header::AUTHORIZATION};

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[expect(clippy::unnecessary_wraps, reason = "it is what `enter` takes")]
    fn at(headers: &HeaderMap, address: IpAddr) -> Option<LimitedClient<'_>> {
        Some(LimitedClient { headers, address, known: None })
    }

    fn limits(requests: Option<usize>, per_client: Option<usize>) -> Arc<RouteConcurrency> {
        RouteConcurrency::new(ConcurrencySettings { requests, per_client, principal: vec![AUTHORIZATION] })
    }

    #[test]
    fn a_client_at_its_limit_leaves_the_rest_to_others() {
        let (limits, none) = (limits(Some(3), Some(2)), HeaderMap::new());
        let held = [limits.enter(at(&none, ONE)).unwrap(), limits.enter(at(&none, ONE)).unwrap()];
        assert_eq!(limits.enter(at(&none, ONE)).unwrap_err(), ConcurrencyLimit::Client);
        let third = limits.enter(at(&none, OTHER)).unwrap();
        assert_eq!(limits.enter(at(&none, OTHER)).unwrap_err(), ConcurrencyLimit::Route);
        assert_eq!(limits.enter(None).unwrap_err(), ConcurrencyLimit::Route, "nobody waits for it");
        drop(third);
        drop(held);
        assert!(limits.counts().clients.is_empty());
        drop(limits.enter(None).unwrap());
        assert_eq!(limits.counts().requests, 0);
        assert!(limits.enter(at(&none, ONE)).is_ok());
    }

    #[test]
    fn a_principal_is_one_client_from_wherever_it_comes() {
        let limits = limits(None, Some(1));
        let as_user =
            |user: &'static str| HeaderMap::from_iter([(AUTHORIZATION, http::HeaderValue::from_static(user))]);
        let _held = limits.enter(at(&as_user("a"), ONE)).unwrap();
        assert_eq!(limits.enter(at(&as_user("a"), OTHER)).unwrap_err(), ConcurrencyLimit::Client);
        assert!(limits.enter(at(&as_user("b"), ONE)).is_ok());
        assert!(limits.enter(at(&HeaderMap::new(), ONE)).is_ok());
    }
}
