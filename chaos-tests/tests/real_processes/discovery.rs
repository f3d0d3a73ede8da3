//! Nodes on one local network find each other without being told where.

use std::time::Duration;

use linli_chaos::district::District;

#[test]
#[ignore = "needs root: network namespaces"]
fn nodes_on_one_network_find_each_other_by_mdns() {
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("hexi", "320508006", "河西街道")];
    let mut district = District::found(root.path(), &plans, Some(9)).unwrap();
    // Given two members of a district that both forget where the other is,
    for node in &mut district.nodes {
        node.stop().unwrap();
        (node.peers, node.mdns) = (vec![], true);
        // The ticket still names the old port.
        node.mesh.set_port(9421);
    }
    // when they start with nothing but multicast,
    for node in &mut district.nodes {
        node.start().unwrap();
    }
    // then they agree.
    let act = serde_json::json!({"do": "report_incident", "category": "停电", "severity": "IV", "place": "3 号楼", "summary": "全楼停电"});
    district.nodes[0].api.act(act).unwrap();
    let took = district.wait_for_agreement(Duration::from_secs(60)).unwrap();
    println!("agreed {took:?} after the start");
}
