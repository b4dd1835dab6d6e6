//! Faults: what may go wrong with clients, disk, accounts, log, clock and the program itself. After each of them nothing is lost, and a real
//! login works. The whole table is in docs/faults.md.
//!
//! What needs root, a file system of its own or another library is ignored here and run by `make faults` (interop/faults.sh).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on shall stop"
)]

#[path = "../server/mod.rs"]
mod server;

mod clock;
mod connections;
mod descriptors;
mod disk;
mod end;
mod log;
mod store;
mod two;
