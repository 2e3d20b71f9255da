//! The state of a subscriber's connection, from its admission to its end.

use std::time::Duration;

use super::{
    message::LiveMessage,
    places::SubscriberPlace,
    rhythm::{chance, loosened},
};
use cursorgate_config::settings::LiveSettings;
use cursorgate_gateway::lifecycle::process::{Vitals, live_counts::LiveMessageKind};

/// The shortest time after which a client should reconnect.
const AGAIN: Duration = Duration::from_secs(1);
/// The largest random time that is added to [`AGAIN`]. Without it, all clients of a process that stops would reconnect
/// at once.
const AGAIN_SPREAD: Duration = Duration::from_secs(4);

/// The state of a subscriber's connection: its place, its time limits, and the numbers of messages that it got.
pub(super) struct LiveStay {
    _place: SubscriberPlace,
    pub(super) vitals: Vitals,
    pub(super) heartbeat: Duration,
    pub(super) lifetime: Duration,
    /// The time after which the client should reconnect when the stream has ended.
    pub(super) again: Duration,
    pages: usize,
    patches: usize,
    errors: usize,
}

impl LiveStay {
    /// Begins a connection. Its lifetime and the time to reconnect are slightly random, so connections that begin
    /// together don't end together.
    pub(super) fn begin(place: SubscriberPlace, settings: &LiveSettings, vitals: &Vitals) -> Self {
        Self {
            _place: place,
            vitals: vitals.clone(),
            heartbeat: settings.heartbeat,
            lifetime: loosened(settings.lifetime),
            again: AGAIN + AGAIN_SPREAD.mul_f64(chance()),
            pages: 0,
            patches: 0,
            errors: 0,
        }
    }

    /// Counts a message that is about to be sent, and returns the message.
    pub(super) fn count<'m>(&mut self, message: &'m LiveMessage) -> &'m LiveMessage {
        self.vitals.live_counts().count_message(message.kind);
        *match message.kind {
            LiveMessageKind::Page => &mut self.pages,
            LiveMessageKind::Patch => &mut self.patches,
            LiveMessageKind::Error => &mut self.errors,
        } += 1;
        message
    }

    /// Returns the numbers of messages and the reason for the end, for the log. Example:
    /// `1 pages, 12 patches, 0 errors, ended by client`.
    pub(super) fn summary(&self, end: &str) -> String {
        let Self { pages, patches, errors, .. } = self;
        format!("{pages} pages, {patches} patches, {errors} errors, ended by {end}")
    }
}
