//! The binary as people and scripts use it: what is typed, what is printed, how it ends.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on shall stop")]

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use etherparse::PacketBuilder;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How a run ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    /// Stops the test unless the run ended with `code` and said `said` (on either output).
    fn must(self, code: i32, said: &str) -> Ended {
        assert!(self.code == code && (self.out.contains(said) || self.err.contains(said)), "{code} {said:?}: {self:?}");
        self
    }
}

/// A directory with settings and state, and the program run in it.
struct Here {
    directory: TempDir,
}

impl Here {
    fn new() -> Here {
        let here = Here { directory: tempfile::tempdir().unwrap() };
        here.write("settings.toml", "");
        here
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The program with this directory's settings and state. Without a controlling terminal's help: passwords come from stdin.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_afpd-rs"));
        command.args(arguments).arg("--config").arg(self.path("settings.toml")).arg("--state").arg(self.path("state"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_with(arguments, b"")
    }

    fn run_with(&self, arguments: &[&str], input: &[u8]) -> Ended {
        run(&mut self.command(arguments), input)
    }

    /// `user …` with a password.
    fn user(&self, arguments: &[&str], password: &str) -> Ended {
        self.run_with(&[&["user"], arguments, &["--password-stdin"]].concat(), password.as_bytes())
    }

    fn accounts(&self) -> Vec<Value> {
        let listed = self.run(&["user", "list", "--json"]).must(0, "[");
        let Value::Array(accounts) = serde_json::from_str(&listed.out).unwrap() else { panic!("{listed:?}") };
        accounts
    }
}

fn run(command: &mut Command, input: &[u8]) -> Ended {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    // A program that does not read it may be gone already.
    child.stdin.take().unwrap().write_all(input).ok();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A program that serves until it is told to end.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Running { child, out }
    }

    /// The next line of its standard output.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Its lines up to and with the one that begins like this.
    fn lines_until(&mut self, beginning: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.line());
            let last = lines.last().unwrap();
            if last.starts_with(beginning) {
                return lines;
            }
            assert!(
                !last.is_empty() || self.child.try_wait().unwrap().is_none(),
                "{beginning:?} never came: {lines:?}"
            );
        }
    }

    fn listening_on(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).to_owned()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Tells it to end, and returns its exit code and log.
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        self.signal(signal);
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already when the test went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn capture(name: &str) -> String {
    format!("{}/../../captures/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn wrong_usage_ends_with_2() {
    let here = Here::new();
    for wrong in [
        &["nonsense"][..],
        &["user"],
        &["user", "add"],
        &["user", "add", "anna", "secret"],
        &["user", "add", "anna", "--group", "1024"],
        &["user", "import", "sqlite", "/tmp"],
        &["status"],
        &["status", "host:0"],
        &["serve", "--listen", "548"],
        &["decode"],
    ] {
        let ended = here.run(wrong).must(2, "");
        assert!(ended.out.is_empty() && !ended.err.is_empty(), "{wrong:?}: {ended:?}");
    }
    let mut bare = Command::new(env!("CARGO_BIN_EXE_afpd-rs"));
    run(bare.stdout(Stdio::piped()).stderr(Stdio::piped()), b"").must(2, "Usage: afpd-rs");
}

#[test]
fn help_is_enough_to_work_from() {
    let here = Here::new();
    let help = here.run(&["--help"]).must(0, "Exit codes:");
    for word in ["serve", "quickstart", "user", "status", "login", "decode", "check-config", "--config", "--state"] {
        assert!(help.out.contains(word), "{word}");
    }
    here.run(&["user", "add", "--help"]).must(0, "Apple clients have been seen with 1536 alone");
    here.run(&["decode", "--help"]).must(0, "say nothing about the proofs");
    here.run(&["--version"]).must(0, env!("CARGO_PKG_VERSION"));
}

#[test]
fn check_config_shows_what_is_in_effect() {
    let here = Here::new();
    let shown = here.run(&["check-config"]).must(0, "no accounts yet").out;
    assert!(shown.contains("listen = [\"0.0.0.0:548\", \"[::]:548\"]") && shown.contains("settings.toml"), "{shown}");
    assert!(!here.path("state").exists(), "looking makes nothing");
    here.write("settings.toml", "[timers]\nfirst_frame = 61\n[server]\nname = \"Attic\"\n");
    here.user(&["add", "anna"], "open sesame").must(0, "");
    let shown = here.run(&["check-config"]).must(0, "accounts there: 1").out;
    assert!(
        shown.contains("first_frame = 61") && shown.contains("\"Attic\"") && shown.contains("# doubtful: "),
        "{shown}"
    );
    // What it shows is a settings file that means the same.
    here.write("settings.toml", &shown);
    let again = here.run(&["check-config"]).must(0, "accounts there: 1").out;
    assert_eq!(again, shown);
}

#[test]
fn wrong_settings_end_with_3_and_say_where() {
    let here = Here::new();
    here.write("settings.toml", "[server]\nlisten = [\"127.0.0.1:0\"]\n\n[timers]\n  tikle = 30\n");
    for command in [&["check-config"][..], &["serve"], &["user", "list"], &["quickstart", "--listen", "127.0.0.1:0"]] {
        here.run(command)
            .must(3, "settings.toml:5:3: timers.tikle: unknown field `tikle`, expected one of `first_frame`");
    }
    here.write("settings.toml", "[limits]\nmax_sessions = 0\n");
    here.run(&["check-config"]).must(3, "settings.toml:2:16: limits.max_sessions: must be from 1 to");
    fs::remove_file(here.path("settings.toml")).unwrap();
    here.run(&["check-config"]).must(3, "settings.toml: cannot be read");
}

#[test]
fn an_account_from_its_making_to_its_end() {
    let here = Here::new();
    here.run(&["user", "list"]).must(3, "does not exist");
    here.user(&["add", "anna", "--full-name", "Anna Müller"], "open sesame\n").must(0, "account \"anna\" made");
    here.user(&["add", "anna"], "other").must(1, "exists already");
    here.user(&["add", "bert"], "other").must(0, "");
    here.user(&["alias", "anna", "annie"], "open sesame").must(0, "can now also sign in as \"annie\"");
    here.user(&["alias", "anna", "ann"], "wrong").must(1, "not the password");
    here.user(&["alias", "bert", "annie"], "other").must(1, "belongs to the account \"anna\"");
    here.user(&["passwd", "anna"], "close sesame").must(0, "password of \"anna\" set");
    here.user(&["passwd", "nobody"], "x").must(1, "no account \"nobody\"");

    let accounts = here.accounts();
    assert_eq!(accounts.len(), 2);
    assert_eq!((&accounts[0]["name"], &accounts[0]["status"]), (&"anna".into(), &"enabled".into()));
    assert_eq!(accounts[0]["full_name"], "Anna Müller");
    let names: Vec<_> = accounts[0]["login_names"].as_array().unwrap().iter().map(|login| &login["kind"]).collect();
    assert_eq!(names, ["account", "full-name", "spelling", "alias"]);
    assert_eq!(accounts[0]["login_names"][0]["group"], 1536);

    here.run(&["user", "disable", "anna"]).must(0, "cannot sign in");
    here.run(&["user", "list"]).must(0, "disabled");
    assert_eq!(here.accounts()[0]["status"], "disabled");
    here.run(&["user", "enable", "anna"]).must(0, "can sign in");
    here.run(&["user", "remove", "anna"]).must(0, "removed");
    here.run(&["user", "remove", "anna"]).must(1, "no account");
    assert_eq!(here.accounts().len(), 1);
}

#[test]
fn passwords_that_are_none_are_refused() {
    let here = Here::new();
    for empty in ["", "\n", "\r\n"] {
        here.user(&["add", "anna"], empty).must(1, "password is empty");
    }
    here.run_with(&["user", "add", "anna", "--password-stdin"], b"caf\xe9\n").must(1, "not UTF-8");
    assert!(here.accounts().is_empty());
    here.user(&["add", "anna"], "open sesame").must(0, "");
    here.user(&["passwd", "anna"], "").must(1, "password is empty");
    here.user(&["add", "a:b"], "x").must(1, "cannot be an account or login name");
}

#[test]
fn groups_that_apple_was_not_seen_with_are_warned_of() {
    let here = Here::new();
    let usual = here.user(&["add", "anna"], "x").must(0, "");
    assert!(usual.err.is_empty(), "{usual:?}");
    here.user(&["add", "bert", "--group", "3072"], "x").must(0, "note: Apple clients");
    assert_eq!(here.accounts()[1]["login_names"][0]["group"], 3072);
    here.write("settings.toml", &format!("[store]\nformat = \"netatalk-file\"\npath = {:?}\n", here.path("verifiers")));
    here.user(&["add", "bert", "--group", "2048"], "x").must(1, "1536 bits only");
}

#[test]
fn a_store_others_could_change_ends_with_3() {
    let here = Here::new();
    here.user(&["add", "anna"], "x").must(0, "");
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    open(&here.path("state/accounts"));
    for command in [&["user", "list"][..], &["user", "remove", "anna"], &["check-config"]] {
        here.run(command).must(3, "not safe to use");
    }
    here.run(&["serve", "--listen", "127.0.0.1:0"]).must(3, "not safe to use");
    fs::set_permissions(here.path("state/accounts"), Permissions::from_mode(0o700)).unwrap();
    open(&here.path("state"));
    here.run(&["serve", "--listen", "127.0.0.1:0"]).must(3, "mode 0777");
    fs::set_permissions(here.path("state"), Permissions::from_mode(0o700)).unwrap();
    here.write("state/decoy-secret", "short");
    here.write("settings.toml", "[login]\nunknown_users = \"decoy\"\n");
    here.run(&["serve", "--listen", "127.0.0.1:0"]).must(3, "decoy-secret\" should hold 32 bytes");
    here.run(&["check-config"]).must(3, "decoy-secret");
}

#[test]
fn accounts_move_between_formats_and_back() {
    let here = Here::new();
    here.user(&["add", "anna", "--full-name", "Anna Müller"], "x").must(0, "");
    here.user(&["add", "bert"], "y").must(0, "");
    here.run(&["user", "disable", "bert"]).must(0, "");
    let verifiers = here.path("verifiers");
    let verifiers = verifiers.to_str().unwrap();
    // Neither further login names nor disabled accounts have a place there: told, and exit status 1.
    let export = here.run(&["user", "export", "netatalk-file", verifiers]).must(1, "1 written");
    assert!(export.out.contains("left out: \"bert\": the account is disabled"), "{export:?}");
    let written = fs::read_to_string(verifiers).unwrap();
    assert!(written.starts_with("anna:") && written.lines().count() == 1, "{written}");

    here.run(&["user", "remove", "anna"]).must(0, "");
    here.run(&["user", "import", "netatalk-file", verifiers]).must(0, "1 taken over, 0 left out");
    here.run(&["user", "import", "netatalk-file", verifiers]).must(1, "such an account already");
    here.run(&["user", "import", "--replace", "netatalk-file", verifiers]).must(0, "1 taken over");
    let again = here.path("again");
    here.run(&["user", "export", "netatalk-file", again.to_str().unwrap()]).must(1, "");
    assert_eq!(fs::read_to_string(again).unwrap(), written, "verifiers stay as they are");
    here.run(&["user", "import", "netatalk-file", "/nonexistent"]).must(3, "/nonexistent");

    // The same store, used in place.
    here.write("settings.toml", &format!("[store]\nformat = \"netatalk-file\"\npath = {verifiers:?}\n"));
    here.user(&["add", "carl"], "z").must(0, "");
    here.run(&["user", "disable", "anna"]).must(0, "needs `user passwd`");
    here.run(&["user", "enable", "anna"]).must(1, "new password");
    here.user(&["alias", "carl", "charles"], "z").must(1, "use the native store");
    assert_eq!(here.accounts().len(), 2);
}

#[test]
fn a_server_from_its_start_to_its_end() {
    let here = Here::new();
    here.write("settings.toml", "[server]\nname = \"Attic\"\nlisten = [\"192.0.2.1:1\"]\n");
    here.user(&["add", "anna", "--full-name", "Anna Müller"], "open sesame").must(0, "");
    // The command line beats the settings.
    let mut server = Running::start(here.command(&["serve", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"]));
    let (one, other) = (server.listening_on(), server.listening_on());
    assert_ne!(one, other);

    let status = here.run(&["status", "--json", &one]).must(0, "");
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!((&status["name"], &status["uams"][0]), (&"Attic".into(), &"SRP".into()));
    assert_eq!(status["signature"].as_str().unwrap().len(), 32);
    let again: Value = serde_json::from_str(&here.run(&["status", "--json", &other]).out).unwrap();
    assert_eq!(again["signature"], status["signature"]);
    here.run(&["status", &one]).must(0, "login methods    SRP");

    let log_in =
        |name: &str, password: &str| here.run_with(&["login", &one, name, "--password-stdin"], password.as_bytes());
    let login = log_in("anna", "open sesame").must(0, "\"anna\" signed in");
    for step in ["-> kFPAuthContinue (-5001)  413 B", "-> kFPNoErr (0)              24 B", "M2 is right", "FPLogout"] {
        assert!(login.out.contains(step), "{step}: {}", login.out);
    }
    log_in("Anna Müller", "open sesame").must(0, "signed in");
    log_in("anna", "close sesame").must(4, "wrong password");
    log_in("ANNA", "open sesame").must(4, "unknown, disabled");
    log_in("", "open sesame").must(2, "1 to 255 bytes");
    // Changes are seen at once.
    here.user(&["add", "bert"], "y").must(0, "");
    log_in("bert", "y").must(0, "");
    here.run(&["user", "disable", "bert"]).must(0, "");
    log_in("bert", "y").must(4, "unknown, disabled");

    let (code, log) = server.end(Signal::TERM);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("login") && log.contains("anna") && !log.contains("sesame"), "{log}");
    here.run(&["status", &one]).must(5, "does not take connections");
}

#[test]
fn a_store_elsewhere_is_not_made_by_serving() {
    let here = Here::new();
    let mistyped = here.path("verifires");
    here.write("settings.toml", &format!("[store]\nformat = \"netatalk-file\"\npath = {mistyped:?}\n"));
    here.run(&["serve", "--listen", "127.0.0.1:0"]).must(3, "no verifier store");
    assert!(!mistyped.exists());
}

/// The name the server shows. A reload is done when it has changed; it is asked until then.
fn wait_for_name(here: &Here, address: &str, name: &str) {
    for _ in 0..1000 {
        let status: Value = serde_json::from_str(&here.run(&["status", "--json", address]).must(0, "").out).unwrap();
        if status["name"] == name {
            return;
        }
    }
    panic!("the name never became {name:?}");
}

#[test]
fn settings_are_read_again_and_wrong_ones_change_nothing() {
    let here = Here::new();
    here.write("settings.toml", "[server]\nname = \"before\"\n[log]\nformat = \"json\"\n");
    let mut server = Running::start(here.command(&["serve", "--listen", "127.0.0.1:0"]));
    let address = server.listening_on();
    wait_for_name(&here, &address, "before");
    here.write("settings.toml", "[server]\nnmae = \"wrong\"\n");
    server.signal(Signal::HUP);
    // The refusal is in the log before the next reload is begun.
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    let mut refused = String::new();
    while !refused.contains("settings.toml:2:1") {
        refused.clear();
        assert!(log.read_line(&mut refused).unwrap() > 0, "the log ended");
        let line: Value = serde_json::from_str(&refused).unwrap_or_else(|error| panic!("{error}: {refused}"));
        assert!(line["message"].is_string() && line["timestamp"].is_string(), "{line}");
    }
    assert!(refused.contains("unknown field"), "{refused}");
    wait_for_name(&here, &address, "before");
    here.write("settings.toml", "[server]\nname = \"after\"\n");
    server.signal(Signal::HUP);
    wait_for_name(&here, &address, "after");
    server.signal(Signal::INT);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_taken_port_is_said_with_what_to_do() {
    let here = Here::new();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for command in ["serve", "quickstart"] {
        here.run(&[command, "--listen", &taken]).must(1, "choose another with --listen");
    }
}

#[test]
fn what_is_no_afp_server_ends_with_5() {
    let here = Here::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let web_server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
    });
    here.run(&["status", &address]).must(5, "not DSI");
    web_server.join().unwrap();
    here.run(&["status", &address]).must(5, "does not take connections");
    here.run_with(&["login", &address, "anna", "--password-stdin"], b"x").must(5, "does not take connections");
}

#[test]
fn quickstart_shows_a_login_and_keeps_its_account() {
    let here = Here::new();
    let quickstart = || {
        let mut command = here.command(&["quickstart", "--listen", "127.0.0.1:0"]);
        command.env("USER", "anna");
        Running::start(command)
    };
    let mut first = quickstart();
    let lines = first.lines_until("There are no volumes").join("\n");
    for step in
        ["-> kFPAuthContinue (-5001)  413 B", "M2 is right", "FPGetUserInfo", "FPLogout", "afp://anna@127.0.0.1:"]
    {
        assert!(lines.contains(step), "{step}: {lines}");
    }
    let password = lines.split("its password is  ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let address = |lines: &str| lines.split("listening on ").nth(1).unwrap().lines().next().unwrap().to_owned();
    let log_in = |address: &str| here.run_with(&["login", address, "anna", "--password-stdin"], password.as_bytes());
    log_in(&address(&lines)).must(0, "signed in");
    assert_eq!(here.accounts().len(), 1, "the account of the login that was shown is gone");
    let (code, log) = first.end(Signal::INT);
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(&password), "{log}");

    let mut second = quickstart();
    let lines = second.lines_until("There are no volumes").join("\n");
    assert!(lines.contains("\"anna\" from an earlier run") && !lines.contains("its password is "), "{lines}");
    log_in(&address(&lines)).must(0, "signed in");
    assert_eq!(second.end(Signal::INT).0, Some(0));
}

#[test]
fn captures_are_explained() {
    let here = Here::new();
    let shown = here.run(&["decode", &capture("02_srp_login_ok_netatalk-client.pcap")]).must(0, "").out;
    for part in [
        "DSIGetStatus, reply 1, 415 bytes",
        "user name        \"atalk1\"",
        "pad byte, then the SRP init marker 0001",
        "2: the 1536-bit group of RFC 5054",
        "192 bytes: 9def3cafb939277ab1f12a8617a47bbb…",
        "3: the client's proof",
        "M2               0a78c1715d0f63c5dac2dbd2dd551ee27197cd7b",
        "SRP login of \"atalk1\": signed in",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    for (file, outcome) in [
        ("03_srp_wrong_password_netatalk-client.pcap", "\"atalk1\": refused with SRPProofFailed (-6754)"),
        ("04_srp_unknown_user_netatalk-client.pcap", "\"nosuchuser\": refused with kFPUserNotAuth (-5023)"),
        ("09_srp_login_ok_carol_5_letters_netatalk-client.pcap", "\"carol\": signed in"),
    ] {
        let shown = here.run(&["decode", &capture(file)]).must(0, outcome);
        assert!(!shown.out.contains("PROBLEM"), "{}", shown.out);
    }
    let json =
        here.run(&["decode", "--json", &capture("06_srp_login_ls_cat_put_rm_netatalk-client.pcap")]).must(0, "").out;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[1]["srp_logins"][0]["outcome"], "signed in");
    let n = json[1]["lines"].as_array().unwrap().iter().flat_map(|line| line["fields"].as_array().unwrap());
    let n = n.clone().find(|field| field["name"] == "N").unwrap()["value"].as_str().unwrap();
    assert_eq!(n.len(), "192 bytes: ".len() + 384, "all digits are there");

    let bytes = fs::read(capture("02_srp_login_ok_netatalk-client.pcap")).unwrap();
    here.run_with(&["decode", "-"], &bytes).must(0, "signed in");
    here.run_with(&["decode", "-"], &bytes[..bytes.len() - 5]).must(0, "ends inside a packet");
    here.run_with(&["decode", "-"], b"no capture at all").must(1, "neither a pcap nor a pcapng");
    here.run_with(&["decode", "-", "--port", "1"], &bytes).must(1, "no TCP connection");
    here.run(&["decode", "/nonexistent.pcap"]).must(1, "/nonexistent.pcap: cannot be read");
}

/// A capture of a login whose client secret is known: the transcript of one with Netatalk 4.5.1, as TCP packets.
fn keyed_capture(here: &Here) -> (PathBuf, Value) {
    let file = format!("{}/../srp6a/tests/vectors/netatalk-4.5.1-transcripts.json", env!("CARGO_MANIFEST_DIR"));
    let transcripts: Value = serde_json::from_reader(File::open(file).unwrap()).unwrap();
    let transcript = transcripts[0].clone();
    let payload = |key: &str| base16ct::mixed::decode_vec(transcript[key].as_str().unwrap()).unwrap();
    let frame = |flags: u8, id: u8, code: u32, payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap();
        [&[flags, 2, 0, id][..], &code.to_be_bytes(), &length.to_be_bytes(), &[0; 4], payload].concat()
    };
    let mut capture = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 1] {
        capture.extend(word.to_be_bytes());
    }
    let mut next = [1_u32, 1];
    for (from_server, bytes) in [
        (false, frame(0, 1, 0, &payload("loginext_request"))),
        (true, frame(1, 1, (-5001_i32).cast_unsigned(), &payload("loginext_reply"))),
        (false, frame(0, 2, 0, &payload("logincont_request"))),
        (true, frame(1, 2, 0, &payload("logincont_reply"))),
    ] {
        let (mut from, mut to) = (([192, 0, 2, 1], 40_000), ([192, 0, 2, 2], 548));
        if from_server {
            (from, to) = (to, from);
        }
        let sequence = &mut next[usize::from(from_server)];
        let mut packet = Vec::new();
        let headers = PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64).tcp(from.1, to.1, *sequence, 9);
        headers.ack(1).write(&mut packet, &bytes).unwrap();
        *sequence += u32::try_from(bytes.len()).unwrap();
        let length = u32::try_from(packet.len()).unwrap();
        for word in [0, 0, length, length] {
            capture.extend(word.to_be_bytes());
        }
        capture.extend(packet);
    }
    let path = here.path("keyed.pcap");
    fs::write(&path, capture).unwrap();
    (path, transcript)
}

#[test]
fn proofs_are_checked_with_known_secrets() {
    let here = Here::new();
    let (capture, transcript) = keyed_capture(&here);
    let capture = capture.to_str().unwrap();
    let secret = here.write("a.hex", transcript["a"].as_str().unwrap());
    let secret = secret.to_str().unwrap();
    let password = transcript["password"].as_str().unwrap();
    let decode = |more: &[&str], password: &str| {
        here.run_with(&[&["decode", capture, "--password-stdin"], more].concat(), password.as_bytes())
    };
    let right = decode(&["--client-secret-file", secret], password).must(0, "M1  agrees");
    assert!(right.out.contains("M2  agrees") && right.out.contains("K   agrees"), "{}", right.out);
    for hidden in [password, transcript["a"].as_str().unwrap(), transcript["K"].as_str().unwrap()] {
        assert!(!right.out.contains(hidden), "a secret is printed");
    }
    let json = decode(&["--client-secret-file", secret, "--json"], password).must(0, "");
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json[0]["srp_logins"][0]["departs"], Value::Null);
    assert_eq!(json[0]["srp_logins"][0]["values"].as_array().unwrap().len(), 5);

    decode(&["--client-secret-file", secret], "wrong").must(4, "M1  DEPARTS");
    decode(&["--client-secret-file", secret, "--user", "bert"], password).must(4, "M1 departs");
    decode(&["--client-secret-file", secret, "--user", "ATALK1"], password).must(4, "the login name in small letters");
    decode(&["--server-secret-file", secret], password).must(4, "the secrets belong to no login");
    let other = here.write("other.hex", "0102\n0304\n");
    decode(&["--client-secret-file", other.to_str().unwrap()], password).must(4, "A is not g^a");
    let wrong = here.write("wrong.hex", "not hex");
    decode(&["--client-secret-file", wrong.to_str().unwrap()], password).must(1, "wrong.hex: should hold");
    decode(&[], password).must(2, "say nothing about the proofs");
    here.run(&["decode", "-", "--password-stdin", "--client-secret-file", secret]).must(2, "name the file");
    here.run(&["decode", capture, "--client-secret-file", secret]).must(2, "--password-stdin");
}

#[test]
fn the_keyed_captures_of_this_project_agree() {
    let here = Here::new();
    let manifest: toml::Table = fs::read_to_string(capture("ours/manifest.toml")).unwrap().parse().unwrap();
    let captures =
        manifest["capture"].as_array().unwrap().iter().filter(|one| one["secrets"].as_str() == Some("keyed"));
    let mut refused = 0;
    for one in captures.clone() {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        let secret = here.write("a.hex", &text("a"));
        let file = capture(&format!("ours/{}", text("file")));
        let arguments = ["decode", &file, "--password-stdin", "--client-secret-file", secret.to_str().unwrap()];
        let shown = here.run_with(&arguments, text("password").as_bytes()).must(0, "M1  agrees").out;
        assert!(shown.contains(&format!("SRP login of {:?}", text("user"))) && !shown.contains("PROBLEM"), "{shown}");
        // In one of them the client used a wrong password, and that is the one given here.
        let wrong = shown.contains("refused with SRPProofFailed (-6754)");
        assert_eq!(wrong, shown.contains("the server has a verifier of another"), "{shown}");
        refused += usize::from(wrong);
    }
    assert!(captures.count() >= 3 && refused >= 1);
}

#[test]
fn output_that_cannot_be_written_is_no_panic() {
    let here = Here::new();
    for arguments in [&["check-config"][..], &["--help"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = run(here.command(arguments).stdout(full), b"");
        assert!([0, 1].contains(&ended.code) && !ended.err.contains("panicked"), "{ended:?}");
    }
    let full = File::options().write(true).open("/dev/full").unwrap();
    run(here.command(&["check-config"]).stdout(full), b"").must(1, "the output cannot be written");
}

#[test]
fn too_many_failures_are_refused_shown_and_lifted() {
    let here = Here::new();
    here.write("settings.toml", "[attempts]\nfailures = 2\n");
    here.user(&["add", "anna"], "sesame").must(0, "made");
    let mut server = Running::start(here.command(&["serve", "--listen", "127.0.0.1:0"]));
    let address = server.listening_on();
    let log_in = |password: &str| here.run_with(&["login", &address, "anna", "--password-stdin"], password.as_bytes());
    here.run(&["user", "unlock", "anna"]).must(0, "has no failed logins");
    for _ in 0..2 {
        log_in("x").must(4, "-6754");
    }
    log_in("sesame").must(4, "-6754");
    here.run(&["user", "list"]).must(0, "2 failures from 127.0.0.1: refused for ").must(0, "1 attempts turned away");
    let attempts = &here.accounts()[0]["attempts"];
    let network = &attempts["networks"][0];
    assert_eq!((&attempts["locked"], &attempts["failures_in_a_row"]), (&Value::Bool(false), &Value::from(2)));
    assert_eq!((&network["network"], &network["turned_away"]), (&Value::from("127.0.0.1"), &Value::from(1)));
    assert!((1..=60).contains(&network["refused_for"].as_u64().unwrap()), "{attempts}");

    here.run(&["user", "unlock", "anna"]).must(0, "forgiven");
    assert!(!here.run(&["user", "list"]).must(0, "anna").out.contains("failures"));
    log_in("sesame").must(0, "");
    assert!(here.accounts()[0]["attempts"]["networks"][0]["signed_in_at"].as_u64().is_some());

    fs::write(here.path("state/tally/anna.tally"), b"").unwrap();
    here.run(&["user", "list"]).must(0, "anna.tally is damaged");
    log_in("x").must(4, "-6754");
    log_in("sesame").must(4, "-6754");
    here.run(&["user", "unlock", "anna"]).must(0, "forgiven");
    here.run(&["user", "unlock", "nobody"]).must(1, "no account \"nobody\"");
    here.run(&["user", "remove", "anna"]).must(0, "removed");
    assert!(!here.path("state/tally/anna.tally").exists());
    let (_, log) = server.end(Signal::TERM);
    assert_eq!(log.matches("reason=\"too many failures: refused for ").count(), 2, "{log}");
    assert!(log.contains("anna.tally is damaged"), "{log}");
}
