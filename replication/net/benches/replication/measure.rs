//! What a process measures of itself, from `/proc` and `/sys`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds since 1970. Two processes of one machine compare moments by it, which `Instant` does not allow.
pub fn unix_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as u64
}

/// Time that the threads of this process have spent on a core. Threads that have ended are not in it; those of the
/// store and of the runtime live as long as there is something to do.
pub fn cpu() -> Duration {
    let of_task = |task: std::fs::DirEntry| {
        // A thread may end between being listed and being read.
        let schedstat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        schedstat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(std::fs::read_dir("/proc/self/task").unwrap().flatten().map(of_task).sum())
}

/// The most memory that this process has had resident (`VmHWM`), in bytes.
pub fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    kib.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Bytes that an interface of this process' namespace has received and sent, headers from Ethernet up included.
/// Segments that the kernel hands over together have their headers counted once.
pub fn interface_bytes(interface: &str) -> [u64; 2] {
    ["rx_bytes", "tx_bytes"].map(|counter| {
        let path = format!("/sys/class/net/{interface}/statistics/{counter}");
        std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
    })
}

/// The machine and what else it was doing: cores, processor, load of the last minute.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    format!("{cores} cores ({}), load {}", model.trim_start_matches([' ', '\t', ':']), load())
}

/// The load of the last minute.
pub fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("unknown").to_owned()
}
