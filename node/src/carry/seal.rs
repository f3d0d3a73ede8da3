//! Sealing files for nodes, in the age format (<https://age-encryption.org/v1>).
//!
//! A node's Ed25519 author key is also an X25519 key: the same point on the curve's other form. So no further key has
//! to be handed out, and a courier who opens the file sees noise. Reasons and limits:
//! `docs/adr/0006-sealed-for-the-author-keys.md`.

use std::io::{self, Write};

use age::stream::{StreamReader, StreamWriter};
use age::x25519::{Identity, Recipient};
use bech32::{Bech32, Hrp};
use linli_core::id::AuthorKey;
use linli_core::limits;
use linli_core::sign::{CheckedKey, SecretKey, SignatureError};
use zeroize::Zeroizing;

/// Longest beginning of a sealed file, in bytes: one entry of about 100 bytes for each of the most recipients.
const SEAL_BYTES_MAX: usize = 256 * 1024;
/// Most lines of it: two for each of the most recipients, and as many again for versions that add some.
const SEAL_LINES_MAX: usize = 4 * limits::CARRY_RECIPIENTS_MAX;
/// The line that ends it starts like this.
const SEAL_END: &[u8] = b"\n---";

/// Why nothing can be sealed for these nodes.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A key that nobody should have granted anything.
    #[error("nothing can be sealed for {node}: {source}")]
    Key {
        /// The node.
        node: AuthorKey,
        /// What is wrong with its key.
        source: SignatureError,
    },
    /// Nobody, or too many.
    #[error("a file can be sealed for 1 to {max} nodes, not for {0}", max = limits::CARRY_RECIPIENTS_MAX)]
    Recipients(usize),
    /// A key does not survive its text form: a defect.
    #[error("a key has no age form: {0}")]
    Form(String),
    /// The file cannot be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a file cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is sealed for others.
    #[error("这个文件不是封给本节点的 / it is not sealed for this node")]
    NotForUs,
    /// It is no sealed file, or its beginning is damaged.
    #[error("这不是完好的封装文件 / it is no sealed file, or its beginning is damaged")]
    Damaged,
}

/// Starts a file that only `recipients` can open. [`StreamWriter::finish`] must end it.
///
/// # Errors
/// When a key cannot be sealed for, or the file cannot be written.
pub fn seal<'k, W: Write>(
    out: W,
    recipients: impl IntoIterator<Item = &'k AuthorKey>,
) -> Result<StreamWriter<W>, SealError> {
    let recipients: Vec<Recipient> = recipients.into_iter().map(recipient_of).collect::<Result<_, _>>()?;
    if recipients.is_empty() || recipients.len() > limits::CARRY_RECIPIENTS_MAX {
        return Err(SealError::Recipients(recipients.len()));
    }
    let sealing = age::Encryptor::with_recipients(recipients.iter().map(|r| r as &dyn age::Recipient))
        .map_err(|error| SealError::Form(error.to_string()))?;
    Ok(sealing.wrap_output(out)?)
}

/// Opens a file that is sealed for the holder of `key`. What is read from it is authentic piece by piece.
///
/// # Errors
/// [`OpenError`].
pub fn open<'f>(sealed: &'f [u8], key: &SecretKey) -> Result<StreamReader<&'f [u8]>, OpenError> {
    // The library parses the beginning anew for each of its lines, so these are bounded first.
    let beginning = &sealed[..sealed.len().min(SEAL_BYTES_MAX)];
    let end = beginning.windows(SEAL_END.len()).position(|window| window == SEAL_END).ok_or(OpenError::Damaged)?;
    if beginning[..end].iter().filter(|byte| **byte == b'\n').count() > SEAL_LINES_MAX {
        return Err(OpenError::Damaged);
    }
    let identity = identity_of(key).map_err(|_| OpenError::NotForUs)?;
    let opening = age::Decryptor::new_buffered(sealed).map_err(|_| OpenError::Damaged)?;
    opening.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => OpenError::NotForUs,
        _ => OpenError::Damaged,
    })
}

/// About how long a sealed file is whose inside has `inside` bytes: an upper bound for these recipients.
pub fn sealed_len(inside: u64, recipients: usize) -> u64 {
    256 + 112 * recipients as u64 + inside + 16 * (inside / (64 * 1024) + 1)
}

fn recipient_of(node: &AuthorKey) -> Result<Recipient, SealError> {
    let checked = CheckedKey::for_grant(node).map_err(|source| SealError::Key { node: *node, source })?;
    age_text("age", &checked.to_x25519(), false)?.parse().map_err(|error: &str| SealError::Form(error.to_owned()))
}

fn identity_of(key: &SecretKey) -> Result<Identity, SealError> {
    let text = age_text("age-secret-key-", &key.to_x25519(), true)?;
    text.parse().map_err(|error: &str| SealError::Form(error.to_owned()))
}

/// The library takes keys in their text form only.
fn age_text(prefix: &str, key: &[u8; 32], upper: bool) -> Result<Zeroizing<String>, SealError> {
    let form = |error: &dyn std::fmt::Display| SealError::Form(error.to_string());
    let prefix = Hrp::parse(prefix).map_err(|error| form(&error))?;
    let text = match upper {
        true => bech32::encode_upper::<Bech32>(prefix, key),
        false => bech32::encode_lower::<Bech32>(prefix, key),
    };
    Ok(Zeroizing::new(text.map_err(|error| form(&error))?))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use linli_core::testkit::key;

    use super::*;

    fn sealed_for(nodes: &[u16], text: &[u8]) -> Vec<u8> {
        let keys: Vec<AuthorKey> = nodes.iter().map(|n| key(*n).public()).collect();
        let mut out = seal(vec![], &keys).unwrap();
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn opened(sealed: &[u8], n: u16) -> Result<Vec<u8>, OpenError> {
        let mut text = vec![];
        open(sealed, &key(n))?.read_to_end(&mut text).map_err(|_| OpenError::Damaged)?;
        Ok(text)
    }

    #[test]
    fn every_recipient_opens_it_and_nobody_else() {
        let sealed = sealed_for(&[1, 2, 3], b"frames");
        for n in 1..=3 {
            assert_eq!(opened(&sealed, n).unwrap(), b"frames");
        }
        assert_eq!(opened(&sealed, 4), Err(OpenError::NotForUs));
        assert!(!sealed.windows(6).any(|window| window == b"frames"));
        assert!(matches!(seal(vec![], &[]), Err(SealError::Recipients(0))));
    }

    #[test]
    fn a_changed_or_shortened_file_gives_no_false_text() {
        let sealed = sealed_for(&[1], &[7; 1000]);
        for at in (0..sealed.len()).step_by(7) {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(opened(&changed, 1).is_err(), "{at}");
            assert!(opened(&sealed[..at], 1).is_err(), "{at}");
        }
    }

    #[test]
    fn a_beginning_without_end_or_with_too_many_lines_is_refused_at_once() {
        assert_eq!(opened(&vec![b'\n'; 1 << 20], 1), Err(OpenError::Damaged));
        let many = [b"age-encryption.org/v1\n".to_vec(), b"-> X\n\n".repeat(20_000), b"---".to_vec()].concat();
        assert_eq!(opened(&many, 1), Err(OpenError::Damaged));
        assert_eq!(opened(b"", 1), Err(OpenError::Damaged));
    }

    #[test]
    fn a_sealed_file_is_never_longer_than_was_reckoned() {
        for (nodes, len) in [(1, 0), (3, 100), (8, 65_536), (1, 200_000)] {
            let nodes: Vec<u16> = (1..=nodes).collect();
            let sealed = sealed_for(&nodes, &vec![1; len]);
            assert!(sealed.len() as u64 <= sealed_len(len as u64, nodes.len()), "{len}");
        }
    }
}
