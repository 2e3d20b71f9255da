//! The log: lines on standard error, as JSON or for people.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use super::Failure;
use crate::config::settings::{LogFormat, LogLevel, LogSettings};

/// Begins to log. What this process says of itself is written from `level` on; of its libraries only what is wrong. What
/// Pingora says of single requests and connections stands in the access log already.
pub(super) fn begin(settings: LogSettings) -> Result<(), Failure> {
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("pingora_proxy", LevelFilter::OFF)
        .with_target("pingora_core::connectors", LevelFilter::OFF)
        .with_target("cursorgate", level);
    let registry = tracing_subscriber::registry().with(targets);
    let begun = match settings.format {
        LogFormat::Json => registry.with(fmt::layer().json().flatten_event(true).with_writer(io::stderr)).try_init(),
        LogFormat::Text => {
            let color = io::stderr().is_terminal();
            registry.with(fmt::layer().with_ansi(color).with_writer(io::stderr)).try_init()
        }
    };
    begun.map_err(|error| Failure::failed(format!("the log can't be written: {error}")))?;
    // A panic is a line of the log like every other.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(target: "cursorgate::panic", place, message = panic.payload_as_str().unwrap_or("no message"));
    }));
    Ok(())
}
