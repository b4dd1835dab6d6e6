//! The settings: one TOML file, every key optional, unknown keys refused.
//!
//! A [`Config`] is plain data that has already been checked: a program that holds one need not look at the values again. What
//! the keys mean to an operator is said in `config/afpd-rs.toml` and in afpd-rs.toml(5); a test below keeps that file and this
//! one in step. Command-line options win over the file; `serve` and `quickstart` put them in after loading.
//!
//! An error names file, line, column and key and says what to write instead ([`ConfigError`]).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

pub use srp_uam::settings::AttemptsSection;

/// The file read when no `--config` is given, if it exists.
pub const DEFAULT_FILE: &str = "/etc/afpd-rs/afpd-rs.toml";

/// Where Netatalk 4.5 (a file) and 4.6 (a directory) keep SRP verifiers unless told otherwise.
pub const NETATALK_VERIFIERS: &str = "/etc/netatalk/afppasswd.srp";

/// Every setting of the program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[server]`: where to listen and what to tell clients about ourselves.
    pub server: ServerSection,
    /// `[store]`: where the accounts are.
    pub store: StoreSection,
    /// `[login]`: policy of the login.
    pub login: LoginSection,
    /// `[attempts]`: how often a password may be tried.
    pub attempts: AttemptsSection,
    /// `[timers]`: how long to wait for what.
    pub timers: TimersSection,
    /// `[limits]`: how much of what at once.
    pub limits: LimitsSection,
    /// `[metrics]`: figures for those who watch the server.
    pub metrics: MetricsSection,
    /// `[log]`: what is logged and how.
    pub log: LogSection,
    /// `[[network]]`, any number of them: what is offered where. The first that holds an address decides; where none does, everything is offered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub network: Vec<NetworkSection>,
}

/// `[server]`: where to listen and what to tell clients about ourselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    /// Addresses to listen on, never empty. Port 0 picks a free one.
    #[serde(deserialize_with = "check::listen")]
    pub listen: Vec<SocketAddr>,
    /// The name clients show, 1 to 255 bytes; `None` (written `""`): the machine's host name, see [`ServerSection::name`].
    #[serde(with = "check::name")]
    pub name: Option<String>,
    /// The machine type in the server information block: 1 to 16 printable ASCII characters.
    #[serde(deserialize_with = "check::machine_type")]
    pub machine_type: String,
    /// What a client shows after login, at most 255 bytes (the limit of `FPGetSrvrMsg`); empty: nothing.
    #[serde(deserialize_with = "check::login_message")]
    pub login_message: String,
    /// Addresses told to clients; empty: the address the client has reached us at.
    #[serde(deserialize_with = "check::addresses")]
    pub advertise_addresses: Vec<IpAddr>,
    /// The user number `FPGetUserInfo` and `FPMapName` tell. No right on this machine comes with it.
    pub user_id: u32,
    /// The group number `FPGetUserInfo` tells.
    pub group_id: u32,
}

/// `[store]`: where the accounts are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSection {
    /// How they are kept.
    pub format: StoreFormat,
    /// Where; `None` (written `""`): see [`StoreSection::path`].
    #[serde(with = "check::path")]
    pub path: Option<PathBuf>,
}

/// How accounts are kept on disk. The names are also those of `user import` and `user export`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum StoreFormat {
    /// Our own: a directory with one TOML file per account.
    #[default]
    Native,
    /// Netatalk 4.5: one text file, `user:salt:verifier` per line.
    NetatalkFile,
    /// Netatalk 4.6: a directory with one such file per numeric user id.
    NetatalkDirectory,
}

/// `[login]`: policy of the login.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoginSection {
    /// What a client hears about a login name nobody has.
    pub unknown_users: UnknownUsers,
}

/// What a client hears about a login name nobody has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownUsers {
    /// That there is none: -5023 with payload `0001`, as in the specification.
    #[default]
    Reveal,
    /// A made-up challenge that ends like a wrong password (RFC 5054 section 2.5.1.3).
    Decoy,
}

/// `[timers]`, in seconds in the file, decimals allowed, above zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimersSection {
    /// From the TCP connection to its first whole frame.
    #[serde(with = "check::seconds")]
    pub first_frame: Duration,
    /// From the TCP connection to the end of the login.
    #[serde(with = "check::seconds")]
    pub login: Duration,
    /// We send a tickle after this much silence of ours.
    #[serde(with = "check::seconds")]
    pub tickle: Duration,
    /// We drop a client after this much silence of its; greater than `tickle`.
    #[serde(with = "check::seconds")]
    pub dead: Duration,
}

/// `[limits]`: how much of what at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsSection {
    /// Signed-in sessions at once, at least 1. Whoever comes then is told "busy".
    #[serde(deserialize_with = "check::at_least_one")]
    pub max_sessions: u32,
    /// Connections at once that nobody is signed in on, at least 1. For the next one the longest idle of them goes.
    #[serde(deserialize_with = "check::at_least_one")]
    pub max_strangers: u32,
    /// Connections at once from one address (IPv6: 64 bits of it), signed in or not; 0: no cap.
    #[serde(deserialize_with = "check::or_none")]
    pub connections_per_address: u32,
    /// Logins begun per minute from one address; 0: no cap.
    #[serde(deserialize_with = "check::or_none")]
    pub challenges_per_minute: u32,
    /// Requests for server information per minute from one address, as long as nobody is signed in; 0: no cap.
    #[serde(deserialize_with = "check::or_none")]
    pub status_per_minute: u32,
    /// Networks whose addresses have no caps of their own.
    #[serde(deserialize_with = "check::networks")]
    pub exempt: Vec<IpNet>,
    /// Threads that compute logins; 0: as many as the machine has cores. At most 1024.
    #[serde(deserialize_with = "check::login_threads")]
    pub login_threads: u32,
    /// Logins begun that may wait for one of these threads, at least 1. The next one is told "busy".
    #[serde(deserialize_with = "check::at_least_one")]
    pub login_queue: u32,
    /// The largest request payload accepted after login, in bytes, at least 32 000 (what clients assume).
    #[serde(deserialize_with = "check::request_quantum")]
    pub request_quantum: u32,
}

/// `[metrics]`: figures for those who watch the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsSection {
    /// Where they can be read; `None` (written `""`): nowhere.
    #[serde(with = "check::metrics")]
    pub listen: Option<MetricsListen>,
}

/// Where metrics can be read: from this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsListen {
    /// On a loopback address. Port 0 picks a free one.
    Tcp(SocketAddr),
    /// On a Unix socket, an absolute path, written with `unix:` before it.
    Unix(PathBuf),
}

/// `[[network]]`: what is offered to clients from one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSection {
    /// The network, ADDRESS/BITS.
    #[serde(deserialize_with = "check::network")]
    pub cidr: IpNet,
    /// The login methods offered there; empty: none, so that nobody can sign in from there.
    pub uams: Vec<Uam>,
}

/// A login method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uam {
    /// "SRP".
    #[serde(rename = "SRP")]
    Srp,
}

/// `[log]`: what is logged to standard error, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSection {
    /// The least important kind of line that is still written.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
    /// How many lines of one kind about one address are written per minute, at least 1; the others are counted, and their number is written.
    #[serde(deserialize_with = "check::at_least_one")]
    pub lines_per_minute: u32,
}

/// The least important kind of line that is still written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the usual five and their absence")]
pub enum LogLevel {
    Off,
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people; in colour where standard error is a terminal.
    #[default]
    Auto,
    /// For people, never in colour.
    Human,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Reads the settings: from `file`, which must exist; without one from [`DEFAULT_FILE`] if that exists; else the defaults.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, has a key we do not know, or a value that cannot be.
    pub fn load(file: Option<&Path>) -> Result<Config, ConfigError> {
        match Config::file(file) {
            Some(file) => {
                let text = std::fs::read_to_string(&file).map_err(|error| ConfigError {
                    file: file.clone(),
                    position: None,
                    key: None,
                    problem: format!("cannot be read: {error}"),
                })?;
                Config::parse(&file, &text)
            }
            None => Ok(Config::default()),
        }
    }

    /// The file [`Config::load`] reads: the one given, or [`DEFAULT_FILE`] if there is one.
    #[must_use]
    pub fn file(given: Option<&Path>) -> Option<PathBuf> {
        given.map(PathBuf::from).or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|default| default.exists()))
    }

    /// The settings written in `text`; `file` is only named in errors.
    ///
    /// # Errors
    /// As [`Config::load`], but for reading.
    pub fn parse(file: &Path, text: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let at = error.span().map(|span| span.start.min(text.len()));
            ConfigError {
                file: file.to_owned(),
                position: at.map(|at| position(text, at)),
                key: at.and_then(|at| key_at(text, at)),
                problem: error.message().to_owned(),
            }
        })?;
        if config.timers.dead <= config.timers.tickle {
            return Err(ConfigError {
                file: file.to_owned(),
                position: None,
                key: Some("timers.dead".to_owned()),
                problem: format!(
                    "must be greater than timers.tickle, or clients that only answer tickles are dropped (now {} and {} seconds)",
                    config.timers.dead.as_secs_f64(),
                    config.timers.tickle.as_secs_f64()
                ),
            });
        }
        Ok(config)
    }

    /// The settings as a TOML file would give them, every key written out.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    /// What is allowed but probably not meant, one sentence each. `check-config` prints them and `serve` logs them.
    #[must_use]
    pub fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.timers.first_frame > self.timers.login {
            doubts.push("timers.first_frame is longer than timers.login, which ends the connection first".to_owned());
        }
        if self.timers.dead > Duration::from_mins(2) {
            doubts.push(
                "timers.dead is above 120 seconds: dead clients hold their connection longer than AFP asks".to_owned(),
            );
        }
        if let Some(name) = &self.server.name
            && name.chars().count() > 31
        {
            doubts.push("server.name has more than 31 characters: old clients will show it cut".to_owned());
        }
        doubts.extend(self.attempts.doubts(self.timers.login));
        for (index, address) in self.server.listen.iter().enumerate() {
            if address.port() != 0 && self.server.listen.iter().take(index).any(|earlier| earlier == address) {
                doubts.push(format!("server.listen names {address} twice: the second cannot be opened"));
            }
        }
        for (index, network) in self.network.iter().enumerate() {
            if let Some(earlier) = self.network.iter().take(index).find(|earlier| earlier.cidr.contains(&network.cidr))
            {
                doubts.push(format!(
                    "network {} is never looked at: {} before it holds it whole",
                    network.cidr, earlier.cidr
                ));
            }
        }
        doubts
    }
}

impl ServerSection {
    /// The name clients show: the one set, or the first part of the machine's host name.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
            match host.split('.').next() {
                Some(first) if !first.is_empty() => first.to_owned(),
                _ => "afpd-rs".to_owned(),
            }
        })
    }
}

impl StoreSection {
    /// Where the accounts are: the path set; else `accounts` in the state directory (native) or [`NETATALK_VERIFIERS`].
    #[must_use]
    pub fn path(&self, state: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| match self.format {
            StoreFormat::Native => state.join("accounts"),
            StoreFormat::NetatalkFile | StoreFormat::NetatalkDirectory => PathBuf::from(NETATALK_VERIFIERS),
        })
    }
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, 548)),
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, 548)),
            ],
            name: None,
            machine_type: "afpd-rs".to_owned(),
            login_message: String::new(),
            advertise_addresses: Vec::new(),
            user_id: 1000,
            group_id: 1000,
        }
    }
}

impl Default for TimersSection {
    fn default() -> Self {
        Self {
            first_frame: Duration::from_secs(10),
            login: Duration::from_mins(1),
            tickle: Duration::from_secs(30),
            dead: Duration::from_mins(2),
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            max_sessions: 1000,
            max_strangers: 1000,
            // Twenty Macs behind one router, each with a few volumes and Time Machine, which all come back at once after a power cut.
            connections_per_address: 128,
            challenges_per_minute: 120,
            status_per_minute: 240,
            exempt: Vec::new(),
            login_threads: 0,
            login_queue: 256,
            request_quantum: 1 << 20,
        }
    }
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: LogLevel::default(), format: LogFormat::default(), lines_per_minute: 30 }
    }
}

impl fmt::Display for MetricsListen {
    /// As the settings file has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is wrong with a settings file. Displayed as `FILE:LINE:COLUMN: KEY: problem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Line and column, both from 1, where a place can be named.
    pub position: Option<(usize, usize)>,
    /// The key with its section, `timers.tickle`, where one can be named.
    pub key: Option<String>,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// Line and column, both from 1 and the column in characters, of byte `at`.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline.saturating_add(1));
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    (before.matches('\n').count().saturating_add(1), column.saturating_add(1))
}

/// The key with its section that byte `at` belongs to: the nearest `key =` at or above its line, below a `[section]`.
fn key_at(text: &str, at: usize) -> Option<String> {
    let line_end = text.get(at..)?.find('\n').map_or(text.len(), |newline| at.saturating_add(newline));
    let mut key = None;
    for line in text.get(..line_end)?.lines().rev().map(str::trim_start) {
        if line.starts_with('[')
            && let Some(section) = line.trim_start_matches('[').split(']').next()
            && section.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        {
            return Some(key.map_or_else(|| format!("[{section}]"), |key| format!("{section}.{key}")));
        }
        if key.is_none()
            && let Some((name, _)) = line.split_once('=')
            && name.trim().chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.')
            && !name.trim().is_empty()
        {
            key = Some(name.trim().to_owned());
        }
    }
    key
}

/// What a value must be. Each function reads one and says what would be right if it is wrong.
mod check {
    use std::net::{IpAddr, SocketAddr};

    use serde::de::{Deserialize, Deserializer, Error};
    pub(super) use srp_uam::settings::check::{between, network, networks, path};

    pub(super) fn listen<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<SocketAddr>, D::Error> {
        let addresses = parse_each(
            from,
            "is not ADDRESS:PORT with a numeric address; write \"0.0.0.0:548\" or \"[::]:548\" (IPv6 in brackets)",
        )?;
        if addresses.is_empty() {
            return Err(D::Error::custom(
                "names no address, so nobody could connect; leave it out to listen everywhere",
            ));
        }
        Ok(addresses)
    }

    pub(super) fn addresses<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpAddr>, D::Error> {
        let addresses: Vec<IpAddr> = parse_each(from, "is not an IP address without a port; write \"192.0.2.10\"")?;
        // The block holds at most 255 addresses and must stay below 1400 bytes.
        if addresses.len() > 16 {
            return Err(D::Error::custom(format!(
                "names {} addresses; at most 16 are told to clients",
                addresses.len()
            )));
        }
        Ok(addresses)
    }

    fn parse_each<'de, D: Deserializer<'de>, T: std::str::FromStr>(from: D, wrong: &str) -> Result<Vec<T>, D::Error> {
        Vec::<String>::deserialize(from)?
            .into_iter()
            .map(|text| text.parse().map_err(|_| D::Error::custom(format!("{text:?} {wrong}"))))
            .collect()
    }

    pub(super) fn machine_type<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        let text = String::deserialize(from)?;
        if (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Ok(text);
        }
        Err(D::Error::custom(format!("must be 1 to 16 printable ASCII characters, this is {} bytes", text.len())))
    }

    pub(super) fn login_message<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        let text = String::deserialize(from)?;
        if text.len() > 255 {
            return Err(D::Error::custom(format!("is {} bytes long; a message can have at most 255", text.len())));
        }
        Ok(text)
    }

    pub(super) fn at_least_one<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 1, 1_000_000)
    }

    pub(super) fn or_none<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 0, 1_000_000)
    }

    pub(super) fn login_threads<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 0, 1024)
    }

    pub(super) fn request_quantum<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 32_000, 64 << 20)
    }

    /// A number of seconds, whole or not.
    pub(super) mod seconds {
        use std::time::Duration;

        use serde::de::{Deserialize, Deserializer, Error};
        use serde::ser::Serializer;

        const YEAR: f64 = 365.0 * 86_400.0;

        #[expect(clippy::cast_possible_truncation, reason = "just tested to be whole, and at most a year")]
        pub(in super::super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
            if time.subsec_nanos() == 0 {
                return to.serialize_i64(time.as_secs_f64() as i64);
            }
            to.serialize_f64(time.as_secs_f64())
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
            let seconds = f64::deserialize(from)?;
            if seconds > 0.0
                && seconds <= YEAR
                && let Ok(time) = Duration::try_from_secs_f64(seconds)
                && !time.is_zero()
            {
                return Ok(time);
            }
            Err(D::Error::custom(format!("must be a number of seconds above 0 and at most a year, not {seconds}")))
        }
    }

    /// A server name; empty means none was set.
    pub(super) mod name {
        use serde::de::{Deserialize, Deserializer, Error};
        use serde::ser::Serializer;

        #[expect(clippy::ref_option, reason = "the signature serde calls")]
        pub(in super::super) fn serialize<S: Serializer>(name: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(name.as_deref().unwrap_or_default())
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
            let name = String::deserialize(from)?;
            if name.len() > 255 {
                return Err(D::Error::custom(format!("is {} bytes long; a name can have at most 255", name.len())));
            }
            if name.chars().any(char::is_control) {
                return Err(D::Error::custom("has a control character, which no client could show"));
            }
            Ok(Some(name).filter(|name| !name.is_empty()))
        }
    }

    /// Where metrics can be read; empty means nowhere.
    pub(super) mod metrics {
        use std::net::SocketAddr;
        use std::path::Path;

        use serde::de::{Deserialize, Deserializer, Error};
        use serde::ser::Serializer;

        use super::super::MetricsListen;

        #[expect(clippy::ref_option, reason = "the signature serde calls")]
        pub(in super::super) fn serialize<S: Serializer>(
            listen: &Option<MetricsListen>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            to.serialize_str(&listen.as_ref().map(MetricsListen::to_string).unwrap_or_default())
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<MetricsListen>, D::Error> {
            let text = String::deserialize(from)?;
            if text.is_empty() {
                return Ok(None);
            }
            if let Some(path) = text.strip_prefix("unix:").map(Path::new).filter(|path| path.is_absolute()) {
                return Ok(Some(MetricsListen::Unix(path.to_owned())));
            }
            match text.parse::<SocketAddr>() {
                Ok(address) if address.ip().is_loopback() => Ok(Some(MetricsListen::Tcp(address))),
                Ok(address) => Err(D::Error::custom(format!(
                    "{address} can be reached by others, and the figures are for this machine alone; write \"127.0.0.1:{}\"",
                    address.port()
                ))),
                Err(_) => Err(D::Error::custom(format!(
                    "{text:?} is neither a loopback address with port nor a socket's absolute path; write \"127.0.0.1:9548\" or \"unix:/run/afpd-rs/metrics\""
                ))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../../config/afpd-rs.toml");

    /// `config/afpd-rs.toml` with its settings uncommented: they are the lines that start with `#` and a letter.
    fn uncommented() -> String {
        EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n")
    }

    fn problem(text: &str) -> String {
        Config::parse(Path::new("afpd-rs.toml"), text).unwrap_err().to_string()
    }

    fn parsed(text: &str) -> Config {
        Config::parse(Path::new("afpd-rs.toml"), text).unwrap()
    }

    #[test]
    fn the_example_file_as_it_is_changes_nothing() {
        assert_eq!(parsed(EXAMPLE), Config::default());
    }

    #[test]
    fn the_example_file_uncommented_gives_every_key_its_default() {
        let text = uncommented();
        assert_eq!(parsed(&text), Config::default());
        let written: toml::Table = text.parse().unwrap();
        let all: toml::Table = Config::default().to_toml().parse().unwrap();
        assert_eq!(written, all, "config/afpd-rs.toml must show every key, each with its default");
    }

    #[test]
    fn the_example_file_shows_networks() {
        let text: String = EXAMPLE
            .lines()
            .skip_while(|line| !line.starts_with("# [[network]]"))
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("# "))
            .fold(String::new(), |text, line| text + line + "\n");
        let config = parsed(&text);
        assert_eq!(config.network.len(), 2, "{text}");
        assert_eq!(config.network[1], NetworkSection { cidr: "0.0.0.0/0".parse().unwrap(), uams: vec![] });
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(parsed(""), Config::default());
    }

    #[test]
    fn what_is_shown_reads_back_the_same() {
        let config = parsed(
            "[server]\nlisten = [\"127.0.0.1:0\"]\nname = \"Büro\"\nadvertise_addresses = [\"192.0.2.10\", \"2001:db8::1\"]\n\
             [store]\nformat = \"netatalk-file\"\npath = \"/srv/verifiers\"\n[login]\nunknown_users = \"decoy\"\n\
             [attempts]\nfailures = 3\nrefuse_first = 10\nexempt = [\"192.168.0.0/16\", \"::1\"]\n\
             [timers]\nfirst_frame = 0.25\n[limits]\nlogin_threads = 3\nexempt = [\"127.0.0.0/8\", \"::1\"]\n\
             [metrics]\nlisten = \"unix:/run/afpd-rs/metrics\"\n[log]\nlevel = \"trace\"\nformat = \"json\"\n\
             [[network]]\ncidr = \"2001:db8::/32\"\nuams = [\"SRP\"]\n[[network]]\ncidr = \"0.0.0.0/0\"\nuams = []\n",
        );
        assert_eq!(config.limits.exempt[1], "::1/128".parse().unwrap());
        assert_eq!(config.metrics.listen, Some(MetricsListen::Unix("/run/afpd-rs/metrics".into())));
        assert_eq!(config.network[1], NetworkSection { cidr: "0.0.0.0/0".parse().unwrap(), uams: vec![] });
        assert_eq!(config.timers.first_frame, Duration::from_millis(250));
        assert_eq!(config.server.name(), "Büro");
        assert_eq!(config.store.path(Path::new("/s")), Path::new("/srv/verifiers"));
        assert_eq!(parsed(&config.to_toml()), config);
    }

    #[test]
    fn a_mistyped_key_is_named_with_its_place_and_the_right_ones() {
        assert_eq!(
            problem("[timers]\nlogin = 3\n  tikle = 30\n"),
            "afpd-rs.toml:3:3: timers.tikle: unknown field `tikle`, expected one of `first_frame`, `login`, `tickle`, `dead`"
        );
        let section = problem("[timer]\nlogin = 3\n");
        assert!(
            section.starts_with("afpd-rs.toml:1:2: [timer]: unknown field `timer`, expected one of `server`"),
            "{section}"
        );
    }

    #[test]
    fn every_wrong_value_is_named_with_what_would_be_right() {
        for (text, place, right) in [
            ("[timers]\ntickle = 0", "2:10: timers.tickle", "above 0"),
            ("[timers]\ntickle = -1", "2:10: timers.tickle", "above 0"),
            ("[timers]\ntickle = nan", "2:10: timers.tickle", "above 0"),
            ("[timers]\ntickle = 1e-12", "2:10: timers.tickle", "above 0"),
            ("[timers]\ntickle = 1e300", "2:10: timers.tickle", "at most a year"),
            ("[timers]\ntickle = \"30\"", "2:10: timers.tickle", "expected f64"),
            ("[timers]\ndead = 30", "timers.dead", "greater than timers.tickle"),
            ("[limits]\nmax_sessions = 0", "2:16: limits.max_sessions", "from 1 to"),
            ("[limits]\nmax_strangers = 0", "2:17: limits.max_strangers", "from 1 to"),
            ("[limits]\nconnections_per_address = -1", "2:27: limits.connections_per_address", "from 0 to"),
            ("[limits]\nchallenges_per_minute = -1", "2:25: limits.challenges_per_minute", "from 0 to"),
            ("[limits]\nstatus_per_minute = 1000001", "2:21: limits.status_per_minute", "from 0 to"),
            ("[limits]\nlogin_queue = 0", "2:15: limits.login_queue", "from 1 to"),
            ("[limits]\nexempt = [\"localhost\"]", "2:10: limits.exempt", "write \"192.168.0.0/16\""),
            ("[limits]\nexempt = [\"192.168.1.0/16\"]", "2:10: limits.exempt", "write \"192.168.0.0/16\""),
            ("[metrics]\nlisten = \"0.0.0.0:9548\"", "2:10: metrics.listen", "write \"127.0.0.1:9548\""),
            ("[metrics]\nlisten = \"unix:metrics\"", "2:10: metrics.listen", "absolute path"),
            ("[log]\nlines_per_minute = 0", "2:20: log.lines_per_minute", "from 1 to"),
            ("[[network]]\ncidr = \"10.0.0.0\"", "1:1: [network]", "missing field `uams`"),
            ("[[network]]\nuams = []\ncidr = \"10.0.0.1/8\"", "3:8: network.cidr", "write \"10.0.0.0/8\""),
            ("[[network]]\ncidr = \"10.0.0.0/8\"\nuams = [\"DHX2\"]", "3:9: network.uams", "`SRP`"),
            ("[limits]\nlogin_threads = 1025", "2:17: limits.login_threads", "from 0 to 1024"),
            ("[limits]\nrequest_quantum = 31999", "2:19: limits.request_quantum", "from 32000"),
            ("[limits]\nrequest_quantum = 8589934592", "2:19: limits.request_quantum", "from 32000"),
            ("[server]\nlisten = []", "2:10: server.listen", "names no address"),
            ("[server]\nlisten = [\n  \"localhost\",\n]", "2:10: server.listen", "\"localhost\" is not ADDRESS:PORT"),
            ("[server]\nlisten = [\"::1:548\"]", "2:10: server.listen", "IPv6 in brackets"),
            (
                "[server]\nadvertise_addresses = [\"192.0.2.1:548\"]",
                "2:23: server.advertise_addresses",
                "without a port",
            ),
            ("[server]\nmachine_type = \"seventeen letters\"", "2:16: server.machine_type", "1 to 16"),
            ("[server]\nmachine_type = \"\"", "2:16: server.machine_type", "1 to 16"),
            ("[server]\nname = \"a\\u0000b\"", "2:8: server.name", "control character"),
            ("[store]\nformat = \"sqlite\"", "2:10: store.format", "`native`, `netatalk-file`"),
            ("[store]\npath = \"accounts\"", "2:8: store.path", "write it from /"),
            ("[login]\nunknown_users = \"hide\"", "2:17: login.unknown_users", "`reveal` or `decoy`"),
            ("[attempts]\nfailures = 0", "2:12: attempts.failures", "from 1 to 1000"),
            ("[attempts]\nrefuse_first = 0.5", "2:16: attempts.refuse_first", "expected i64"),
            ("[attempts]\nrefuse_longest = 0", "2:18: attempts.refuse_longest", "from 1 to 31536000"),
            ("[attempts]\nexempt = [\"lan\"]", "2:10: attempts.exempt", "\"lan\" is no network; write"),
            ("[attempts]\nexempt = [\"192.168.1.7/16\"]", "2:10: attempts.exempt", "192.168.0.0"),
            ("[attempts]\npath = \"tally\"", "2:8: attempts.path", "write it from /"),
            ("[log]\nlevel = \"loud\"", "2:9: log.level", "`info`"),
            ("[log]\nlevel = \"info\"\nlevel = \"warn\"", "3:1: log.level", "duplicate key"),
            ("[log]\nlevel = ", "2:", "log.level"),
        ] {
            let problem = problem(text);
            assert!(problem.contains(place) && problem.contains(right), "{text:?} gave {problem:?}");
        }
        let long = format!("[server]\nlogin_message = \"{}\"", "ü".repeat(128));
        assert!(problem(&long).contains("256 bytes long; a message can have at most 255"));
        let long = format!("[server]\nname = \"{}\"", "n".repeat(256));
        assert!(problem(&long).contains("at most 255"));
    }

    #[test]
    fn a_file_that_was_asked_for_must_be_there() {
        let missing = Path::new("/nonexistent/afpd-rs.toml");
        let error = Config::load(Some(missing)).unwrap_err();
        assert!(error.to_string().starts_with("/nonexistent/afpd-rs.toml: cannot be read: "), "{error}");
    }

    #[test]
    fn the_store_is_where_its_format_says() {
        let mut store = StoreSection::default();
        assert_eq!(store.path(Path::new("/state")), Path::new("/state/accounts"));
        store.format = StoreFormat::NetatalkDirectory;
        assert_eq!(store.path(Path::new("/state")), Path::new(NETATALK_VERIFIERS));
    }

    #[test]
    fn doubts_are_said() {
        assert_eq!(Config::default().doubts(), Vec::<String>::new());
        let doubtful = parsed(
            "[server]\nlisten = [\"[::]:1\", \"[::]:1\"]\nname = \"thirty-two characters are too many\"\n\
             [timers]\nfirst_frame = 61\ndead = 121\n\
             [attempts]\nanswer_within = 59\nrefuse_longest = 59\nhard_limit = 10\n\
             [[network]]\ncidr = \"10.0.0.0/8\"\nuams = []\n[[network]]\ncidr = \"10.1.0.0/16\"\nuams = [\"SRP\"]\n",
        );
        assert_eq!(doubtful.doubts().len(), 8, "{:?}", doubtful.doubts());
    }
}
