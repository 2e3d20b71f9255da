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
mod legacy;
mod lifecycle;
mod logs;
mod parameters;
mod third_party;
mod walks;
