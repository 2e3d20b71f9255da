//! The places for subscribers, whose number is bounded for the process, for each route, and for each client.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cursorgate_config::settings::LiveSettings;
use cursorgate_gateway::lifecycle::process::live_counts::LiveCounts;
use cursorgate_translate::downstream::{Code, Problem};

/// The name of a client: a hash of the headers that identify it at a list.
pub(super) type ClientName = [u8; 32];

#[derive(Debug)]
pub(super) struct SubscriberPlaces {
    taken: Mutex<TakenPlaces>,
    counts: Arc<LiveCounts>,
}

#[derive(Debug, Default)]
struct TakenPlaces {
    all: usize,
    /// The number of subscribers by the name of the route. In this map and the next one, a route or client without
    /// subscribers has no entry, so the maps stay small.
    routes: HashMap<String, usize>,
    clients: HashMap<ClientName, usize>,
    /// The number of subscribers by the name of their address.
    networks: HashMap<[u8; 32], usize>,
}

/// The client of a subscriber, by its credentials and by its address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) client: ClientName,
    /// The name of its address; `None` if the address is unknown.
    pub(super) network: Option<[u8; 32]>,
}

/// The number of clients whose live pages one address may have. Credentials aren't checked before the first poll, so a
/// client could otherwise invent names and take all places alone.
const CLIENTS_OF_NETWORK: usize = 16;

/// The place of a subscriber. Dropping the value frees the place.
#[derive(Debug)]
pub(super) struct SubscriberPlace {
    places: Arc<SubscriberPlaces>,
    route: String,
    subscriber: Subscriber,
}

impl SubscriberPlaces {
    /// Creates the places, none of which is taken.
    pub(super) fn new(counts: Arc<LiveCounts>) -> Arc<Self> {
        Arc::new(Self { taken: Mutex::default(), counts })
    }

    /// Takes a place for a subscriber.
    ///
    /// # Errors
    ///
    /// Returns 429 `live_limit` if the client has reached its limit, or 503 `overloaded` if the route or the process
    /// has.
    pub(super) fn enter(
        self: &Arc<Self>,
        settings: &LiveSettings,
        route: &str,
        subscriber: Subscriber,
    ) -> Result<SubscriberPlace, Box<Problem>> {
        let mut taken = self.taken();
        let Subscriber { client, network } = subscriber;
        let of_client = taken.clients.get(&client).copied().unwrap_or(0);
        let of_network = network.and_then(|network| taken.networks.get(&network)).copied().unwrap_or(0);
        // The limit of a client applies to the live pages of all routes together.
        // Test: `places_are_bounded_and_given_back`.
        if of_client >= settings.per_client {
            let detail = format!("this client has {of_client} live pages: close one first");
            return Err(Box::new(Problem::new(Code::LiveLimit, detail)));
        }
        if of_network >= settings.per_client.saturating_mul(CLIENTS_OF_NETWORK) {
            let detail = format!("the clients at this address have {of_network} live pages: close one first");
            return Err(Box::new(Problem::new(Code::LiveLimit, detail)));
        }
        let of_route = taken.routes.get(route).copied().unwrap_or(0);
        if taken.all >= settings.subscribers || of_route >= settings.per_route {
            let detail = "the gateway has as many live pages as it may: try again later";
            return Err(Box::new(Problem::new(Code::Overloaded, detail)));
        }
        taken.all += 1;
        *taken.routes.entry(route.to_owned()).or_default() += 1;
        *taken.clients.entry(client).or_default() += 1;
        if let Some(network) = network {
            *taken.networks.entry(network).or_default() += 1;
        }
        drop(taken);
        self.counts.begin_subscriber();
        Ok(SubscriberPlace { places: Arc::clone(self), route: route.to_owned(), subscriber })
    }

    fn taken(&self) -> MutexGuard<'_, TakenPlaces> {
        // A poisoned lock is safe to take, because no code panics while it changes the numbers.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SubscriberPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        leave(&mut taken.routes, &self.route);
        leave(&mut taken.clients, &self.subscriber.client);
        if let Some(network) = &self.subscriber.network {
            leave(&mut taken.networks, network);
        }
        drop(taken);
        self.places.counts.end_subscriber();
    }
}

fn leave<K, Q>(places: &mut HashMap<K, usize>, key: &Q) -> Option<()>
where
    K: std::borrow::Borrow<Q> + std::hash::Hash + Eq,
    Q: std::hash::Hash + Eq + ?Sized,
{
    let count = places.get_mut(key)?;
    *count -= 1;
    if *count == 0 {
        places.remove(key);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use cursorgate_config::settings::{CountedBy, LiveInterval};

    fn settings(subscribers: usize, per_route: usize) -> LiveSettings {
        LiveSettings {
            routes: Vec::new(),
            interval: LiveInterval { min: Duration::ZERO, max: Duration::ZERO },
            timeout: Duration::ZERO,
            heartbeat: Duration::ZERO,
            lifetime: Duration::ZERO,
            subscribers,
            per_route,
            per_client: 2,
            key: CountedBy::Principal,
            detectors: Vec::new(),
        }
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let settings = settings(4, 3);
        let counts: Arc<LiveCounts> = Arc::default();
        let places = SubscriberPlaces::new(Arc::clone(&counts));
        let enter = |route: &str, client: u8| {
            let subscriber = Subscriber { client: [client; 32], network: None };
            places.enter(&settings, route, subscriber).map_err(|problem| problem.code)
        };
        let mut held = vec![enter("a", 1).unwrap(), enter("a", 1).unwrap()];
        assert_eq!(enter("a", 1).unwrap_err(), Code::LiveLimit);
        assert_eq!(enter("b", 1).unwrap_err(), Code::LiveLimit, "of all routes together");
        held.push(enter("a", 2).unwrap());
        assert_eq!(enter("a", 3).unwrap_err(), Code::Overloaded, "of the route");
        held.push(enter("b", 3).unwrap());
        assert_eq!(enter("b", 4).unwrap_err(), Code::Overloaded, "of the process");
        assert_eq!(counts.subscribers(), 4);
        held.clear();
        assert_eq!(counts.subscribers(), 0);
        let taken = places.taken();
        assert!(taken.all == 0 && taken.routes.is_empty() && taken.clients.is_empty());
    }

    #[test]
    fn invented_clients_of_one_address_leave_places_to_others() {
        let settings = settings(1_000, 1_000);
        let places = SubscriberPlaces::new(Arc::default());
        let enter = |client: u8, network: u8| {
            let subscriber = Subscriber { client: [client; 32], network: Some([network; 32]) };
            places.enter(&settings, "a", subscriber)
        };
        let held: Vec<_> = (0..100).map_while(|client| enter(client, 1).ok()).collect();
        assert_eq!(held.len(), 32);
        assert!(enter(200, 2).is_ok());
        drop(held);
        assert!(places.taken().networks.is_empty());
    }
}
