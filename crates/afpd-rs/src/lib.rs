//! The program `afpd-rs`: an AFP server whose clients sign in with SRP, and the tools around it.
//!
//! The protocol lives elsewhere: `afp-proto` knows the bytes, `afp-session` one connection, `srp-uam` the login,
//! `verifier-store` the accounts. This crate gives them sockets, settings, a log and a command line. It is a library only so
//! that tests and fuzz targets can reach its parts; its one caller is the binary.
//!
//! - [`cli`]: what can be typed; [`exit`]: how the program ends
//! - [`config`]: the settings file; [`state`]: what is kept between two starts; [`place`]: both, as a command finds them
//! - [`serve`]: the daemon; [`daemon`]: the commands around it, serve and quickstart
//! - [`user`], [`status`], [`stats`], [`check_config`]: the commands of these names; [`client`]: the AFP client behind two of them
//! - [`decode`]: captures explained
//! - [`password`]: where passwords come from; [`logging`]: the log
#![forbid(unsafe_code)]

pub mod check_config;
pub mod cli;
pub mod client;
pub mod config;
pub mod daemon;
pub mod decode;
pub mod exit;
pub mod logging;
pub mod password;
pub mod place;
pub mod serve;
pub mod state;
pub mod stats;
pub mod status;
pub mod user;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::place::Place;

/// The whole program: reads the command line, does what it says, and tells how it went.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help goes to standard output, complaints to standard error; where neither can be written, nobody reads.
            answer.print().ok();
            return if answer.use_stderr() { Exit::Usage.into() } else { Exit::Done.into() };
        }
    };
    let mut out = io::stdout();
    match command(cli, &mut out).and_then(|exit| out.flush().map(|()| exit).map_err(Failure::from)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if !failure.message.is_empty() {
                writeln!(io::stderr(), "afpd-rs: {failure}").ok();
            }
            failure.exit.into()
        }
    }
}

fn command(cli: Cli, out: &mut dyn Write) -> Result<Exit, Failure> {
    match cli.command {
        Command::Serve(asked) => daemon::serve(&asked, &cli.global, out),
        Command::Quickstart(asked) => daemon::quickstart(&asked, &cli.global, out),
        Command::User(user) => user::run(user, &Place::of(&cli.global)?, out),
        Command::Status(asked) => status::status(&asked, out),
        Command::Login(asked) => status::login(&asked, out),
        Command::Decode(asked) => decode::run(&asked, out),
        Command::Stats => stats::run(&Place::of(&cli.global)?, out),
        Command::CheckConfig => check_config::run(&Place::of(&cli.global)?, out),
    }
}
