//! A node of a district of its own, on a disk.

use std::sync::Arc;

use linli::data_dir::{DataDir, KeyName};
use linli::enrolment::Enrolment;
use linli::node::Node;
use linli_core::enrol::{Founding, JoinRequest, found};

/// Any time: only the order matters here.
pub const NOW_MS: u64 = 1_780_000_000_000;

/// Founds the district in a fresh data directory.
pub fn founded(dir: &DataDir) -> Arc<Node> {
    dir.create().unwrap();
    let root = dir.create_key(KeyName::Root).unwrap();
    let key = dir.create_key(KeyName::Node).unwrap();
    let area: linli_core::area::Area = "320508".parse().unwrap();
    let founding = Founding {
        district: "临湖区".to_owned(),
        district_area: area.clone(),
        label: "应急管理局".to_owned(),
        area,
        threshold: 1,
    };
    let district = found(&[root], &JoinRequest::of(&key), &founding, NOW_MS, [7; 40]).unwrap();
    Enrolment::establish(dir, district.federation, &district.charter, &[]).unwrap();
    Node::open(dir, NOW_MS).unwrap()
}
