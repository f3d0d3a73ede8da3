//! The demo: a bureau and two streets, a cut, what both sides did to the same things, and the reunion.
//!
//! It succeeds only if everything held: pages of both sides were reachable during the cut, neither side knew of the
//! other's acts, and after the heal all heads and all views are equal and show exactly the provoked conflicts.
//! `bad_links` is another one: streets on bad lines.

mod bad_links;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;
use linli_domain::conflict::ConflictClass;
use linli_domain::desk::ConflictLine;
use linli_domain::state::State;
use linli_domain::summary::{Detail, StockLine};
use serde_json::json;

use crate::district::District;
use crate::lab::process::NodeProcess;
use crate::lab::{interrupted, namespace};

/// The community whose sample street is imported.
const COMMUNITY: &str = "320508005012";
/// Longest wait for the first replication of the sample street, and for the reunion.
const PATIENCE: Duration = Duration::from_secs(120);

const BUREAU: usize = 0;
const LINHU: usize = 1;

/// Who edits the plan during the cut, and what they add.
const EDITS: [(usize, &str); 2] =
    [(LINHU, "临湖补充:地下车库先断电再抽水。"), (BUREAU, "应急局补充:转移点改为中心小学。")];

/// What both sides provoke, and all that may be found after the reunion.
const PROVOKED: [(ConflictClass, u64); 3] =
    [(ConflictClass::Overdraw, 1), (ConflictClass::DoubleDeployment, 1), (ConflictClass::TwoClosings, 1)];

/// Three nodes of one district, a cut, and the reunion.
#[derive(Debug, Args)]
pub struct Demo {
    /// Use relays on loopback even where root could make network namespaces.
    #[arg(long)]
    no_namespaces: bool,
    /// Where the sample street is.
    #[arg(long, default_value = "node/samples/street")]
    sample: PathBuf,
    /// Another demo: streets behind a slow radio, behind a relay, and without a network.
    #[arg(long)]
    bad_links: bool,
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
        Self { no_namespaces: true, sample, bad_links: false, stay: false }
    }

    /// The demo in network namespaces, as it runs for root.
    pub const fn in_namespaces(sample: PathBuf) -> Self {
        Self { no_namespaces: false, sample, bad_links: false, stay: false }
    }

    /// The same over bad lines instead of a cut.
    pub fn over_bad_links(self) -> Self {
        Self { bad_links: true, ..self }
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
        let sample =
            self.sample.canonicalize().with_context(|| format!("no sample street at {}", self.sample.display()))?;
        if self.bad_links {
            let shaped = real && namespace::can_slow_down();
            return bad_links::play(root, &sample, shaped.then_some(block), self.stay);
        }
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
            println!("   {:8} http://{}/", node.name, node.api.http);
        }

        say("2", "示例街道导入临湖节点,出现在所有节点 / the sample street is imported at one node");
        let sample = sample.to_str().context("the sample's path is not UTF-8")?;
        let imported = district.nodes[LINHU].command(&["import", "--area", COMMUNITY, sample])?;
        let took = district.wait_for_agreement(PATIENCE)?;
        println!("   {} items on all three nodes {:.1} s after the import", imported["written"], took.as_secs_f64());
        let stage = set_stage(&district)?;
        district.wait_for_agreement(PATIENCE)?;

        say("3", "切断临湖街道 / the link between linhu and the others is cut");
        district.cut_off(LINHU)?;
        act_on_both_sides(&district, &stage)?;
        check_pages(&district, &stage)?;
        check_apart(&district, &stage)?;
        println!("   both sides acted on the same things; neither knows of the other; all pages answer");

        say("4", "恢复 / the link heals");
        district.heal(LINHU)?;
        let took = district.wait_for_agreement(PATIENCE)?;
        println!("   converged {:.1} s after the heal", took.as_secs_f64());
        self.report(&district, &stage)?;
        if self.stay {
            stay(&district);
        }
        Ok(())
    }

    fn report(&self, district: &District, stage: &Stage) -> anyhow::Result<()> {
        say("5", "发现了什么 / what was found");
        for node in &district.nodes {
            let found = node.api.desk()?.conflicts;
            let counts = found.iter().fold(BTreeMap::<_, u64>::new(), |mut counts, line| {
                *counts.entry(line.conflict.class).or_default() += 1;
                counts
            });
            ensure!(counts == BTreeMap::from(PROVOKED), "{} shows {counts:?} instead of {PROVOKED:?}", node.name);
        }
        let bureau = &district.nodes[BUREAU];
        for ConflictLine { record, title, conflict, .. } in bureau.api.desk()?.conflicts {
            println!("   {} / {}: {title} {}", conflict.class.zh(), conflict.class.en(), conflict.subject);
            println!("      http://{}/records/{record}", bureau.api.http);
        }
        let texts = district.nodes.iter().map(|node| plan_text(node, stage)).collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(texts.iter().all(|text| *text == texts[0]), "the plan's text differs between nodes");
        ensure!(EDITS.iter().all(|(_, edit)| texts[0].contains(edit)), "the plan lost an edit: {}", texts[0]);
        println!(
            "   预案两边都改过,两处改动都在同一文本中 / both edits of the plan are in one text, the same on every node"
        );
        println!("      http://{}/records/{}", bureau.api.http, stage.plan);
        let status = bureau.api.status()?;
        println!("   heads  {}", status["frontier_digest"].as_str().unwrap_or_default());
        println!("   views  {}", status["projection_digest"].as_str().unwrap_or_default());
        println!(
            "   三个节点完全一致 / equal on all nodes: {} events, {} records",
            status["events"], status["records"]
        );
        Ok(())
    }
}

/// Keeps the nodes running until Ctrl-C, for people to look at their pages.
fn stay(district: &District) {
    for node in &district.nodes {
        println!("   {:8} http://{}/  一次性登录码 / code {}", node.name, node.api.http, node.code);
    }
    println!("\nCtrl-C 结束 / ends.");
    while !interrupted() {
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn say(number: &str, text: &str) {
    println!("{number}. {text}");
}

/// Before the cut: two incidents, and the things that both sides will act on.
fn set_stage(district: &District) -> anyhow::Result<Stage> {
    let linhu = &district.nodes[LINHU];
    let report = |place: &str| {
        let command = json!({"do": "report_incident", "category": "暴雨积水", "severity": "III", "place": place, "summary": "地下车库进水"});
        linhu.api.act(command)?["record"].as_str().map(str::to_owned).context("no record in the receipt")
    };
    let incidents = [report("临湖一区 3 号楼")?, report("临湖二区 11 号楼")?];
    let (point, pumps) = scarcest(linhu)?;
    let first = |kind: &str| -> anyhow::Result<String> {
        let records = linhu.api.records(kind)?;
        Ok(records.first().with_context(|| format!("no {kind} was imported"))?.id.to_string())
    };
    Ok(Stage { point, item: pumps.item, left: pumps.balance, team: first("team")?, incidents, plan: first("plan")? })
}

/// The supply point with the fewest pumps, and what is there of them.
fn scarcest(node: &NodeProcess) -> anyhow::Result<(String, StockLine)> {
    let mut found = vec![];
    for point in node.api.records("supply_point")? {
        let Detail::SupplyPoint { stock, .. } = point.detail else { continue };
        found
            .extend(stock.into_iter().filter(|line| line.item.contains('泵')).map(|line| (point.id.to_string(), line)));
    }
    let pumps = found.into_iter().filter(|(_, line)| line.balance > 0).min_by_key(|(_, line)| line.balance);
    pumps.context("no supply point of the sample has pumps")
}

fn act_on_both_sides(district: &District, stage: &Stage) -> anyhow::Result<()> {
    for (i, (side, edit)) in EDITS.into_iter().enumerate() {
        let node = &district.nodes[side];
        node.api.act(json!({"do": "issue_supplies", "point": stage.point, "item": stage.item, "quantity": stage.left, "to": "抢险"}))?;
        node.api.act(json!({"do": "deploy_team", "team": stage.team, "incident": stage.incidents[i], "people": 3}))?;
        node.api.act(json!({"do": "close_incident", "incident": stage.incidents[0], "outcome": "积水已排除", "even_if_teams_there": true}))?;
        let text = plan_text(node, stage)?;
        let text = if side == LINHU { format!("{edit}\n{text}") } else { format!("{text}\n{edit}\n") };
        node.api.act(json!({"do": "edit_plan", "plan": stage.plan, "text": text}))?;
    }
    Ok(())
}

fn plan_text(node: &NodeProcess, stage: &Stage) -> anyhow::Result<String> {
    let view = node.api.record(&stage.plan)?;
    view.state.document().map(|document| document.rendered.text.clone()).context("the plan has no document")
}

/// During the cut an operator can sign in at every node, and reads the desk, the contested records and the status.
fn check_pages(district: &District, stage: &Stage) -> anyhow::Result<()> {
    for node in &district.nodes {
        let session = node.api.sign_in().with_context(|| format!("signing in at {} during the cut", node.name))?;
        let record = |id: &str| format!("/records/{id}");
        let paths =
            ["/".into(), "/status".into(), "/m".into(), "/public".into(), record(&stage.point), record(&stage.plan)];
        for path in paths {
            let (status, body) = node.api.page(&path, Some(&session))?;
            ensure!(status == 200, "{}{path} answers {status} during the cut: {body}", node.name);
        }
    }
    Ok(())
}

/// During the cut each side shows its own act once, and no conflict.
fn check_apart(district: &District, stage: &Stage) -> anyhow::Result<()> {
    ensure!(!district.disagreement()?.is_empty(), "the cut did not separate the nodes");
    for (side, _) in EDITS {
        let node = &district.nodes[side];
        let left = match node.api.record(&stage.point)?.state {
            State::SupplyPoint(point) => point.balance(&stage.item),
            _ => bail!("{} is no supply point", stage.point),
        };
        ensure!(left == 0, "{} shows {left} {} during the cut instead of 0", node.name, stage.item);
        let found = node.api.desk()?.conflicts;
        ensure!(found.is_empty(), "{} shows conflicts during the cut: {found:?}", node.name);
    }
    Ok(())
}
