//! Contacts: which post is reachable for which area. Name and phone are personal and never reach a fold.

use linli_core::area::Area;
use serde::{Deserialize, Serialize};

use super::Register;

/// A contact after its listings.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContactState {
    /// Its listings. The event of the latest carries the name and phone in its personal payload.
    pub listings: Register<Listing>,
}

/// A post and its reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The post.
    pub post: String,
    /// The area it answers for.
    pub scope: Area,
}
