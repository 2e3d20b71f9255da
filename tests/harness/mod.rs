//! What the tests that run the real binary share: the binary behind a guard, a client that sees exact bytes, and an
//! upstream whose answers a test scripts.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod list;
pub(crate) mod rows;
pub(crate) mod schema;
pub(crate) mod upstream;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up on it. It bounds a hanging test and asserts nothing about speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The time, for deadlines of tests.
#[expect(clippy::disallowed_methods, reason = "a test's patience is measured on the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A sample at `/metrics`, by its name with its labels; 0 where there is none.
pub(crate) fn metric(gateway: &gateway::Gateway, sample: &str) -> u64 {
    let text = http::get(gateway.admin, "/metrics");
    let value = text.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or(0)
}

/// What `probe` finds, as soon as it finds something; panics with `what` when patience ends.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// A directory of its own for one test, below the target directory; removed unless the test fails.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the target directory can be written");
        Self(path)
    }

    /// A file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The directory itself.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !thread::panicking() {
            // What is left behind is below target/, and goes with it.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Numbers that look random and are the same in each run (xorshift64*).
pub(crate) struct Numbers(u64);

impl Numbers {
    /// From a seed other than 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// One below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a count");
        usize::try_from(self.draw() % bound).expect("below a usize")
    }
}
