//! What a fact does to others of its record, for finding conflicts by causality.

use linli_core::id::{EventId, RecordId};

use super::settled::Settled;
use crate::date::Date;
use crate::state::document::ChangeHash;

/// The part a fact plays among concurrent facts.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// Adds up; contradicts nothing.
    Plain,
    /// Closes the record.
    Closes,
    /// Opens the record again.
    Reopens,
    /// Sends a team to an incident.
    Deploys(&'a RecordId),
    /// Ends a deployment.
    Releases(&'a RecordId),
    /// Puts a text into force.
    Issues(&'a [ChangeHash]),
    /// Takes a plan out of force.
    Withdraws,
    /// Changes a document.
    Edits,
    /// Moves stock.
    Moves(Movement<'a>),
    /// Says what a bin held.
    Counts(Count<'a>),
    /// Settles a conflict.
    Settles(&'a Settled),
    /// Lets acts from outside count.
    Adopts(&'a [EventId]),
    /// Explains a contradiction between records.
    Explains(&'a RecordId),
}

/// What a supply point books once, however often it is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Booking<'a> {
    /// A receipt of a line of a list: its reference, and the item and lot that it is about.
    Line {
        /// Names the list and the line.
        reference: &'a str,
        /// The item.
        item: &'a str,
        /// The lot, if it bears one.
        lot: Option<&'a str>,
    },
    /// A transfer that left.
    Sent(&'a RecordId),
    /// A part of a transfer that arrived: the first, or one more for whoever has seen those before it.
    Arrived(&'a RecordId),
}

/// A change of stock.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    /// The item.
    pub item: &'a str,
    /// The lot, if it bears one.
    pub lot: Option<&'a str>,
    /// What comes (positive) or goes (negative).
    pub delta: i64,
    /// The unit, where the fact names it.
    pub unit: Option<&'a str>,
    /// The lot's last day, where the fact names it.
    pub expires: Option<Date>,
}

/// What a bin really held.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a> {
    /// The item.
    pub item: &'a str,
    /// The lot, if it bears one.
    pub lot: Option<&'a str>,
    /// What was found.
    pub quantity: i64,
}
