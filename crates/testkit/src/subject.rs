//! The server under test: another machine's, or a daemon of ours started for the purpose.
//!
//! With `AFP_SUBJECT=host:port` the tests talk to that server, and `AFP_SUBJECT_KIND` (`netatalk` or `afpd-rs`, the default) says
//! what it is. Without, [`Subject::shared`] starts the workspace's `afpd-rs` on a free loopback port with a state directory of its
//! own, and stops it when the last test lets go of it. [`Subject::own`] starts one with a configuration of the test's choosing.
//!
//! | variable | default | what |
//! |---|---|---|
//! | `AFP_SUBJECT_EVEN_USER` | atalk1 | has a verifier; a name of even length, so that FPLoginExt carries the pad |
//! | `AFP_SUBJECT_ODD_USER` | carol | has a verifier and a full name; a name of odd length, no pad |
//! | `AFP_SUBJECT_ODD_USER_FULL_NAME` | Carol Danvers | |
//! | `AFP_SUBJECT_DISABLED_USER` | nover | an account that may not log in: disabled, or without a verifier |
//! | `AFP_SUBJECT_NOSHELL_USER` | noshell | a second such account; with Netatalk, one whose shell is not allowed |
//! | `AFP_SUBJECT_PASSWORD` | oc34thA2 | of all of them |
//! | `AFP_SUBJECT_LOGIN_MESSAGE` | Welcome to the peer | what FPGetSrvrMsg type 0 answers |
//! | `AFP_SUBJECT_SRP_MODULE` | | `afpd-rs`: a Netatalk whose uams_srp.so is ours |
//! | `AFPD_RS` | built when needed | the `afpd-rs` binary to start |

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::SystemTime;
use std::{env, fs, thread};

use tempfile::TempDir;

/// Which program is under test: where they differ on purpose, each has an expectation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    AfpdRs,
    /// Netatalk 4.5.
    Netatalk,
}

/// The throw-away accounts a subject has.
#[derive(Clone, Debug)]
pub struct Accounts {
    /// May log in; the name has an even number of bytes.
    pub even: String,
    /// May log in; the name has an odd number of bytes.
    pub odd: String,
    /// The full name of `odd`.
    pub odd_full_name: String,
    /// May not log in.
    pub disabled: String,
    /// May not log in either; with Netatalk, for want of a valid shell.
    pub no_shell: String,
    /// Of all of them.
    pub password: String,
}

/// A server to test.
#[derive(Debug)]
pub struct Subject {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it is.
    pub kind: Kind,
    /// Whether the SRP login is ours: always with ours, and with a Netatalk that has our module.
    pub srp_is_ours: bool,
    /// Who may log in.
    pub accounts: Accounts,
    /// What it says after login.
    pub login_message: String,
    daemon: Option<Daemon>,
}

impl Subject {
    /// The server that this run is about: the one named by `AFP_SUBJECT`, or a daemon shared by the tests that run at this moment.
    ///
    /// # Errors
    /// A variable that cannot be read, or a daemon that does not start: the error says which and why.
    pub fn shared() -> io::Result<Arc<Subject>> {
        static SHARED: Mutex<Weak<Subject>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(subject) = shared.upgrade() {
            return Ok(subject);
        }
        let subject = Arc::new(match env::var("AFP_SUBJECT") {
            Ok(address) => Subject::foreign(&address)?,
            Err(_) => Subject::start("")?,
        });
        *shared = Arc::downgrade(&subject);
        Ok(subject)
    }

    /// A daemon of ours with this configuration (TOML) besides the suite's own; `None` where `AFP_SUBJECT` names a server, whose
    /// configuration is not ours to set. `[server] login_message` and `name` are taken.
    ///
    /// # Errors
    /// A daemon that does not start.
    pub fn own(config: &str) -> io::Result<Option<Arc<Subject>>> {
        if env::var_os("AFP_SUBJECT").is_some() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Subject::start(config)?)))
    }

    /// What the daemon has written to its log so far, if it is ours and still running.
    #[must_use]
    pub fn log(&self) -> Option<String> {
        self.daemon.as_ref().map(|daemon| daemon.log.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn foreign(address: &str) -> io::Result<Subject> {
        let kind = match env::var("AFP_SUBJECT_KIND").as_deref() {
            Ok("netatalk") => Kind::Netatalk,
            Ok("afpd-rs") | Err(_) => Kind::AfpdRs,
            Ok(other) => {
                return Err(io::Error::other(format!("AFP_SUBJECT_KIND is {other:?}, not netatalk or afpd-rs")));
            }
        };
        let found =
            address.to_socket_addrs().map_err(|e| io::Error::other(format!("AFP_SUBJECT={address}: {e}")))?.next();
        let address = found.ok_or_else(|| io::Error::other(format!("AFP_SUBJECT={address} has no address")))?;
        let srp_is_ours = match env::var("AFP_SUBJECT_SRP_MODULE").as_deref() {
            Ok("afpd-rs") => true,
            Err(_) => kind == Kind::AfpdRs,
            Ok(other) => return Err(io::Error::other(format!("AFP_SUBJECT_SRP_MODULE is {other:?}, not afpd-rs"))),
        };
        let (accounts, login_message) = (accounts(), login_message());
        Ok(Subject { address, kind, srp_is_ours, accounts, login_message, daemon: None })
    }

    fn start(config: &str) -> io::Result<Subject> {
        let (accounts, login_message) = (accounts(), login_message());
        let (address, daemon) = Daemon::start(config, &accounts, &login_message)?;
        Ok(Subject { address, kind: Kind::AfpdRs, srp_is_ours: true, accounts, login_message, daemon: Some(daemon) })
    }
}

fn accounts() -> Accounts {
    Accounts {
        even: variable("AFP_SUBJECT_EVEN_USER", "atalk1"),
        odd: variable("AFP_SUBJECT_ODD_USER", "carol"),
        odd_full_name: variable("AFP_SUBJECT_ODD_USER_FULL_NAME", "Carol Danvers"),
        disabled: variable("AFP_SUBJECT_DISABLED_USER", "nover"),
        no_shell: variable("AFP_SUBJECT_NOSHELL_USER", "noshell"),
        password: variable("AFP_SUBJECT_PASSWORD", "oc34thA2"),
    }
}

fn login_message() -> String {
    variable("AFP_SUBJECT_LOGIN_MESSAGE", "Welcome to the peer")
}

fn variable(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// A running `afpd-rs serve` and its state; both end with it.
#[derive(Debug)]
struct Daemon {
    process: Child,
    log: Arc<Mutex<String>>,
    _state: TempDir,
}

impl Daemon {
    fn start(config: &str, accounts: &Accounts, login_message: &str) -> io::Result<(SocketAddr, Daemon)> {
        let program = program()?;
        let home = TempDir::with_prefix("afpd-rs-conformance-")?;
        let state = home.path().join("state");
        let config_file = home.path().join("afpd-rs.toml");
        // The suite fails to log in hundreds of times from one address; a test of that very limit brings its own section.
        let attempts = if config.contains("[attempts]") { "" } else { "\n[attempts]\nexempt = [\"127.0.0.0/8\"]\n" };
        fs::write(
            &config_file,
            format!(
                "[server]\nname = \"subject\"\nlogin_message = \"{login_message}\"\n{}{attempts}",
                without_caps(config)
            ),
        )?;
        for (name, options) in [
            (&accounts.even, vec![]),
            (&accounts.odd, vec!["--full-name", accounts.odd_full_name.as_str()]),
            (&accounts.disabled, vec![]),
            (&accounts.no_shell, vec![]),
        ] {
            let mut add = Command::new(program);
            add.args(["user", "add", name, "--password-stdin"]).args(options).arg("--state").arg(&state);
            run(&mut add, accounts.password.as_bytes())?;
        }
        for name in [&accounts.disabled, &accounts.no_shell] {
            run(Command::new(program).args(["user", "disable", name]).arg("--state").arg(&state), b"")?;
        }
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--state"])
            .arg(&state)
            .arg("--config")
            .arg(&config_file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let mut daemon = Daemon { process, log, _state: home };
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else { return Err(io::Error::other("no pipes")) };
        keep(stderr, &daemon.log);
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        stdout.read_line(&mut line)?;
        let Some(address) = line.trim_end().strip_prefix("listening on ").and_then(|address| address.parse().ok())
        else {
            drop(daemon.process.wait());
            let log = daemon.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return Err(io::Error::other(format!(
                "afpd-rs serve said {line:?} instead of \"listening on …\"; its log:\n{log}"
            )));
        };
        keep(stdout, &daemon.log);
        Ok((address, daemon))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// This configuration for a server that many tests at once come to from one address: without the caps on single addresses, unless the
/// configuration says itself who is exempt.
fn without_caps(config: &str) -> String {
    const EXEMPT: &str = "[limits]\nexempt = [\"127.0.0.0/8\", \"::1\"]\n";
    if config.contains("exempt") {
        return config.to_owned();
    }
    match config.split_once("[limits]\n") {
        Some((before, after)) => format!("{before}{EXEMPT}{after}"),
        None => format!("{config}\n{EXEMPT}"),
    }
}

/// Reads a daemon's output to its end, so that it never waits for a full pipe.
fn keep(mut output: impl Read + Send + 'static, log: &Arc<Mutex<String>>) {
    let log = Arc::clone(log);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(got @ 1..) = output.read(&mut buffer) {
            let text = String::from_utf8_lossy(buffer.get(..got).unwrap_or_default());
            log.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
        }
    });
}

/// Runs a command to its end with this on its standard input.
fn run(command: &mut Command, input: &[u8]) -> io::Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let mut message = format!("{command:?} ended with {}: ", output.status);
    write!(message, "{}", String::from_utf8_lossy(&output.stderr)).map_err(io::Error::other)?;
    Err(io::Error::other(message))
}

/// The `afpd-rs` to start: `AFPD_RS`, or the one beside the running test, built first if it is missing or older than its sources.
fn program() -> io::Result<&'static Path> {
    static PROGRAM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = PROGRAM.get_or_init(|| match env::var_os("AFPD_RS") {
        Some(path) => Ok(PathBuf::from(path)),
        None => build().map_err(|error| format!("cannot build afpd-rs: {error}")),
    });
    found.as_deref().map_err(|error| io::Error::other(error.clone()))
}

fn build() -> io::Result<PathBuf> {
    // A test executable lies in <target>/<profile>/deps.
    let executable = env::current_exe()?;
    let mut above = executable.ancestors().skip(2);
    let (Some(profile_directory), Some(target)) = (above.next(), above.next()) else {
        return Err(io::Error::other(format!("{} is not in a target directory", executable.display())));
    };
    let program = profile_directory.join(format!("afpd-rs{}", env::consts::EXE_SUFFIX));
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = program.metadata().and_then(|metadata| metadata.modified()).ok();
    if built.is_none_or(|built| newest_source(&crates).is_none_or(|source| source > built)) {
        let profile = match profile_directory.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(name) => name,
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "-p", "afpd-rs", "--profile", profile, "--target-dir"]).arg(target).current_dir(&crates);
        run(&mut build, b"")?;
    }
    Ok(program)
}

/// When the youngest file of the product was last written. Tests and the testkit are no part of it.
fn newest_source(directory: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    entries
        .filter_map(|entry| match entry.file_type().ok()?.is_dir() {
            true if ["testkit", "tests", "examples", "benches"].iter().any(|name| entry.file_name() == *name) => None,
            true => newest_source(&entry.path()),
            false => entry.metadata().ok()?.modified().ok(),
        })
        .max()
}
