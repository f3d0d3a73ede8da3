//! Whether another program has a port already, before this node listens there.
//!
//! libp2p lets several processes share a TCP port, and the system then deals out the calls among them at random: two nodes
//! that were given one port would each hear half of the world. So each port is first taken without sharing, and given back.

use std::io::{Error, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

use crate::address::ip;
use crate::config::SpawnError;

/// How long a port may still be with a process that is just ending.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked at meanwhile.
const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Checks all addresses that are to be listened on.
///
/// # Errors
/// [`SpawnError::InUse`] with the first one that another program has.
pub(crate) async fn check(addresses: &[Multiaddr]) -> Result<(), SpawnError> {
    let start = Instant::now();
    for address in addresses {
        while let Err(error) = try_port(address) {
            if start.elapsed() > PATIENCE {
                return Err(SpawnError::InUse { address: address.clone(), source: error });
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
    Ok(())
}

/// Only that it is taken is an error here; whatever else stands in the way is found when it is listened on.
fn try_port(address: &Multiaddr) -> Result<(), Error> {
    let Some(ip) = ip(address) else { return Ok(()) };
    let taken = address.iter().find_map(|part| match part {
        Protocol::Tcp(port) if port > 0 => Some(TcpListener::bind(SocketAddr::new(ip, port)).map(drop)),
        Protocol::Udp(port) if port > 0 => Some(UdpSocket::bind(SocketAddr::new(ip, port)).map(drop)),
        _ => None,
    });
    match taken {
        Some(Err(error)) if error.kind() == ErrorKind::AddrInUse => Err(error),
        _ => Ok(()),
    }
}
