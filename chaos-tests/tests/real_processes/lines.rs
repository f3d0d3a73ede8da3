//! The laboratory's own lines: a slow one carries no more than its rate, a hidden host calls and is not called.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use linli_chaos::lab::Pace;
use linli_chaos::lab::link::Link;
use linli_chaos::lab::namespace::Network;

/// Fast enough for a short test, slow enough that no buffer hides it.
const LINE: Pace = Pace { bytes_per_second: 100_000, queue: Duration::from_millis(200) };

/// Says `bytes` to whoever listens at `address` and waits until all of it was heard and answered by one byte.
fn send(mut stream: TcpStream, bytes: usize) -> Duration {
    let started = Instant::now();
    stream.write_all(&vec![7; bytes]).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 1);
    started.elapsed()
}

/// Listens to each caller to the end and answers with one byte.
fn listener() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut caller in listener.incoming().map_while(Result::ok) {
            std::io::copy(&mut caller, &mut std::io::sink()).unwrap();
            caller.write_all(&[1]).unwrap();
        }
    });
    address
}

#[test]
fn a_slow_relay_carries_what_its_rate_allows_and_no_more() {
    let link = Link::to(listener(), Some(LINE)).unwrap();
    let bytes = 150_000;
    let took = send(TcpStream::connect(link.address).unwrap(), bytes);
    assert!(took >= LINE.time_for(bytes), "{bytes} bytes in {took:?}");
    assert_eq!(link.carried_bytes(), bytes as u64 + 1);
}

/// Listens in a namespace, as `listener` does here.
struct Ear(Child);

impl Ear {
    fn in_namespace(name: &str, address: Ipv4Addr) -> Self {
        let program = format!(
            "import socket\ns = socket.create_server(('{address}', 7000))\nprint(flush=True)\n\
             while True:\n c, _ = s.accept()\n while c.recv(65536): pass\n c.send(b'1')\n c.close()"
        );
        let mut command = Command::new("ip");
        command.args(["netns", "exec", name, "python3", "-c", &program]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        assert_eq!(child.stdout.as_mut().unwrap().read(&mut [0]).unwrap(), 1);
        Self(child)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends `bytes` from one namespace to an address and says how long it took; `None` if nobody can be reached.
fn send_from(name: &str, to: Ipv4Addr, bytes: usize) -> Option<Duration> {
    let program = format!(
        "import socket, time\ns = socket.create_connection(('{to}', 7000), timeout=2)\ns.settimeout(30)\nt = time.monotonic()\n\
         s.sendall(b'7' * {bytes})\ns.shutdown(socket.SHUT_WR)\nassert s.recv(1)\nprint(time.monotonic() - t)"
    );
    let mut command = Command::new("ip");
    let output = command.args(["netns", "exec", name, "python3", "-c", &program]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.trim().parse().ok().map(Duration::from_secs_f64)
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_slow_host_and_a_hidden_one_are_what_they_are_called() {
    let network = Network::with_hosts(3, 11).unwrap();
    let ears: Vec<Ear> = network.hosts.iter().map(|host| Ear::in_namespace(&host.name, host.address)).collect();
    let between =
        |from: usize, to: usize, bytes| send_from(&network.hosts[from].name, network.hosts[to].address, bytes);
    // Given three hosts that reach each other, when the last one's line becomes slow,
    let bytes = 150_000;
    assert!(between(0, 2, bytes).is_some() && between(2, 0, bytes).is_some());
    network.slow_down(2, LINE).unwrap();
    // then it is slow both ways; the queue before the line is not counted by who sends,
    let least = LINE.time_for(bytes - LINE.queue_bytes() - 10_000);
    for (from, to) in [(0, 2), (2, 0)] {
        let took = between(from, to, bytes).expect("slow, not cut");
        assert!(took >= least, "{bytes} bytes from {from} to {to} in {took:?}");
    }
    // the others and this process do not notice.
    let quick = send(TcpStream::connect((network.hosts[2].address, 7000)).unwrap(), bytes);
    assert!(quick < least, "this process is slowed down: {quick:?}");
    assert!(between(0, 1, bytes).expect("not cut") < least);
    // When another one hides behind a box that lets it call the first only, then that is so.
    network.hide(1, &[0]).unwrap();
    assert!(between(1, 0, 1).is_some(), "it calls whom it may call");
    assert!(between(0, 1, 1).is_none(), "nobody calls it");
    assert!(between(1, 2, 1).is_none() && between(2, 1, 1).is_none(), "it has no line to the others");
    send(TcpStream::connect((network.hosts[1].address, 7000)).unwrap(), 1);
    drop(ears);
}
