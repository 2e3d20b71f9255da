//! Tests of faults around the gateway: upstreams that are down, slow, truncated, malformed or wrong. Each fault fails
//! the request with its status and code or has no effect; the process survives, and the next request works.
#![cfg(test)]

#[path = "../harness/mod.rs"]
mod harness;

mod budget;
mod bytes;
mod connecting;
mod crowd;
mod cut;
mod encoding;
mod look_ups;
mod overload;
mod paging;
mod peers;
mod recovery;
mod replicas;
mod statuses;
mod timing;
