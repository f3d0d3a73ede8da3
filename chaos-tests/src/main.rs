//! `linli-chaos`: the demo and the laboratory of real processes.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use linli_chaos::demo::Demo;
use linli_chaos::lab::end_tidily_on_interrupt;

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
}

fn main() -> ExitCode {
    let Command::Demo(demo) = Cli::parse().command;
    match end_tidily_on_interrupt().and_then(|()| demo.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
