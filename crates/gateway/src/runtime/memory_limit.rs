//! The memory limit of the process, as Linux states it in its files.

use std::{fs, path::Path};

/// The memory that is planned with if the system states neither a limit nor its memory, in bytes.
const UNKNOWN: usize = 1 << 30;

/// Returns the memory that the process plans to use, in bytes: seven eighths of the smallest limit of its control groups
/// and its address space, because the allocator keeps some memory that is free. Without such a limit, half of the
/// machine's memory, which other programs need too.
pub fn usable() -> usize {
    planned(|path| fs::read_to_string(path).unwrap_or_default())
}

/// Returns the memory that the system permits the process, in bytes: the smallest limit of its control groups and its
/// address space, and the machine's memory; `None` if the system states none of them.
pub fn permitted() -> Option<usize> {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let least = limit(&read).into_iter().chain(total(&read(Path::new("/proc/meminfo")))).min();
    least.and_then(|bytes| usize::try_from(bytes).ok())
}

/// Returns the smallest limit of the process's control groups and its address space, in bytes; `None` without a limit.
fn limit(read: &impl Fn(&Path) -> String) -> Option<u64> {
    let own = |path: &str| read(Path::new(path));
    let groups = groups(&own("/proc/self/cgroup"));
    let limits = groups.iter().filter_map(|path| number(&read(path)));
    limits.chain(address_space(&own("/proc/self/limits"))).min()
}

/// Returns what [`usable`] does. `read` returns the text of a file, and an empty string for a missing file.
fn planned(read: impl Fn(&Path) -> String) -> usize {
    let least = limit(&read).map(|bytes| bytes / 8 * 7);
    let half = total(&read(Path::new("/proc/meminfo"))).map(|bytes| bytes / 2);
    least.into_iter().chain(half).min().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(UNKNOWN)
}

/// Returns the paths of the files with the memory limits of the process's control group and of all its parent groups,
/// in both versions of control groups. `listed` is the text of `/proc/self/cgroup`.
///
/// In a container, that text may name the path of the group on the host, where the container has no files. The root of
/// the hierarchy is then the container's own group.
fn groups(listed: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for line in listed.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        // Version 2 has a single hierarchy, whose line names no controllers. Version 1 has a hierarchy for each
        // controller (cgroups(7)).
        let (root, name) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        // The limits of all parent groups apply too, so the files of all these groups are returned. Test:
        // `memory_limits_of_all_parent_cgroups_are_read`.
        found.extend(path.ancestors().map(|path| Path::new(root).join(path).join(name)));
    }
    found
}

/// Parses a number; returns `None` for `max`, which means no limit, and for the empty text of a missing file.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Returns the soft limit of address space in bytes, from the text of `/proc/self/limits`; `None` if it is unlimited.
fn address_space(limits: &str) -> Option<u64> {
    number(limits.lines().find_map(|line| line.strip_prefix("Max address space"))?.split_whitespace().next()?)
}

/// Returns the machine's memory in bytes, from the text of `/proc/meminfo`; `None` if the text doesn't state it.
fn total(memory: &str) -> Option<u64> {
    let line = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    number(line.trim().strip_suffix("kB")?)?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_limits_of_all_parent_cgroups_are_read() {
        let shown = |listed: &str| groups(listed).iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            shown("0::/system.slice/gateway.service\n"),
            [
                "/sys/fs/cgroup/system.slice/gateway.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(shown("0::/\n"), ["/sys/fs/cgroup/memory.max"]);
        assert_eq!(
            shown("5:devices:/\n4:cpu,memory:/docker/1\n1:name=systemd:/\n"),
            [
                "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert!(shown("").is_empty() && shown("nonsense\n1:2\n").is_empty());
    }

    /// Row: F54
    #[test]
    fn the_process_plans_for_the_least_limit() {
        const MIB: usize = 1 << 20;
        let limits = "Max address space         1073741824  unlimited  bytes\n";
        let cases: [(&[(&str, &str)], usize); 5] = [
            (&[("/sys/fs/cgroup/a/b/memory.max", "268435456\n")], 224 * MIB),
            (&[("/sys/fs/cgroup/a/memory.max", "134217728\n"), ("/sys/fs/cgroup/a/b/memory.max", "max\n")], 112 * MIB),
            (&[("/sys/fs/cgroup/memory.max", "max\n")], 2048 * MIB),
            (&[("/proc/self/limits", limits), ("/sys/fs/cgroup/memory.max", "4294967296\n")], 896 * MIB),
            (&[("/proc/meminfo", "")], UNKNOWN),
        ];
        for (files, planned_size) in cases {
            let whole = [("/proc/self/cgroup", "0::/a/b\n"), ("/proc/meminfo", "MemTotal: 4194304 kB\n")];
            let read = |path: &Path| {
                let mut known = files.iter().chain(&whole);
                known.find(|(name, _)| Path::new(name) == path).map_or_else(String::new, |(_, text)| (*text).to_owned())
            };
            assert_eq!(planned(read), planned_size, "{files:?}");
        }
    }
}
