//! Notifications for the service manager, by `sd_notify(3)`. Without `NOTIFY_SOCKET` in the environment, the functions
//! do nothing. Test: `a_service_manager_keeps_the_sockets_and_is_notified`.

use std::sync::LazyLock;

use sd_notify::NotifyState;

/// Reports that the process is ready to serve, after its start or after a reload.
pub fn ready() {
    send(&[NotifyState::Ready]);
}

/// Reports that a reload begins. A call of [`ready`] reports the end of the reload.
pub fn reloading() {
    // systemd distinguishes the notifications of two reloads by their times, so the time is sent too.
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, now]);
    }
}

/// Reports that the process stops.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Reports that the process serves clients, if the service manager has a watchdog (`WatchdogSec`). It restarts a
/// process that doesn't report this in time.
pub fn alive() {
    // `WATCHDOG_PID` is the process that the service manager started. It isn't compared, because a successor must
    // report too.
    static HAS_WATCHDOG: LazyLock<bool> = LazyLock::new(|| std::env::var_os("WATCHDOG_USEC").is_some());
    if *HAS_WATCHDOG {
        send(&[NotifyState::Watchdog]);
    }
}

/// Reports that the process with this id is the main process of the service from now on.
pub fn succeeded_by(process: u32) {
    send(&[NotifyState::MainPid(process)]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager can't be notified");
    }
}
