//! The store that processes share: Redis or Valkey, after the memory of the process and never in its place.
//!
//! A question has a time-box (`caches.shared.timeout`), and every failure is a miss: the store can cost that time and
//! nothing else. Writes go into a bounded queue, and nobody waits for them. A server that fails three times in a row is not
//! asked again before it has answered a trial, which no request waits for (`node`).
//!
//! `handle` is what requests use: values by name, sealed and with their age, and limits of clients, which the server counts
//! (`handle::rate`); `board` is what each process publishes for all to read. `link` has the queues between requests and the
//! thread that talks to the servers (`worker`); `connect` opens connections, `topology` finds the servers of a cluster and
//! the master that sentinels know, `counts` has the metrics.

pub(crate) mod board;
pub(crate) mod connect;
pub(crate) mod counts;
pub(crate) mod handle;
pub(crate) mod link;
pub(crate) mod node;
pub(crate) mod topology;
pub(crate) mod worker;
