//! The command line: arguments, and one file for each command.
//!
//! The result of a command goes to standard output, all other text to standard error. Exit codes: 0 for success, 1 for
//! failure, 2 for invalid arguments or an invalid configuration.

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

/// The exit code of a failure.
const FAILED: u8 = 1;

/// The exit code for invalid arguments or an invalid configuration.
const MISTAKEN: u8 = 2;

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run { config, addresses } => run::run(&config, addresses.environment()),
        Command::Check { config, addresses } => check::run(&config, addresses.environment()),
        Command::Openapi { config, host } => openapi::run(&config, host.as_deref()),
        Command::Keygen => keygen::run(),
        Command::Cursor(CursorCommand::Inspect { config, token }) => cursor::inspect(config.as_deref(), &token),
        Command::Dialects { name } => dialects::run(name.as_deref()),
        Command::Reference { key } => reference::run(key.as_deref()),
        Command::Schema => report::output(&json_schema()),
        Command::Demo { listen } => demo::run(listen),
        Command::Health { config, address, addresses } => health::run(&config, address, addresses.environment()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// The reason why a command failed.
#[derive(Debug)]
struct Failure {
    code: u8,
    /// Empty if the reason was reported before.
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
