//! `afpd-rs status` and `afpd-rs login`: looking at a server from outside.

use std::io::{self, Write};
use std::time::Instant;

use afp_proto::server_info::{NetworkAddress, ServerInfo};
use serde::Serialize;

use crate::cli;
use crate::client::{self, Step};
use crate::exit::{Exit, Failure, OrExit};
use crate::password;

/// `afpd-rs status`
///
/// # Errors
/// There is no answer, or none that can be read.
pub fn status(asked: &cli::Status, out: &mut dyn Write) -> Result<Exit, Failure> {
    let status = client::status(&asked.server, asked.timeout)?;
    let shown = Shown::of(&status);
    if asked.json {
        serde_json::to_writer_pretty(&mut *out, &shown).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(Exit::Done);
    }
    let list = |words: &[String]| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    for (key, value) in [
        ("address", shown.address.clone()),
        ("name", format!("{:?}", shown.name)),
        ("old name", format!("{:?}", shown.old_name)),
        ("machine type", format!("{:?}", shown.machine_type)),
        ("AFP versions", list(&shown.versions)),
        ("login methods", list(&shown.uams)),
        ("flags", format!("{} {}", shown.flags, list(&shown.flag_names))),
        ("signature", shown.signature.clone().unwrap_or_else(|| "none".to_owned())),
        ("addresses told", list(&shown.network_addresses)),
        ("directory names", list(&shown.directory_names)),
        ("icon", if shown.icon { "yes" } else { "no" }.to_owned()),
        ("answer", format!("{} bytes in {:.2} ms", shown.size, shown.milliseconds)),
    ] {
        writeln!(out, "{key:16} {value}")?;
    }
    Ok(Exit::Done)
}

/// `afpd-rs login`
///
/// # Errors
/// The login failed; the error says where and what that means.
pub fn login(asked: &cli::Login, out: &mut dyn Write) -> Result<Exit, Failure> {
    let password = password::known(&asked.user, asked.password.password_stdin).or_exit(Exit::Failed)?;
    let mut written = Ok(());
    let begun = Instant::now();
    let ended = client::login(&asked.server, asked.timeout, &asked.user, password.as_bytes(), &mut |step| {
        if written.is_ok() {
            written = writeln!(out, "{}", line(&step)).and_then(|()| out.flush());
        }
    });
    written?;
    ended?;
    let milliseconds = begun.elapsed().as_secs_f64() * 1000.0;
    writeln!(out, "{:?} signed in to {} and out again, in {milliseconds:.2} ms", asked.user, asked.server)?;
    Ok(Exit::Done)
}

/// A step on one line: name, bytes sent, result, bytes received, time, note.
#[must_use]
pub fn line(step: &Step) -> String {
    let exchange = step.exchange.map_or_else(String::new, |(sent, code, received)| {
        format!("{sent:>4} B -> {:<23} {received:>4} B", code.to_string())
    });
    format!("{:<15}{exchange:<40}{:>9.2} ms  {}", step.name, step.took.as_secs_f64() * 1000.0, step.note)
}

/// A server information block for people and for programs.
#[derive(Serialize)]
struct Shown {
    address: String,
    name: String,
    old_name: String,
    machine_type: String,
    versions: Vec<String>,
    uams: Vec<String>,
    flags: String,
    flag_names: Vec<String>,
    signature: Option<String>,
    network_addresses: Vec<String>,
    directory_names: Vec<String>,
    icon: bool,
    size: usize,
    milliseconds: f64,
}

impl Shown {
    fn of(status: &client::Status) -> Self {
        let ServerInfo { machine_type, versions, uams, flags, server_name, signature, .. } = &status.info;
        let ascii = |word: &Vec<u8>| word.escape_ascii().to_string();
        let flag_names = flags.names().map(|(bit, name)| name.map_or_else(|| format!("{bit:#06x}"), ToOwned::to_owned));
        Self {
            address: status.address.to_string(),
            name: client::server_name(&status.info),
            old_name: client::mac_roman(server_name),
            machine_type: client::mac_roman(machine_type),
            versions: versions.iter().map(ascii).collect(),
            uams: uams.iter().map(ascii).collect(),
            flags: format!("{:#06x}", flags.0),
            flag_names: flag_names.collect(),
            signature: signature.map(|bytes| base16ct::lower::encode_string(&bytes)),
            network_addresses: status.info.addresses.iter().map(network_address).collect(),
            directory_names: status.info.directory_names.iter().map(ascii).collect(),
            icon: status.info.icon.is_some(),
            size: status.size,
            milliseconds: status.took.as_secs_f64() * 1000.0,
        }
    }
}

/// An address in a server information block, for people.
#[must_use]
pub fn network_address(address: &NetworkAddress) -> String {
    match address {
        NetworkAddress::Ipv4(ip) => ip.to_string(),
        NetworkAddress::Ipv4Port(address) => address.to_string(),
        NetworkAddress::Ddp { network, node, socket } => format!("AppleTalk {network}.{node}:{socket}"),
        NetworkAddress::Dns(name) => name.escape_ascii().to_string(),
        NetworkAddress::Ssh(address) => format!("ssh {address}"),
        NetworkAddress::Ipv6(ip) => ip.to_string(),
        NetworkAddress::Ipv6Port(ip, port) => format!("[{ip}]:{port}"),
        NetworkAddress::Other { tag, data } => format!("tag {tag} {}", data.escape_ascii()),
    }
}
