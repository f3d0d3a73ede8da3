//! A vector: a name, an input, and what its author says must come of it.

use serde_json::Value;

/// One vector before it is judged.
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The input of its kind.
    pub input: Value,
    /// The reason's name if it must be refused.
    pub code: Option<&'static str>,
}

/// A vector that must be accepted.
pub fn valid(name: impl Into<String>, input: Value) -> Case {
    Case { name: name.into(), input, code: None }
}

/// A vector that must be refused for this reason.
pub fn refused(name: impl Into<String>, input: Value, code: &'static str) -> Case {
    Case { name: name.into(), input, code: Some(code) }
}
