//! Settings of a node: one documented struct; file < `LINLI_*` environment < flags.
//!
//! The example file that `linli config example` prints is generated from [`SETTINGS`], which a test keeps equal to
//! the struct, so that no setting goes undocumented.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Stands among the addresses to announce for those that the node finds out itself.
pub const AUTO: &str = "auto";

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address and port of the pages and the API.
    pub http: SocketAddr,
    /// Names under which browsers may reach this node, besides addresses and localhost.
    pub host_names: Vec<String>,
    /// Whether residents on the local network may read the public part without signing in.
    pub residents_open: bool,
    /// Whether anybody on the network may read the figures at `/metrics`, and not only this machine and its token.
    pub metrics_open: bool,
    /// Multiaddrs on which other nodes reach this one.
    pub listen: Vec<String>,
    /// Multiaddrs at which other nodes are told to call this one; `auto` stands for finding out.
    pub announce: Vec<String>,
    /// Multiaddrs of nodes to keep connected to.
    pub peers: Vec<String>,
    /// Whether to find nodes on the local network by mDNS.
    pub mdns: bool,
    /// When to be reachable through the relays of other nodes: `auto`, `always` or `never`.
    pub relays: Relays,
    /// What to log, as `tracing` directives.
    pub log: String,
    /// `text` or `json`.
    pub log_format: LogFormat,
}

/// When a node keeps places on the relays of its peers, so that others can call it through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relays {
    /// Where it turns out that a peer cannot call this node.
    Auto,
    /// On all peers that this node calls, without finding out.
    Always,
    /// Never.
    Never,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            http: SocketAddr::from(([127, 0, 0, 1], 8420)),
            host_names: vec![],
            residents_open: true,
            metrics_open: false,
            listen: [
                "/ip4/0.0.0.0/udp/8421/quic-v1",
                "/ip4/0.0.0.0/tcp/8421",
                "/ip6/::/udp/8421/quic-v1",
                "/ip6/::/tcp/8421",
            ]
            .map(str::to_owned)
            .to_vec(),
            announce: vec![AUTO.into()],
            peers: vec![],
            mdns: true,
            relays: Relays::Auto,
            log: "info,libp2p=warn,libp2p_mdns=error".into(),
            log_format: LogFormat::Text,
        }
    }
}

/// Name, example value in TOML and explanation of each setting, in the order of the example file.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    ("http", "\"127.0.0.1:8420\"", "Address and port of the pages. 0.0.0.0:8420 opens them to the local network."),
    ("host_names", "[]", "Names under which browsers reach this node, besides IP addresses and localhost."),
    ("residents_open", "true", "Whether anybody on the network may read the residents' part without signing in."),
    (
        "metrics_open",
        "false",
        "Whether anybody on the network may read /metrics; otherwise this machine, and whoever sends its api-token.",
    ),
    (
        "listen",
        "[\"/ip4/0.0.0.0/udp/8421/quic-v1\", \"/ip4/0.0.0.0/tcp/8421\", \"/ip6/::/udp/8421/quic-v1\", \"/ip6/::/tcp/8421\"]",
        "Where other nodes reach this one, as multiaddrs: QUIC first, TCP as fallback, over IPv4 and IPv6.",
    ),
    (
        "announce",
        "[\"auto\"]",
        "Where others are told to call this node: auto, the addresses at which a router passes the port on, or [].",
    ),
    ("peers", "[]", "Nodes to keep connected to, such as \"/ip4/192.0.2.7/udp/8421/quic-v1\"."),
    ("mdns", "true", "Find nodes on the local network without being told."),
    (
        "relays",
        "\"auto\"",
        "Be reachable through the relays of other nodes: auto where they cannot call this one, always, or never.",
    ),
    ("log", "\"info,libp2p=warn,libp2p_mdns=error\"", "What to log, as tracing directives."),
    ("log_format", "\"text\"", "text for people, json for log collectors."),
];

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The text is no TOML, or a value has the wrong shape.
    #[error("{place}: {message}")]
    Value {
        /// The file or variable.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// A key that does not exist.
    #[error("{place}: there is no setting {key:?}; did you mean {nearest:?}? (linli config example lists all)")]
    UnknownKey {
        /// The file or variable.
        place: String,
        /// The key.
        key: String,
        /// The most similar setting.
        nearest: &'static str,
    },
}

impl Config {
    /// The file (if it exists) overlaid by `LINLI_*` variables. Flags are the caller's to lay on top.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or variable and what is wrong.
    pub fn load(file: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut table = match std::fs::read_to_string(file) {
            Ok(text) => parse_table(&file.display().to_string(), &text)?,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => toml::Table::new(),
            Err(source) => return Err(ConfigError::Read { path: file.to_owned(), source }),
        };
        for (variable, text) in environment {
            let Some(key) = variable.strip_prefix("LINLI_").map(str::to_lowercase) else { continue };
            // Where the data is, which is no setting, and what the project's own tests are told.
            if key == "data_dir" || key.starts_with("test_") {
                continue;
            }
            let example = known_key(&variable, &key)?;
            table.insert(key, environment_value(example, &text));
        }
        toml::Value::Table(table).try_into().map_err(|e: toml::de::Error| ConfigError::Value {
            place: format!("{} and LINLI_* variables", file.display()),
            message: e.message().to_owned(),
        })
    }

    /// The documented example file: every setting with its default, commented out.
    pub fn example() -> String {
        let mut out = String::from("# Settings of a Linli node. Put this at <data directory>/linli.toml.\n");
        out.push_str("# Each can also be set by an environment variable: LINLI_ and its name in capitals.\n");
        for (key, value, explanation) in SETTINGS {
            out.push_str(&format!("\n# {explanation}\n# {key} = {value}\n"));
        }
        out
    }
}

fn parse_table(place: &str, text: &str) -> Result<toml::Table, ConfigError> {
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| ConfigError::Value { place: place.to_owned(), message: e.to_string() })?;
    for key in table.keys() {
        known_key(place, key)?;
    }
    Ok(table)
}

/// The example of a setting.
fn known_key(place: &str, key: &str) -> Result<&'static str, ConfigError> {
    if let Some((_, example, _)) = SETTINGS.iter().find(|(known, _, _)| *known == key) {
        return Ok(example);
    }
    let similarity: BTreeMap<u64, &'static str> =
        SETTINGS.iter().map(|(known, _, _)| ((strsim::jaro_winkler(known, key) * 1e6) as u64, *known)).collect();
    let nearest = similarity.values().next_back().copied().unwrap_or("http");
    Err(ConfigError::UnknownKey { place: place.to_owned(), key: key.to_owned(), nearest })
}

/// A variable holds a TOML value, or bare words: one, or several with commas between them where the setting is a list.
fn environment_value(example: &str, text: &str) -> toml::Value {
    let as_toml = format!("v = {text}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
    as_toml.unwrap_or_else(|| match example.starts_with('[') {
        true => toml::Value::Array(text.split(',').map(|s| toml::Value::String(s.trim().to_owned())).collect()),
        false => toml::Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(file: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("linli.toml");
        std::fs::write(&path, file).unwrap();
        Config::load(&path, env.iter().map(|(k, v)| (k.to_string(), v.to_string())))
    }

    #[test]
    fn the_example_is_the_default_and_names_every_setting() {
        let uncommented: String = Config::example()
            .lines()
            .filter_map(|line| line.strip_prefix("# ").filter(|l| l.contains(" = ")))
            .map(|line| format!("{line}\n"))
            .collect();
        assert_eq!(load(&uncommented, &[]).unwrap(), Config::default());
        let debug = format!("{:?}", Config::default());
        for (key, _, _) in SETTINGS {
            assert!(debug.contains(&format!("{key}: ")), "{key}");
        }
        assert_eq!(debug.matches(": ").count(), SETTINGS.len());
    }

    #[test]
    fn the_environment_lies_over_the_file() {
        let config = load(
            "mdns = false\nlog = 'warn'",
            &[
                ("LINLI_LOG", "info,linli_net=debug"),
                ("LINLI_HOST_NAMES", "street.example"),
                ("LINLI_PEERS", "/ip4/192.0.2.1/tcp/1,/ip4/192.0.2.2/tcp/1"),
                ("LINLI_DATA_DIR", "/var/lib/linli"),
                ("HOME", "/root"),
            ],
        )
        .unwrap();
        assert!(!config.mdns);
        assert_eq!(
            (config.log.as_str(), config.host_names),
            ("info,linli_net=debug", vec!["street.example".to_owned()])
        );
        assert_eq!(config.peers.len(), 2);
    }

    #[test]
    fn a_typing_error_names_the_nearest_setting() {
        let error = load("pears = []", &[]).unwrap_err().to_string();
        assert!(error.contains("\"pears\"") && error.contains("\"peers\""), "{error}");
        let error = load("", &[("LINLI_HTPP", "1")]).unwrap_err().to_string();
        assert!(error.contains("LINLI_HTPP") && error.contains("\"http\""), "{error}");
        assert!(load("mdns = 'perhaps'", &[]).is_err());
    }
}
