//! Real `linli` processes under cuts, slow lines, `kill -9`, restores and strangers. One program, so that it is linked once.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod canary;
mod clocks;
mod copies;
mod demo;
mod discovery;
mod held;
mod kill_during_catch_up;
mod kill_minus_nine;
mod ledger;
mod lines;
mod losses;
mod mesh_traps;
mod projection_keeps_up;
mod restore;
mod strangers;
mod views_rebuilt;
