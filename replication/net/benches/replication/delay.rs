//! A longer line: forwards a connection, and gives on what it got after a fixed time. In both directions, in order.
//!
//! It stands beside the node that calls. Over QUIC every datagram is delayed. Over TCP what is delayed are the bytes
//! after the connection is there: the TCP handshake and the slow start of a long line are not in what it shows.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

/// Where to call instead of `target`.
pub fn tcp(target: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let local = listener.local_addr().unwrap();
    spawn(move || {
        while let Ok((near, _)) = listener.accept() {
            let Ok(far) = TcpStream::connect(target) else { continue };
            for stream in [&near, &far] {
                stream.set_nodelay(true).unwrap();
            }
            forward(near.try_clone().unwrap(), far.try_clone().unwrap(), delay);
            forward(far, near, delay);
        }
    });
    local
}

/// One direction of a connection.
fn forward(mut from: TcpStream, mut to: TcpStream, delay: Duration) {
    let (late, due) = channel();
    spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            postpone(&late, &buffer[..len], delay);
        }
    });
    spawn(move || {
        while let Some(bytes) = next_due(&due) {
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        // Whether the other end has closed before us does not matter.
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Where to call instead of `target`; one caller.
pub fn udp(target: SocketAddr, delay: Duration) -> SocketAddr {
    let near = UdpSocket::bind("127.0.0.1:0").unwrap();
    let far = UdpSocket::bind("0.0.0.0:0").unwrap();
    far.connect(target).unwrap();
    let local = near.local_addr().unwrap();
    let (there, due_there) = channel();
    let (back, due_back) = channel();
    let (from_near, to_far) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        // Whoever calls first is the one that answers go to.
        let (len, caller) = from_near.peek_from(&mut buffer).unwrap();
        assert!(len <= buffer.len());
        spawn(move || {
            while let Some(bytes) = next_due(&due_back) {
                let _ = near.send_to(&bytes, caller);
            }
        });
        while let Ok((len, _)) = from_near.recv_from(&mut buffer) {
            postpone(&there, &buffer[..len], delay);
        }
    });
    spawn(move || {
        while let Some(bytes) = next_due(&due_there) {
            let _ = to_far.send(&bytes);
        }
    });
    spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len) = far.recv(&mut buffer) {
            postpone(&back, &buffer[..len], delay);
        }
    });
    local
}

type Late = (Instant, Vec<u8>);

fn postpone(late: &Sender<Late>, bytes: &[u8], delay: Duration) {
    // Whoever gave on may have ended with its connection.
    let _ = late.send((Instant::now() + delay, bytes.to_vec()));
}

fn next_due(due: &Receiver<Late>) -> Option<Vec<u8>> {
    let (at, bytes) = due.recv().ok()?;
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
    Some(bytes)
}
