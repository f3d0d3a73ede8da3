//! The data directory: where a node keeps its keys, its store and its token for the command line.
//!
//! ```text
//! linli.toml        settings (optional)
//! keys/node.key     this node's secret key, 32 bytes in hexadecimal, mode 0600
//! keys/root.key     the district's root key; only where `linli init` made a development district
//! api-token         lets the command line on this machine talk to the running node, mode 0600
//! start-code        the sign-in code of the last start, mode 0600; only where that was not printed on a terminal
//! http-address      where the pages and the API were served last, for the command line
//! addresses         where peers were and when they were last heard; may be deleted
//! store/            RocksDB, with the generation file beside it
//! ```

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use data_encoding::HEXLOWER;
use linli_core::sign::SecretKey;
use zeroize::Zeroizing;

/// Random bytes of the command line's token.
const TOKEN_BYTES: usize = 32;

/// A data directory, existing or to be made.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// Which secret key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyName {
    /// The node's own.
    Node,
    /// The district's root key of a development district.
    Root,
}

/// Why a secret of a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// There is none: no node lives here.
    #[error("no node lives in {}", .0.display())]
    NoNode(PathBuf),
    /// Others on this machine can read it.
    #[error("{} can be read by others", .0.display())]
    ReadableByOthers(PathBuf),
    /// The system does not let it be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{} is damaged", .0.display())]
    Damaged(PathBuf),
}

impl DataDir {
    /// Names a directory; nothing is read or made.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The settings file.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("linli.toml")
    }

    /// The store.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Where peers were, for the next start.
    pub fn addresses(&self) -> PathBuf {
        self.root.join("addresses")
    }

    fn key_file(&self, name: KeyName) -> PathBuf {
        self.root.join("keys").join(match name {
            KeyName::Node => "node.key",
            KeyName::Root => "root.key",
        })
    }

    /// Whether a node lives here.
    pub fn has_key(&self, name: KeyName) -> bool {
        self.key_file(name).exists()
    }

    /// Makes the directory, readable by its owner only.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(&self) -> anyhow::Result<()> {
        for dir in [self.root.clone(), self.root.join("keys")] {
            std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// Draws and keeps a new secret key. An existing one is never overwritten.
    ///
    /// # Errors
    /// When there is one already, or the system refuses.
    pub fn create_key(&self, name: KeyName) -> anyhow::Result<SecretKey> {
        let mut seed = Zeroizing::new([0u8; 32]);
        getrandom::fill(&mut *seed).map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
        let text = Zeroizing::new(HEXLOWER.encode(&*seed));
        self.write_secret(&self.key_file(name), &text)?;
        Ok(SecretKey::from_seed(&seed))
    }

    /// Reads a secret key.
    ///
    /// # Errors
    /// When it is not there (no node lives here), readable by others, or malformed.
    pub fn read_key(&self, name: KeyName) -> Result<SecretKey, SecretError> {
        let path = self.key_file(name);
        let text = Zeroizing::new(self.read_secret(&path)?);
        let seed: Option<[u8; 32]> = HEXLOWER.decode(text.trim().as_bytes()).ok().and_then(|b| b.try_into().ok());
        let seed = Zeroizing::new(seed.ok_or(SecretError::Damaged(path))?);
        Ok(SecretKey::from_seed(&seed))
    }

    /// The token with which the command line proves that it may read this directory; made on first use.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn api_token(&self) -> anyhow::Result<String> {
        let path = self.root.join("api-token");
        if path.exists() {
            let token = self.read_secret(&path)?.trim().to_owned();
            if is_token(&token) {
                return Ok(token);
            }
            // A power cut at the first start leaves it empty, and an empty token would let nobody in.
            std::fs::remove_file(&path).with_context(|| format!("cannot replace {}", path.display()))?;
        }
        let mut random = [0u8; TOKEN_BYTES];
        getrandom::fill(&mut random).map_err(|e| anyhow::anyhow!("the system gives no randomness: {e}"))?;
        let token = HEXLOWER.encode(&random);
        self.write_secret(&path, &token)?;
        Ok(token)
    }

    /// Keeps where this node serves its API, so that commands find it whatever `linli serve` was told.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn keep_http_address(&self, address: SocketAddr) -> anyhow::Result<()> {
        let path = self.http_address_file();
        std::fs::write(&path, format!("{address}\n")).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Where this node served its API last. None before its first start.
    pub fn http_address(&self) -> Option<SocketAddr> {
        std::fs::read_to_string(self.http_address_file()).ok()?.trim().parse().ok()
    }

    fn http_address_file(&self) -> PathBuf {
        self.root.join("http-address")
    }

    /// Which directory of this machine this is, whatever it is called: a copy is another one.
    pub fn identity(&self) -> Option<String> {
        let metadata = std::fs::metadata(&self.root).ok()?;
        Some(format!("{}:{}", metadata.dev(), metadata.ino()))
    }

    /// Keeps the code of a start for the owner of this directory only, in the place of the last one.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn keep_start_code(&self, code: &str) -> anyhow::Result<PathBuf> {
        let path = self.root.join("start-code");
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot replace {}", path.display()));
            }
            _ => {}
        }
        self.write_secret(&path, code)?;
        Ok(path)
    }

    fn read_secret(&self, path: &Path) -> Result<String, SecretError> {
        let unreadable = |source: std::io::Error| match source.kind() {
            ErrorKind::NotFound => SecretError::NoNode(self.root.clone()),
            _ => SecretError::Unreadable { path: path.to_owned(), source },
        };
        if std::fs::metadata(path).map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
            return Err(SecretError::ReadableByOthers(path.to_owned()));
        }
        std::fs::read_to_string(path).map_err(unreadable)
    }

    fn write_secret(&self, path: &Path, text: &str) -> anyhow::Result<()> {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        writeln!(file, "{text}")?;
        file.sync_all().with_context(|| format!("cannot make {} durable", path.display()))
    }
}

fn is_token(text: &str) -> bool {
    HEXLOWER.decode(text.as_bytes()).is_ok_and(|bytes| bytes.len() == TOKEN_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_kept_private_and_never_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path().join("node"));
        assert!(matches!(dir.read_key(KeyName::Node), Err(SecretError::NoNode(_))));
        dir.create().unwrap();
        let key = dir.create_key(KeyName::Node).unwrap();
        assert_eq!(dir.read_key(KeyName::Node).unwrap().public(), key.public());
        assert!(dir.create_key(KeyName::Node).is_err());
        let path = dir.key_file(KeyName::Node);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(dir.read_key(KeyName::Node), Err(SecretError::ReadableByOthers(_))));
        assert_eq!(dir.api_token().unwrap(), dir.api_token().unwrap());
    }

    #[test]
    fn a_token_that_a_power_cut_left_empty_or_half_is_drawn_anew() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path().to_owned());
        let first = dir.api_token().unwrap();
        let path = temp.path().join("api-token");
        for left in ["", "\n", &first[..20]] {
            std::fs::write(&path, left).unwrap();
            let token = dir.api_token().unwrap();
            assert!(is_token(&token) && token != first, "{token}");
            assert_eq!(dir.api_token().unwrap(), token);
        }
    }

    #[test]
    fn a_start_code_is_kept_private_and_replaced_and_a_copy_is_another_directory() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path().join("node"));
        dir.create().unwrap();
        dir.keep_start_code("OLD").unwrap();
        let path = dir.keep_start_code("7KQ4-M2XD").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "7KQ4-M2XD\n");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let moved = DataDir::new(temp.path().join("moved"));
        let was = dir.identity();
        std::fs::rename(dir.path(), moved.path()).unwrap();
        dir.create().unwrap();
        assert!(was.is_some() && moved.identity() == was && dir.identity() != was);
    }

    #[test]
    fn where_the_api_is_served_is_unknown_before_the_first_start_and_when_the_file_is_damaged() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::new(temp.path().to_owned());
        assert_eq!(dir.http_address(), None);
        let address = SocketAddr::from(([127, 0, 0, 1], 8430));
        dir.keep_http_address(address).unwrap();
        assert_eq!(dir.http_address(), Some(address));
        std::fs::write(dir.http_address_file(), "127.0.0.").unwrap();
        assert_eq!(dir.http_address(), None);
    }
}
