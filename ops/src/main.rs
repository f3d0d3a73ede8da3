//! `linli-ops`: what a district does offline. Root keys and the genesis of a real district; verification of exports.
//!
//! Runs on a machine without a network. Root keys never touch a node.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use linli_core::area::Area;
use linli_core::enrol::{Founding, JoinRequest, Ticket, found};
use linli_core::sign::SecretKey;

/// Offline tools of a district: root keys, genesis.
#[derive(Debug, Parser)]
#[command(name = "linli-ops", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make one root key and keep it in a file that only you can read. Suggested: five keys, five people.
    RootKey {
        /// The file to write; it must not exist.
        file: PathBuf,
    },
    /// Found a district: all root keys agree to its genesis, and it enrols its first node.
    Genesis(Genesis),
}

/// What the ceremony agrees to.
#[derive(Debug, clap::Args)]
struct Genesis {
    /// The district's name.
    #[arg(long)]
    district: String,
    /// The district's division code.
    #[arg(long)]
    area: Area,
    /// How many root keys must agree later: more than half of them.
    #[arg(long)]
    threshold: u64,
    /// A root key file; give each of them.
    #[arg(long = "root-key", required = true)]
    root_keys: Vec<PathBuf>,
    /// The first node's public name, such as 应急管理局.
    #[arg(long)]
    node_name: String,
    /// Where the first node works; by default the whole district.
    #[arg(long)]
    node_area: Option<Area>,
    /// An address of the first node, as a multiaddr, for those who join later.
    #[arg(long = "address")]
    addresses: Vec<String>,
    /// The text that `linli join` printed on the first node's machine.
    request: String,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::RootKey { file } => make_root_key(&file),
        Command::Genesis(genesis) => {
            let ticket = hold_ceremony(genesis)?;
            println!("{}\n\nOn the first node's machine: linli join <this text>", ticket.to_text());
            Ok(())
        }
    }
}

fn make_root_key(file: &Path) -> anyhow::Result<()> {
    let key = SecretKey::from_seed(&random()?);
    let mut out = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("cannot create {}", file.display()))?;
    let text: String = key.to_seed().iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(out, "{text}")?;
    out.sync_all()?;
    println!("root key {} written to {}: keep it offline, on paper too", key.public(), file.display());
    Ok(())
}

fn read_root_key(file: &Path) -> anyhow::Result<SecretKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = text.trim();
    let mut seed = [0u8; 32];
    let well_formed = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !well_formed {
        bail!("{} is no root key: it holds 64 hexadecimal digits", file.display());
    }
    for (i, byte) in seed.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16)?;
    }
    Ok(SecretKey::from_seed(&seed))
}

fn hold_ceremony(genesis: Genesis) -> anyhow::Result<Ticket> {
    let request = JoinRequest::from_text(&genesis.request)?;
    let mut roots: Vec<SecretKey> = genesis.root_keys.iter().map(|f| read_root_key(f)).collect::<Result<_, _>>()?;
    let keys = roots.len();
    roots.sort_by_key(SecretKey::public);
    roots.dedup_by_key(|key| key.public());
    if roots.len() < keys {
        bail!("the same root key was given twice");
    }
    if genesis.threshold > keys as u64 || genesis.threshold * 2 <= keys as u64 {
        bail!("a threshold of {} of {keys} keys is not allowed: it must be more than half of them", genesis.threshold);
    }
    let area = genesis.node_area.unwrap_or_else(|| genesis.area.clone());
    if !genesis.area.contains(&area) {
        bail!("the node's area {area} does not lie in the district {}", genesis.area);
    }
    let founding = Founding {
        district: genesis.district,
        district_area: genesis.area,
        label: genesis.node_name,
        area,
        threshold: genesis.threshold,
    };
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis();
    let district = found(&roots, &request, &founding, u64::try_from(now_ms)?, random()?).context("no root key")?;
    let ticket = Ticket { federation: district.federation, charter: district.charter, peers: genesis.addresses };
    ticket.verified_for(&request.key).context("the ceremony's result does not verify")?;
    Ok(ticket)
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0u8; N];
    getrandom::fill(&mut bytes).map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceremony(threshold: u64, keys: usize) -> anyhow::Result<Ticket> {
        let dir = tempfile::tempdir().unwrap();
        let root_keys: Vec<PathBuf> = (0..keys).map(|i| dir.path().join(format!("root{i}.key"))).collect();
        root_keys.iter().for_each(|file| make_root_key(file).unwrap());
        hold_ceremony(Genesis {
            district: "临湖区".into(),
            area: "320508".parse().unwrap(),
            threshold,
            root_keys,
            node_name: "应急管理局".into(),
            node_area: None,
            addresses: vec![],
            request: JoinRequest::of(&SecretKey::from_seed(&[7; 32])).to_text(),
        })
    }

    #[test]
    fn three_of_five_people_found_a_district() {
        let ticket = ceremony(3, 5).unwrap();
        let node = SecretKey::from_seed(&[7; 32]).public();
        assert_eq!(ticket.verified_for(&node).unwrap().len(), 2);
    }

    #[test]
    fn a_threshold_of_half_is_refused() {
        assert!(ceremony(2, 4).unwrap_err().to_string().contains("more than half"));
        assert!(ceremony(3, 2).is_err());
    }
}
