//! The real binary, from outside: started as a process, asked over sockets, in front of real third-party servers where
//! a legacy API is meant, and in front of scripted ones where exact bytes are.
#![cfg(test)]

#[path = "../harness/mod.rs"]
mod harness;

mod command_line;
mod cursors;
mod exchange;
mod forwarding;
mod items;
mod keyset;
mod legacy;
mod levels;
mod lifecycle;
mod logs;
mod parameters;
mod postgres;
mod relay;
mod seek;
mod third_party;
mod tokens;
mod walks;
