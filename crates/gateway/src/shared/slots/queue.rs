//! A queue that is fair by client: clients have their turns one after the other, each with its oldest request. A client
//! with many requests waits behind its own, and not before those of others.

use std::collections::{HashMap, VecDeque};

use crate::shared::clients::ClientHash;

/// The waiting requests of all clients.
#[derive(Debug)]
pub struct FairQueue<T> {
    /// The waiting requests of each client, oldest first. A client without requests has no entry.
    clients: HashMap<ClientHash, VecDeque<Waiting<T>>>,
    /// The clients in the order of their turns, each once.
    turns: VecDeque<ClientHash>,
    length: usize,
    /// The number of the next request.
    next: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    number: u64,
    value: T,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { clients: HashMap::new(), turns: VecDeque::new(), length: 0, next: 0 }
    }
}

impl<T> FairQueue<T> {
    /// Returns the number of waiting requests.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Returns the number of clients with waiting requests.
    pub fn clients(&self) -> usize {
        self.turns.len()
    }

    /// Returns the number of waiting requests of a client.
    pub fn length_of(&self, client: ClientHash) -> usize {
        self.clients.get(&client).map_or(0, VecDeque::len)
    }

    /// Adds a request, and returns its number.
    pub fn push(&mut self, client: ClientHash, value: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.length += 1;
        let requests = self.clients.entry(client).or_default();
        if requests.is_empty() {
            self.turns.push_back(client);
        }
        requests.push_back(Waiting { number, value });
        number
    }

    /// Removes the request whose turn it is; `None` if there is none.
    pub fn pop(&mut self) -> Option<T> {
        let client = self.turns.pop_front()?;
        let requests = self.clients.get_mut(&client)?;
        let first = requests.pop_front()?;
        if requests.is_empty() {
            self.clients.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.length -= 1;
        Some(first.value)
    }

    /// Removes a request that waits no longer. Does nothing if the request has left the queue already.
    pub fn remove(&mut self, client: ClientHash, number: u64) {
        let Some(requests) = self.clients.get_mut(&client) else { return };
        // A request that has waited for too long is the oldest one, so it is found at once.
        let Some(at) = requests.iter().position(|waiting| waiting.number == number) else { return };
        requests.remove(at);
        let is_empty = requests.is_empty();
        self.removed(client, is_empty);
    }

    /// Removes the newest request of the client that has the most, if these are more than `than`. Returns whether one
    /// was removed.
    pub fn displace(&mut self, than: usize) -> bool {
        let longest = self.clients.iter_mut().max_by_key(|(_, requests)| requests.len());
        let Some((client, requests)) = longest.filter(|(_, requests)| requests.len() > than) else { return false };
        requests.pop_back();
        let (client, is_empty) = (*client, requests.is_empty());
        self.removed(client, is_empty);
        true
    }

    fn removed(&mut self, client: ClientHash, is_empty: bool) {
        self.length -= 1;
        if is_empty {
            self.clients.remove(&client);
            self.turns.retain(|turn| *turn != client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOT: ClientHash = ClientHash(1);
    const OTHER: ClientHash = ClientHash(2);

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

    #[test]
    fn clients_have_their_turns_one_after_the_other() {
        let mut queue = queue();
        assert_eq!((queue.length(), queue.clients(), queue.length_of(HOT)), (6, 2, 4));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["a1", "b1", "a2", "b2", "a3", "a4"]);
        assert_eq!((queue.length(), queue.clients(), queue.length_of(HOT)), (0, 0, 0));
    }

    #[test]
    fn a_request_that_leaves_gives_up_its_turn() {
        let mut queue = queue();
        queue.remove(OTHER, 4);
        queue.remove(OTHER, 5);
        queue.remove(OTHER, 5);
        queue.remove(HOT, 1);
        assert_eq!((queue.length(), queue.clients()), (3, 1));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["a1", "a3", "a4"]);
    }

    #[test]
    fn the_client_with_the_most_requests_makes_room_with_its_newest() {
        let mut queue = queue();
        assert!(queue.displace(1));
        assert!(queue.displace(2));
        assert!(!queue.displace(2), "no client has more");
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["a1", "b1", "a2", "b2"]);
    }
}
