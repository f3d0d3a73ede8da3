//! Real `linli` processes under cuts, `kill -9`, restores and strangers. One program, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod demo;
mod discovery;
mod kill_minus_nine;
mod mesh_traps;
mod restore;
mod strangers;
mod views_rebuilt;
