//! The real program as a server with settings and state of its own, and clients of it: what the tests of the running server share.
//!
//! Clients come from several addresses of 127.0.0.0/8, so that one is a stranger and another a neighbour.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tempfile::TempDir;
use testkit::client::{Client, Frame, Heard, LoginCont, LoginExt, PATIENCE, dsi};
use testkit::slow_srp::{AForm, AfpClientExchange};

pub const OWNER: [u8; 4] = [127, 0, 0, 1];
pub const STRANGER: [u8; 4] = [127, 0, 0, 2];
pub const PASSWORD: &str = "open sesame";

/// A server with settings and state of its own, and the account "anna". Its log is a file.
pub struct Server {
    pub directory: Arc<TempDir>,
    pub child: Child,
    out: BufReader<ChildStdout>,
    pub address: SocketAddr,
    log: PathBuf,
}

impl Server {
    pub fn start(settings: &str) -> Server {
        Server::start_by(&[], settings)
    }

    /// The program is started by this command, to which it is added as arguments.
    pub fn start_by(command: &[&str], settings: &str) -> Server {
        Server::start_in(&home(settings), program(command))
    }

    /// One more server in a directory that is there.
    pub fn start_in(directory: &Arc<TempDir>, program: Command) -> Server {
        let log =
            (1..100).map(|number| directory.path().join(format!("log{number}"))).find(|log| !log.exists()).unwrap();
        let stderr = File::create(&log).unwrap().into();
        Server::start_with_log(directory, program, stderr, log)
    }

    /// One whose log goes there.
    pub fn start_with_log(directory: &Arc<TempDir>, mut program: Command, stderr: Stdio, log: PathBuf) -> Server {
        let mut child = program
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(place(directory.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let said = || fs::read_to_string(&log).unwrap_or_default();
        let address = line.trim_end().strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}: {}", said()));
        let address = address.parse().unwrap();
        Server { directory: Arc::clone(directory), child, out, address, log }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until the log says this so many times.
    pub fn logs(&self, said: &str, times: usize) -> String {
        until(|| {
            let log = self.log();
            if log.matches(said).count() >= times { Ok(log) } else { Err(format!("{times} times {said:?}: {log}")) }
        })
    }

    /// Waits until the log, from this byte on, has all of these.
    #[track_caller]
    pub fn says_after(&self, byte: usize, parts: &[&str]) {
        until(|| {
            let log = self.log();
            let new = log.get(byte..).unwrap_or_default();
            if parts.iter().all(|part| new.contains(part)) { Ok(()) } else { Err(format!("{parts:?}: {new}")) }
        });
    }

    pub fn settings(&self, settings: &str) {
        write_settings(self.directory.path(), settings);
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Tells it to end, and returns its log.
    pub fn end(mut self) -> String {
        self.signal(Signal::TERM);
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.log());
        self.log()
    }

    /// A connection from this address.
    pub fn connect(&self, from: [u8; 4]) -> Client {
        self.connect_keeping(from).0
    }

    /// The same, and its socket.
    pub fn connect_keeping(&self, from: [u8; 4]) -> (Client, Socket) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect_timeout(&self.address.into(), PATIENCE).unwrap();
        let client = Client::over(TcpStream::from(socket.try_clone().unwrap())).unwrap();
        (client, socket)
    }

    /// A connection with an open session.
    pub fn open(&self, from: [u8; 4]) -> Client {
        let mut client = self.connect(from);
        open(&mut client);
        client
    }

    pub fn signed_in(&self, from: [u8; 4], name: &str) -> Client {
        let mut client = self.open(from);
        assert_eq!(log_in(&mut client, name, PASSWORD), 0);
        client
    }

    /// The figures, where the settings have them on a free port.
    pub fn figures_at(&mut self) -> SocketAddr {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().strip_prefix("metrics on ").unwrap_or_else(|| panic!("{line:?}")).parse().unwrap()
    }

    /// So many clock ticks, usually 100 a second, has the process computed.
    pub fn computed(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }

    /// For so long this session is served, and the processor rests: less than three tenths of it are used.
    pub fn rests_and_serves(&self, session: &mut Client, time: Duration) {
        let (before, began) = (self.computed(), Instant::now());
        while began.elapsed() < time {
            is_served(session);
            thread::sleep(time / 10);
        }
        let used = u128::from(self.computed() - before);
        assert!(used * 1000 < 30 * time.as_millis(), "{used} ticks of 10 ms in {time:?}: it spins");
    }

    /// So many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Gone already when the test went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A directory with these settings and the account "anna".
pub fn home(settings: &str) -> Arc<TempDir> {
    let directory = tempfile::tempdir().unwrap();
    write_settings(directory.path(), settings);
    add_account(directory.path(), "anna");
    Arc::new(directory)
}

/// The program, started by this command.
pub fn program(command: &[&str]) -> Command {
    let words = [command, &[env!("CARGO_BIN_EXE_afpd-rs")]].concat();
    let mut program = Command::new(words[0]);
    program.args(&words[1..]);
    program
}

pub fn place(directory: &Path) -> [PathBuf; 4] {
    ["--config".into(), directory.join("settings.toml"), "--state".into(), directory.join("state")]
}

pub fn write_settings(directory: &Path, settings: &str) {
    fs::write(directory.join("settings.toml"), settings).unwrap();
}

pub fn add_account(directory: &Path, name: &str) {
    let added = user(directory, &["add", name], PASSWORD);
    assert!(added.status.success(), "{added:?}");
}

/// `afpd-rs user …` with a password.
pub fn user(directory: &Path, arguments: &[&str], password: &str) -> Output {
    run_with(program(&[]), directory, &[&["user"], arguments, &["--password-stdin"]].concat(), password)
}

/// The program's other commands.
pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    run_with(program(&[]), directory, arguments, "")
}

/// The program, however it is started, with this on its standard input.
pub fn run_with(mut program: Command, directory: &Path, arguments: &[&str], input: &str) -> Output {
    program.args(arguments).args(place(directory));
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that has refused already does not read it.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

/// The accounts as `user list` knows them.
pub fn accounts(directory: &Path) -> Vec<Value> {
    let listed = run(directory, &["user", "list", "--json"]);
    assert!(listed.status.success(), "{listed:?}");
    serde_json::from_slice(&listed.stdout).unwrap()
}

/// Their names.
pub fn names(directory: &Path) -> Vec<String> {
    accounts(directory).iter().map(|account| account["name"].as_str().unwrap().to_owned()).collect()
}

/// How many failures of this address at this account are counted.
pub fn failures(directory: &Path, account: &str, address: &str) -> u64 {
    let accounts = accounts(directory);
    let account = accounts.iter().find(|found| found["name"] == account).unwrap();
    let networks = account["attempts"]["networks"].as_array();
    let networks = networks.unwrap_or_else(|| panic!("no tally: {account}"));
    networks.iter().filter(|entry| entry["network"] == address).map(|entry| entry["failures"].as_u64().unwrap()).sum()
}

/// Tries until it works.
pub fn until<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(got) => return got,
            Err(problem) => assert!(Instant::now() < end, "never: {problem}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
pub fn reply(client: &mut Client) -> Frame {
    match client.hear().unwrap() {
        Heard::Frame(frame) if frame.flags == 1 => frame,
        other => panic!("a reply was due, not {other:?}"),
    }
}

/// Opens the session.
#[track_caller]
pub fn open(client: &mut Client) {
    client.request(dsi::OPEN_SESSION, &[1, 4, 0, 0, 4, 0]).unwrap();
    assert_eq!(reply(client).code, 0);
}

/// The result of a login.
#[track_caller]
pub fn log_in(client: &mut Client, name: &str, password: &str) -> i32 {
    match proof(client, name, password) {
        Ok(proof) => {
            client.request(dsi::COMMAND, &proof).unwrap();
            reply(client).code
        }
        Err(code) => code,
    }
}

/// Asks for a challenge, and makes the FPLoginCont that answers it.
///
/// # Errors
/// The result code of a refusal.
#[track_caller]
pub fn proof(client: &mut Client, name: &str, password: &str) -> Result<Vec<u8>, i32> {
    client.request(dsi::COMMAND, &LoginExt::new(name.as_bytes()).bytes()).unwrap();
    let challenge = reply(client);
    if challenge.code != -5001 {
        return Err(challenge.code);
    }
    Ok(answer(name, password, &challenge.payload))
}

/// The FPLoginCont that answers this challenge.
pub fn answer(name: &str, password: &str, challenge: &[u8]) -> Vec<u8> {
    let (name, password) = (name.as_bytes(), password.as_bytes());
    let exchange = AfpClientExchange::answer(name, password, challenge, &[0x5a; 32], AForm::SPECIFICATION).unwrap();
    LoginCont::new(&exchange.a_pub, &exchange.m1).bytes()
}

/// A signed-in client's call is answered.
#[track_caller]
pub fn is_served(client: &mut Client) {
    client.request(dsi::COMMAND, &[16, 0]).unwrap();
    assert_eq!(reply(client).code, 0);
}

/// The connection has been ended, with or without a good-bye.
#[track_caller]
pub fn is_ended(client: &mut Client) {
    loop {
        match client.hear().unwrap() {
            Heard::End => return,
            Heard::Frame(frame) if frame.flags == 0 => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The connection is open.
#[track_caller]
pub fn is_open(client: &mut Client) {
    client.request(dsi::OPEN_SESSION, &[]).unwrap();
    assert_eq!(reply(client).code, 0);
}

pub fn fetch(mut stream: impl Read + Write) -> String {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    body.to_owned()
}

/// The value of one series; 0 if it is not there yet.
pub fn value(figures: &str, series: &str) -> f64 {
    figures
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))
        .map_or(0.0, |number| number.parse().unwrap())
}
