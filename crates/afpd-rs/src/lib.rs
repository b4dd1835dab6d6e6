//! The program `afpd-rs`: an AFP server whose clients sign in with SRP, and the tools around it.
//!
//! The protocol lives elsewhere: `afp-proto` knows the bytes, `afp-session` one connection, `srp-uam` the login,
//! `verifier-store` the accounts. This crate gives them sockets, settings, a log and a command line. It is a library only so
//! that tests and fuzz targets can reach its parts; its one caller is the binary.
//!
//! - [`cli`]: what can be typed; [`exit`]: how the program ends
//! - [`config`]: the settings file; [`state`]: what is kept between two starts; [`password`]: where passwords come from
//! - [`logging`]: the log
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod exit;
pub mod logging;
pub mod password;
pub mod state;
