//! The harness for tests of the real binary: the gateway as a process, a client that shows exact bytes, and scripted
//! upstreams.
#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod dns;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod http2;
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

/// The time after which a test gives up waiting. It ends tests that hang, and isn't an assertion on speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns `all`, or a tenth of it unless `make at-length` runs the test: the load of tests whose bounds a part of it
/// reaches already.
pub(crate) fn scaled(all: u64) -> u64 {
    if is_at_length() { all } else { all / 10 }
}

/// Returns whether `make at-length` runs the test.
pub(crate) fn is_at_length() -> bool {
    std::env::var_os("CURSORGATE_AT_LENGTH").is_some()
}

/// Returns the time, for deadlines of tests.
#[expect(clippy::disallowed_methods, reason = "a test's patience is measured on the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the value of a sample at `/metrics`, by its name with its labels; 0 if there is no such sample.
pub(crate) fn metric(gateway: &gateway::Gateway, sample: &str) -> u64 {
    let metrics = gateway.metrics();
    let value = metrics.text().lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok());
    value.unwrap_or(0)
}

/// Calls `probe` until it returns a result, and returns the result. Panics with `what` after [`PATIENCE`].
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

/// A directory of a test below the target directory. It is removed at the end, unless the test fails.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Creates an empty directory.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the target directory can be written");
        Self(path)
    }

    /// Returns the path of a file in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the path of the directory.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !thread::panicking() {
            // Remaining files are below target/ and are removed with it.
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Pseudo-random numbers that are the same in each run (xorshift64*).
pub(crate) struct Numbers(u64);

impl Numbers {
    /// Starts with a seed other than 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a count");
        usize::try_from(self.draw() % bound).expect("below a usize")
    }
}
