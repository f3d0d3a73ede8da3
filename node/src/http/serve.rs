//! The accept loop: bounded connections, deadlines for headers and for answers that nobody reads, an orderly stop.
//!
//! `axum::serve` sets no timer, so that a client which never finishes its headers would hold its place for ever.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tower::ServiceExt;

use super::places::Place;
use super::stalled::Unstalled;
use super::{Site, limits};

/// Serves until `stop` turns true or its sender is gone; then lets open requests finish for a few seconds.
///
/// # Errors
/// None after the socket is open: a failing accept, as without file descriptors, is logged and tried again.
pub async fn serve(listener: TcpListener, site: Site, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
    let open = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stopping| *stopping) => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                // Without a place the connection is closed at once: who waits unheard cannot try elsewhere.
                let Some(place) = site.doors.enter(address.ip()) else { continue };
                tokio::spawn(connection(stream, address, &site, open.watcher(), place));
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
    site: &Site,
    watcher: Watcher,
    place: Place,
) -> impl Future<Output = ()> + use<> {
    let doors = site.doors.clone();
    let service = site
        .router
        .clone()
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(address));
            request.map(Body::new)
        })
        .map_response(move |mut answer: Response| {
            // Where places are scarce nobody keeps one for a next request.
            if doors.are_crowded() {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            answer
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
        let _place = place;
        if let Err(error) = watcher.watch(serving).await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;

    use super::super::places::{Doors, Regulars};
    use super::*;

    #[tokio::test]
    async fn a_full_house_still_hears_that_it_shall_stop() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let site = Site { router: Router::new(), doors: Doors::new(1, Regulars::default()) };
        let serving = tokio::spawn(serve(listener, site, stopped));
        // given the only place taken by somebody who says nothing
        let _silent = TcpStream::connect(address).await.unwrap();
        let _waiting = TcpStream::connect(address).await.unwrap();
        // when the node shall stop, then it does, as soon as the silent one has had its time to finish
        stop.send(true).unwrap();
        tokio::time::timeout(limits::DRAIN_TIME_MAX * 2, serving).await.unwrap().unwrap().unwrap();
    }
}
