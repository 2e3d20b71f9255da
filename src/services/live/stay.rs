//! The connection of a subscriber, from its admission to its end.

use std::time::Duration;

use super::{
    message::LiveMessage,
    places::SubscriberPlace,
    rhythm::{chance, loosened},
};
use crate::{
    config::settings::LiveSettings,
    gateway::lifecycle::process::{Vitals, live_counts::LiveMessageKind},
};

/// The least time after which a client should reconnect, and the largest random time that is added, so that the clients
/// of a process that stops do not all reconnect at once.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_SPREAD: Duration = Duration::from_secs(4);

/// The connection of a subscriber: its place, its times, and the numbers of messages that it got.
pub(super) struct LiveStay {
    _place: SubscriberPlace,
    pub(super) vitals: Vitals,
    pub(super) heartbeat: Duration,
    pub(super) lifetime: Duration,
    /// The time after which the client should reconnect.
    pub(super) again: Duration,
    pages: usize,
    patches: usize,
    errors: usize,
}

impl LiveStay {
    /// Begins a connection, with times that differ a little from those of others.
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

    /// Counts a message that is sent, and returns it.
    pub(super) fn count<'m>(&mut self, message: &'m LiveMessage) -> &'m LiveMessage {
        self.vitals.live_counts().count_message(message.kind);
        *match message.kind {
            LiveMessageKind::Page => &mut self.pages,
            LiveMessageKind::Patch => &mut self.patches,
            LiveMessageKind::Error => &mut self.errors,
        } += 1;
        message
    }

    /// Returns the numbers of messages and the word of the end as a text, for the log.
    pub(super) fn summary(&self, end: &str) -> String {
        let Self { pages, patches, errors, .. } = self;
        format!("{pages} pages, {patches} patches, {errors} errors, ended by {end}")
    }
}
