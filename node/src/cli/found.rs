//! `linli init`: found a development district with this node as its first member.

use std::time::SystemTime;

use clap::Args;
use linli_core::area::Area;

use super::outcome::{Failure, Outcome};
use super::serve::impossible_clock;
use super::{Context, now_ms};
use crate::data_dir::KeyName;
use crate::enrolment::Enrolment;
use linli_core::enrol::{Founding, JoinRequest, found};

/// Founds a district. The root key stays in this data directory: fine for trying out and for one street alone; a
/// real district keeps m of n root keys on paper and tokens (`linli-ops ceremony`).
#[derive(Debug, Args)]
pub struct Init {
    /// This node's public name: its place or post, never a person.
    #[arg(long)]
    name: String,
    /// Where this node works, as a division code such as 320508005.
    #[arg(long)]
    area: Area,
    /// The district's name.
    #[arg(long, default_value = "示例区")]
    district: String,
    /// The district's division code; by default the first six digits of the node's.
    #[arg(long)]
    district_area: Option<Area>,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Outcome {
        if context.dir.has_key(KeyName::Node) {
            let message = format!("a node lives in {} already", context.dir.path().display());
            return Err(Failure::usage(message, "linli serve starts it; --data-dir names another place"));
        }
        if let Some(failure) = impossible_clock(SystemTime::now()) {
            return Err(failure);
        }
        let district_area = match self.district_area {
            Some(area) => area,
            None => self.area.as_str().chars().take(6).collect::<String>().parse().map_err(anyhow::Error::from)?,
        };
        if !district_area.contains(&self.area) {
            let message = format!("the area {} does not lie in the district {district_area}", self.area);
            return Err(Failure::usage(message, "give a --district-area that --area starts with"));
        }
        let founding =
            Founding { district: self.district, district_area, label: self.name, area: self.area, threshold: 1 };
        context.dir.create()?;
        let root = context.dir.create_key(KeyName::Root)?;
        let node = context.dir.create_key(KeyName::Node)?;
        let mut random = [0u8; 40];
        getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
        let request = JoinRequest::of(&node);
        let district = found(std::slice::from_ref(&root), &request, &founding, now_ms(), random)
            .ok_or_else(|| anyhow::anyhow!("a district needs a root key"))?;
        Enrolment::establish(&context.dir, district.federation, &district.charter, &[])?;
        let made = serde_json::json!({
            "federation": district.federation, "node": node.public(), "area": founding.area,
            "data_dir": context.dir.path(),
        });
        context.print(&made, |_| {
            format!(
                "已建立示例区与本节点 / district founded: {}\nnode {} in {}\nnext: linli serve",
                founding.district,
                node.public().short(),
                context.dir.path().display()
            )
        });
        Ok(())
    }
}
