//! A link between two nodes that works without root: a TCP relay on loopback that can be cut and healed.
//!
//! While cut it drops what it carries and accepts nothing, as a broken line does: whoever dials gets no answer worth
//! having, and whoever was connected finds the line dead.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;

/// A relay in front of one node's TCP port.
pub struct Link {
    /// Where the other side dials.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: SocketAddr,
    cut: AtomicBool,
    closing: AtomicBool,
    carried: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// Opens a relay to `target` on a free loopback port.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn to(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no loopback port for a link")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            target,
            cut: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            carried: AtomicU64::new(0),
            open: Mutex::default(),
        });
        let serving = state.clone();
        std::thread::spawn(move || serving.serve(&listener));
        Ok(Self { address, state })
    }

    /// The multiaddr that the other side dials.
    pub fn multiaddr(&self) -> String {
        format!("/ip4/{}/tcp/{}", self.address.ip(), self.address.port())
    }

    /// Cuts the link: open connections break, new ones get nowhere.
    pub fn cut(&self) {
        self.state.cut.store(true, Ordering::SeqCst);
        self.state.drop_connections();
    }

    /// Mends the link.
    pub fn heal(&self) {
        self.state.cut.store(false, Ordering::SeqCst);
    }

    /// Bytes carried so far, both ways.
    pub fn carried_bytes(&self) -> u64 {
        self.state.carried.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.state.closing.store(true, Ordering::SeqCst);
        self.state.drop_connections();
        // Wakes the accepting thread so that it sees that it should end.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(100));
    }
}

impl State {
    fn serve(self: Arc<Self>, listener: &TcpListener) {
        for near in listener.incoming() {
            if self.closing.load(Ordering::SeqCst) {
                return;
            }
            let Ok(near) = near else { continue };
            if self.cut.load(Ordering::SeqCst) {
                let _ = near.shutdown(Shutdown::Both);
                continue;
            }
            let Ok(far) = TcpStream::connect(self.target) else { continue };
            self.carry(near, far);
        }
    }

    fn carry(self: &Arc<Self>, near: TcpStream, far: TcpStream) {
        let (Ok(near2), Ok(far2), Ok(near3), Ok(far3)) =
            (near.try_clone(), far.try_clone(), near.try_clone(), far.try_clone())
        else {
            return;
        };
        self.open.lock().unwrap_or_else(PoisonError::into_inner).extend([near3, far3]);
        for (from, to) in [(near, far), (far2, near2)] {
            let state = self.clone();
            std::thread::spawn(move || state.pump(from, to));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            match from.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(n) if self.cut.load(Ordering::SeqCst) || to.write_all(&buffer[..n]).is_err() => break,
                Ok(n) => drop(self.carried.fetch_add(n as u64, Ordering::Relaxed)),
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }

    fn drop_connections(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
