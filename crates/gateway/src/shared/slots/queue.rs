//! A queue that is fair by address and by client. Addresses have their turns one after the other, and so have the clients
//! of each address, each with its oldest request. A client with many requests waits behind its own, and not before those
//! of others.
//!
//! A client can invent credentials, which only the upstream checks, so the clients of one address have at most
//! [`MOST_TURNS`] turns before the next address has its own. An address that had no waiting request comes before those
//! that wait for more, as new flows do in FQ-CoDel (RFC 8290 section 4.2). So a client that sends one request after the
//! other is served however many addresses send more than the upstream can answer.

use std::collections::{HashMap, VecDeque};

use crate::shared::clients::ClientHash;

/// The largest number of turns that the clients of one address have in a row. An address with fewer clients has as many
/// turns as clients.
const MOST_TURNS: usize = 4;

/// The largest number of addresses in a row that had no waiting request, while others wait for more.
const MOST_NEW: usize = 2;

/// A client at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueuedClient {
    pub address: ClientHash,
    pub client: ClientHash,
}

/// The waiting requests of all clients.
#[derive(Debug)]
pub struct FairQueue<T> {
    /// The clients of each address with waiting requests. An address without requests has no entry.
    addresses: HashMap<ClientHash, AddressQueue<T>>,
    /// The addresses that had no waiting request, until their first turn. Each address is here or in `turns`, once.
    new: VecDeque<ClientHash>,
    /// The number of turns in a row that `new` has had.
    taken_by_new: usize,
    /// The other addresses in the order of their turns.
    turns: VecDeque<ClientHash>,
    /// The number of turns that the first of `turns` has had in a row.
    taken: usize,
    length: usize,
    /// The number of the next request.
    next: u64,
}

/// The waiting requests of the clients at one address.
#[derive(Debug)]
struct AddressQueue<T> {
    /// The waiting requests of each client, oldest first. A client without requests has no entry.
    clients: HashMap<ClientHash, VecDeque<Waiting<T>>>,
    /// The clients in the order of their turns, each once.
    turns: VecDeque<ClientHash>,
    length: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    value: T,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        let (new, turns) = (VecDeque::new(), VecDeque::new());
        Self { addresses: HashMap::new(), new, taken_by_new: 0, turns, taken: 0, length: 0, next: 0 }
    }
}

impl<T> Default for AddressQueue<T> {
    fn default() -> Self {
        Self { clients: HashMap::new(), turns: VecDeque::new(), length: 0 }
    }
}

impl<T> AddressQueue<T> {
    /// Returns the number of turns that the address has in a row.
    fn share(&self) -> usize {
        self.turns.len().min(MOST_TURNS)
    }

    fn pop(&mut self) -> Option<Waiting<T>> {
        let client = self.turns.pop_front()?;
        let requests = self.clients.get_mut(&client)?;
        let first = requests.pop_front()?;
        if requests.is_empty() {
            self.clients.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.length -= 1;
        Some(first)
    }

    /// Returns the client that has the most requests, and their number.
    fn longest(&self) -> Option<(ClientHash, usize)> {
        let lengths = self.clients.iter().map(|(client, requests)| (*client, requests.len()));
        lengths.max_by_key(|(_, length)| *length)
    }

    /// Removes a request of a client, which `find` finds among those of the client.
    fn remove(&mut self, client: ClientHash, find: impl FnOnce(&VecDeque<Waiting<T>>) -> Option<usize>) -> bool {
        let Some(requests) = self.clients.get_mut(&client) else { return false };
        let Some(at) = find(requests) else { return false };
        requests.remove(at);
        if requests.is_empty() {
            self.clients.remove(&client);
            self.turns.retain(|turn| *turn != client);
        }
        self.length -= 1;
        true
    }
}

impl<T> FairQueue<T> {
    /// Returns the number of waiting requests.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Returns the number of waiting requests of a client.
    pub fn length_of(&self, client: QueuedClient) -> usize {
        let of_address = self.addresses.get(&client.address);
        of_address.and_then(|queue| queue.clients.get(&client.client)).map_or(0, VecDeque::len)
    }

    /// Returns whether a client's address has no waiting request.
    pub fn is_new(&self, client: QueuedClient) -> bool {
        !self.addresses.contains_key(&client.address)
    }

    /// Returns whether a client has no waiting request, while another client at its address has several.
    pub fn is_first_beside_several(&self, client: QueuedClient) -> bool {
        let of_address = self.addresses.get(&client.address);
        of_address.is_some_and(|queue| queue.length > queue.turns.len()) && self.length_of(client) == 0
    }

    /// Returns the number of turns until a new request of a client has its own, if no other request is added: an
    /// estimate, because clients of one address may have different numbers of requests.
    pub fn turns_until(&self, client: QueuedClient) -> usize {
        let own = self.addresses.get(&client.address);
        let (own_share, clients) = own.map_or((1, 1), |queue| (queue.share(), queue.turns.len()));
        let others = self.addresses.iter().filter(|(address, _)| **address != client.address);
        let round: usize = others.map(|(_, queue)| queue.share()).sum::<usize>() + own_share;
        let at_address = (self.length_of(client) + 1).saturating_mul(clients);
        at_address.div_ceil(own_share).saturating_mul(round)
    }

    /// Adds a request, and returns its number.
    pub fn push(&mut self, client: QueuedClient, value: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.length += 1;
        if self.is_new(client) {
            self.new.push_back(client.address);
        }
        let queue = self.addresses.entry(client.address).or_default();
        queue.length += 1;
        let requests = queue.clients.entry(client.client).or_default();
        if requests.is_empty() {
            queue.turns.push_back(client.client);
        }
        requests.push_back(Waiting { number, value });
        number
    }

    /// Removes the request whose turn it is; `None` if there is none.
    pub fn pop(&mut self) -> Option<T> {
        let is_new = self.turns.is_empty() || (self.taken_by_new < MOST_NEW && !self.new.is_empty());
        let address = *if is_new { self.new.front()? } else { self.turns.front()? };
        let queue = self.addresses.get_mut(&address)?;
        let first = queue.pop()?;
        self.length -= 1;
        self.taken_by_new = if is_new { self.taken_by_new + 1 } else { 0 };
        if queue.length == 0 {
            self.leave(address);
        } else if is_new {
            self.new.pop_front();
            self.turns.push_back(address);
        } else if self.taken + 1 < queue.share() {
            self.taken += 1;
        } else {
            self.turns.rotate_left(1);
            self.taken = 0;
        }
        Some(first.value)
    }

    /// Removes a request that waits no longer. Does nothing if the request has left the queue already.
    pub fn remove(&mut self, client: QueuedClient, number: u64) {
        // A request that has waited for too long is the oldest one, so it is found at once.
        let find = |requests: &VecDeque<Waiting<T>>| requests.iter().position(|waiting| waiting.number == number);
        self.remove_found(client, find);
    }

    /// Makes room for a new request of a client, by the newest request of a client that has more. Returns whether one was
    /// removed.
    ///
    /// The address with the most requests for each of its turns makes room, if it has more than the new request's address
    /// would have; for the first request of an address, if it has two. Otherwise another client of the own address makes
    /// room.
    pub fn displace(&mut self, client: QueuedClient) -> bool {
        // Numbers of requests for each turn, compared without fractions.
        let load = |queue: &AddressQueue<T>| (queue.length, queue.share());
        let fuller = |one: (usize, usize), other: (usize, usize)| (one.0 * other.1).cmp(&(other.0 * one.1));
        let fullest = self.addresses.iter().max_by(|(_, one), (_, other)| fuller(load(one), load(other)));
        let Some((&address, queue)) = fullest else { return false };
        let own = self.addresses.get(&client.address);
        let (length, share) = own.map_or((0, 1), load);
        let has_more = fuller(load(queue), (length + 1, share)).is_gt() || (length == 0 && queue.length > 1);
        let (address, longest) = if address != client.address && has_more {
            (address, queue.longest())
        } else {
            let longest = own.and_then(AddressQueue::longest);
            (client.address, longest.filter(|(_, length)| *length > self.length_of(client) + 1))
        };
        let Some((longest, _)) = longest else { return false };
        self.remove_found(QueuedClient { address, client: longest }, |requests| requests.len().checked_sub(1))
    }

    fn remove_found(
        &mut self,
        client: QueuedClient,
        find: impl FnOnce(&VecDeque<Waiting<T>>) -> Option<usize>,
    ) -> bool {
        let Some(queue) = self.addresses.get_mut(&client.address) else { return false };
        if !queue.remove(client.client, find) {
            return false;
        }
        let is_empty = queue.length == 0;
        self.length -= 1;
        if is_empty {
            self.leave(client.address);
        }
        true
    }

    /// Removes an address without requests.
    fn leave(&mut self, address: ClientHash) {
        if self.turns.front() == Some(&address) {
            self.taken = 0;
        }
        self.addresses.remove(&address);
        self.new.retain(|turn| *turn != address);
        self.turns.retain(|turn| *turn != address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: QueuedClient = at(1, 1);
    const OTHER: QueuedClient = at(2, 2);

    const fn at(address: u64, client: u64) -> QueuedClient {
        QueuedClient { address: ClientHash(address), client: ClientHash(client) }
    }

    fn queue() -> FairQueue<&'static str> {
        let mut queue = FairQueue::default();
        for value in ["a1", "a2", "a3", "a4"] {
            queue.push(HOT, value);
        }
        for value in ["b1", "b2"] {
            queue.push(OTHER, value);
        }
        queue
    }

    fn order<T>(queue: &mut FairQueue<T>) -> Vec<T> {
        let order = std::iter::from_fn(|| queue.pop()).collect();
        assert!(queue.length() == 0 && queue.addresses.is_empty());
        assert!(queue.turns.is_empty() && queue.new.is_empty());
        order
    }

    #[test]
    fn clients_have_their_turns_one_after_the_other() {
        let mut queue = queue();
        assert_eq!((queue.length(), queue.length_of(HOT)), (6, 4));
        assert_eq!([queue.turns_until(HOT), queue.turns_until(OTHER), queue.turns_until(at(3, 3))], [10, 6, 3]);
        assert_eq!(order(&mut queue), ["a1", "b1", "a2", "b2", "a3", "a4"]);
        for client in [1, 2, 1] {
            queue.push(at(1, client), if client == 1 { "a" } else { "b" });
        }
        assert_eq!(order(&mut queue), ["a", "b", "a"], "clients of one address");
    }

    /// A client that invents credentials has a few turns before another address has its own, and makes room for it.
    #[test]
    fn invented_clients_have_the_turns_of_their_address() {
        let mut queue = FairQueue::default();
        for client in 0..100 {
            queue.push(at(1, client), "invented");
        }
        queue.push(at(2, 200), "honest");
        assert_eq!(queue.turns_until(at(2, 200)), 10);
        let first: Vec<_> = (0..5).filter_map(|_| queue.pop()).collect();
        assert_eq!(first, ["invented", "honest", "invented", "invented", "invented"]);
        queue.push(at(2, 200), "honest");
        assert_eq!(queue.pop(), Some("honest"));
        assert!(queue.displace(at(3, 300)), "an address with fewer requests");
        assert!(!queue.displace(at(1, 300)), "none of its clients has more");
        queue.push(at(1, 7), "invented");
        queue.push(at(1, 7), "invented");
        assert!(queue.displace(at(1, 300)));
        assert_eq!(order(&mut queue).len(), 96);
    }

    #[test]
    fn an_address_without_a_waiting_request_comes_before_those_that_wait_for_more() {
        let mut queue = FairQueue::default();
        for request in 0..400 {
            queue.push(at(request % 200, request), "many");
        }
        // Each address has had its first turn.
        (0..300).for_each(|_| assert!(queue.pop().is_some()));
        for address in 300..310 {
            queue.push(at(address, address), "new");
        }
        let first: Vec<_> = (0..6).filter_map(|_| queue.pop()).collect();
        assert_eq!(first, ["new", "new", "many", "new", "new", "many"]);
        // Clients of one address have a few turns in a row.
        let mut queue = FairQueue::default();
        for (address, client) in [(1, 1), (1, 2), (2, 3), (2, 4), (1, 1), (1, 2), (2, 3), (2, 4)] {
            queue.push(at(address, client), address);
        }
        assert_eq!(order(&mut queue), [1, 2, 1, 1, 2, 2, 1, 2]);
    }

    #[test]
    fn a_request_that_leaves_gives_up_its_turn() {
        let mut queue = queue();
        queue.remove(OTHER, 4);
        queue.remove(OTHER, 5);
        queue.remove(OTHER, 5);
        queue.remove(HOT, 1);
        assert_eq!((queue.length(), queue.addresses.len()), (3, 1));
        assert_eq!(order(&mut queue), ["a1", "a3", "a4"]);
    }

    #[test]
    fn the_client_with_the_most_requests_makes_room_with_its_newest() {
        let mut queue = queue();
        assert!(queue.displace(at(3, 3)));
        assert!(!queue.displace(OTHER), "it would have as many");
        assert!(!queue.displace(HOT));
        assert!(queue.displace(at(3, 3)));
        assert_eq!(order(&mut queue), ["a1", "b1", "a2", "b2"]);
    }
}
