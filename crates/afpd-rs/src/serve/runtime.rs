//! What connections are served with: made from the settings at the start and again at each reload. A connection keeps the
//! one it began with.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::thread::available_parallelism;

use afp_proto::EncodeError;
use afp_proto::server_info::{NetworkAddress, ServerFlags, ServerInfo};
use afp_session::{Service, Settings, VERSIONS};
use anyhow::Context as _;
use bytes::Bytes;
use ipnet::IpNet;
use srp_uam::{Attempts, Authenticator, DecoySecret, UnknownUsers};
use tracing::{error, warn};
use unicode_normalization::UnicodeNormalization as _;
use verifier_store::Store;
use verifier_store::tally::Tally;

use super::door::Limits;
use super::pool::Pool;
use crate::config::{self, Config, Uam};
use crate::state::StateDir;

/// The group that every account is told it is in; the classic one of a Mac's users.
const GROUP_NAME: &str = "staff";

/// What connections are served with.
#[derive(Debug)]
pub(super) struct Runtime {
    pub(super) service: Service,
    pub(super) pool: Pool,
    pub(super) limits: Limits,
    pub(super) lines_per_minute: u32,
    exempt: Vec<IpNet>,
    /// The first that holds a client's address decides; [`Self::elsewhere`] if none does.
    networks: Vec<(IpNet, Arc<Settings>)>,
    elsewhere: Arc<Settings>,
    server_info: ServerInfo,
    advertise: Vec<IpAddr>,
}

impl Runtime {
    /// `descriptors`: how many there are for connections.
    pub(super) fn new(config: &Config, state: &StateDir, store: Store, descriptors: usize) -> anyhow::Result<Self> {
        for warning in store.warnings()? {
            warn!("verifier store: {warning}");
        }
        if store.accounts()?.is_empty() {
            warn!(
                "there are no accounts in {}: nobody can log in; `afpd-rs user add NAME` makes one",
                store.path().display()
            );
        }
        let unknown_users = match config.login.unknown_users {
            config::UnknownUsers::Reveal => UnknownUsers::Reveal,
            config::UnknownUsers::Decoy => UnknownUsers::Decoy(DecoySecret::from_bytes(*state.decoy_secret()?)),
        };
        let attempts = attempts(config, state, &store)?;
        let threads = match config.limits.login_threads {
            0 => available_parallelism().map_or(1, usize::from),
            set => usize::try_from(set)?,
        };
        let limits = limits(&config.limits, descriptors)?;
        let wanted = limits.strangers.saturating_add(limits.sessions);
        if wanted > limits.total {
            warn!(
                "limits.max_sessions and limits.max_strangers together are {wanted} connections, and this process may have {}: raise its limit of open files (LimitNOFILE, ulimit -Hn)",
                limits.total
            );
        }
        let elsewhere = Settings {
            request_quantum: config.limits.request_quantum,
            first_frame: config.timers.first_frame,
            login: config.timers.login,
            tickle: config.timers.tickle,
            dead: config.timers.dead,
            ..Settings::default()
        };
        let networks = config.network.iter().map(|network| {
            let uams = network.uams.iter().map(|uam| uam_name(*uam)).collect();
            (network.cidr, Arc::new(Settings { uams, ..elsewhere.clone() }))
        });
        let name = config.server.name();
        let runtime = Self {
            networks: networks.collect(),
            elsewhere: Arc::new(elsewhere),
            exempt: config.limits.exempt.clone(),
            limits,
            lines_per_minute: config.log.lines_per_minute,
            service: Service {
                login_message: config.server.login_message.clone(),
                login_message_mac: mac_roman(&config.server.login_message, 255),
                user_id: config.server.user_id,
                group_id: config.server.group_id,
                group_name: GROUP_NAME.to_owned(),
            },
            pool: Pool::new(
                Authenticator::new(Arc::new(store), unknown_users).counting(attempts),
                threads,
                config.limits.login_queue,
            ),
            server_info: ServerInfo {
                machine_type: config.server.machine_type.clone().into_bytes(),
                versions: VERSIONS.iter().map(|version| version.to_vec()).collect(),
                uams: Vec::new(),
                flags: [
                    ServerFlags::SERVER_MESSAGES,
                    ServerFlags::SERVER_SIGNATURE,
                    ServerFlags::TCP_IP,
                    ServerFlags::UTF8_SERVER_NAME,
                    ServerFlags::EXTENDED_SLEEP,
                ]
                .into_iter()
                .fold(ServerFlags::default(), ServerFlags::with),
                server_name: mac_roman(&name, 31),
                utf8_server_name: Some(name.nfd().collect::<String>().into_bytes()),
                signature: Some(state.signature()?),
                addresses: Vec::new(),
                directory_names: Vec::new(),
                icon: None,
            },
            advertise: config.server.advertise_addresses.clone(),
        };
        // What will be sent to clients can be written down: the later calls cannot fail.
        runtime
            .encode(SocketAddr::from(([0; 16], 548)), &runtime.elsewhere.uams)
            .context("the server information cannot be written down")?;
        Ok(runtime)
    }

    /// What holds for a session with a client at `ip`.
    pub(super) fn settings(&self, ip: IpAddr) -> &Arc<Settings> {
        self.networks
            .iter()
            .find(|(network, _)| network.contains(&ip))
            .map_or(&self.elsewhere, |(_, settings)| settings)
    }

    /// Whether the caps on single addresses leave a client at `ip` alone.
    pub(super) fn is_exempt(&self, ip: IpAddr) -> bool {
        self.exempt.iter().any(|network| network.contains(&ip))
    }

    /// The FPGetSrvrInfo block for a client at `ip` that reached us at `local`.
    pub(super) fn server_info(&self, local: SocketAddr, ip: IpAddr) -> Bytes {
        self.encode(local, &self.settings(ip).uams).unwrap_or_default().into()
    }

    fn encode(&self, local: SocketAddr, uams: &[&[u8]]) -> Result<Vec<u8>, EncodeError> {
        let ips = if self.advertise.is_empty() { vec![local.ip().to_canonical()] } else { self.advertise.clone() };
        let port = local.port();
        let addresses = ips
            .into_iter()
            .map(|ip| match (ip, port) {
                (IpAddr::V4(ip), 548) => NetworkAddress::Ipv4(ip),
                (IpAddr::V4(ip), port) => NetworkAddress::Ipv4Port(SocketAddrV4::new(ip, port)),
                (IpAddr::V6(ip), 548) => NetworkAddress::Ipv6(ip),
                (IpAddr::V6(ip), port) => NetworkAddress::Ipv6Port(ip, port),
            })
            .collect();
        let uams = uams.iter().map(|uam| uam.to_vec()).collect();
        ServerInfo { addresses, uams, ..self.server_info.clone() }.encode()
    }
}

fn limits(config: &config::LimitsSection, descriptors: usize) -> anyhow::Result<Limits> {
    Ok(Limits {
        strangers: usize::try_from(config.max_strangers)?,
        sessions: usize::try_from(config.max_sessions)?,
        total: descriptors,
        per_address: usize::try_from(config.connections_per_address)?,
        challenges_per_minute: config.challenges_per_minute,
        status_per_minute: config.status_per_minute,
    })
}

fn uam_name(uam: Uam) -> &'static [u8] {
    match uam {
        Uam::Srp => srp_uam::NAME,
    }
}

/// What counts attempts, as the settings say.
fn attempts(config: &Config, state: &StateDir, store: &Store) -> anyhow::Result<Attempts> {
    let tally = Tally::at(&config.attempts.path(state.path()));
    if config.login.unknown_users == config::UnknownUsers::Decoy {
        let accounts = store.accounts()?;
        // No reason not to start: what follows from a tally that cannot be used is decided at each attempt.
        if let Err(error) = tally.prepare(accounts.iter().map(|account| account.name.as_str())) {
            warn!("failed logins may not be counted: {error}");
        }
    }
    Ok(Attempts::new(tally, config.attempts.policy(), Box::new(|line| error!("{line}"))))
}

/// `name` as old clients read it: Mac Roman, `?` for what it lacks, at most `limit` bytes.
fn mac_roman(name: &str, limit: usize) -> Vec<u8> {
    let composed: String = name.nfc().collect();
    composed
        .chars()
        .map(|char| {
            let mut buffer = [0; 4];
            match encoding_rs::MACINTOSH.encode(char.encode_utf8(&mut buffer)) {
                (bytes, _, false) if bytes.len() == 1 => bytes.first().copied().unwrap_or(b'?'),
                _ => b'?',
            }
        })
        .take(limit)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::mac_roman;

    #[test]
    fn old_clients_read_the_name_in_mac_roman() {
        assert_eq!(mac_roman("nas", 31), b"nas");
        assert_eq!(mac_roman("Zoe\u{308}s Ger\u{e4}t", 31), b"Zo\x91s Ger\x8at");
        assert_eq!(mac_roman("\u{65e5}\u{672c}", 31), b"??");
        assert_eq!(mac_roman(&"x".repeat(40), 31).len(), 31);
    }
}
