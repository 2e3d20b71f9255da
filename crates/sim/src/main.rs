//! The simulator: the real core against model upstreams whose lists change between and during pages.
//!
//! `cargo sim --help` describes its commands. A scenario, which is plain data, decides a walk. A seed generates a
//! scenario, and a text form stores one. For a failing walk, the simulator prints the command that replays it and its
//! story after shrinking, and writes the shrunk scenario to a file.
//!
//! Each family of lists has a folder: `keyed` (an order is declared), `anchored` (no order is declared), `token` (the
//! upstream pages by tokens), `misdeclared` (the true order differs from the declared one), `cached` (a cache keeps
//! pages), `ends` (rows are left out, and answers say right and wrong things about the end). In most of them `world` is the list and its changes, and `upstream` answers from it and lets time pass;
//! `kinds` counts the walks that meet each kind of world (`world_kinds`). A `case` is a scenario of any family. `run`
//! walks on all processors and makes a `report`; `shrink` makes scenarios small; `text` writes and reads scenarios; a
//! `regression` is a scenario in a file of `../regressions`; `broken` switches off rules of the core, to check that the
//! simulator notices.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the model's numbers are small"
)]
#![allow(
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a program for the terminal, in which a model that contradicts itself ends the run"
)]

mod anchored;
mod broken;
mod cached;
mod case;
mod cli;
mod dice;
mod ends;
mod founded;
mod keyed;
mod misdeclared;
mod regression;
mod report;
mod run;
mod shrink;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod world_kinds;

/// The allocator, chosen for walks, whose allocations are many, small and short-lived.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
