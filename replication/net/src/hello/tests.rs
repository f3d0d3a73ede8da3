//! Hellos over a pipe in memory, with every byte that each side said.

use std::sync::Arc;

use futures::io::{AsyncReadExt, AsyncWriteExt};
use linli_core::testkit::{Author, District, Draft};
use tokio::io::DuplexStream;

use super::*;

/// A tokio pipe as the futures traits see it.
struct Pipe(DuplexStream);

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut [u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        let mut read = tokio::io::ReadBuf::new(buf);
        let polled = tokio::io::AsyncRead::poll_read(std::pin::Pin::new(&mut self.0), cx, &mut read);
        polled.map_ok(|()| read.filled().len())
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        tokio::io::AsyncWrite::poll_write(std::pin::Pin::new(&mut self.0), cx, buf)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(std::pin::Pin::new(&mut self.0), cx)
    }

    fn poll_close(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(std::pin::Pin::new(&mut self.0), cx)
    }
}

fn pipe() -> (Pipe, Pipe) {
    let (a, b) = tokio::io::duplex(1024 * 1024);
    (Pipe(a), Pipe(b))
}

/// Node `n` of a district, which has heard of the charter events given.
fn side(district: &District, n: usize, heard: &[ReceivedEvent]) -> Ours {
    Ours {
        key: district.nodes[n].key.public(),
        federation: district.federation(),
        credentials: vec![district.genesis.clone(), district.grants[n].clone()],
        charter: Arc::new(Charter::evaluate(district.federation(), heard)),
        heads_of_peer: vec![],
        second: None,
    }
}

async fn greet(i: &Ours, r: &Ours) -> (Result<Greeted, HelloError>, Result<Greeted, HelloError>) {
    let (mut a, mut b) = pipe();
    // Each side drops its end when it is done, as the driver does.
    tokio::join!(async move { initiate(&mut a, r.key, i).await }, async move { respond(&mut b, i.key, r).await })
}

#[tokio::test]
async fn two_nodes_of_a_district_greet_and_tell_each_other_of_their_heads() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let (mut i, r) =
        (side(&district, 0, &district.charter_events()), side(&district, 1, std::slice::from_ref(&district.genesis)));
    let mut author = district.nodes[1].clone();
    let head = author.write(Draft::new(Stream::TEAMS, "deployed", None)).head();
    i.heads_of_peer = vec![(author.log_id(Stream::TEAMS), head)];
    let (by_i, by_r) = greet(&i, &r).await;
    let by_i = by_i.unwrap();
    assert_eq!((by_i.areas, by_i.heads_of_ours), (vec!["320508006".parse().unwrap(); 2], vec![]));
    let by_r = by_r.unwrap();
    assert_eq!(by_r.heads_of_ours, [(author.log_id(Stream::TEAMS), head)]);
    assert_eq!(by_r.areas, ["320508005".parse().unwrap()], "a grant that was only shown counts");
}

/// The same side, speaking the second edition.
fn second(ours: Ours, instance: Instance, clock_ms: u64, refused: Option<(Vec<Instance>, Multiaddr)>) -> Ours {
    Ours { second: Some(Second { instance, clock: Arc::new(move || clock_ms), refused }), ..ours }
}

#[tokio::test]
async fn in_the_second_edition_both_tell_which_process_they_are_and_what_their_clocks_show() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let i = second(side(&district, 0, &district.charter_events()), 11, 1_000_000, None);
    let r = second(side(&district, 1, &district.charter_events()), 22, 2_000_000, None);
    let (by_i, by_r) = greet(&i, &r).await;
    let [of_r, of_i] = [by_i, by_r].map(|greeted| greeted.unwrap().present.unwrap());
    assert_eq!((of_r.instance, of_i.instance), (22, 11));
    let near = |told: u64, shown: u64| (shown..shown + 1_000).contains(&told);
    assert!(near(of_r.clock_ms, 2_000_000) && near(of_i.clock_ms, 1_000_000), "{of_r:?} {of_i:?}");
}

#[tokio::test]
async fn a_process_that_is_known_as_a_copy_is_refused_with_where_the_other_one_is() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let standing: Multiaddr = "/ip4/10.0.0.7/udp/1/quic-v1".parse().unwrap();
    let knows = Some((vec![11], standing.clone()));
    let r = second(side(&district, 1, &district.charter_events()), 22, 0, knows);
    let copy = second(side(&district, 0, &district.charter_events()), 11, 0, None);
    let (by_copy, by_r) = greet(&copy, &r).await;
    assert!(matches!(by_copy, Err(HelloError::WeAreCopied(there)) if there == standing));
    assert!(matches!(by_r, Err(HelloError::IsCopy(_))));
    // Another process with the same key may be the node that came back.
    let (by_other, by_r) = greet(&second(side(&district, 0, &district.charter_events()), 12, 0, None), &r).await;
    assert!(by_other.is_ok() && by_r.is_ok());
}

#[tokio::test]
async fn another_federation_is_refused_on_both_sides() {
    let ours = District::with_nodes(&["320508005", "320508006"]);
    let mut root = Author::new(900, "320508", None);
    let genesis = root.write(Draft::new(Stream::CHARTER, "genesis", None));
    let mut other = side(&ours, 1, &[]);
    other.federation = genesis.id();
    let (by_i, by_r) = greet(&other, &side(&ours, 0, &ours.charter_events())).await;
    assert!(matches!(by_i, Err(HelloError::OtherFederation)));
    assert!(matches!(by_r, Err(HelloError::Wire(_))));
}

#[tokio::test]
async fn somebody_elses_credentials_or_none_enrol_nobody() {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let genuine = side(&district, 0, &[]);
    for credentials in [vec![], genuine.credentials.clone(), vec![district.grants[1].clone()]] {
        let mut impostor = side(&district, 1, &[]);
        impostor.credentials = credentials;
        let (by_impostor, by_genuine) = greet(&impostor, &genuine).await;
        assert!(matches!(by_impostor, Err(HelloError::RefusedByPeer)), "{by_impostor:?}");
        assert!(matches!(by_genuine, Err(HelloError::NotEnrolled)), "{by_genuine:?}");
    }
}

/// What a responder says to somebody who sends these bytes and then only listens.
async fn overheard(request: &[&[u8]]) -> (Vec<u8>, Result<Greeted, HelloError>) {
    let district = District::with_nodes(&["320508005", "320508006"]);
    let ours = side(&district, 0, &district.charter_events());
    let (mut stranger, mut end) = pipe();
    for message in request {
        stranger.write_all(&Packer::default().pack_for_stream(message)).await.unwrap();
    }
    let result = respond(&mut end, district.nodes[1].key.public(), &ours).await;
    drop(end);
    let mut said = vec![];
    stranger.read_to_end(&mut said).await.unwrap();
    (said, result)
}

#[tokio::test]
async fn a_stranger_hears_a_nonce_and_a_tag_and_nothing_else() {
    let mut nonce = Writer::new();
    nonce.array(1).bytes(&[1; 32]);
    let (nonce, wrong_tag) = (nonce.into_bytes(), [&[0x81, 0x58, 32][..], &[2; 32]].concat());
    let (said, result) = overheard(&[&nonce, &wrong_tag]).await;
    assert!(matches!(result, Err(HelloError::OtherFederation)));
    assert_eq!(said.len(), 5 + 1 + 2 * 34, "one message of two strings of 32 bytes");
    let federation = District::with_nodes(&["320508005", "320508006"]).federation();
    assert!(!said.windows(8).any(|part| federation.as_bytes().windows(8).any(|id| id == part)));
}

#[tokio::test]
async fn garbage_and_long_messages_are_refused_before_anything_is_said() {
    for garbage in [&[0xff; 40][..], &[0x81, 0x58, 31], &[0; limits::HELLO_STRANGER_BYTES_MAX + 1]] {
        let (said, result) = overheard(&[garbage]).await;
        assert!(result.is_err() && said.is_empty());
    }
}
