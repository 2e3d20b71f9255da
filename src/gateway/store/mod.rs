//! The store that processes share, a server of Redis or Valkey (`caches.shared`). Values are looked up in the memory of
//! the process first, and in the store if they are missing there.
//!
//! A question is a command whose reply a request waits for. It has a time limit (`caches.shared.timeout`), and every
//! failure is a miss, so that the store can delay a request by that time at most. Writes go into a bounded queue, and
//! no request waits for them. A server that fails three times in a row is not asked again until a trial has succeeded,
//! which no request waits for (`node`).
//!
//! - `handle`: the operations of requests: values by name, sealed and with the time until which they hold; pages and
//!   purges (`handle::pages`); limits of clients, which the server counts (`handle::rate`).
//! - `board`: counts that each process publishes for all others.
//! - `link`: the queues between requests and the `worker`, the thread that talks to the servers.
//! - `connect` opens connections; `node` keeps a server connected; `topology` finds the servers of a cluster, and the
//!   master that sentinels name; `counts` has the metrics.

pub(crate) mod board;
pub(crate) mod connect;
pub(crate) mod counts;
pub(crate) mod handle;
pub(crate) mod link;
pub(crate) mod node;
pub(crate) mod topology;
pub(crate) mod worker;
