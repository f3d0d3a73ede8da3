//! A libp2p identity is an author key: the transports prove the very key that the charter enrols.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use linli_core::id::AuthorKey;
use linli_core::sign::SecretKey;

/// The libp2p key pair of a node's author key.
pub(crate) fn keypair(key: &SecretKey) -> Option<Keypair> {
    let mut seed = *key.to_seed();
    Keypair::ed25519_from_bytes(&mut seed).ok()
}

/// The author key that a peer id stands for; none if it is of another kind of key.
pub(crate) fn author_key(peer: &PeerId) -> Option<AuthorKey> {
    let key = PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    key.try_into_ed25519().ok().map(|key| AuthorKey::from_bytes(key.to_bytes()))
}

/// The libp2p name of an author key, as it stands after `/p2p/` in an address. None for bytes that are no key.
pub fn peer_id(key: &AuthorKey) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(key.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_id_is_an_author_key_and_back() {
        let key = SecretKey::from_seed(&[3; 32]);
        let peer = keypair(&key).unwrap().public().to_peer_id();
        assert_eq!(author_key(&peer), Some(key.public()));
        assert_eq!(peer_id(&key.public()), Some(peer));
        assert_eq!(author_key(&PeerId::random()).map(|key| key.short()), None);
    }
}
