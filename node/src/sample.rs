//! What the system says of itself: `/proc` and file systems → [`Readings`].

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use althing_protocol::metrics::{Ratio, Readings};

/// Takes readings; remembers the counters of the last one.
pub(crate) struct Sampler {
    /// File systems to look at.
    paths: Vec<PathBuf>,
    busy: u64,
    total: u64,
    /// Asked once: finding them out takes reading much more than all the rest.
    processors: u64,
}

impl Sampler {
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        let (busy, total) = processor_time().unwrap_or_default();
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        Self { paths, busy, total, processors }
    }

    /// What cannot be read stays zero, which is below every threshold.
    pub(crate) fn sample(&mut self) -> Readings {
        let (busy, total) = processor_time().unwrap_or((self.busy, self.total));
        let cpu = Ratio::of(busy.saturating_sub(self.busy), total.saturating_sub(self.total));
        (self.busy, self.total) = (busy, total);
        let (memory_total, memory_used) = memory().unwrap_or_default();
        let disks = self.paths.iter().filter_map(disk);
        let (disk_used, disk_total) =
            disks.max_by_key(|(used, total)| Ratio::of(*used, *total)).unwrap_or_default();
        let capacity = self.processors * 1000;
        Readings { cpu, memory_used, memory_total, disk_used, disk_total, capacity }
    }
}

/// The first lines of a file of the kernel: what is wanted of it is there.
fn beginning(path: &str) -> Option<String> {
    let mut bytes = [0; 512];
    let count = File::open(path).ok()?.read(&mut bytes).ok()?;
    String::from_utf8(bytes[..count].to_vec()).ok()
}

/// Ticks that were used, and all ticks, since the system started.
fn processor_time() -> Option<(u64, u64)> {
    let text = beginning("/proc/stat")?;
    let ticks: Vec<u64> =
        text.lines().next()?.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is counted in user already.
    let total: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4)?;
    Some((total - idle, total))
}

/// Bytes of memory, and bytes that are not available any more.
fn memory() -> Option<(u64, u64)> {
    let text = beginning("/proc/meminfo")?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
    };
    let total = field("MemTotal:")?;
    Some((total, total.saturating_sub(field("MemAvailable:")?)))
}

/// Bytes used and bytes there are, as an unprivileged user sees them.
fn disk(path: &PathBuf) -> Option<(u64, u64)> {
    let of = rustix::fs::statvfs(path).ok()?;
    let used = (of.f_blocks - of.f_bfree) * of.f_frsize;
    Some((used, used + of.f_bavail * of.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_can_be_measured() {
        let mut sampler = Sampler::new(vec![PathBuf::from("/")]);
        let readings = sampler.sample();
        assert!(readings.memory_total > 0 && readings.memory_used < readings.memory_total);
        assert!(readings.disk_total > 0 && readings.capacity >= 1000);
        assert!(readings.cpu <= Ratio(10_000));
    }
}
