//! The laboratory: real `linli` processes with their own stores and keys, and links between them that can be cut.

pub mod api;
pub mod disk;
pub mod held;
pub mod link;
pub mod namespace;
pub mod past;
pub mod process;
pub mod system;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

/// How slow a line is, each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Bytes that it carries in a second; more than 0.
    pub bytes_per_second: u64,
    /// How long a byte may wait in the queue before the line, when that is full.
    pub queue: Duration,
}

impl Pace {
    /// A packet radio of 64 kbit/s with a queue of half a second: three full packets.
    pub const RADIO: Self = Self { bytes_per_second: 8_000, queue: Duration::from_millis(500) };

    /// The time that so many bytes occupy the line.
    pub fn time_for(self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.bytes_per_second.max(1) as f64)
    }

    /// What waits in a full queue, in bytes.
    pub fn queue_bytes(self) -> usize {
        (self.bytes_per_second as f64 * self.queue.as_secs_f64()) as usize
    }

    /// What goes out at once, in bytes: a tenth of a second, at most a packet on a slow line.
    fn step_bytes(self) -> usize {
        usize::try_from(self.bytes_per_second / 10).unwrap_or(usize::MAX).clamp(512, 64 * 1024)
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C and SIGTERM end what waits here, and processes and namespaces are tidied away on the way out.
///
/// # Errors
/// When the system takes no signal handler.
pub fn end_tidily_on_interrupt() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut asked_to_end = {
        let _context = runtime.enter();
        signal(SignalKind::terminate())?
    };
    std::thread::spawn(move || {
        let asked = runtime.block_on(async {
            tokio::select! {
                pressed = tokio::signal::ctrl_c() => pressed.is_ok(),
                asked = asked_to_end.recv() => asked.is_some(),
            }
        });
        INTERRUPTED.store(asked, Ordering::SeqCst);
    });
    Ok(())
}

/// Whether Ctrl-C was pressed or SIGTERM came since [`end_tidily_on_interrupt`].
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// A TCP port of loopback that nothing listened on a moment ago, below those that the system hands to callers, so that
/// it is still free when a node that was killed starts again.
///
/// # Errors
/// When a hundred of them are taken.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = fastrand::u16(20_000..32_000);
        if TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok() {
            return Ok(port);
        }
    }
    anyhow::bail!("no free port between 20000 and 32000")
}
