//! The laboratory: real `linli` processes with their own stores and keys, and links between them that can be cut.

pub mod api;
pub mod link;
pub mod namespace;
pub mod process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C ends what waits here, and processes and namespaces are tidied away on the way out.
///
/// # Errors
/// When the system takes no signal handler.
pub fn end_tidily_on_interrupt() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        let asked = runtime.block_on(tokio::signal::ctrl_c());
        INTERRUPTED.store(asked.is_ok(), Ordering::SeqCst);
    });
    Ok(())
}

/// Whether Ctrl-C was pressed since [`end_tidily_on_interrupt`].
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
