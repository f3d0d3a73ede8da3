//! `linli-chaos`: the demo, the benchmarks under bad conditions, and the laboratory of real processes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use linli_chaos::bench::Bench;
use linli_chaos::demo::Demo;
use linli_chaos::lab::end_tidily_on_interrupt;
use linli_chaos::ledger::Ledger;

/// Real nodes, real cuts.
#[derive(Debug, Parser)]
#[command(name = "linli-chaos", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Three nodes of one district, a cut, what both sides did, and the reunion.
    Demo(Demo),
    /// Districts under bad conditions: slow lines, cuts, many nodes, a long past.
    Bench(Bench),
    /// The proof that an act happens once: impatient clients, kills, power cuts and cuts.
    Ledger(Ledger),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let outcome = end_tidily_on_interrupt().and_then(|()| match command {
        Command::Demo(demo) => demo.run(),
        Command::Bench(bench) => bench.run(),
        Command::Ledger(ledger) => ledger.run(),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
