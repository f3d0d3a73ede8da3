//! Keys and signatures. One definition of a valid signature, used everywhere.
//!
//! Valid means: S < L, A and R canonical and not of small order, and the cofactorless equation holds. That is
//! `verify_strict` of ed25519-dalek plus a check that A is canonically encoded. Batch verification is never used: it
//! accepts signatures that single verification refuses, so replicas would disagree.

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signer, VerifyingKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cbor::Writer;
use crate::id::AuthorKey;

/// The protected header of every signature: `{1: -19}`, algorithm Ed25519 (RFC 9864).
const COSE_PROTECTED: &[u8] = &[0xa1, 0x01, 0x32];

/// What a signature is for. Each purpose signs under its own `external_aad`, so none can be replayed as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An event header.
    Event,
    /// A root key's agreement to a genesis.
    Genesis,
    /// A root key's agreement to a grant.
    Cosign,
    /// A subject's proof that it holds the key it asks a grant for.
    Possession,
    /// What a node holds, written down for a courier: see [`crate::carry`].
    CarryStanding,
    /// The beginning of a carried volume: who made it.
    CarryVolume,
    /// The end of a carried volume: that it is whole.
    CarryEnd,
}

impl Purpose {
    const fn aad(self) -> &'static [u8] {
        match self {
            Self::Event => b"linli/event/1",
            Self::Genesis => b"linli/genesis/1",
            Self::Cosign => b"linli/cosign/1",
            Self::Possession => b"linli/possession/1",
            Self::CarryStanding => b"linli/carry-standing/1",
            Self::CarryVolume => b"linli/carry-volume/1",
            Self::CarryEnd => b"linli/carry-end/1",
        }
    }
}

/// The bytes that are signed: the COSE `Sig_structure` of RFC 9052 §4.4 for a `COSE_Sign1`.
pub fn to_be_signed(purpose: Purpose, payload: &[u8]) -> Vec<u8> {
    let mut bytes = before_payload(purpose, payload.len(), payload.len() + 48);
    bytes.extend_from_slice(payload);
    bytes
}

/// SHA-256 of [`to_be_signed`], without putting the bytes together.
pub(crate) fn hash_to_be_signed(purpose: Purpose, payload: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(before_payload(purpose, payload.len(), 48)).chain_update(payload).finalize().into()
}

/// What stands before a payload in [`to_be_signed`], with room for `capacity` bytes in all.
fn before_payload(purpose: Purpose, payload_len: usize, capacity: usize) -> Vec<u8> {
    let mut w = Writer::with_capacity(capacity);
    w.array(4).text("Signature1").bytes(COSE_PROTECTED).bytes(purpose.aad()).bytes_head(payload_len);
    w.into_bytes()
}

/// An Ed25519 signature, not yet checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

impl Signature {
    /// Wraps the raw bytes R ‖ S.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The raw bytes R ‖ S.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({}..)", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

/// Why a signature or a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The 32 bytes are no point, or not its canonical encoding.
    #[error("the author key is not a canonical Ed25519 public key")]
    MalformedKey,
    /// A key of small order would accept signatures of anybody.
    #[error("the author key is of small order")]
    SmallOrderKey,
    /// A key with a torsion component behaves differently in different libraries.
    #[error("the key has a torsion component")]
    TorsionedKey,
    /// The signature does not fit the bytes and the key.
    #[error("the signature does not verify")]
    Invalid,
}

impl SignatureError {
    /// The reason's name in test vectors, the same for every implementation.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MalformedKey => "malformed-key",
            Self::SmallOrderKey => "small-order-key",
            Self::TorsionedKey => "torsioned-key",
            Self::Invalid => "invalid-signature",
        }
    }
}

/// A public key that was checked to be a canonical point that is not of small order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckedKey(VerifyingKey);

impl CheckedKey {
    /// Checks a key as every signature check needs it.
    ///
    /// # Errors
    /// [`SignatureError::MalformedKey`] or [`SignatureError::SmallOrderKey`].
    pub fn new(key: &AuthorKey) -> Result<Self, SignatureError> {
        let point = VerifyingKey::from_bytes(key.as_bytes()).map_err(|_| SignatureError::MalformedKey)?;
        if point.to_edwards().compress().as_bytes() != key.as_bytes() {
            return Err(SignatureError::MalformedKey);
        }
        if point.is_weak() {
            return Err(SignatureError::SmallOrderKey);
        }
        Ok(Self(point))
    }

    /// Checks a key that is about to be granted rights: torsion is refused too.
    ///
    /// # Errors
    /// As [`CheckedKey::new`], or [`SignatureError::TorsionedKey`].
    pub fn for_grant(key: &AuthorKey) -> Result<Self, SignatureError> {
        let checked = Self::new(key)?;
        if checked.0.to_edwards().is_torsion_free() { Ok(checked) } else { Err(SignatureError::TorsionedKey) }
    }

    /// The X25519 public key that belongs to this key: the same point on the curve's Montgomery form. Files that a
    /// courier carries are sealed for it (`docs/adr/0006-sealed-for-the-author-keys.md`).
    pub fn to_x25519(&self) -> [u8; 32] {
        self.0.to_montgomery().to_bytes()
    }

    /// Verifies one signature over bytes that already are a `Sig_structure`.
    ///
    /// # Errors
    /// [`SignatureError::Invalid`].
    pub fn verify(&self, to_be_signed: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(to_be_signed, &signature).map_err(|_| SignatureError::Invalid)
    }
}

/// Verifies one signature of `key` for a purpose.
///
/// # Errors
/// Says whether the key or the signature is at fault.
pub fn verify(key: &AuthorKey, purpose: Purpose, payload: &[u8], signature: &Signature) -> Result<(), SignatureError> {
    CheckedKey::new(key)?.verify(&to_be_signed(purpose, payload), signature)
}

/// Keys seen in one piece of work, decompressed once. Bounded by the caller's piece of work.
#[derive(Debug, Default, Clone)]
pub struct KeyCache(BTreeMap<AuthorKey, Result<CheckedKey, SignatureError>>);

impl KeyCache {
    /// The checked key, from memory if it was asked for before.
    ///
    /// # Errors
    /// As [`CheckedKey::new`].
    pub fn get(&mut self, key: &AuthorKey) -> Result<CheckedKey, SignatureError> {
        *self.0.entry(*key).or_insert_with(|| CheckedKey::new(key))
    }
}

/// A secret key. Wiped from memory when dropped; never shown.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    /// From 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The 32 bytes to keep in a key file.
    pub fn to_seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key that belongs to it.
    pub fn public(&self) -> AuthorKey {
        AuthorKey::from_bytes(self.0.verifying_key().to_bytes())
    }

    /// Signs a payload for a purpose.
    pub fn sign(&self, purpose: Purpose, payload: &[u8]) -> Signature {
        self.sign_prepared(&to_be_signed(purpose, payload))
    }

    /// Signs bytes that already are a `Sig_structure`.
    pub(crate) fn sign_prepared(&self, to_be_signed: &[u8]) -> Signature {
        Signature(self.0.sign(to_be_signed).to_bytes())
    }

    /// The X25519 secret that belongs to [`CheckedKey::to_x25519`]: the half of SHA-512 of the seed that is the scalar
    /// of this key. X25519 clamps it as Ed25519 does.
    pub fn to_x25519(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_scalar_bytes())
    }

    /// Proves possession of this key to whoever is asked for a grant.
    pub fn prove_possession(&self) -> Signature {
        self.sign(Purpose::Possession, self.public().as_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public().short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_bytes_that_are_signed() {
        for purpose in [Purpose::Event, Purpose::CarryStanding] {
            for len in [0, 1, 23, 24, 193, 255, 256, 1024, 65_535, 65_536] {
                let payload = vec![7; len];
                let whole: [u8; 32] = Sha256::digest(to_be_signed(purpose, &payload)).into();
                assert_eq!(hash_to_be_signed(purpose, &payload), whole, "{purpose:?}, {len} bytes");
            }
        }
    }

    #[test]
    fn a_signature_for_one_purpose_is_none_for_another() {
        let key = SecretKey::from_seed(&[1; 32]);
        let signature = key.sign(Purpose::Event, b"text");
        assert_eq!(verify(&key.public(), Purpose::Event, b"text", &signature), Ok(()));
        for other in [
            Purpose::Genesis,
            Purpose::Cosign,
            Purpose::Possession,
            Purpose::CarryStanding,
            Purpose::CarryVolume,
            Purpose::CarryEnd,
        ] {
            assert_eq!(verify(&key.public(), other, b"text", &signature), Err(SignatureError::Invalid));
        }
        assert_eq!(verify(&key.public(), Purpose::Event, b"texu", &signature), Err(SignatureError::Invalid));
    }

    #[test]
    fn both_halves_of_a_key_become_one_x25519_pair() {
        for seed in 0..50 {
            let key = SecretKey::from_seed(&[seed; 32]);
            let of_the_secret = curve25519_dalek::MontgomeryPoint::mul_base_clamped(*key.to_x25519());
            assert_eq!(CheckedKey::new(&key.public()).unwrap().to_x25519(), of_the_secret.to_bytes());
        }
    }

    #[test]
    fn s_plus_l_is_refused() {
        // L in little endian; adding it to S keeps the equation true and makes the encoding malleable.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let key = SecretKey::from_seed(&[2; 32]);
        let mut bytes = *key.sign(Purpose::Event, b"x").as_bytes();
        let mut carry = 0u16;
        for (byte, l) in bytes[32..].iter_mut().zip(L) {
            carry += u16::from(*byte) + u16::from(l);
            *byte = carry as u8;
            carry >>= 8;
        }
        let forged = Signature::from_bytes(bytes);
        assert_eq!(verify(&key.public(), Purpose::Event, b"x", &forged), Err(SignatureError::Invalid));
    }

    #[test]
    fn weak_and_non_canonical_keys_are_refused() {
        let mut identity = [0u8; 32];
        identity[0] = 1;
        assert_eq!(CheckedKey::new(&AuthorKey::from_bytes(identity)), Err(SignatureError::SmallOrderKey));
        // y = p + 1 is a second spelling of the identity; y = p + 3 .. p + 18 of other points, where they exist.
        for low in 0xed..=0xffu8 {
            let mut key = [0xff; 32];
            key[0] = low;
            key[31] = 0x7f;
            assert!(CheckedKey::new(&AuthorKey::from_bytes(key)).is_err(), "{low:#x}");
        }
    }
}
