//! The accept loop: bounded connections, deadlines for headers and for answers that nobody reads, an orderly stop.
//!
//! `axum::serve` sets no timer, so that a client which never finishes its headers would hold its place for ever.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceExt;

use super::limits;
use super::stalled::Unstalled;

/// Serves until `stop` turns true or its sender is gone; then lets open requests finish for a few seconds.
///
/// # Errors
/// None after the socket is open: a failing accept, as without file descriptors, is logged and tried again.
pub async fn serve(listener: TcpListener, router: Router, stop: watch::Receiver<bool>) -> std::io::Result<()> {
    serve_at_most(limits::CONNECTIONS_MAX, listener, router, stop).await
}

async fn serve_at_most(
    places: usize,
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let open = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(places));
    let addresses = Addresses::default();
    loop {
        let free_place = async { (places.clone().acquire_owned().await, listener.accept().await) };
        let (place, accepted) = tokio::select! {
            _ = stop.wait_for(|stopping| *stopping) => break,
            next = free_place => next,
        };
        let Ok(place) = place else { break };
        match accepted {
            Ok((stream, address)) => {
                let Some(counted) = addresses.count(limits::network_of(address.ip())) else { continue };
                tokio::spawn(connection(stream, address, router.clone(), open.watcher(), (place, counted)));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(limits::DRAIN_TIME_MAX, open.shutdown()).await.is_err() {
        tracing::info!("some requests were still open when the node stopped");
    }
    Ok(())
}

fn connection(
    stream: TcpStream,
    address: SocketAddr,
    router: Router,
    watcher: Watcher,
    held: (OwnedSemaphorePermit, Counted),
) -> impl Future<Output = ()> {
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(address));
        request.map(Body::new)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits::HEADER_TIME_MAX);
    // Answers are small and often follow each other on one connection: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set nodelay");
    }
    let stream = TokioIo::new(Unstalled::new(stream, limits::UNREAD_TIME_MAX));
    let serving = builder.serve_connection(stream, TowerToHyperService::new(service));
    async move {
        let _held = held;
        if let Err(error) = watcher.watch(serving).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

/// Open connections by address.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<BTreeMap<IpAddr, usize>>>);

impl Addresses {
    /// Counts one more; `None` when this address has enough.
    fn count(&self, address: IpAddr) -> Option<Counted> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_insert(0);
        if *count >= limits::CONNECTIONS_PER_ADDRESS_MAX {
            return None;
        }
        *count += 1;
        Some(Counted { addresses: self.clone(), address })
    }
}

/// One counted connection; uncounted when it ends.
struct Counted {
    addresses: Addresses,
    address: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_places_and_gives_them_back() {
        let addresses = Addresses::default();
        let here: IpAddr = "192.0.2.7".parse().unwrap();
        let held: Vec<_> = (0..limits::CONNECTIONS_PER_ADDRESS_MAX).map(|_| addresses.count(here).unwrap()).collect();
        assert!(addresses.count(here).is_none());
        assert!(addresses.count("192.0.2.8".parse().unwrap()).is_some());
        drop(held);
        assert!(addresses.count(here).is_some());
    }

    #[tokio::test]
    async fn a_full_house_still_hears_that_it_shall_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(serve_at_most(1, listener, Router::new(), stopped));
        // given the only place taken by somebody who says nothing
        let _silent = TcpStream::connect(address).await.unwrap();
        let _waiting = TcpStream::connect(address).await.unwrap();
        // when the node shall stop, then it does, as soon as the silent one has had its time to finish
        stop.send(true).unwrap();
        tokio::time::timeout(limits::DRAIN_TIME_MAX * 2, serving).await.unwrap().unwrap().unwrap();
    }
}
