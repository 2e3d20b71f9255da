//! What breaks around the gateway: an upstream that is down, slow, cut, talking nonsense or lying. Each fault fails the
//! request with its status and code, or costs nothing; the process lives, and the next request works.
#![cfg(test)]

#[path = "../harness/mod.rs"]
mod harness;

mod bytes;
mod connecting;
mod cut;
mod encoding;
mod look_ups;
mod overload;
mod paging;
mod peers;
mod recovery;
mod statuses;
mod timing;
