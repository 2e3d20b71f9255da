//! Figures of the process, as the system tells them.

use rustix::{
    param::page_size,
    process::{Resource, getrlimit},
    time::{ClockId, clock_gettime},
};

/// Figures of the process. Those that the system does not tell are absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// The time that processors worked for the process.
    pub cpu_seconds: f64,
    /// Memory in RAM, in bytes.
    pub resident: Option<u64>,
    /// Address space, in bytes.
    pub virtual_size: Option<u64>,
    pub open_descriptors: Option<u64>,
    /// The limit of descriptors.
    pub most_descriptors: Option<u64>,
}

/// Reads the figures.
pub(crate) fn read() -> Figures {
    let cpu = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "seconds and nanoseconds of a process fit a double")]
    let cpu_seconds = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
    // Total size and resident size, in pages (proc_pid_statm(5)).
    let sizes = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let page = u64::try_from(page_size()).unwrap_or(0);
    let mut sizes = sizes.split(' ').map(|pages| pages.trim().parse::<u64>().ok()?.checked_mul(page));
    let virtual_size = sizes.next().flatten();
    let resident = sizes.next().flatten();
    // One descriptor is that of the folder that is being read.
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
    fn linux_tells_all_of_them() {
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
