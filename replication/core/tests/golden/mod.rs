//! How the golden vectors are made and judged.

#![allow(dead_code)]

pub mod case;
pub mod cbor;
pub mod charters;
pub mod exports;
pub mod headers;
pub mod judge;
pub mod runs;
