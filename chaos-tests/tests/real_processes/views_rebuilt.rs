//! Read models are deleted and folded again in a running node: the same hashes, and the same as at its neighbour.

use std::path::Path;
use std::time::Duration;

use linli_chaos::district::District;
use serde_json::json;

#[test]
fn rebuilt_views_have_the_same_hash_here_and_at_the_neighbour() {
    let root = tempfile::tempdir().unwrap();
    let plans = [("bureau", "320508", "应急管理局"), ("linhu", "320508005", "临湖街道")];
    let district = District::found(root.path(), &plans, None).unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node/samples/street");
    district.nodes[1].command(&["import", "--area", "320508005012", sample.to_str().unwrap()]).unwrap();
    district.wait_for_agreement(Duration::from_secs(60)).unwrap();
    let shown = district.nodes[0].api.status().unwrap()["projection_digest"].clone();
    for node in &district.nodes {
        let rebuilt = node.api.post("/rebuild", &json!({})).unwrap();
        assert_eq!((&rebuilt["before"], &rebuilt["after"]), (&shown, &shown), "{}", node.name);
    }
}
