//! The log: lines on standard error, as JSON or for people.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use tracing::{Level, Metadata, level_filters::LevelFilter};
use tracing_subscriber::{
    filter::Targets,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::Failure;
use crate::{
    config::settings::{LogFormat, LogLevel, LogSettings},
    gateway::runtime::log_queue::{LogCounts, LogQueue, Urgency},
};

/// The time that the end of the process waits for lines to be written, since their reader may have stopped.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The log of this process. Dropping it writes the queued lines, as far as that takes at most [`LAST_WORDS`].
pub(super) struct Log(LogQueue);

impl Log {
    /// Logs a failure as the last line, in place of its message on standard error, which would wait for a slow reader of the
    /// log.
    pub(super) fn ends(self, result: Result<(), Failure>) -> Result<(), Failure> {
        result.map_err(|mut failure| {
            tracing::error!("{}", std::mem::take(&mut failure.message));
            failure
        })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.0.flush(LAST_WORDS);
    }
}

/// Begins to log: lines of this process from `level` on, and warnings and errors of its libraries. Lines of Pingora about
/// single requests and connections are left out, since the access log has them.
pub(super) fn begin(settings: LogSettings, counts: Arc<LogCounts>) -> Result<Log, Failure> {
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
    // The file has a descriptor of its own: `io::stderr` has a lock, which the writer would hold while it waits for a reader.
    let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue = LogQueue::begin(file, counts, |lines| {
        tracing::warn!(lines, "log lines were dropped: they came faster than they were read");
    })?;
    let registry = tracing_subscriber::registry().with(targets);
    // Errors of the layer itself would go to standard error directly, past the queue.
    let layer = fmt::layer().with_writer(Lines(queue.clone())).log_internal_errors(false);
    let begun = match settings.format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(layer.with_ansi(io::stderr().is_terminal())).try_init(),
    };
    begun.map_err(|error| Failure::failed(format!("the log can't be written: {error}")))?;
    // A panic is logged like any other error.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(target: "cursorgate::panic", place, message = panic.payload_as_str().unwrap_or("no message"));
    }));
    Ok(Log(queue))
}

/// The writer of the log, one line at a time.
struct Lines(LogQueue);

/// A line, which is written by one call.
struct Line<'a> {
    queue: &'a LogQueue,
    urgency: Urgency,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: &self.0, urgency: Urgency::Usual }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Line<'a> {
        let urgency = if *event.level() <= Level::WARN { Urgency::Urgent } else { Urgency::Usual };
        Line { queue: &self.0, urgency }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(line, self.urgency);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
