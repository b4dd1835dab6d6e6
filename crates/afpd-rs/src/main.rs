//! The binary `afpd-rs`; what it does is in the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    afpd_rs::run(std::env::args_os())
}
