//! What Linli is about, without I/O, clock or randomness: facts and documents in, views and figures out.
//!
//! - [`events`]: one file per kind of event, one table of all kinds.
//! - [`fold`]: from the events of a record to its [`record::RecordView`]; [`conflict`]: where they contradict.
//! - [`causality`]: what each author of a record's history had seen when they signed.
//! - [`commands`]: from what a person wants to the events to sign, or a refusal that says what to do instead.
//! - [`act`]: the id of an act, by which an act that is sent twice happens once.
//! - [`crosscheck`]: where two records contradict.
//! - [`summary`], [`desk`], [`figures`]: what lists, the desk and the bureau see.
//!
//! Must not: read a clock, draw random numbers, touch a file or socket, or let personal payloads into a fold.

pub mod act;
pub mod causality;
pub mod check;
pub mod commands;
pub mod conflict;
pub mod crosscheck;
pub mod date;
pub mod desk;
pub mod documents;
pub mod events;
pub mod figures;
pub mod fold;
mod graph;
pub mod limits;
pub mod payload;
pub mod record;
#[cfg(test)]
mod scenario;
pub mod state;
pub mod summary;
