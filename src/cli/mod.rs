//! The command line: its arguments, and a file for each command.
//!
//! The result of a command is written to standard output, all other text to standard error. Exit codes: 0 for success,
//! 1 for failure, 2 for invalid arguments or an invalid configuration, 3 for a walk in which items are lost, repeated,
//! altered or out of order.

mod admin;
mod arguments;
mod check;
mod client_hash;
mod codes;
mod cursor;
mod demo;
mod explain;
mod init;
mod keygen;
mod learn;
mod logging;
mod manual;
mod openapi;
mod presets;
mod reference;
mod report;
mod run;
mod sdk;
mod target;
mod walk;

use std::process::ExitCode;

use clap::FromArgMatches as _;

use arguments::{Arguments, Command, CursorCommand};
use cursorgate_config::json_schema::json_schema;

/// The exit code of a failure.
const FAILED: u8 = 1;

/// The exit code for invalid arguments or an invalid configuration.
const MISTAKEN: u8 = 2;

/// The exit code of a walk in which items are lost, repeated, altered or out of order.
const LOSSY: u8 = 3;

/// Runs the command that the arguments of this process name.
#[must_use]
pub fn main() -> ExitCode {
    let done = match arguments().command {
        Command::Run { config, addresses } => run::run(&config.path(), addresses.environment()),
        Command::Check { config, options, addresses, exchanges, .. } if !exchanges.is_empty() => {
            check::exchanges(&exchanges, config.existing().as_deref(), addresses.environment(), options.format)
        }
        Command::Check { config, options, live, addresses, .. } => {
            check::run(&config.path(), addresses.environment(), options, &live)
        }
        Command::Openapi { config, host } => openapi::run(&config.path(), host.as_deref()),
        Command::Sdk(arguments) => sdk::run(arguments),
        Command::Keygen => keygen::run(),
        Command::ClientHash { config, hashes } => {
            let path = config.or_else(arguments::configured).unwrap_or_else(|| "cursorgate.toml".into());
            client_hash::run(&path, &hashes, std::io::stdin().lock())
        }
        Command::Cursor(CursorCommand::Inspect { config, token }) => cursor::inspect(config.as_deref(), &token),
        Command::Dialects { name } => presets::dialects(name.as_deref()),
        Command::Envelopes { name } => presets::envelopes(name.as_deref()),
        Command::ExplainCode { code } => codes::explain(code.as_deref()),
        Command::Init(arguments) => init::run(&arguments),
        Command::Learn(arguments) => learn::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Walk(arguments) => walk::run(&arguments),
        Command::Reference { key } => reference::run(key.as_deref()),
        Command::Schema => report::output(&json_schema()),
        Command::Completions { shell } => manual::completions(shell),
        Command::Man { command } => manual::page(command.as_deref()),
        Command::Demo { listen } => demo::run(listen),
        Command::Health { config, address, addresses } => {
            admin::health(&config.path(), address, addresses.environment())
        }
        Command::Status { config, addresses } => admin::status(&config.path(), addresses.environment()),
        Command::Reload { config, addresses } => admin::reload(&config.path(), addresses.environment()),
        Command::Version => manual::version(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report::failure(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// Reads the arguments of this process. Ends the process if they are invalid, or if they ask for help or the version.
fn arguments() -> Arguments {
    let matches = manual::command().get_matches();
    Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.format(&mut manual::command()).exit())
}

/// The failure of a command: its exit code and the reason.
#[derive(Debug)]
struct Failure {
    code: u8,
    /// The reason; empty if it has been reported.
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
