//! `linli carry`: what a liaison takes along on a stick between streets whose network is down.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::outcome::{Code, Failure, Outcome};
use super::{Context, now_ms};
use crate::carry::incoming::{self, Brought, FileReport};
use crate::carry::outgoing::{self, Carried, Order};
use crate::carry::standing;

/// Carries signed events on a stick. Every file is sealed: a courier can read nothing of it.
#[derive(Debug, Subcommand)]
pub enum Carry {
    /// Write what this node holds, so that another can carry out exactly what it lacks. Works beside a running node.
    Request(Standing),
    /// Write a bundle for other nodes: all there is, or what their requests lack. Works beside a running node.
    Out(Out),
    /// Take volumes in, in any order, again or in part. Goes through the running node if one runs.
    In(In),
    /// Write what this node holds now, for whoever carried: the same statement as a request, made afterwards.
    Receipt(Standing),
}

/// Where a request or receipt goes.
#[derive(Debug, Args)]
pub struct Standing {
    /// The file to write; it must not exist.
    file: PathBuf,
}

/// Writes a bundle.
#[derive(Debug, Args)]
pub struct Out {
    /// The directory for the volumes, such as the stick's.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// A request or receipt of a node that the bundle is for; may be given more than once. Without it the bundle is for
    /// every other node, and personal payloads go along only where all of them may have them.
    #[arg(long = "for", value_name = "REQUEST")]
    requests: Vec<PathBuf>,
    /// Largest length of a volume: 64KiB to 64MiB.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = outgoing::parse_size)]
    volume_size: u64,
}

/// Takes volumes in.
#[derive(Debug, Args)]
pub struct In {
    /// Volumes: linli-carry-….age
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl Carry {
    pub(super) fn run(self, context: &Context) -> Outcome {
        match self {
            Self::Request(args) => standing(context, args, "申请", "request"),
            Self::Receipt(args) => standing(context, args, "回执", "receipt"),
            Self::Out(args) => out(context, args),
            Self::In(args) => take_in(context, &args),
        }
    }
}

fn standing(context: &Context, args: Standing, zh: &str, en: &str) -> Outcome {
    let written = standing::write(&context.dir, &args.file, now_ms())?;
    context.print(&json!(written), |_| {
        let (events, logs, readers) = (written.events, written.logs, written.readers);
        let file = written.file.display();
        format!(
            "{zh}已写入 {file}: {logs} 本日志共 {events} 条,{readers} 个节点可读 / \
             {en}: {events} events in {logs} logs, readable by {readers} nodes"
        )
    });
    Ok(())
}

fn out(context: &Context, args: Out) -> Outcome {
    let order = Order { to: args.to, requests: args.requests, volume_bytes: args.volume_size };
    let carried = outgoing::run(&context.dir, &order, now_ms())?;
    context.print(&json!(carried), |_| describe_out(&carried));
    Ok(())
}

fn describe_out(carried: &Carried) -> String {
    if carried.volumes.is_empty() {
        return "对方什么都不缺 / they lack nothing that is here".into();
    }
    let (events, logs) = (carried.events, carried.logs);
    let (nodes, count) = (carried.nodes.len(), carried.volumes.len());
    let mut text = format!(
        "已写入 {count} 卷: {logs} 本日志的 {events} 条,{nodes} 个节点可读 / \
         {count} volumes: {events} events of {logs} logs, readable by {nodes} nodes\n"
    );
    for volume in &carried.volumes {
        text += &format!("{}\n", volume.display());
    }
    if !carried.withheld.is_empty() {
        let areas: Vec<String> = carried.withheld.iter().map(ToString::to_string).collect();
        text += &format!(
            "不含这些区域的个人信息(收件节点并非都有权) / without personal data of {} (not every one of the nodes may \
             have it)\n",
            areas.join(" ")
        );
    }
    text
}

fn take_in(context: &Context, args: &In) -> Outcome {
    let brought = incoming::run(&context.dir, &context.config, &args.files, now_ms())?;
    let value: Value = serde_json::to_value(&brought).map_err(anyhow::Error::from)?;
    context.print(&value, |_| describe_in(&brought));
    let Some(code) = brought.code() else { return Ok(()) };
    Err(match code {
        Code::VerificationFailed => {
            let message = "有文件损坏、无法核验或不属于本区 / a file is damaged, proves nothing, or is of elsewhere";
            Failure::new(code, message, "copy the named files again and repeat; what was proven is kept")
        }
        _ => {
            let message = "尚有缺失或矛盾 / something is missing or contradicts";
            Failure::new(code, message, "bring the missing volumes and repeat; in any order, none is taken twice")
        }
    })
}

fn describe_in(brought: &Brought) -> String {
    let (new, known) = (brought.new, brought.known);
    let mut text =
        format!("新增 {new} 条,此前已有 {known} 条,均已存本节点 / {new} new events, {known} known: durable here\n");
    for file in &brought.files {
        text += &describe_file(file);
    }
    for line in &brought.missing {
        let numbers: Vec<String> = line.volumes.iter().map(ToString::to_string).collect();
        let more = if line.end_known { "" } else { " (最后一卷尚未见到 / its last volume was not seen)" };
        text += &format!(
            "缺卷 / missing of bundle {}: {}{more}\n",
            line.bundle.short(),
            if numbers.is_empty() { "-".into() } else { numbers.join(" ") }
        );
    }
    text
}

fn describe_file(file: &FileReport) -> String {
    let (name, report) = (file.file.display(), &file.report);
    let mut text = String::new();
    if let Some(reason) = &report.damaged {
        text += &format!("{name}: {reason}\n");
    }
    for gap in &report.gaps {
        let (log, have, from) = (&gap.log, gap.have, gap.from);
        text += &format!(
            "{name}: 日志 {log} 只到第 {have} 条,本卷从第 {from} 条起;多半缺前面的卷 / log {log} ends at {have} here and \
             goes on at {from}: an earlier volume is missing\n"
        );
    }
    for fork in &report.forks {
        let (log, seq) = (&fork.log, fork.theirs.seq);
        text += &format!(
            "{name}: 日志 {log} 有两种历史,证据已留存 / two histories of log {log} at {seq}: kept as evidence\n"
        );
    }
    for refused in &report.refused {
        let log = refused.log.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
        text += &format!("{name}: {log} 第 {0} 条起被拒 / refused from {0} on: {1}\n", refused.from, refused.reason);
    }
    text
}
