//! The command line: what can be typed, and the help for it. What each command does is in the module of its name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::StoreFormat;

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  it could not be done: no such account, port taken, file unreadable
  2  the command line is wrong
  3  the configuration, the state directory or the account store cannot be used as it is
  4  login: the server refused; decode: a proof is not what the secrets give
  5  status, login: the server cannot be reached or does not keep to the protocol; stats: no figures where they should be

Examples:
  afpd-rs quickstart                  try it out: an account, a login and a running server, no settings
  afpd-rs user add anna               make an account; asks for the password
  afpd-rs serve                       serve AFP on port 548 as /etc/afpd-rs/afpd-rs.toml says
  afpd-rs login nas.local anna        sign in to any AFP server that knows SRP, step by step
  afpd-rs decode login.pcap           explain a captured login

afpd-rs(8) and afpd-rs.toml(5) tell more.";

/// An AFP server whose clients sign in with SRP, and the tools around it.
///
/// It proves to the client that it knows the password's verifier, and to itself that the client knows the password; the
/// password never travels. Today a client can sign in, stay signed in and sign out; volumes are not served yet.
#[derive(Debug, Parser)]
#[command(name = "afpd-rs", version, after_help = AFTER_HELP, max_term_width = 110)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Settings file [default: /etc/afpd-rs/afpd-rs.toml if there is one; quickstart: none]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the accounts and the server's identity [default: /var/lib/afpd-rs; quickstart: one of your own]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    ///
    /// Prints `listening on ADDR` on standard output for each address, then logs to standard error until SIGTERM or SIGINT ends
    /// it in good order: replies are finished, clients told. SIGHUP reads settings and accounts again; a wrong file changes nothing.
    Serve(Serve),
    /// Try it out: make an account, log in to it over TCP, show each step, keep serving until Ctrl-C.
    ///
    /// Needs no settings and no root. The first run makes an account with a random password and prints it once; later runs
    /// keep it. The login shown is that of an account made for the run and removed after it.
    Quickstart(Quickstart),
    /// Manage accounts, also while the server runs: it sees changes at the next login.
    #[command(subcommand)]
    User(User),
    /// Ask an AFP server what it is: name, versions, login methods, addresses.
    Status(Status),
    /// Sign in to an AFP server with SRP and sign out again, printing each step and, on failure, what it means.
    ///
    /// The server must prove that it knows the password too: a wrong server proof is an error.
    Login(Login),
    /// Explain the DSI, AFP and SRP messages in a packet capture, field by field.
    ///
    /// A capture and a password alone say nothing about the proofs in it: that is what SRP is for. With the secret number of
    /// one side (a test program's, a debugger's) as well, every step is computed again and the first that departs is named.
    Decode(Decode),
    /// Print the figures of the running server: connections, logins, refusals, how long logins took.
    ///
    /// Reads them where metrics.listen in the settings says; that is off unless set.
    Stats,
    /// Read the settings, look at state directory and accounts, and say what is in effect and what is wrong.
    CheckConfig,
}

/// `serve`
#[derive(Debug, Args)]
pub struct Serve {
    /// Listen here instead of on the addresses in the settings; port 0 picks a free one. May be given more than once
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<SocketAddr>,
}

/// `quickstart`
#[derive(Debug, Args)]
pub struct Quickstart {
    /// Listen here; port 0 picks a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:5548")]
    pub listen: SocketAddr,
}

/// `user …`
#[derive(Debug, Subcommand)]
pub enum User {
    /// Make an account.
    Add {
        /// Account name: what its owner types as login name
        name: String,
        /// A second login name, as macOS offers it: the person's full name
        #[arg(long, value_name = "NAME")]
        full_name: Option<String>,
        /// Bits of the SRP group. Apple clients have been seen with 1536 alone; 2048 and 3072 may lock them out
        #[arg(long, value_enum, default_value_t = Bits::B1536)]
        group: Bits,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Set a new password for an account and all its login names.
    Passwd {
        /// Account name
        name: String,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Give an account one more login name.
    ///
    /// The login name is part of what the password is mixed with, so the password is needed: type the one the account has.
    Alias {
        /// Account name
        name: String,
        /// The further login name
        login_name: String,
        /// Where the password comes from.
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// Let a disabled account sign in again.
    Enable {
        /// Account name
        name: String,
    },
    /// Keep an account from signing in. The native store keeps its password; Netatalk's lose it.
    Disable {
        /// Account name
        name: String,
    },
    /// Remove an account and all its login names.
    Remove {
        /// Account name
        name: String,
    },
    /// Forgive an account its failed logins: whoever is refused for too many can sign in again at once.
    Unlock {
        /// Account name
        name: String,
    },
    /// List the accounts, with failed logins and who is refused for them.
    List {
        /// Print JSON: an array with one object per account
        #[arg(long)]
        json: bool,
    },
    /// Take over accounts from another store, for example Netatalk's. Passwords stay as they are.
    Import {
        /// How the other store keeps them
        #[arg(value_enum)]
        format: StoreFormat,
        /// Where it is
        path: PathBuf,
        /// Replace accounts that are there already; otherwise they stay as they are
        #[arg(long)]
        replace: bool,
    },
    /// Write the accounts to another store, for example Netatalk's. Passwords stay as they are.
    Export {
        /// How the other store keeps them
        #[arg(value_enum)]
        format: StoreFormat,
        /// Where it is; made if it is not there
        path: PathBuf,
        /// Replace accounts that are there already; otherwise they stay as they are
        #[arg(long)]
        replace: bool,
    },
}

/// Where a password comes from.
#[derive(Clone, Copy, Debug, Args)]
pub struct PasswordFrom {
    /// Take the password from the first line of standard input instead of asking for it
    #[arg(long)]
    pub password_stdin: bool,
}

/// The sizes of SRP group an account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the numbers say it")]
pub enum Bits {
    #[value(name = "1536")]
    B1536,
    #[value(name = "2048")]
    B2048,
    #[value(name = "3072")]
    B3072,
}

/// `status`
#[derive(Debug, Args)]
pub struct Status {
    /// The server
    #[arg(value_name = "HOST[:PORT]")]
    pub server: Target,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// How long to wait for each answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,
}

/// `login`
#[derive(Debug, Args)]
pub struct Login {
    /// The server
    #[arg(value_name = "HOST[:PORT]")]
    pub server: Target,
    /// Login name
    pub user: String,
    /// Where the password comes from.
    #[command(flatten)]
    pub password: PasswordFrom,
    /// How long to wait for each answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub timeout: Duration,
}

/// `decode`
#[derive(Debug, Args)]
pub struct Decode {
    /// The capture, pcap or pcapng; "-" reads standard input
    pub file: PathBuf,
    /// Print JSON: one object per connection, with every number in full
    #[arg(long)]
    pub json: bool,
    /// Only the connections with this TCP port [default: all whose first bytes are DSI]
    #[arg(long)]
    pub port: Option<u16>,
    /// Check proofs with the password in the first line of standard input; one of the two secrets is needed with it
    #[arg(long)]
    pub password_stdin: bool,
    /// Compute with this login name instead of the captured one
    #[arg(long, value_name = "NAME", requires = "password_stdin")]
    pub user: Option<String>,
    /// File with the client's secret number a, in hex
    #[arg(long, value_name = "FILE", requires = "password_stdin", conflicts_with = "server_secret_file")]
    pub client_secret_file: Option<PathBuf>,
    /// File with the server's secret number b, in hex
    #[arg(long, value_name = "FILE", requires = "password_stdin")]
    pub server_secret_file: Option<PathBuf>,
}

/// A server by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Host name or IP address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl FromStr for Target {
    type Err = String;

    /// `HOST`, `HOST:PORT`, `[V6]:PORT`, `V6`; the port is 548 when left out.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, port)) if port.starts_with(':') => (host, port.strip_prefix(':')),
                _ => return Err("a bracketed address ends in ] or ]:PORT".to_owned()),
            },
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        if host.is_empty() {
            return Err("the host name is missing".to_owned());
        }
        let port = match port {
            None => 548,
            Some(port) => match port.parse() {
                Ok(port) if port != 0 => port,
                _ => return Err(format!("{port:?} is not a port number from 1 to 65535")),
            },
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse().map(Duration::try_from_secs_f64) {
        Ok(Ok(time)) if !time.is_zero() && time <= Duration::from_hours(1) => Ok(time),
        _ => Err("not a number of seconds above 0 and at most 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn servers_as_people_write_them() {
        for (text, host, port) in [
            ("nas.local", "nas.local", 548),
            ("nas.local:5548", "nas.local", 5548),
            ("192.0.2.10:1", "192.0.2.10", 1),
            ("::1", "::1", 548),
            ("[::1]", "::1", 548),
            ("[fe80::1%eth0]:65535", "fe80::1%eth0", 65535),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port), "{text}");
            assert_eq!(target.to_string().parse::<Target>().unwrap(), target);
        }
        for wrong in ["", ":548", "nas:", "nas:0", "nas:65536", "nas:afp", "[::1", "[::1]548", "[]:1"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn waiting_times() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "inf", "3601", "soon", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    /// Every command and option is in afpd-rs(8).
    #[test]
    fn the_manual_page_knows_every_command_and_option() {
        const PAGE: &str = include_str!("../../../docs/man/afpd-rs.8");
        fn missing(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            for option in command.get_arguments().filter_map(clap::Arg::get_long) {
                if !["help", "version"].contains(&option)
                    && !PAGE.contains(&format!("Fl -{option} "))
                    && !PAGE.contains(&format!("Fl -{option}\n"))
                {
                    found.push(format!("{path} --{option}"));
                }
            }
            for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
                let path = format!("{path} {}", sub.get_name());
                if !PAGE.contains(&format!("Cm {}", path.trim())) {
                    found.push(path.clone());
                }
                missing(sub, &path, found);
            }
        }
        let mut found = Vec::new();
        missing(&Cli::command(), "", &mut found);
        assert!(found.is_empty(), "docs/man/afpd-rs.8 lacks {found:?}");
    }

    /// Every key is in afpd-rs.toml(5).
    #[test]
    fn the_manual_page_knows_every_key() {
        const PAGE: &str = include_str!("../../../docs/man/afpd-rs.toml.5");
        let all: toml::Table = crate::config::Config::default().to_toml().parse().unwrap();
        for (section, keys) in &all {
            assert!(PAGE.contains(&format!(".Ss [{section}] section")), "[{section}]");
            for key in keys.as_table().unwrap().keys() {
                assert!(PAGE.contains(&format!(".It Ic {key}")), "{section}.{key}");
            }
        }
        let network = "[[network]]\ncidr = \"10.0.0.0/8\"\nuams = []";
        let network = crate::config::Config::parse(std::path::Path::new("one"), network).unwrap().to_toml();
        let network: toml::Table = network.parse().unwrap();
        assert!(PAGE.contains(".Ss [[network]] sections"));
        for key in network["network"][0].as_table().unwrap().keys() {
            assert!(PAGE.contains(&format!(".It Ic {key}")), "network.{key}");
        }
    }
}
