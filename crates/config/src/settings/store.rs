//! The settings of the store that several processes share: `[caches.shared]`.
#![expect(missing_docs, reason = "a setting is documented by its key")]

use super::StoreSettings;
use crate::{key::words, secret::Secret};

/// A user of a server. Without a password, connections are not authenticated.
#[derive(Debug, Clone, Default)]
pub struct StoreUser {
    pub username: Option<String>,
    pub password: Option<Secret>,
}

words! {
    /// The kind of servers of a store.
    pub enum StoreKind {
        /// A single server of Redis or Valkey.
        Server = "server",
        /// A cluster of Redis or Valkey. The addresses are those of some of its nodes.
        Cluster = "cluster",
        /// A server that sentinels watch. The addresses are those of the sentinels.
        Sentinel = "sentinel",
    }
}

impl StoreSettings {
    /// Returns whether connections with other settings lead to the same store with the same rights. The paths of
    /// certificates are compared, but not their contents, because certificates are renewed.
    #[must_use]
    pub fn connects_like(&self, other: &Self) -> bool {
        let addresses = |settings: &Self| -> Vec<String> {
            settings.addresses.iter().map(|address| address.value.clone()).collect()
        };
        addresses(self) == addresses(other)
            && (self.kind, &self.master) == (other.kind, &other.master)
            && self.user.is(&other.user)
            && self.sentinel_user.is(&other.sentinel_user)
            && (self.timeout, self.connect_timeout, &self.prefix)
                == (other.timeout, other.connect_timeout, &other.prefix)
            && match (&self.tls, &other.tls) {
                (Some(here), Some(there)) => here.names_like(there),
                (None, None) => true,
                _ => false,
            }
    }
}

impl StoreUser {
    fn is(&self, other: &Self) -> bool {
        let password = |user: &Self| user.password.as_ref().map(|password| password.reveal().to_vec());
        self.username == other.username && password(self) == password(other)
    }
}
