//! Who is not of the district learns nothing and writes nothing, whatever it sends; the members notice nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use linli_chaos::district::District;
use linli_chaos::lab::process::NodeProcess;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn report(node: &NodeProcess, place: &str) {
    let act =
        json!({"do": "report_incident", "category": "火情", "severity": "III", "place": place, "summary": "楼道冒烟"});
    node.api.act(act).unwrap();
}

/// Every log of a node, by its text.
fn logs(node: &NodeProcess) -> Vec<Value> {
    node.api.status().unwrap()["heads"].as_array().unwrap().clone()
}

#[test]
fn a_node_of_another_federation_learns_nothing_and_writes_nothing() {
    // Given a district, and a node of another district of the same name and area that was told where to dial,
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
    let district = District::found(&root.path().join("ours"), &plans, None).unwrap();
    let mut strangers = District::found(&root.path().join("theirs"), &plans[..1], None).unwrap();
    strangers.nodes[0].stop().unwrap();
    strangers.nodes[0].peers = district.nodes.iter().map(NodeProcess::multiaddr).collect();
    strangers.nodes[0].start().unwrap();
    // when both sides have something to tell, and time to tell it,
    report(&district.nodes[0], "我们的 3 号楼");
    report(&strangers.nodes[0], "他们的 3 号楼");
    district.wait_for_agreement(PATIENCE).unwrap();
    let tried = |node: &NodeProcess| node.api.page("/metrics", None).unwrap().1;
    let deadline = Instant::now() + PATIENCE;
    while !refused(&tried(&strangers.nodes[0])) {
        assert!(Instant::now() < deadline, "the stranger never got as far as being refused");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(2));
    // then neither holds a log of the other, nor lists it as a node of the district.
    let (ours, theirs) = (logs(&district.nodes[0]), logs(&strangers.nodes[0]));
    assert!(ours.iter().all(|log| !theirs.contains(log)) && !ours.is_empty() && !theirs.is_empty());
    let authors =
        |heads: &[Value]| heads.iter().map(|h| h["log"]["author"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(authors(&ours).iter().all(|author| !authors(&theirs).contains(author)));
    for node in district.nodes.iter().chain(&strangers.nodes) {
        let peers = node.api.status().unwrap()["peers"].clone();
        let connected = peers.as_array().unwrap().iter().filter(|peer| peer["connected"] == json!(true)).count();
        assert_eq!(
            connected,
            if district.nodes.iter().any(|n| n.name == node.name && n.dir == node.dir) { 1 } else { 0 },
            "{peers}"
        );
    }
}

/// Whether a hello was refused, as the metrics count it.
fn refused(metrics: &str) -> bool {
    metrics.lines().any(|line| line.starts_with("linli_mesh_refused_hellos_total") && !line.ends_with(" 0"))
}

#[test]
fn a_node_that_was_never_invited_does_not_start_and_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    let mut node = NodeProcess::new("nobody", root.path(), std::net::Ipv4Addr::LOCALHOST.into(), None).unwrap();
    node.command(&["join"]).unwrap();
    let refused = format!("{:#}", node.start().unwrap_err());
    assert!(refused.contains("linli init or linli join"), "{refused}");
}

#[test]
fn garbage_on_the_mesh_port_disturbs_nobody() {
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
    let district = District::found(root.path(), &plans, None).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    // When strangers open connections, send noise of every length, say nothing, or hang up in the middle,
    let mut idle = vec![];
    for length in [0, 1, 2, 19, 20, 21, 1_000, 65_536, 1_000_000] {
        let mut stream = TcpStream::connect(district.nodes[0].mesh).unwrap();
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(length).collect();
        // The node may hang up at any byte.
        let _ = stream.write_all(&noise);
        idle.push(stream);
    }
    for _ in 0..200 {
        drop(TcpStream::connect(district.nodes[0].mesh).unwrap());
    }
    // then the members still hear each other at once,
    report(&district.nodes[0], "噪声之后");
    let took = district.wait_for_agreement(PATIENCE).unwrap();
    println!("agreed {took:?} after the noise");
    // and those who said nothing they should are hung up on.
    for stream in &mut idle {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut rest = vec![];
        let ended = stream.read_to_end(&mut rest);
        assert!(rest.len() < 1_024, "a stranger was told {} bytes", rest.len());
        let still_open = matches!(&ended, Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut));
        assert!(!still_open, "a stranger's connection is kept for ever");
    }
}
