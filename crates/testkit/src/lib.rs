//! For tests only: what the project checks itself against.
//!
//! - [`slow_srp`]: a second SRP-6a on another big-integer library, written independently of the engine.
#![forbid(unsafe_code)]

pub mod slow_srp;
