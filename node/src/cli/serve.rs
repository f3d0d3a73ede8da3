//! `linli serve`: opens the store, joins the mesh, serves the pages, and stops in order.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use linli_store::StoreError;
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
            let node = Node::open_behind(&context.dir, now_ms())
                .map_err(|error| Failure::new(Code::Error, format!("{error:#}"), next_after(&error)))?;
            let listener = listen(&context.dir, config.http).await?;
            Ok(run(node, listener, config, &self.operator, context.json).await?)
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
fn impossible_clock(now: SystemTime) -> Option<Failure> {
    let since_1970 = now.duration_since(SystemTime::UNIX_EPOCH);
    if since_1970.is_ok_and(|since| since < HTTP_DATE_MAX) {
        return None;
    }
    let message = "本机时钟早于1970年或晚于9999年 / this machine's clock stands before 1970 or after the year 9999";
    Some(Failure::new(Code::Error, message, "set the clock, such as with timedatectl set-time, then linli serve"))
}

/// What helps against what keeps a node from starting. Never to make a new node: it would take the old one's place.
fn next_after(error: &anyhow::Error) -> &'static str {
    match error.chain().find_map(|cause| cause.downcast_ref::<StoreError>()) {
        Some(StoreError::InUse) => "a node runs here already: linli status",
        Some(StoreError::LittleRoom { .. }) => "make room on that disk, then linli serve",
        Some(StoreError::NewerFormat { .. }) => {
            "start the program that wrote it, or restore a copy from before the upgrade"
        }
        Some(StoreError::Damaged(_)) => {
            "restore the data directory from a copy or join anew; your events at other nodes are not lost"
        }
        Some(_) => "check the disk, who owns the data directory, and its permissions; then linli serve",
        None => "mend that, then linli serve",
    }
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

async fn run(node: Arc<Node>, listener: TcpListener, config: Config, operator: &str, json: bool) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let folding = node.clone().keep_folding();
    mesh::join(&node, &config).await?;
    announce(&node, address, operator, json)?;
    let settings = HttpSettings { allowed_hosts: config.host_names.clone(), residents_open: config.residents_open };
    tokio::spawn(async move {
        asked_to_stop().await;
        let _ = stop.send(true);
    });
    http::serve(listener, http::router(node.clone(), settings), stopped).await?;
    tracing::info!("stopping");
    folding.abort();
    mesh::leave(&node).await;
    let closing = node.clone();
    tokio::task::spawn_blocking(move || closing.close()).await??;
    Ok(())
}

/// Prints where the page is and a one-time code for its first operator.
fn announce(node: &Node, address: SocketAddr, operator: &str, json: bool) -> anyhow::Result<()> {
    let code = node.operators().issue_code(operator, now_ms())?;
    let page = match address.ip().is_unspecified() {
        true => format!("http://localhost:{}/", address.port()),
        false => format!("http://{address}/"),
    };
    let mesh: Vec<String> = node.listen_addresses();
    if json {
        print(&serde_json::json!({"page": page, "code": code, "operator": operator, "mesh": mesh}).to_string());
    } else {
        print(&format!("值守台 / desk:          {page}"));
        print(&format!("一次性登录码 / code:    {code}   ({operator})"));
        print(&format!("其他节点可达 / mesh:    {}", mesh.join("  ")));
        print("Ctrl-C 停止 / stops.");
    }
    Ok(())
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
    fn nobody_whose_store_cannot_be_opened_is_told_to_make_a_new_node() {
        let damaged = StoreError::Damaged("block checksum mismatch in 000012.sst".into());
        for error in [damaged, StoreError::InUse, StoreError::Backend("Read-only file system".into())] {
            let error = anyhow::Error::from(crate::node::NodeError::from(error));
            assert!(!next_after(&error).contains("init"), "{error:#}");
        }
        let error = anyhow::Error::from(crate::node::NodeError::from(StoreError::Damaged("a table".into())));
        assert!(next_after(&error).contains("restore"), "{error:#}");
        assert!(next_after(&anyhow::Error::from(StoreError::InUse)).contains("runs here already"));
    }
}
