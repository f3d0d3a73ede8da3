//! Real `linli` processes under cuts, slow lines and `kill -9`, driven from outside like a person or a script would.

pub mod bench;
pub mod demo;
pub mod district;
pub mod lab;
pub mod ledger;
