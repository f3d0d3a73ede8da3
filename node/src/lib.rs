//! The parts of a street's node that other programs and tests may use.

pub mod import;
