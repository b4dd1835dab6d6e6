//! A panic, which is a bug, in one connection's task or in one login's computation: only that one goes.
//!
//! The program has no switch for this. The server runs in this process, over real sockets; what panics is what the test gives it:
//! a log that panics at a line about one connection, and a list of system users that panics at one name.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on shall stop")]

mod server;

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use afpd_rs::config::{Config, LogSection, MetricsListen};
use afpd_rs::logging;
use afpd_rs::serve;
use afpd_rs::state::StateDir;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use srp6a::Group;
use testkit::client::{Client, LoginExt, dsi};
use tokio::sync::{mpsc, oneshot};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use verifier_store::{Format, NewAccount, Store, Users};

use crate::server::{PASSWORD, fetch, is_ended, is_served, log_in, open, proof, reply, until, value};

/// The login name that makes a computation panic.
const BUG: &str = "bug";

/// What was logged, and at which line there is a panic.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(String, Option<[String; 2]>)>>);

impl<S: Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Line(String);
        impl Visit for Line {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                write!(self.0, " {field}={value:?}").unwrap();
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        let Line(line) = line;
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("{line}");
        log.0.push_str(&line);
        log.0.push('\n');
        let bug = log.1.take_if(|at| at.iter().all(|part| line.contains(part.as_str())));
        assert!(bug.is_none(), "injected");
    }
}

impl Log {
    /// The next line with all of these parts is a bug.
    fn panic_at(&self, line: &str, client: Option<SocketAddr>) {
        let client = client.map_or_else(String::new, |client| format!("peer={client}"));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some([line.to_owned(), client]);
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }
}

/// Everybody is the user who runs the tests, but for one, at whom there is a panic.
#[derive(Debug)]
struct Myself;

impl Users for Myself {
    fn uid(&self, name: &[u8]) -> std::io::Result<Option<u32>> {
        assert!(name != BUG.as_bytes(), "injected");
        Ok(Some(rustix::process::geteuid().as_raw()))
    }
}

/// A server in this process, its log and its figures, and a session beside what goes wrong.
struct Running {
    address: SocketAddr,
    figures_at: SocketAddr,
    log: Log,
    session: Client,
    _never_stopped: oneshot::Sender<()>,
    ended: thread::JoinHandle<anyhow::Result<()>>,
}

thread_local! {
    static LOG: RefCell<Option<DefaultGuard>> = const { RefCell::new(None) };
}

impl Running {
    /// With one thread that computes logins, so that one that were lost would be missed.
    fn start(directory: &Path) -> Running {
        let settings = directory.join("settings.toml");
        let text = "[server]\nlisten = [\"127.0.0.1:0\"]\n[metrics]\nlisten = \"127.0.0.1:0\"\n[limits]\nlogin_threads = 1\n\
                    exempt = [\"127.0.0.0/8\"]\n[attempts]\nexempt = [\"127.0.0.0/8\"]\n[log]\nlines_per_minute = 1000\n";
        std::fs::write(&settings, text).unwrap();
        let config = Config::load(Some(&settings)).unwrap();
        let state = StateDir::create(&directory.join("state")).unwrap();
        let store = Store::create_with_users(Format::NetatalkDirectory, &directory.join("accounts"), Arc::new(Myself));
        let store = store.unwrap();
        let (group, password) = (Group::Bits1536, PASSWORD.as_bytes());
        let anna = NewAccount { name: "anna", full_name: None, group, password };
        store.add(&anna, &mut getrandom::SysRng).unwrap();

        let log = Log::default();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(log.clone()));
        let (told, addresses) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let ended = thread::spawn(move || {
            let into_the_log = move || {
                LOG.set(Some(tracing::dispatcher::set_default(&dispatch)));
            };
            into_the_log();
            let mut runtime = tokio::runtime::Builder::new_multi_thread();
            runtime.worker_threads(2).enable_all().on_thread_start(into_the_log).on_thread_stop(|| LOG.set(None));
            runtime.build().unwrap().block_on(async {
                let server = serve::Server::bind(&config, state, store).await.unwrap();
                let Some(&MetricsListen::Tcp(figures_at)) = server.metrics_addr() else { panic!("no figures") };
                told.send((server.local_addrs().to_vec(), figures_at)).unwrap();
                let (_never, requests) = mpsc::channel(1);
                // The log of a program can be started once, and nothing goes there: each thread has its own.
                let control = logging::start(&LogSection::default()).unwrap();
                logging::log_panics();
                server.run(async { drop(stopped.await) }, requests, &control, |_| Ok(())).await
            })
        });
        let (address, figures_at) = addresses.recv().unwrap();
        let [address] = address[..] else { panic!("{address:?}") };
        let mut session = Client::connect(address).unwrap();
        open(&mut session);
        assert_eq!(log_in(&mut session, "anna", PASSWORD), 0);
        Running { address, figures_at, log, session, _never_stopped: stop, ended }
    }

    /// A client and its address.
    fn connect(&self) -> (Client, SocketAddr) {
        let stream = TcpStream::connect(self.address).unwrap();
        let address = stream.local_addr().unwrap();
        (Client::over(stream).unwrap(), address)
    }

    /// Nobody is there but the session, nothing waits, and there have been so many panics; the session is served, and a login works.
    fn is_well_after(&mut self, panics: usize) {
        is_served(&mut self.session);
        let (mut client, _) = self.connect();
        open(&mut client);
        assert_eq!(log_in(&mut client, "anna", PASSWORD), 0);
        is_served(&mut client);
        drop(client);
        let expected = ["0".to_owned(), "1".to_owned(), "0".to_owned(), panics.to_string()];
        until(|| {
            let figures = fetch(TcpStream::connect(self.figures_at).unwrap());
            let now = [
                "afpd_connections{state=\"stranger\"}",
                "afpd_connections{state=\"signed-in\"}",
                "afpd_login_queue",
                "afpd_connection_panics_total",
            ]
            .map(|series| value(&figures, series).to_string());
            if now == expected { Ok(()) } else { Err(format!("{now:?}, not {expected:?}")) }
        });
    }

    /// No descriptor for another connection, and a panic where that is logged: in what accepts connections.
    fn end_by_a_bug_at_the_entrance(mut self) {
        let limit = getrlimit(Resource::Nofile);
        self.log.panic_at("cannot accept connections for the moment", None);
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        client.connect(&self.address.into()).unwrap();
        is_ended(&mut self.session);
        drop((self.session, client));
        let ended = self.ended.join().unwrap().unwrap_err();
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(ended.to_string().contains("connections are no longer accepted"), "{ended:#}");
    }
}

/// What a client does.
type Step = fn(&mut Client);

#[test]
fn a_panic_takes_one_connection_or_one_login() {
    let directory = tempfile::tempdir().unwrap();
    let mut running = Running::start(directory.path());
    let mut panics = 0;

    // In the connection's task, at each thing that is logged of it.
    let steps: [(&str, Step); 6] = [
        ("server information sent", |client| {
            client.request(dsi::GET_STATUS, &[]).unwrap();
        }),
        ("session opened", |client| {
            client.request(dsi::OPEN_SESSION, &[]).unwrap();
        }),
        ("outcome=\"refused\"", |client| {
            open(client);
            let wrong = proof(client, "anna", "wrong").unwrap();
            client.request(dsi::COMMAND, &wrong).unwrap();
        }),
        ("outcome=\"signed-in\"", |client| {
            open(client);
            let right = proof(client, "anna", PASSWORD).unwrap();
            client.request(dsi::COMMAND, &right).unwrap();
        }),
        ("logged out", |client| {
            open(client);
            assert_eq!(log_in(client, "anna", PASSWORD), 0);
            client.request(dsi::COMMAND, &[20, 0]).unwrap();
        }),
        ("connection ended", |client| {
            open(client);
            assert_eq!(log_in(client, "anna", PASSWORD), 0);
            client.request(dsi::CLOSE_SESSION, &[]).unwrap();
        }),
    ];
    for (line, step) in steps {
        let (mut client, address) = running.connect();
        running.log.panic_at(line, Some(address));
        step(&mut client);
        panics += 1;
        is_ended(&mut client);
        drop(client);
        running.is_well_after(panics);
        let text = running.log.text();
        let named = text
            .lines()
            .any(|line| line.contains("ended by a bug in afpd-rs") && line.contains(&format!("peer={address}")));
        assert!(named, "{line}: {text}");
        assert_eq!(text.matches("bug in afpd-rs: injected").count(), 0, "a log that panics cannot log");
    }

    // In the computation: this login is refused, and the one thread for them is there for the next.
    for round in 1..=10 {
        let (mut client, address) = running.connect();
        open(&mut client);
        client.request(dsi::COMMAND, &LoginExt::new(BUG.as_bytes()).bytes()).unwrap();
        assert_eq!(reply(&mut client).code, -5014);
        is_ended(&mut client);
        drop(client);
        running.is_well_after(panics);
        let text = running.log.text();
        let lines = |of: &str| text.lines().filter(|line| line.contains(of)).count();
        assert_eq!(lines("bug in afpd-rs: injected"), round, "{text}");
        assert_eq!(lines("a login computation failed, which is a bug in afpd-rs"), round, "{text}");
        let refused =
            text.lines().any(|line| line.contains(&format!("peer={address}")) && line.contains("internal error"));
        assert!(refused, "{text}");
    }
    // In what accepts connections: the program would let nobody in any more. It ends, and whoever supervises it starts it again.
    running.end_by_a_bug_at_the_entrance();
}
