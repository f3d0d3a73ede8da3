//! Sneakernet: what a liaison carries on a stick between streets whose network is down.
//!
//! `linli carry` writes and reads files that are sealed for the district's nodes; inside are the same frames as on the
//! wire ([`linli_core::carry`], `docs/carry.md`). Nothing here has a way of its own into the store: [`intake`] hands
//! frames to the door that replication uses. Nothing unsealed ever touches a disk.

mod bundle;
mod holder;
pub mod incoming;
pub mod intake;
mod opening;
pub mod outgoing;
mod proving;
pub(crate) mod regular;
pub mod report;
pub mod seal;
pub mod standing;
mod taken;
