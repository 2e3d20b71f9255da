//! The command line: arguments, and one file for each command.
//!
//! What a command was asked for goes to standard output, everything else to standard error. Exit codes: 0, it is as
//! asked; 1, it is not; 2, the arguments or the configuration are wrong.

mod arguments;
mod check;
mod cursor;
mod demo;
mod dialects;
mod health;
mod keygen;
mod logging;
mod openapi;
mod reference;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser;

use crate::config::json_schema::json_schema;
use arguments::{Arguments, Command, CursorCommand};

/// It is not as asked.
const FAILED: u8 = 1;

/// The arguments or the configuration are wrong.
const MISTAKEN: u8 = 2;

/// Does what the arguments of this process say.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { config } => run::run(&config),
        Command::Check { config } => check::run(&config),
        Command::Openapi { config, host } => openapi::run(&config, host.as_deref()),
        Command::Keygen => keygen::run(),
        Command::Cursor(CursorCommand::Inspect { config, token }) => cursor::inspect(config.as_deref(), &token),
        Command::Dialects { name } => dialects::run(name.as_deref()),
        Command::Reference { key } => reference::run(key.as_deref()),
        Command::Schema => report::output(&json_schema()),
        Command::Demo { listen } => demo::run(listen),
        Command::Health { config, address } => health::run(&config, address),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
struct Failure {
    /// The exit code.
    code: u8,
    /// What is said about it; empty where everything was said.
    message: String,
}

impl Failure {
    fn failed(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: message.into() }
    }

    fn mistaken(message: impl Into<String>) -> Self {
        Self { code: MISTAKEN, message: message.into() }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}
