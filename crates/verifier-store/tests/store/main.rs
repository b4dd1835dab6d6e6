//! The store from outside: each format, what is refused, changes by others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "these are tests, and all of this is their own text"
)]

mod changes;
mod common;
mod native;
mod netatalk;
mod properties;
mod safety;
mod transfer;
