//! placeholder docs
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod afp;
pub mod dsi;
mod error;
mod read;
mod result_code;
pub mod server_info;
pub mod srp;
mod strings;
#[cfg(test)]
mod testing;

pub use error::{DecodeError, EncodeError, Field, LoginPart, TooLong};
pub use result_code::ResultCode;
pub use strings::{Pascal, WidePascal};
