//! Load and abuse for an AFP server, ours or another, and the figures that come of it. `interop/load.sh` starts the servers and
//! calls this; each command prints its tables in Markdown, then what was aimed at, and ends with 1 if that was missed.
//!
//! ```text
//! load logins    OPTION=VALUE...   logins per processor second of the server, and how long they take
//! load idle      OPTION=VALUE...   what idle connections cost, in memory and to others
//! load slowloris OPTION=VALUE...   connections that do nothing, or nearly nothing
//! load flood     OPTION=VALUE...   as many requests as one client machine can make
//! ```
//! `ours=` and `theirs=` name the servers as ADDRESS:PORT,PROCESS; `name=` and `password=` an account that both have. Aims are held
//! against medians over rounds in which the servers take turns, because other work on the machine then meets both alike. When they
//! are missed, as many rounds again are measured, once, and all of them count.

mod client;
mod crowd;
mod figures;
mod flood;
mod idle;
mod logins;
mod process;
mod slowloris;
mod witness;

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;

use crate::client::Account;
use crate::process::Process;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let done = Options::read(arguments).and_then(|options| match command.as_str() {
        "flood" => flood::run(&options),
        "idle" => idle::run(&options),
        "logins" => logins::run(&options),
        "slowloris" => slowloris::run(&options),
        _ => Err("see the top of tools/load/src/main.rs for the commands".into()),
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("load {command}: {error}");
            ExitCode::from(2)
        }
    }
}

/// A server under load.
#[derive(Clone, Copy)]
pub struct Server {
    pub address: SocketAddr,
    pub process: Process,
}

pub struct Options(HashMap<String, String>);

impl Options {
    fn read(arguments: impl Iterator<Item = String>) -> Result<Options> {
        let read = |argument: String| match argument.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("{argument:?} is not NAME=VALUE").into()),
        };
        arguments.map(read).collect::<Result<_>>().map(Options)
    }

    pub fn text(&self, name: &str) -> Result<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("{name}= is missing"))?)
    }

    pub fn number(&self, name: &str) -> Result<usize> {
        self.text(name)?.parse().map_err(|error| format!("{name}=: {error}").into())
    }

    pub fn server(&self, name: &str) -> Result<Server> {
        let (address, process) = self.text(name)?.split_once(',').ok_or("a server is ADDRESS:PORT,PROCESS")?;
        Ok(Server { address: address.parse()?, process: Process(process.parse()?) })
    }

    pub fn account(&self) -> Result<Account<'_>> {
        Ok(Account { name: self.text("name")?, password: self.text("password")? })
    }
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future))
}
