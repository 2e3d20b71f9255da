//! Figures of the process, read from the system: processor time, memory and descriptors.

use rustix::{
    param::page_size,
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// Figures of the process. Memory and open descriptors are `None` if the system doesn't report them.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The processor time that the process has used, in seconds.
    pub cpu_seconds: f64,
    /// The memory of the process that is in RAM, in bytes.
    pub resident: Option<u64>,
    /// The address space of the process, in bytes.
    pub virtual_size: Option<u64>,
    pub open_descriptors: Option<u64>,
    /// The soft limit of descriptors; `None` if there is no limit.
    pub most_descriptors: Option<u64>,
}

/// Reads the current figures of the process. Without a `/proc` file system, as on macOS, memory and open descriptors
/// are `None`.
pub fn read() -> Figures {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds of a process fit a double")]
    let cpu_seconds = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    // The file begins with the total size and the resident size, in pages (proc_pid_statm(5)).
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let page = u64::try_from(page_size()).unwrap_or(0);
    let mut sizes = sizes.split(' ').map(|pages| pages.trim().parse::<u64>().ok()?.checked_mul(page));
    let virtual_size = sizes.next().flatten();
    let resident = sizes.next().flatten();
    // One of the entries is the descriptor of the folder that is being read, so it is subtracted.
    let open = std::fs::read_dir("/proc/self/fd").map(|entries| entries.count().saturating_sub(1));
    Figures {
        cpu_seconds,
        resident,
        virtual_size,
        open_descriptors: open.ok().and_then(|open| u64::try_from(open).ok()),
        most_descriptors: getrlimit(Resource::Nofile).current,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn all_process_figures_are_available_on_linux() {
        let figures = read();
        assert!(figures.cpu_seconds > 0.0);
        let [Some(resident), Some(size), Some(open), Some(most)] =
            [figures.resident, figures.virtual_size, figures.open_descriptors, figures.most_descriptors]
        else {
            panic!("{figures:?}");
        };
        assert!(1 << 20 < resident && resident < size && 3 <= open && open <= most, "{figures:?}");
    }
}
