//! `afpd-rs serve` and `afpd-rs quickstart`: what surrounds the server in [`crate::serve`], from settings to signals.

use std::env;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use getrandom::SysRng;
use sd_notify::NotifyState;
use srp6a::Group;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tracing::warn;
use verifier_store::{NewAccount, Store, StoreError};
use zeroize::Zeroizing;

use crate::cli::{Global, Quickstart, Serve, Target};
use crate::client::{self, ClientError, Step};
use crate::config::Config;
use crate::exit::{Exit, Failure, OrExit};
use crate::logging;
use crate::place::{self, Place};
use crate::serve::{Request, Server};
use crate::state::StateDir;
use crate::status;

/// The account `quickstart` signs in with itself. It is there for a moment of each run.
const CHECK_ACCOUNT: &str = "quickstart-check";

/// How long the built-in client waits for each answer of the server beside it.
const CHECK_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// `afpd-rs serve`
///
/// # Errors
/// The server cannot be started.
pub fn serve(asked: &Serve, global: &Global, out: &mut dyn Write) -> Result<Exit, Failure> {
    let place = serving_place(asked, global)?;
    let state = StateDir::create(&place.state).or_exit(Exit::Setup)?;
    state.check().or_exit(Exit::Setup)?;
    // A store elsewhere is not made here: its path may be mistyped.
    let store = if place.store_is_in_state() { place.store_or_new() } else { place.store() }?;
    let log = logging::start(&place.config.log).or_exit(Exit::Failed)?;
    logging::log_panics();
    for doubt in place.config.doubts() {
        warn!("settings: {doubt}");
    }
    runtime()?.block_on(async {
        let server = bind(&place.config, state, store).await?;
        let shutdown = shutdown()?;
        let requests = reload_requests()?;
        announce(&server, out)?;
        tell_systemd(&[NotifyState::Ready]);
        let reload = |put_in_force: &dyn Fn(Config, Store) -> anyhow::Result<()>| {
            told_to_systemd(|| {
                let (config, store) = reload(asked, global).map_err(anyhow::Error::msg)?;
                put_in_force(config, store)
            })
        };
        in_order(server.run(shutdown, requests, &log, reload).await)?;
        Ok(Exit::Done)
    })
}

/// `afpd-rs quickstart`
///
/// # Errors
/// The server cannot be started, or its own client cannot sign in to it.
pub fn quickstart(asked: &Quickstart, global: &Global, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut config = match &global.config {
        Some(file) => Config::load(Some(file)).or_exit(Exit::Setup)?,
        None => Config::default(),
    };
    config.server.listen = vec![asked.listen];
    let state = StateDir::create(&global.state.clone().unwrap_or_else(quickstart_state)).or_exit(Exit::Setup)?;
    let place = Place { config, config_file: global.config.clone(), state: state.path().to_owned() };
    let log = logging::start(&place.config.log).or_exit(Exit::Failed)?;
    logging::log_panics();
    runtime()?.block_on(async {
        // Made and shown before the port is asked for: should that be taken, the password is not lost.
        let store = place.store_or_new()?;
        writeln!(out, "state in {}", place.state.display())?;
        let user = quickstart_account(&store, &place, out)?;
        let server = bind(&place.config, state, place.store()?).await?;
        let address = server.local_addrs().first().copied().unwrap_or(asked.listen);
        let (_never_reloaded, requests) = mpsc::channel(1);
        let shutdown = shutdown()?;
        announce(&server, out)?;

        // Nobody asks for it.
        let running = server.run(shutdown, requests, &log, |_| Ok(()));
        tokio::pin!(running);
        writeln!(out, "\nOne login, by the built-in client over TCP, as {CHECK_ACCOUNT:?}:")?;
        let target = Target { host: reachable(address.ip()).to_string(), port: address.port() };
        let (steps, mut told) = mpsc::unbounded_channel();
        let tally = place.tally();
        let login = tokio::task::spawn_blocking(move || {
            let login = log_in(&store, &target, &steps);
            // One file that nobody needs; should it stay, it is that of the next run.
            tally.forget(CHECK_ACCOUNT).ok();
            login
        });
        tokio::pin!(login);
        let login = loop {
            tokio::select! {
                biased;
                Some(step) = told.recv() => writeln!(out, "  {}", status::line(&step))?,
                ended = &mut login => break ended,
                ended = &mut running => return in_order(ended).map(|()| Exit::Done),
            }
        };
        while let Ok(step) = told.try_recv() {
            writeln!(out, "  {}", status::line(&step))?;
        }
        login.map_err(|panic| Failure::new(Exit::Failed, panic.to_string()))??;

        let url = SocketAddr::new(reachable(address.ip()), address.port());
        writeln!(out, "\nServing. Connect to  afp://{}@{url}/  or try:", escaped(&user))?;
        writeln!(out, "  afpd-rs status {url}")?;
        writeln!(out, "  afpd-rs login {url} {user:?}")?;
        writeln!(
            out,
            "There are no volumes yet: a Mac can sign in, and then finds nothing to mount. Ctrl-C ends this."
        )?;
        out.flush()?;
        in_order(running.await)?;
        writeln!(out, "ended")?;
        Ok(Exit::Done)
    })
}

fn serving_place(asked: &Serve, global: &Global) -> Result<Place, Failure> {
    let mut place = Place::of(global)?;
    if !asked.listen.is_empty() {
        place.config.server.listen.clone_from(&asked.listen);
    }
    Ok(place)
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("the system gives no threads or timers: {error}")))
}

async fn bind(config: &Config, state: StateDir, store: Store) -> Result<Server, Failure> {
    Server::bind(config, state, store).await.map_err(|error| Failure::new(Exit::Failed, format!("{error:#}")))
}

/// Whether the server ended because it was told to.
fn in_order(ended: anyhow::Result<()>) -> Result<(), Failure> {
    ended.map_err(|error| Failure::new(Exit::Failed, format!("{error:#}")))
}

/// The first thing on standard output, so that whoever starts us can find the port.
fn announce(server: &Server, out: &mut dyn Write) -> io::Result<()> {
    for address in server.local_addrs() {
        writeln!(out, "listening on {address}")?;
    }
    if let Some(at) = server.metrics_addr() {
        writeln!(out, "metrics on {at}")?;
    }
    out.flush()
}

/// Ready when SIGTERM or SIGINT has come.
fn shutdown() -> Result<impl Future<Output = ()>, Failure> {
    let mut terminate = signal(SignalKind::terminate()).or_exit(Exit::Failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).or_exit(Exit::Failed)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tell_systemd(&[NotifyState::Stopping]);
    })
}

/// Asks for a reload at each SIGHUP.
fn reload_requests() -> Result<mpsc::Receiver<Request>, Failure> {
    let mut hangup = signal(SignalKind::hangup()).or_exit(Exit::Failed)?;
    let (requests, receiver) = mpsc::channel(1);
    tokio::spawn(async move { while hangup.recv().await.is_some() && requests.send(Request::Reload).await.is_ok() {} });
    Ok(receiver)
}

fn reload(asked: &Serve, global: &Global) -> Result<(Config, Store), Failure> {
    let place = serving_place(asked, global)?;
    let store = place.store()?;
    for doubt in place.config.doubts() {
        warn!("settings: {doubt}");
    }
    Ok((place.config, store))
}

/// What is told to systemd around a reload. It is over, well or not: the server serves either way.
fn told_to_systemd<T>(reload: impl FnOnce() -> T) -> T {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell_systemd(&[NotifyState::Reloading, now]),
        Err(error) => warn!("systemd is not told of the reload, the clock cannot be read: {error}"),
    }
    let reloaded = reload();
    tell_systemd(&[NotifyState::Ready]);
    reloaded
}

/// Tells systemd, if it started us as a service of `Type=notify` (sd_notify(3)); otherwise nothing.
fn tell_systemd(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!("systemd cannot be told {state:?}: {error}");
    }
}

/// `$XDG_STATE_HOME/afpd-rs-quickstart`, usually `~/.local/state/…`; without a home, beside where we were started.
fn quickstart_state() -> PathBuf {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    absolute("XDG_STATE_HOME").or_else(home).unwrap_or_default().join("afpd-rs-quickstart")
}

/// The account to give to people: made on the first run, with a password that is shown then and never again.
fn quickstart_account(store: &Store, place: &Place, out: &mut dyn Write) -> Result<String, Failure> {
    let accounts = store.accounts().map_err(|error| place::failure(&error))?;
    if let Some(account) = accounts.iter().find(|account| account.name != CHECK_ACCOUNT) {
        writeln!(out, "account {:?} from an earlier run; its password was shown then", account.name)?;
        writeln!(out, "  to set another: afpd-rs user passwd {:?} --state {}", account.name, place.state.display())?;
        return Ok(account.name.clone());
    }
    let named_after_user = env::var("USER").ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let name = named_after_user.filter(|name| !name.is_empty()).unwrap_or_else(|| "anna".to_owned());
    let password = random_password()?;
    add(store, &name, &password)?;
    writeln!(out, "account {name:?} made, its password is  {}  (shown this once)", *password)?;
    Ok(name)
}

/// Signs in with an account made for it, and removes that. An account that is left from a run that was killed is replaced.
fn log_in(store: &Store, target: &Target, steps: &mpsc::UnboundedSender<Step>) -> Result<(), Failure> {
    let password = random_password()?;
    match store.remove(CHECK_ACCOUNT) {
        Ok(()) | Err(StoreError::NoSuchAccount { .. }) => add(store, CHECK_ACCOUNT, &password)?,
        Err(error) => return Err(place::failure(&error)),
    }
    // Nobody listens any more only when the program ends.
    let told = &mut |step| drop(steps.send(step));
    let ended: Result<(), ClientError> = client::login(target, CHECK_LIMIT, CHECK_ACCOUNT, password.as_bytes(), told);
    store.remove(CHECK_ACCOUNT).map_err(|error| place::failure(&error))?;
    ended.map_err(|error| Failure::new(Exit::Failed, format!("the built-in client could not sign in: {error}")))
}

fn add(store: &Store, name: &str, password: &str) -> Result<(), Failure> {
    let new = NewAccount { name, full_name: None, group: Group::Bits1536, password: password.as_bytes() };
    store.add(&new, &mut SysRng).map_err(|error| place::failure(&error))
}

/// 80 random bits as four groups of four letters and digits that look like no others.
fn random_password() -> Result<Zeroizing<String>, Failure> {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = Zeroizing::new([0_u8; 16]);
    getrandom::fill(random.as_mut_slice()).or_exit(Exit::Failed)?;
    let mut password = Zeroizing::new(String::with_capacity(19));
    for group in random.chunks(4) {
        if !password.is_empty() {
            password.push('-');
        }
        for byte in group {
            let letter = LETTERS.get(usize::from(byte & 31)).copied().unwrap_or(b'a');
            password.push(letter.into());
        }
    }
    Ok(password)
}

/// Where a server that listens on `ip` can be reached from this machine.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    }
}

/// A user name as a URL has it.
fn escaped(name: &str) -> String {
    let mut url = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => url.push(byte.into()),
            // Writing to a string cannot fail.
            _ => write!(url, "%{byte:02X}").unwrap_or_default(),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_differ() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(one.len(), 19);
        assert_ne!(*one, *other);
    }

    #[test]
    fn names_in_urls() {
        assert_eq!(escaped("anna"), "anna");
        assert_eq!(escaped("Anna Müller/@"), "Anna%20M%C3%BCller%2F%40");
    }

    #[test]
    fn wildcards_are_reached_over_loopback() {
        assert_eq!(reachable("0.0.0.0".parse().unwrap()), Ipv4Addr::LOCALHOST);
        assert_eq!(reachable("::".parse().unwrap()), Ipv6Addr::LOCALHOST);
        assert_eq!(reachable("192.0.2.1".parse().unwrap()).to_string(), "192.0.2.1");
    }
}
