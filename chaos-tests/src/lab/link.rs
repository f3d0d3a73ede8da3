//! A link between two nodes that works without root: a TCP relay on loopback that can be cut and healed.
//!
//! While cut it drops what it carries and accepts nothing, as a broken line does: whoever dials gets no answer worth
//! having, and whoever was connected finds the line dead. A slow one carries each way no more than its rate, with the
//! buffers of its sockets kept small, so that what it took in is not far ahead of what it let out.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::net::TcpSocket;

use super::Pace;

/// Bytes read at a time from a line without a limit.
const READ_BYTES: usize = 64 * 1024;
/// Smallest socket buffer that is asked for, in bytes: below it the system stalls loopback connections.
const SOCKET_BUFFER_BYTES_MIN: usize = 4 * 1024;

/// A relay in front of one node's TCP port.
pub struct Link {
    /// Where the other side dials.
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    target: SocketAddr,
    pace: Option<Pace>,
    /// Dials through sockets whose buffers are set before they connect, which the standard library cannot.
    runtime: tokio::runtime::Runtime,
    cut: AtomicBool,
    closing: AtomicBool,
    carried: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Link {
    /// Opens a relay to `target` on a free loopback port, as fast as the machine or as slow as `pace`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn to(target: SocketAddr, pace: Option<Pace>) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let listener = listen(&runtime, pace).context("no loopback port for a link")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            target,
            pace,
            runtime,
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

    /// Bytes carried so far, both ways, those that are being written included.
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
            let Ok(far) = self.dial() else { continue };
            self.carry(near, far);
        }
    }

    fn dial(&self) -> std::io::Result<TcpStream> {
        let connected = self.runtime.block_on(async { socket(self.pace)?.connect(self.target).await })?;
        blocking(connected.into_std()?)
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
        let mut buffer = vec![0u8; self.pace.map_or(READ_BYTES, Pace::step_bytes)];
        let mut free_at = Instant::now();
        loop {
            let bytes = match from.read(&mut buffer) {
                // The other direction may still have something to say.
                Ok(0) => return drop(to.shutdown(Shutdown::Write)),
                Ok(bytes) => bytes,
                Err(_) => break,
            };
            if let Some(pace) = self.pace {
                free_at = free_at.max(Instant::now()) + pace.time_for(bytes);
                std::thread::sleep(free_at.saturating_duration_since(Instant::now()));
            }
            if self.cut.load(Ordering::SeqCst) {
                break;
            }
            // Counted first: whoever has the bytes may ask at once.
            self.carried.fetch_add(bytes as u64, Ordering::Relaxed);
            if to.write_all(&buffer[..bytes]).is_err() {
                break;
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

/// A socket that holds no more than a slow line would queue.
fn socket(pace: Option<Pace>) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    if let Some(pace) = pace {
        let bytes = u32::try_from(pace.queue_bytes().max(SOCKET_BUFFER_BYTES_MIN)).unwrap_or(u32::MAX);
        socket.set_recv_buffer_size(bytes)?;
        socket.set_send_buffer_size(bytes)?;
    }
    Ok(socket)
}

fn listen(runtime: &tokio::runtime::Runtime, pace: Option<Pace>) -> std::io::Result<TcpListener> {
    let _inside = runtime.enter();
    let socket = socket(pace)?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let listener = socket.listen(128)?.into_std()?;
    listener.set_nonblocking(false)?;
    Ok(listener)
}

fn blocking(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
