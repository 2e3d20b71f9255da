//! The real binary, from outside: started as a process, asked over sockets, in front of real third-party servers where
//! a legacy API is meant, and in front of scripted ones where exact bytes are.
#![cfg(test)]

#[path = "../harness/mod.rs"]
mod harness;

mod access_log;
mod admin;
mod batch;
mod clients;
mod collations;
mod command_line;
mod compression;
mod connections;
mod conventions;
mod cors;
mod cost;
mod cursors;
mod desync;
mod dialects;
mod envelopes;
mod exchange;
mod explain;
mod explanations;
mod findings;
mod forwarding;
mod handover;
mod http2;
mod http2_upstreams;
mod items;
mod keyset;
mod kinds;
mod learn;
mod legacy;
mod legacy_bodies;
mod levels;
mod lifecycle;
mod limits;
mod links;
mod listeners;
mod logs;
mod metrics;
mod migration;
mod observe;
mod openapi;
mod operators_page;
mod parameters;
mod policies;
mod postgres;
mod rate_limits;
mod refusals;
mod relay;
mod reload;
mod restarts;
mod search_engine;
mod secrets;
mod seek;
mod sorting;
mod teams;
mod third_party;
mod tls;
mod tokens;
mod traces;
mod trust;
mod tutorial;
mod walk;
mod walks;
