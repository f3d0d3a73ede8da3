//! The command line: `linli <command>`, each with `--json`, exit codes in [`outcome`].

mod carry;
mod found;
mod invite;
mod log;
mod operators;
pub mod outcome;
mod peers;
mod record;
mod serve;
mod show;
mod store;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::client::Client;
use crate::config::Config;
use crate::data_dir::DataDir;
use outcome::{Failure, Outcome, all_printed, print};

/// 邻里: a street's emergency node. Works alone, agrees with its neighbours when they can be reached.
#[derive(Debug, Parser)]
#[command(name = "linli", version, about, max_term_width = 100)]
struct Cli {
    /// Where the node keeps its keys and its store.
    #[arg(long, env = "LINLI_DATA_DIR", global = true, default_value_os_t = default_data_dir())]
    data_dir: PathBuf,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Found a development district with this node as its first member.
    Init(found::Init),
    /// Run the node: pages, API and the mesh.
    Serve(serve::Serve),
    /// What this node holds, whom it hears, and what needs attention.
    Status,
    /// Let somebody in: an operator at this node's pages, or another node into the district.
    Invite(invite::Invite),
    /// Who may sign in at this node's pages: list codes and sessions, revoke one.
    #[command(subcommand)]
    Operators(operators::Operators),
    /// Join a district: print a request, then redeem the ticket that answers it.
    Join(invite::Join),
    /// Other nodes: connected or silent, how fast the line is, what is waiting and how long it will take.
    Peers(peers::Peers),
    /// Record an act, such as: record report_incident category=火灾 severity=III place=3号楼 summary=…
    Record(record::Record),
    /// Show the desk, a list, one record or its history.
    Show(show::Show),
    /// Export signed logs to one file, or verify such a file.
    #[command(subcommand)]
    Log(log::Log),
    /// What this node has lost, and that somebody accepts it.
    #[command(subcommand)]
    Store(store::Store),
    /// Carry signed events on a stick between nodes whose network is down.
    #[command(subcommand)]
    Carry(carry::Carry),
    /// Bring in the CSV files and plan texts that a street office has.
    Import(record::Import),
    /// Settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the documented example file.
    Example,
}

/// What every command has at hand.
struct Context {
    dir: DataDir,
    config: Config,
    json: bool,
}

impl Context {
    fn client(&self) -> Result<Client, Failure> {
        Client::new(&self.dir, &self.config)
    }

    /// Prints the JSON, or what `text` makes of it for people.
    fn print(&self, value: &serde_json::Value, text: impl FnOnce(&serde_json::Value) -> String) {
        let out = if self.json { value.to_string() } else { text(value) };
        print(out.trim_end());
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap prints help to stdout and errors to stderr, with its own exit code 2 for misuse.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let json = cli.json;
    match run(cli).and_then(|()| all_printed()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

fn run(cli: Cli) -> Outcome {
    let dir = DataDir::new(cli.data_dir);
    match cli.command {
        Command::Config(ConfigCommand::Example) => {
            print(Config::example().trim_end());
            return Ok(());
        }
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(shell, &mut Cli::command(), "linli", &mut script);
            print(String::from_utf8_lossy(&script).trim_end());
            return Ok(());
        }
        _ => {}
    }
    let config = Config::load(&dir.config_file(), std::env::vars())?;
    let context = Context { dir, config, json: cli.json };
    match cli.command {
        Command::Init(init) => init.run(&context),
        Command::Serve(serve) => serve.run(context),
        Command::Status => show::status(&context),
        Command::Invite(invite) => invite.run(&context),
        Command::Operators(operators) => operators.run(&context),
        Command::Join(join) => join.run(&context),
        Command::Peers(peers) => peers.run(&context),
        Command::Record(record) => record.run(&context),
        Command::Show(show) => show.run(&context),
        Command::Log(log) => log.run(&context),
        Command::Store(store) => store.run(&context),
        Command::Carry(carry) => carry.run(&context),
        Command::Import(import) => import.run(&context),
        Command::Config(_) | Command::Completions { .. } => Ok(()),
    }
}

fn default_data_dir() -> PathBuf {
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from);
    std::env::var_os("XDG_DATA_HOME").map_or_else(|| home().join(".local/share"), PathBuf::from).join("linli")
}

/// Milliseconds since 1970, from the machine's clock: for display and ordering, never for authority.
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
