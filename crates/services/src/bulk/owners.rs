//! The clients of bulk requests, and how many of a bounded number of things each of them has.
//!
//! A client is counted by its credentials, and also by its address: credentials that no upstream has checked, such as a
//! cookie with any value, must not make a new client of the same sender.

use std::collections::HashMap;

/// A client, by its credentials and by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The name of the client, by its credentials.
    pub(super) client: [u8; 32],
    /// The name of its address; `None` if the address is unknown.
    pub(super) network: Option<[u8; 32]>,
}

/// The largest numbers of things, per client, per address and of all clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnerLimits {
    pub(super) client: usize,
    pub(super) network: usize,
    pub(super) all: usize,
}

/// The number of things that all clients have. A client without things has no entry.
#[derive(Debug, Default)]
pub(super) struct OwnerCounts {
    all: usize,
    of: HashMap<[u8; 32], usize>,
}

impl OwnerCounts {
    /// Counts one more thing of a client. Returns `false` and counts nothing if a limit is reached.
    pub(super) fn add(&mut self, owner: Owner, limits: OwnerLimits) -> bool {
        let has = |name: &[u8; 32]| self.of.get(name).copied().unwrap_or(0);
        let is_full = has(&owner.client) >= limits.client
            || owner.network.is_some_and(|network| has(&network) >= limits.network)
            || self.all >= limits.all;
        if is_full {
            return false;
        }
        self.all += 1;
        for name in [Some(owner.client), owner.network].into_iter().flatten() {
            *self.of.entry(name).or_default() += 1;
        }
        true
    }

    /// Counts one thing less of a client.
    pub(super) fn remove(&mut self, owner: Owner) {
        self.all = self.all.saturating_sub(1);
        for name in [Some(owner.client), owner.network].into_iter().flatten() {
            let Some(count) = self.of.get_mut(&name) else { continue };
            *count -= 1;
            if *count == 0 {
                self.of.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_with_many_names_is_bounded_by_its_address() {
        let limits = OwnerLimits { client: 2, network: 3, all: 5 };
        let owner = |client: u8, network: u8| Owner { client: [client; 32], network: Some([network; 32]) };
        let mut counts = OwnerCounts::default();
        assert!([1, 1].iter().all(|&client| counts.add(owner(client, 100), limits)));
        assert!(!counts.add(owner(1, 101), limits), "a client at another address is the same one");
        assert!(counts.add(owner(2, 100), limits));
        assert!(!counts.add(owner(3, 100), limits), "an invented client is at the same address");
        assert!([4, 5].iter().all(|&client| counts.add(owner(client, 102), limits)));
        assert!(!counts.add(Owner { client: [6; 32], network: None }, limits), "of all clients");
        for (client, network) in [(1, 100), (1, 100), (2, 100), (4, 102), (5, 102)] {
            counts.remove(owner(client, network));
        }
        assert!(counts.all == 0 && counts.of.is_empty());
    }
}
