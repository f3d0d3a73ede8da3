//! The heart of Linli: what an event is, when it is authentic, who may write it, and how two nodes agree.
//!
//! Nothing here does I/O, reads a clock or draws a random number: time, randomness and stored bytes are arguments, so
//! that a simulator and a real node run exactly the same code. The formats are normative in `docs/format.md`.
//!
//! Reading order: [`id`] and [`area`] name things, [`event`] is the format, [`chain`] turns received events into
//! verified ones, [`charter`] says who may write, [`frontier`], [`frame`] and [`payloads`] are what replication
//! exchanges, [`sync`] is how. [`export`] is what an auditor takes along, [`carry`] what a courier does.

pub mod area;
pub mod carry;
pub mod cbor;
pub mod chain;
pub mod charter;
pub mod enrol;
pub mod event;
pub mod export;
pub mod frame;
pub mod frontier;
pub mod id;
pub mod limits;
pub mod payloads;
pub mod sign;
pub mod sync;
pub mod testkit;
pub mod time;
