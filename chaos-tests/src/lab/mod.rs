//! The laboratory: real `linli` processes with their own stores and keys, and links between them that can be cut.

pub mod link;
pub mod namespace;
pub mod process;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A TCP port that nothing listened on a moment ago.
///
/// # Errors
/// When the system has none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?.local_addr()?.port())
}
