//! The demo: a bureau and two streets, a cut, what both sides did to the same things, and the reunion.
//!
//! It succeeds only if everything held: pages of both sides were reachable during the cut, neither side knew of the
//! other's acts, and after the heal all heads and all views are equal and show exactly the provoked conflicts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::district::District;
use crate::lab::namespace;

/// The community whose sample street is imported.
const COMMUNITY: &str = "320508005012";
/// Longest wait for the first replication of the sample street, and for the reunion.
const PATIENCE: Duration = Duration::from_secs(120);

const BUREAU: usize = 0;
const LINHU: usize = 1;

/// Three nodes of one district, a cut, and the reunion.
#[derive(Debug, Args)]
pub struct Demo {
    /// Use relays on loopback even where root could make network namespaces.
    #[arg(long)]
    no_namespaces: bool,
    /// Where the sample street is.
    #[arg(long, default_value = "node/samples/street")]
    sample: PathBuf,
    /// Keep the nodes running at the end until Ctrl-C, to look at their pages.
    #[arg(long)]
    stay: bool,
}

/// What both sides will act on.
struct Stage {
    point: String,
    item: String,
    left: i64,
    team: String,
    incidents: [String; 2],
    plan: String,
}

impl Demo {
    /// The demo over relays on loopback, as it runs without root.
    pub const fn over_relays(sample: PathBuf) -> Self {
        Self { no_namespaces: true, sample, stay: false }
    }

    /// Runs it.
    ///
    /// # Errors
    /// When anything that the demo promises does not hold.
    pub fn run(&self) -> anyhow::Result<()> {
        let root = std::env::temp_dir().join(format!("linli-demo-{}", std::process::id()));
        std::fs::create_dir_all(&root)?;
        let outcome = self.play(&root);
        if outcome.is_ok() {
            std::fs::remove_dir_all(&root)?;
        } else {
            eprintln!("the nodes' data and logs are in {}", root.display());
        }
        outcome
    }

    fn play(&self, root: &Path) -> anyhow::Result<()> {
        let real = !self.no_namespaces && namespace::available();
        let block = (std::process::id() % 200) as u8 + 20;
        say(
            "1",
            &format!(
                "三个节点启动 / three nodes start ({})",
                if real { "network namespaces" } else { "loopback relays" }
            ),
        );
        let plans =
            [("bureau", "320508", "应急管理局"), ("linhu", "320508005", "临湖街道"), ("hexi", "320508006", "河西街道")];
        let district = District::found(root, &plans, real.then_some(block))?;
        for node in &district.nodes {
            println!("   {:8} http://{}/  一次性登录码 {}", node.name, node.http, node.code);
        }

        say("2", "示例街道导入临湖节点,出现在所有节点 / the sample street is imported at one node");
        let sample =
            self.sample.canonicalize().with_context(|| format!("no sample street at {}", self.sample.display()))?;
        let sample = sample.to_str().context("the sample's path is not UTF-8")?;
        let imported = district.nodes[LINHU].command(&["import", "--area", COMMUNITY, sample])?;
        let took = district.wait_for_agreement(PATIENCE)?;
        println!("   {} items on all three nodes {:.1} s after the import", imported["written"], took.as_secs_f64());
        let stage = set_stage(&district)?;
        district.wait_for_agreement(PATIENCE)?;

        say("3", "切断临湖街道 / the link between linhu and the others is cut");
        district.cut_off(LINHU)?;
        act_on_both_sides(&district, &stage)?;
        check_pages(&district)?;
        check_apart(&district, &stage)?;
        println!("   both sides acted on the same things; neither knows of the other; all pages answer");

        say("4", "恢复 / the link heals");
        district.heal(LINHU)?;
        let took = district.wait_for_agreement(PATIENCE)?;
        println!("   converged {:.1} s after the heal", took.as_secs_f64());
        self.report(&district, &stage)?;
        if self.stay {
            println!("\nCtrl-C 结束 / ends.");
            loop {
                std::thread::park();
            }
        }
        Ok(())
    }

    fn report(&self, district: &District, stage: &Stage) -> anyhow::Result<()> {
        say("5", "发现了什么 / what was found");
        let mut expected = BTreeMap::from([("double_closing", 1), ("double_deployment", 1), ("overdraw", 1)]);
        for (i, node) in district.nodes.iter().enumerate() {
            let found = conflicts(district, i)?;
            let counts: BTreeMap<&str, usize> = found.iter().fold(BTreeMap::new(), |mut counts, conflict| {
                *counts.entry(conflict["class"].as_str().unwrap_or("?")).or_default() += 1;
                counts
            });
            ensure!(counts == expected, "{} shows the conflicts {counts:?} instead of {expected:?}", node.name);
        }
        for conflict in conflicts(district, BUREAU)? {
            println!("   {}", conflict["class"].as_str().unwrap_or_default());
            println!(
                "      http://{}/records/{}",
                district.nodes[BUREAU].http,
                conflict["record"].as_str().unwrap_or_default()
            );
        }
        expected.clear();
        let texts: Vec<String> =
            (0..district.nodes.len()).map(|i| plan_text(district, i, stage)).collect::<Result<_, _>>()?;
        ensure!(texts.iter().all(|t| *t == texts[0]), "the plan's text differs between nodes");
        ensure!(texts[0].contains("临湖") && texts[0].contains("应急局"), "the plan lost an edit: {}", texts[0]);
        println!("   plan edited on both sides: both edits are in the one text on every node");
        let status = district.nodes[BUREAU].status()?;
        println!("   heads  {}", status["frontier_digest"].as_str().unwrap_or_default());
        println!("   views  {}", status["projection_digest"].as_str().unwrap_or_default());
        println!("   equal on all three nodes; {} events, {} records", status["events"], status["records"]);
        Ok(())
    }
}

fn say(number: &str, text: &str) {
    println!("{number}. {text}");
}

/// Before the cut: two incidents, and the things that both sides will act on.
fn set_stage(district: &District) -> anyhow::Result<Stage> {
    let report = |place: &str| {
        let command = json!({"do": "report_incident", "category": "暴雨积水", "severity": "III", "place": place, "summary": "地下车库进水"});
        let receipt = district.nodes[LINHU].act(command)?;
        receipt["record"].as_str().map(str::to_owned).context("no record in the receipt")
    };
    let incidents = [report("临湖一区 3 号楼")?, report("临湖二区 11 号楼")?];
    let (point, item, left) = scarcest(district)?;
    let first = |kind: &str| -> anyhow::Result<String> {
        let records = district.records(LINHU, kind)?;
        let id =
            records.first().and_then(|r| r["record"].as_str()).with_context(|| format!("no {kind} was imported"))?;
        Ok(id.to_owned())
    };
    Ok(Stage { point, item, left, team: first("team")?, incidents, plan: first("plan")? })
}

/// A supply point that has pumps, and how many.
fn scarcest(district: &District) -> anyhow::Result<(String, String, i64)> {
    for point in district.records(LINHU, "supply_point")? {
        let id = point["record"].as_str().unwrap_or_default().to_owned();
        let view = district.nodes[LINHU].get(&format!("/records/{id}"))?;
        if let Some((item, left)) = stock(&view).into_iter().find(|(item, left)| item.contains("泵") && *left > 0) {
            return Ok((id, item, left));
        }
    }
    bail!("no supply point of the sample has pumps")
}

/// Balance by item in a supply point's view.
fn stock(view: &Value) -> BTreeMap<String, i64> {
    let items = view["state"]["supply_point"]["items"].as_object();
    items.into_iter().flatten().filter_map(|(item, entry)| Some((item.clone(), entry["balance"].as_i64()?))).collect()
}

fn act_on_both_sides(district: &District, stage: &Stage) -> anyhow::Result<()> {
    for (side, edit, incident) in
        [(LINHU, "临湖补充:地下车库先断电再抽水。", 0), (BUREAU, "应急局补充:转移点改为中心小学。", 1)]
    {
        let node = &district.nodes[side];
        node.act(json!({"do": "issue_supplies", "point": stage.point, "item": stage.item, "quantity": stage.left, "to": "抢险"}))?;
        node.act(json!({"do": "deploy_team", "team": stage.team, "incident": stage.incidents[incident], "people": 3}))?;
        node.act(json!({"do": "close_incident", "incident": stage.incidents[0], "outcome": "积水已排除"}))?;
        let text = plan_text(district, side, stage)?;
        let text = if side == LINHU { format!("{edit}\n{text}") } else { format!("{text}\n{edit}\n") };
        node.act(json!({"do": "edit_plan", "plan": stage.plan, "text": text}))?;
    }
    Ok(())
}

fn plan_text(district: &District, node: usize, stage: &Stage) -> anyhow::Result<String> {
    let view = district.nodes[node].get(&format!("/records/{}", stage.plan))?;
    let text = view["state"]["plan"]["document"]["rendered"]["text"].as_str();
    text.map(str::to_owned).with_context(|| format!("no plan text in {view}"))
}

fn check_pages(district: &District) -> anyhow::Result<()> {
    for node in &district.nodes {
        for path in ["/healthz", "/public", "/sign-in"] {
            let (status, body) = node.page(path)?;
            ensure!(status == 200, "{}{path} answers {status} during the cut: {body}", node.name);
        }
    }
    Ok(())
}

/// During the cut each side shows its own act once, and no conflict.
fn check_apart(district: &District, stage: &Stage) -> anyhow::Result<()> {
    ensure!(!district.disagreement()?.is_empty(), "the cut did not separate the nodes");
    for side in [LINHU, BUREAU] {
        let view = district.nodes[side].get(&format!("/records/{}", stage.point))?;
        let left = stock(&view).get(&stage.item).copied();
        ensure!(
            left == Some(0),
            "{} shows {left:?} {} during the cut instead of 0",
            district.nodes[side].name,
            stage.item
        );
        let found = conflicts(district, side)?;
        ensure!(found.is_empty(), "{} shows conflicts during the cut: {found:?}", district.nodes[side].name);
    }
    Ok(())
}

fn conflicts(district: &District, node: usize) -> anyhow::Result<Vec<Value>> {
    let desk = district.nodes[node].get("/desk")?;
    desk["conflicts"].as_array().cloned().with_context(|| format!("no conflicts in {desk}"))
}
