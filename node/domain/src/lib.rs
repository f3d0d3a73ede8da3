//! Placeholder while dependencies build.

pub mod documents;
