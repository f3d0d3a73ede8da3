//! The parts of a street's node that other programs and tests may use.

pub mod access;
pub mod acts;
pub mod batch;
pub mod carry;
pub mod cli;
pub mod client;
pub mod config;
pub mod data_dir;
pub mod enrolment;
pub mod export;
pub mod history;
pub mod http;
pub mod import;
pub mod mesh;
pub mod node;
pub mod operators;
pub mod outside;
pub mod peer_checks;
pub mod peers;
pub mod projector;
pub mod status;
pub mod store_health;
pub mod strangers;
pub mod words;
