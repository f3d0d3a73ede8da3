//! `linli serve`: opens the store, joins the mesh, serves the pages, and stops in order.

use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use tokio::net::TcpListener;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use super::outcome::{Code, Failure, Outcome, print};
use super::{Context, now_ms};
use crate::config::{Config, LogFormat};
use crate::data_dir::DataDir;
use crate::http::{self, HttpSettings};
use crate::mesh;
use crate::node::Node;

/// Runs the node until it is asked to stop.
#[derive(Debug, Args)]
pub struct Serve {
    /// Address and port of the pages.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Where other nodes reach this one, as a multiaddr; may be given more than once.
    #[arg(long)]
    listen: Vec<String>,
    /// A node to keep connected to, as a multiaddr; may be given more than once.
    #[arg(long = "peer")]
    peers: Vec<String>,
    /// Do not look for nodes on the local network.
    #[arg(long)]
    no_mdns: bool,
    /// The operator for whom the one-time code at the start is.
    #[arg(long, default_value = "值守员")]
    operator: String,
}

impl Serve {
    pub(super) fn run(self, context: Context) -> Outcome {
        let config = self.overlay(context.config);
        start_logging(&config)?;
        if let Some(failure) = impossible_clock(SystemTime::now()) {
            return Err(failure);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(async {
            let node = Node::open_behind(&context.dir, now_ms())?;
            let listener = listen(&context.dir, config.http).await?;
            let announced = Announced { dir: &context.dir, operator: &self.operator, json: context.json };
            Ok(run(node, listener, config, &announced).await?)
        })
    }

    fn overlay(&self, mut config: Config) -> Config {
        config.http = self.http.unwrap_or(config.http);
        config.mdns &= !self.no_mdns;
        if !self.listen.is_empty() {
            config.listen.clone_from(&self.listen);
        }
        config.peers.extend(self.peers.iter().cloned());
        config
    }
}

/// A time that HTTP has no date for: the server library ends every connection on which it would have to say it.
pub(super) fn impossible_clock(now: SystemTime) -> Option<Failure> {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
    if since_1970.is_ok_and(|since| since < HTTP_DATE_MAX) {
        return None;
    }
    let message = "本机时钟早于1970年或晚于9999年 / this machine's clock stands before 1970 or after the year 9999";
    Some(Failure::new(Code::Error, message, "set the clock, such as with timedatectl set-time, and run this again"))
}

/// From the year 10,000 on a date has five digits.
const HTTP_DATE_MAX: Duration = Duration::from_secs(253_402_300_800);

/// Takes the address of the pages and notes it where commands look for it.
async fn listen(dir: &DataDir, address: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let next = "stop what listens there, or name another port: linli serve --http 127.0.0.1:8430";
        Failure::new(Code::Error, format!("cannot listen on {address}: {error}"), next)
    })?;
    dir.keep_http_address(listener.local_addr()?)?;
    Ok(listener)
}

/// What is said at the start, and to whom.
struct Announced<'a> {
    dir: &'a DataDir,
    operator: &'a str,
    json: bool,
}

async fn run(node: Arc<Node>, listener: TcpListener, config: Config, announced: &Announced<'_>) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let folding = node.clone().keep_folding();
    mesh::join(&node, &config).await?;
    announced.say(&node, address)?;
    let settings = HttpSettings {
        allowed_hosts: config.host_names.clone(),
        residents_open: config.residents_open,
        metrics_open: config.metrics_open,
    };
    tokio::spawn(async move {
        asked_to_stop().await;
        if stop.send(true).is_err() {
            tracing::debug!("the pages have stopped already");
        }
    });
    http::serve(listener, http::router(node.clone(), settings), stopped).await?;
    tracing::info!("stopping");
    folding.abort();
    mesh::leave(&node).await;
    let closing = node.clone();
    tokio::task::spawn_blocking(move || closing.close()).await??;
    Ok(())
}

impl Announced<'_> {
    /// Prints where the page is and a one-time code for its first operator. The code goes to a terminal, or to a file
    /// that only the owner of the data directory reads: what is printed elsewhere ends up in a journal.
    fn say(&self, node: &Node, address: SocketAddr) -> anyhow::Result<()> {
        let code = node.operators().start_code(self.operator, now_ms())?;
        let file = match std::io::stdout().is_terminal() {
            true => None,
            false => Some(self.dir.keep_start_code(&code)?),
        };
        let (pages, mesh) = (pages_at(address), node.listen_addresses());
        if self.json {
            let mut said = serde_json::json!({
                "page": pages[0], "pages": pages, "operator": self.operator, "mesh": mesh,
            });
            match &file {
                None => said["code"] = code.into(),
                Some(file) => said["code_file"] = file.display().to_string().into(),
            }
            print(&said.to_string());
            return Ok(());
        }
        print(&format!("值守台 / desk:          {}", pages.join("  ")));
        match &file {
            None => print(&format!("一次性登录码 / code:    {code}   ({})", self.operator)),
            Some(file) => {
                print(&format!("一次性登录码 / code:    见文件 / in the file {}   ({})", file.display(), self.operator))
            }
        }
        print(&format!("其他节点可达 / mesh:    {}", mesh.join("  ")));
        print("Ctrl-C 停止 / stops.");
        Ok(())
    }
}

/// Where browsers find the pages: on this machine first, then, if they are open to the network, at the addresses that a
/// phone can reach.
fn pages_at(address: SocketAddr) -> Vec<String> {
    if !address.ip().is_unspecified() {
        return vec![format!("http://{address}/")];
    }
    let reachable = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => address.is_ipv6() && !ip.is_loopback() && !ip.is_unicast_link_local(),
    };
    let mut found: Vec<IpAddr> = match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).filter(reachable).collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot tell this machine's addresses");
            vec![]
        }
    };
    found.sort_by_key(|ip| (ip.is_ipv6(), *ip));
    let port = address.port();
    let local = std::iter::once(format!("http://localhost:{port}/"));
    local.chain(found.into_iter().map(|ip| format!("http://{}/", SocketAddr::new(ip, port)))).collect()
}

async fn asked_to_stop() {
    let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => {
            tracing::error!(%error, "cannot listen for SIGTERM");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

fn start_logging(config: &Config) -> Outcome {
    let filter: Targets = config.log.parse().map_err(|error| {
        let message = format!("the setting log = {:?} cannot be used: {error}", config.log);
        Failure::usage(message, "levels by target, such as info,linli_net=debug; linli config example")
    })?;
    let layer =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry();
    match config.log_format {
        LogFormat::Text => registry.with(layer.with_filter(filter)).init(),
        LogFormat::Json => registry.with(layer.json().with_filter(filter)).init(),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_no_answer_could_be_dated_by_keeps_the_node_from_starting() {
        assert!(impossible_clock(SystemTime::UNIX_EPOCH).is_none());
        for impossible in [SystemTime::UNIX_EPOCH - Duration::from_secs(1), SystemTime::UNIX_EPOCH + HTTP_DATE_MAX] {
            let failure = impossible_clock(impossible).unwrap();
            assert!(failure.message.contains("clock") && failure.next.contains("timedatectl"), "{}", failure.message);
        }
    }

    #[test]
    fn pages_that_are_open_to_the_network_are_named_by_addresses_that_a_phone_can_reach() {
        let own = |text: &str| pages_at(text.parse().unwrap());
        assert_eq!(own("127.0.0.1:8420"), ["http://127.0.0.1:8420/"]);
        let open = own("0.0.0.0:8420");
        assert_eq!(open[0], "http://localhost:8420/");
        let interfaces = if_addrs::get_if_addrs().unwrap();
        for ip in interfaces.iter().map(if_addrs::Interface::ip).filter(|ip| ip.is_ipv4() && !ip.is_loopback()) {
            assert!(open.contains(&format!("http://{ip}:8420/")), "{ip}: {open:?}");
        }
        assert!(!open.iter().any(|page| page.contains("0.0.0.0") || page.contains("127.0.0.1")), "{open:?}");
    }
}
