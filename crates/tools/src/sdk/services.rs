//! The services for which a client has methods.

use super::{list::SdkList, spec::SpecValue};
use cursorgate_config::settings::ServiceSettings;

/// The services of an API. The names of their methods in a client are [`Self::methods`].
#[derive(Debug)]
pub(super) struct SdkServices {
    /// The path of bulk requests; `None` if this service is off.
    pub(super) bulk: Option<String>,
    /// `None` if there are no queues.
    pub(super) jobs: Option<SdkJobs>,
    exports: bool,
    /// The names of the routes with live pages.
    live: Vec<String>,
    /// The time without a message after which a live page is broken, in seconds.
    silence: u64,
}

/// The queues of an API.
#[derive(Debug)]
pub(super) struct SdkJobs {
    pub(super) path: String,
    pub(super) queues: Vec<String>,
}

impl SdkServices {
    pub(super) fn of(settings: &ServiceSettings) -> Self {
        let jobs = settings.jobs.as_ref().map(|jobs| SdkJobs {
            path: jobs.path.clone(),
            queues: jobs.queues.iter().map(|queue| queue.name.clone()).collect(),
        });
        let live = settings.live.as_ref();
        Self {
            bulk: settings.bulk.as_ref().map(|bulk| bulk.path.clone()),
            jobs: jobs.filter(|jobs| !jobs.queues.is_empty()),
            exports: settings.exports.is_some(),
            live: live.map(|live| live.routes.clone()).unwrap_or_default(),
            // A heartbeat can be late.
            silence: live.map_or(0, |live| live.heartbeat.as_secs().saturating_mul(2).saturating_add(10)),
        }
    }

    /// Returns the methods of the client that are those of services. No list gets one of these names.
    pub(super) fn methods(&self) -> impl Iterator<Item = &'static str> {
        let jobs = self.jobs.iter().flat_map(|_| ["job", "jobs"]);
        self.bulk.iter().map(|_| "bulk").chain(jobs)
    }

    /// Returns whether the client of these lists has a method for a service.
    pub(super) fn are_used(&self, lists: &[SdkList]) -> bool {
        self.methods().next().is_some() || lists.iter().any(|list| self.of_list(list).is_some())
    }

    /// Returns the services of a list; `None` if it has none. Services read lists by GET.
    pub(super) fn of_list(&self, list: &SdkList) -> Option<SpecValue> {
        let is_live = self.live.contains(&list.name);
        let silence = if is_live { SpecValue::Number(self.silence) } else { SpecValue::Nothing };
        let services = SpecValue::Record(vec![("exports", SpecValue::Flag(self.exports)), ("silence", silence)]);
        (!list.post && (self.exports || is_live)).then_some(services)
    }
}
