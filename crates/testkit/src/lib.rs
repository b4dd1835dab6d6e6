//! For tests only: what the project checks itself against. It knows none of the crates it tests: a mistake shared by both sides would hide.
//!
//! - [`capture`]: the bytes in a network capture, for replay.
//! - [`client`]: a scripted AFP client that can say anything, right or wrong.
//! - [`clock`]: time that passes when told to, for what takes the time as an argument.
//! - [`rng`]: randomness that can be repeated.
//! - [`statistics`]: whether two samples of times are of one distribution.
//! - [`subject`]: the server under test, ours or another.
//! - [`slow_srp`]: a second SRP-6a on another big-integer library, written independently of the engine.
#![forbid(unsafe_code)]

pub mod capture;
pub mod client;
pub mod clock;
pub mod rng;
pub mod slow_srp;
pub mod statistics;
pub mod subject;
