//! `afpd-rs decode`: a packet capture explained, and its SRP proofs checked where the secrets are known.
//!
//! `capture` takes packets out of the file, `tcp` puts each connection's bytes in order, `explain` reads them with
//! `afp-proto`, `proofs` computes logins again.

mod capture;
mod explain;
mod proofs;
mod tcp;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use zeroize::Zeroizing;

use self::capture::CaptureError;
use self::explain::{Explained, Login, looks_like_dsi};
use self::proofs::{Finding, Known, Secret};
use crate::cli::Decode;
use crate::exit::{Exit, Failure, OrExit};
use crate::password;

/// The largest capture taken, in bytes.
const LARGEST: u64 = 1 << 30;

/// Hex digits shown of a big number to people; `--json` has them all.
const SHOWN_DIGITS: usize = 32;

/// `afpd-rs decode`
///
/// # Errors
/// The file cannot be read or is no capture.
pub fn run(asked: &Decode, out: &mut dyn Write) -> Result<Exit, Failure> {
    let known = known(asked)?;
    let file = read(&asked.file)?;
    let named = |error: CaptureError| Failure::new(Exit::Failed, format!("{}: {error}", asked.file.display()));
    let (connections, cut) = explained(&file, asked.port, known.as_ref()).map_err(named)?;
    write(&connections, asked.json, out)?;
    if cut {
        writeln!(io::stderr(), "note: the capture ends inside a packet; what is whole is shown")?;
    }
    if connections.is_empty() {
        let hint =
            "no TCP connection in it begins with a DSI request; name its port with --port if the beginning is missing";
        return Err(Failure::new(Exit::Failed, format!("{}: {hint}", asked.file.display())));
    }
    known.map_or(Ok(Exit::Done), |_| verdict(&connections))
}

/// Explains a capture for people. What [`run`] does without options; here for tests and fuzzing.
///
/// # Errors
/// It is no capture, or the output cannot be written.
pub fn explain_to(capture: &[u8], out: &mut dyn Write) -> io::Result<()> {
    write(&explained(capture, None, None).map_err(io::Error::other)?.0, false, out)
}

/// Explains a capture's connections with `port` as JSON, its logins computed again with the password and the server's secret b; the
/// other half of what [`run`] does, for fuzzing.
///
/// # Errors
/// As [`explain_to`].
pub fn check_to(capture: &[u8], port: u16, password: &str, b: &[u8], out: &mut dyn Write) -> io::Result<()> {
    let password = Zeroizing::new(password.to_owned());
    let known = Known { password, login_name: None, secret: Secret::Server(Zeroizing::new(b.to_vec())) };
    write(&explained(capture, Some(port), Some(&known)).map_err(io::Error::other)?.0, true, out)
}

fn write(connections: &[Shown], json: bool, out: &mut dyn Write) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, connections)?;
        writeln!(out)?;
    } else {
        for (number, connection) in (1..).zip(connections) {
            connection.print(number, out)?;
        }
    }
    out.flush()
}

/// The connections of a capture, and whether it ends inside a packet.
fn explained(file: &[u8], port: Option<u16>, known: Option<&Known>) -> Result<(Vec<Shown>, bool), CaptureError> {
    let (packets, cut) = capture::packets(file)?;
    let start = packets.iter().map(|packet| packet.time).min().unwrap_or(Duration::ZERO);
    let wanted = |connection: &tcp::Connection| match port {
        Some(port) => connection.client.port() == port || connection.server.port() == port,
        None => looks_like_dsi(connection),
    };
    let connections = tcp::connections(&packets);
    let wanted = connections.iter().filter(|connection| wanted(connection));
    Ok((wanted.map(|connection| Shown::of(connection, start, known)).collect(), cut))
}

/// With secrets: at least one login must be theirs, and none of those may depart.
fn verdict(connections: &[Shown]) -> Result<Exit, Failure> {
    let mut logins = connections.iter().flat_map(|connection| &connection.srp_logins).peekable();
    if logins.peek().is_none() {
        return Err(Failure::new(Exit::Failed, "there is no SRP login in the capture to check"));
    }
    let mut computed = logins.filter(|login| !login.values.is_empty()).peekable();
    if computed.peek().is_none() {
        return Err(Failure::new(Exit::Refused, "the secrets belong to no login in the capture"));
    }
    match computed.find_map(|login| login.departs) {
        Some(value) => Err(Failure::new(Exit::Refused, format!("{value} departs from the specification"))),
        None => Ok(Exit::Done),
    }
}

fn known(asked: &Decode) -> Result<Option<Known>, Failure> {
    if asked.password_stdin && asked.file == Path::new("-") {
        return Err(Failure::new(
            Exit::Usage,
            "standard input cannot give both the password and the capture; name the file",
        ));
    }
    let secret = match (&asked.client_secret_file, &asked.server_secret_file) {
        (Some(a), _) => Secret::Client(read_secret(a)?),
        (None, Some(b)) => Secret::Server(read_secret(b)?),
        (None, None) if asked.password_stdin => {
            let hint = "a capture and a password alone say nothing about the proofs in it, that is the point of SRP; \
                        give --client-secret-file or --server-secret-file as well, or leave --password-stdin out";
            return Err(Failure::new(Exit::Usage, hint));
        }
        (None, None) => return Ok(None),
    };
    let password = password::known("", true).or_exit(Exit::Failed)?;
    Ok(Some(Known { password, login_name: asked.user.clone(), secret }))
}

/// A number in hex digits, white space between them allowed.
fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let named = |problem: String| Failure::new(Exit::Failed, format!("{}: {problem}", path.display()));
    let file = File::open(path).map_err(|error| named(format!("cannot be opened: {error}")))?;
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    file.take(4096).read_to_end(&mut text).map_err(|error| named(format!("cannot be read: {error}")))?;
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len().saturating_add(1)));
    digits.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    if !digits.len().is_multiple_of(2) {
        digits.insert(0, b'0');
    }
    let number = base16ct::mixed::decode_vec(&*digits).map(Zeroizing::new);
    let number = number.ok().filter(|number| (1..=512).contains(&number.len()));
    number.ok_or_else(|| named("should hold a number of 1 to 512 bytes in hex digits".to_owned()))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let named = |problem: String| Failure::new(Exit::Failed, format!("{}: {problem}", path.display()));
    let mut bytes = Vec::new();
    let limit = LARGEST.saturating_add(1);
    let read = if path == Path::new("-") {
        io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    read.map_err(|error| named(format!("cannot be read: {error}")))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        let hint = "is larger than 1 GiB; cut it first, for example with tcpdump -r FILE -w LESS 'tcp port 548'";
        return Err(named(hint.to_owned()));
    }
    Ok(bytes)
}

/// A connection for people and for programs.
#[derive(Serialize)]
struct Shown {
    client: String,
    server: String,
    lines: Vec<explain::Line>,
    srp_logins: Vec<ShownLogin>,
}

#[derive(Serialize)]
struct ShownLogin {
    login_name: String,
    outcome: String,
    /// Why it was not computed again, though the secrets are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    not_computed: Option<&'static str>,
    /// What was computed again.
    values: Vec<ShownValue>,
    /// The first value that is not as the specification has it.
    departs: Option<&'static str>,
    /// What follows from the values and the outcome together.
    #[serde(skip_serializing_if = "Option::is_none")]
    conclusion: Option<&'static str>,
}

#[derive(Serialize)]
struct ShownValue {
    name: &'static str,
    agrees: bool,
    note: String,
}

impl Shown {
    fn of(connection: &tcp::Connection, start: Duration, known: Option<&Known>) -> Self {
        let Explained { lines, logins } = explain::explain(connection, start);
        Self {
            client: connection.client.to_string(),
            server: connection.server.to_string(),
            lines,
            srp_logins: logins.iter().map(|login| ShownLogin::of(login, known)).collect(),
        }
    }

    fn print(&self, number: usize, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "connection {number}: {} -> {}", self.client, self.server)?;
        for line in &self.lines {
            writeln!(out, "{:>12.6}  {}  {}", line.seconds, line.from, line.what)?;
            for field in &line.fields {
                writeln!(out, "{:24}{:16} {}", "", field.name, shortened(&field.value))?;
            }
            if let Some(problem) = &line.problem {
                writeln!(out, "{:24}PROBLEM: {problem}", "")?;
            }
        }
        for login in &self.srp_logins {
            writeln!(out, "  SRP login of {:?}: {}", login.login_name, login.outcome)?;
            if let Some(why) = login.not_computed {
                writeln!(out, "    not computed again: {why}")?;
            }
            for value in &login.values {
                let verdict = if value.agrees { "agrees " } else { "DEPARTS" };
                writeln!(out, "    {:3} {verdict}  {}", value.name, value.note)?;
            }
            if let Some(conclusion) = login.conclusion {
                writeln!(out, "    {conclusion}")?;
            }
        }
        writeln!(out)
    }
}

impl ShownLogin {
    fn of(login: &Login, known: Option<&Known>) -> Self {
        let finding = known.map(|known| proofs::check(&login.exchange, known));
        let (not_computed, values) = match finding {
            None => (None, Vec::new()),
            Some(Finding::Impossible(why) | Finding::OtherExchange(why)) => (Some(why), Vec::new()),
            Some(Finding::Computed(values)) => (None, values),
        };
        let departs = values.iter().find(|value| !value.agrees).map(|value| value.name);
        let refused_though_right = !values.is_empty() && departs.is_none() && login.outcome.starts_with("refused");
        Self {
            login_name: String::from_utf8_lossy(&login.exchange.login_name).into_owned(),
            outcome: login.outcome.clone(),
            not_computed,
            departs,
            conclusion: refused_though_right
                .then_some("the proof is right for this password: the server has a verifier of another, or refuses for another reason"),
            values: values
                .into_iter()
                .map(|proofs::Value { name, agrees, note }| ShownValue { name, agrees, note })
                .collect(),
        }
    }
}

/// A long run of hex digits with its middle left out.
fn shortened(value: &str) -> String {
    let Some((before, digits)) = value.rsplit_once(": ") else { return value.to_owned() };
    let ends = (digits.get(..SHOWN_DIGITS), digits.len().checked_sub(SHOWN_DIGITS).and_then(|at| digits.get(at..)));
    match ends {
        (Some(head), Some(tail))
            if digits.len() > SHOWN_DIGITS.saturating_mul(3)
                && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) =>
        {
            format!("{before}: {head}…{tail}")
        }
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGIN: &[u8] = include_bytes!("../../../../captures/02_srp_login_ok_netatalk-client.pcap");

    /// Any byte may be anything: it is explained or refused, never fallen over.
    #[test]
    fn damaged_captures_do_no_harm() {
        let mut whole = Vec::new();
        explain_to(LOGIN, &mut whole).unwrap();
        assert!(String::from_utf8(whole).unwrap().contains("SRP login of \"atalk1\": signed in"));
        for at in 0..LOGIN.len() {
            for value in [0x00, 0xff] {
                let mut damaged = LOGIN.to_vec();
                damaged[at] = value;
                // The file's own header may become unreadable; nothing else may.
                if explain_to(&damaged, &mut io::sink()).is_err() {
                    assert!(at < 24, "{at}");
                }
            }
        }
    }

    #[test]
    fn secrets_of_another_exchange_are_told_as_such() {
        let mut out = Vec::new();
        check_to(LOGIN, 548, "oc34thA2", &[0x5a; 32], &mut out).unwrap();
        let connections: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let logins: Vec<_> = connections.as_array().unwrap().iter().filter_map(|c| c["srp_logins"].get(0)).collect();
        assert_eq!(logins.len(), 1, "{connections}");
        assert!(logins[0]["not_computed"].as_str().unwrap().contains('B'), "{connections}");
    }

    #[test]
    fn long_numbers_are_shortened_for_people() {
        let digits = "0123456789abcdef".repeat(2);
        let shown = shortened(&format!("192 bytes: {}", digits.repeat(12)));
        assert_eq!(shown, format!("192 bytes: {digits}…{digits}"));
        assert_eq!(shortened("16 bytes: 00ff"), "16 bytes: 00ff");
        assert_eq!(shortened("\"anna\""), "\"anna\"");
    }
}
