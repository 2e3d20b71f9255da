//! The shared store: a Redis or Valkey server in which several processes keep values together (`caches.shared`). A
//! value is looked up in the memory of the process first, and then in the store.
//!
//! A question is a command whose reply a request waits for. A question has a time limit (`caches.shared.timeout`), and
//! every failure is a miss, so the store can delay a request only by that time. Writes wait in a bounded queue, and no
//! request waits for them. A server that fails three times in a row isn't asked again until a trial has succeeded
//! (`node`). No request waits for a trial.
//!
//! - `handle`: the operations of requests: sealed values with names and times of expiry; pages and purges
//!   (`handle::pages`); limits of clients, for which the server counts requests (`handle::rate`).
//! - `board`: counts that each process publishes for all other processes.
//! - `link`: the queues between requests and the `worker`, the thread that talks to the servers.
//! - `connect` opens connections; `node` keeps a server connected; `topology` finds the servers of a cluster, and the
//!   master that sentinels name; `counts` has the metrics.

pub mod board;
pub mod connect;
pub mod counts;
pub mod handle;
pub mod link;
pub mod node;
pub mod topology;
pub mod worker;
