//! A node that serves on a real socket, and the clients that visit it: an honest browser, and raw bytes for the others.

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod page;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use linli::http::{self, HttpSettings};
use linli::node::Node;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Longest wait for an answer that must come. Answers take milliseconds; two busy cores take longer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A node behind a socket of 127.0.0.1.
pub struct Served {
    /// The node.
    pub node: Arc<Node>,
    /// Where it serves.
    pub address: SocketAddr,
    runtime: Runtime,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Served {
    /// Serves a node as `linli serve` does, without a mesh.
    pub fn over(node: Arc<Node>) -> Self {
        Self::with(
            node,
            HttpSettings { allowed_hosts: vec!["node.example".to_owned()], residents_open: true, metrics_open: false },
        )
    }

    /// Serves a node with these settings.
    pub fn with(node: Arc<Node>, settings: HttpSettings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let folding = runtime.enter();
        drop(node.clone().keep_folding());
        drop(folding);
        let serving = runtime.spawn(http::serve(listener, http::router(node.clone(), settings), stopped));
        Self { node, address, runtime, stop, serving }
    }

    /// Somebody on this machine who is not signed in.
    pub fn visitor(&self) -> Browser {
        Browser { address: self.address, cookies: vec![], from: None }
    }

    /// An operator who is signed in.
    pub fn operator(&self, name: &str) -> Browser {
        let now = crate::district::now_ms();
        let code = self.node.operators().start_code(name, now).unwrap();
        let session = self.node.sign_in(&code).unwrap();
        Browser { cookies: vec![format!("linli_session={}", session.token)], ..self.visitor() }
    }

    /// A connection from another address of this machine: the whole of 127.0.0.0/8 is local.
    pub fn connect_from(&self, from: IpAddr) -> std::io::Result<TcpStream> {
        connect(self.address, Some(from))
    }

    /// Asks the node to stop; says whether it had stopped by then.
    pub fn stops_within(self, patience: Duration) -> bool {
        self.stop.send(true).unwrap();
        let serving = self.serving;
        self.runtime.block_on(async { tokio::time::timeout(patience, serving).await.is_ok() })
    }
}

/// Somebody who asks the node, one connection per request.
#[derive(Clone)]
pub struct Browser {
    address: SocketAddr,
    cookies: Vec<String>,
    from: Option<IpAddr>,
}

impl Browser {
    /// The same browser on a machine with another address.
    pub fn at(self, from: IpAddr) -> Self {
        Self { from: Some(from), ..self }
    }

    /// With one more cookie.
    pub fn with_cookie(mut self, cookie: &str) -> Self {
        self.cookies.push(cookie.to_owned());
        self
    }

    /// Keeps the cookies that an answer sets, as a browser does.
    pub fn keep_cookies(&mut self, answer: &Answer) {
        for set in answer.headers("set-cookie") {
            let pair = set.split(';').next().unwrap().to_owned();
            let name = pair.split('=').next().unwrap().to_owned();
            self.cookies.retain(|known| known.split('=').next() != Some(&name));
            self.cookies.push(pair);
        }
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// A page, in the language that the address asks for.
    pub fn get(&self, path: &str) -> Answer {
        self.send(&self.request("GET", path, &[], b""))
    }

    /// A form, sent as a browser sends it from the node's own page.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_encode(fields);
        let origin = format!("http://{}", self.address);
        let headers = [("origin", &*origin), ("content-type", "application/x-www-form-urlencoded")];
        self.send(&self.request("POST", path, &headers, body.as_bytes()))
    }

    /// A JSON body, sent by a script of the node's own page.
    pub fn post_json(&self, path: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.address);
        let headers = [("origin", &*origin), ("content-type", "application/json")];
        self.send(&self.request("POST", path, &headers, body.as_bytes()))
    }

    /// Any request of this browser.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(&self.request(method, path, headers, body))
    }

    /// The bytes of a request. A header given here replaces what a browser would send.
    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        let given = |name: &str| headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !given("host") {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        if !given("cookie") && !self.cookies.is_empty() {
            head.push_str(&format!("cookie: {}\r\n", self.cookies.join("; ")));
        }
        if !given("content-length") && !given("transfer-encoding") && !body.is_empty() {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        head.push_str("connection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    /// Sends bytes and reads one answer.
    pub fn send(&self, bytes: &[u8]) -> Answer {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        self.try_send(bytes).unwrap_or_else(|| panic!("no answer to {shown}"))
    }

    /// Sends bytes and reads one answer, if the node gives any before it closes the connection.
    pub fn try_send(&self, bytes: &[u8]) -> Option<Answer> {
        let mut stream = connect(self.address, self.from).unwrap();
        // A node that has answered already may close while a large body is still on its way: that is its right.
        let _ = stream.write_all(bytes);
        Answer::read(&mut stream)
    }

    /// A connection on which nothing was said yet.
    pub fn connect(&self) -> TcpStream {
        connect(self.address, self.from).unwrap()
    }
}

fn connect(address: SocketAddr, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
    let stream = match from {
        None => TcpStream::connect(address)?,
        Some(from) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let stream = runtime.block_on(async {
                let socket = tokio::net::TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(from, 0))?;
                socket.connect(address).await
            })?;
            let stream = stream.into_std()?;
            stream.set_nonblocking(false)?;
            stream
        }
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// What a form sends.
pub fn form_encode(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.*".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    };
    fields.iter().map(|(key, value)| format!("{}={}", encoded(key), encoded(value))).collect::<Vec<_>>().join("&")
}

/// What the node answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values.
    pub head: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// Reads one answer; `None` when the connection ends before its head is there.
    ///
    /// # Panics
    /// When nothing comes for [`PATIENCE`], or the body is cut short.
    pub fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = vec![];
        let end = loop {
            if let Some(at) = find(&bytes, b"\r\n\r\n") {
                break at;
            }
            if read_some(stream, &mut bytes) == 0 {
                return None;
            }
        };
        let head_text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head_text.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let head: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Self { status, head, body: String::new() };
        let mut body = bytes.split_off(end + 4);
        let length: Option<usize> = answer.header("content-length").map(|text| text.parse().unwrap());
        let chunked = answer.header("transfer-encoding") == Some("chunked");
        while length.is_none_or(|length| body.len() < length) && !(chunked && body.ends_with(b"0\r\n\r\n")) {
            if read_some(stream, &mut body) == 0 {
                break;
            }
        }
        if chunked {
            body = unchunk(&body);
        }
        answer.body = String::from_utf8(body).expect("answers are UTF-8");
        Some(answer)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a header.
    pub fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Appends what comes next; 0 at the end of the connection, also where it was reset.
fn read_some(stream: &mut TcpStream, into: &mut Vec<u8>) -> usize {
    let mut buffer = [0; 16_384];
    match stream.read(&mut buffer) {
        Ok(count) => {
            into.extend_from_slice(&buffer[..count]);
            count
        }
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            panic!("nothing came for {PATIENCE:?}; so far: {}", String::from_utf8_lossy(into))
        }
        Err(_) => 0,
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = vec![];
    while let Some(at) = find(bytes, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..at]).unwrap(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.extend_from_slice(&bytes[at + 2..at + 2 + size]);
        bytes = &bytes[at + 2 + size + 2..];
    }
    whole
}

/// How long it takes until the other side closes a connection; reads and drops what comes before.
pub fn closed_after(stream: &mut TcpStream, patience: Duration) -> Option<Duration> {
    let started = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut buffer = [0; 4_096];
    while started.elapsed() < patience {
        match stream.read(&mut buffer) {
            Ok(0) => return Some(started.elapsed()),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return Some(started.elapsed()),
        }
    }
    None
}

/// Whether the other side has closed a connection on which nothing was asked.
pub fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let read = stream.read(&mut [0; 1]);
    stream.set_nonblocking(false).unwrap();
    !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// Waits until something holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
