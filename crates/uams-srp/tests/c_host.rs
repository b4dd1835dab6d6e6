//! The module as afpd sees it: loaded by a C program (`host.c`) that has afpd's functions and calls every entry point, with good, bad,
//! short, unaligned and hostile buffers. The host's buffers end where a page ends, so that one byte too many ends it; that it ends well is
//! part of every test.
//!
//! Needs a C compiler, which Rust needs anyway (`CC`, default `cc`). interop/module-memory.sh runs this again under valgrind and with AddressSanitizer:
//!
//! | variable | what |
//! |---|---|
//! | `UAMS_SRP_MODULE` | the module to test, instead of one built for the purpose |
//! | `UAMS_SRP_HOST_CFLAGS` | further arguments to the compiler |
//! | `UAMS_SRP_HOST_WRAPPER` | the command that runs the host |
//! | `UAMS_SRP_HOST_CHECKED` | set when a memory checker watches: it must see a mistake that is made on purpose |
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::{env, fs};

use srp6a::Group;
use tempfile::TempDir;
use testkit::client::LoginCont;
use testkit::slow_srp::{AForm, AfpClientExchange};
use verifier_store::{Format, NewAccount, Store};

const PASSWORD: &[u8] = b"oc34thA2";
const A: [u8; 32] = *b"any number will do, but not this";
const REFUSED: &str = "-5023 - - -";
const UNKNOWN: &str = "-5023 - - 0001";
const PARAM_ERR: &str = "-5019 - - -";

/// A running host with the module's file beside a store of atalk1, carol and noshell.
struct Host {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    directory: TempDir,
    loaded: bool,
}

impl Host {
    fn start() -> Host {
        Host::start_built(&[], Stdio::inherit())
    }

    fn start_built(flags: &[&str], complaints: Stdio) -> Host {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("host");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host.c");
        let more = env::var("UAMS_SRP_HOST_CFLAGS").unwrap_or_default();
        let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
        let built = Command::new(compiler)
            .args(["-std=gnu11", "-Wall", "-Wextra", "-g", "-O1", "-rdynamic", "-o"])
            .args([&program, &source])
            .args(flags)
            .args(more.split_whitespace())
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(built.success(), "host.c");
        fs::copy(module(), directory.path().join("uams_srp.so")).unwrap();
        let store = Store::create(Format::NetatalkFile, &directory.path().join("afppasswd.srp")).unwrap();
        for name in ["atalk1", "carol", "noshell"] {
            add(&store, name);
        }
        let wrapper = env::var("UAMS_SRP_HOST_WRAPPER").unwrap_or_default();
        let mut wrapper = wrapper.split_whitespace();
        let mut command = match wrapper.next() {
            Some(first) => Command::new(first),
            None => Command::new(&program),
        };
        if env::var("UAMS_SRP_HOST_WRAPPER").is_ok() {
            command.args(wrapper).arg(&program);
        }
        // Without its caches, the C library's count of bytes in use is exact.
        command.env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(complaints).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut host = Host { process, input, output, directory, loaded: false };
        host.configure("");
        host.says("client 127.0.0.1", "ok");
        host.says(&format!("path {}", host.path("afppasswd.srp").display()), "ok");
        for user in
            ["root 0 1 root", "atalk1 1001 1 x", "carol 1002 1 Carol Danvers", "noshell 1003 0 x", "nameless 1004 1 x"]
        {
            host.says(&format!("user {user}"), "ok");
        }
        host
    }

    fn loaded() -> Host {
        let mut host = Host::start();
        host.load();
        host
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The settings beside the store: attempts are counted in the same directory, but for those from 127.0.0.1.
    fn configure(&self, settings: &str) {
        let tally = self.path("tally");
        let attempts = format!("[attempts]\npath = \"{}\"\nexempt = [\"127.0.0.1\"]\n", tally.display());
        fs::write(self.path("afpd-rs.toml"), attempts + settings).unwrap();
    }

    fn load(&mut self) {
        let path = self.path("uams_srp.so").display().to_string();
        let want = format!("0 type 1 version 1 method 8 path {path}");
        self.says(&format!("load {path}"), &want);
        self.loaded = true;
    }

    /// The module goes, and nothing keeps the loader from letting it go.
    fn unload(&mut self) {
        self.says("unload", "gone");
        self.loaded = false;
    }

    /// Ends the host, which must find nothing wrong (a memory checker's verdict is its exit status).
    fn ends(mut self) {
        if self.loaded {
            self.unload();
        }
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }

    fn ask(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n') && !line.starts_with("FAILED"), "{command:.80} ended the host: {line}");
        line.trim_end().to_owned()
    }

    #[track_caller]
    fn says(&mut self, command: &str, want: &str) {
        assert_eq!(self.ask(command), want, "{command:.200}");
    }

    fn login_ext(&mut self, name: &[u8], user_auth_info: &[u8]) -> String {
        self.ask(&format!("login_ext 3 {} {} {}", name.len(), hex(name), hex(user_auth_info)))
    }

    /// -5001 and 413 bytes.
    #[track_caller]
    fn challenge(answer: &str) -> Vec<u8> {
        let payload = unhex(answer.strip_prefix("-5001 - - ").unwrap_or_else(|| panic!("no challenge: {answer}")));
        assert_eq!(payload.len(), 413);
        payload
    }

    fn proof(challenge: &[u8], name: &str, password: &[u8]) -> (Vec<u8>, String) {
        let exchange =
            AfpClientExchange::answer(name.as_bytes(), password, challenge, &A, AForm::SPECIFICATION).unwrap();
        let m2 = [&[0, 4, 0, 20], exchange.m2.as_slice()].concat();
        (LoginCont::new(&exchange.a_pub, &exchange.m1).bytes().split_off(2), hex(&m2))
    }

    #[track_caller]
    fn logs_in(&mut self, name: &str) {
        let challenge = Host::challenge(&self.login_ext(name.as_bytes(), &[0, 1]));
        let (input, m2) = Host::proof(&challenge, name, PASSWORD);
        self.says(&format!("cont {}", hex(&input)), &format!("0 {name} {name} {m2}"));
    }
}

#[test]
fn logins_by_both_calls() {
    let mut host = Host::loaded();
    let log = host.ask("log");
    assert!(log.starts_with("4 afpd-rs uams_srp ") && log.contains("Netatalk file"), "{log}");
    host.logs_in("atalk1");
    assert!(host.ask("log").contains("5 login name=\"atalk1\" uam=\"SRP\" outcome=\"signed-in\""));
    host.says(&format!("cont {}", hex(&[0; 222])), "-5023 - atalk1 -");
    host.says("login_ext 3 5 6361726f6c 0001", "-5023 - atalk1 0001");
    host.says("logout", "ok");
    let challenge = Host::challenge(&host.ask(&format!("login {}", hex(b"\x05carol\0\x01"))));
    let (input, m2) = Host::proof(&challenge, "carol", PASSWORD);
    host.says(&format!("cont {}", hex(&input)), &format!("0 carol carol {m2}"));
    host.ends();
}

#[test]
fn refusals() {
    let mut host = Host::loaded();
    for name in ["nobody", "noshell", "root", "nameless", "Carol\0Danvers"] {
        assert_eq!(host.login_ext(name.as_bytes(), &[0, 1]), UNKNOWN, "{name}");
        host.says(&format!("cont {}", hex(&[0; 222])), REFUSED);
    }
    let challenge = Host::challenge(&host.login_ext(b"atalk1", &[0, 1]));
    let (input, _) = Host::proof(&challenge, "atalk1", b"wrong");
    host.says(&format!("cont {}", hex(&input)), "-6754 - - -");
    host.ask("log");
    let challenge = Host::challenge(&host.login_ext(b"CAROL", &[]));
    let (input, _) = Host::proof(&challenge, "CAROL", PASSWORD);
    host.says(&format!("cont {}", hex(&input)), "-6754 - - -");
    assert!(host.ask("log").contains("hashes the name as typed"));
    host.ends();
}

/// Two users in turn: the second login call counts, and who is let in is who has proven it.
#[test]
fn two_users_in_turn() {
    let mut host = Host::loaded();
    Host::challenge(&host.login_ext(b"atalk1", &[0, 1]));
    host.logs_in("carol");
    host.says("logout", "ok");
    let challenge = Host::challenge(&host.login_ext(b"carol", &[0, 1]));
    Host::challenge(&host.login_ext(b"atalk1", &[0, 1]));
    let (input, _) = Host::proof(&challenge, "carol", PASSWORD);
    host.says(&format!("cont {}", hex(&input)), "-6754 - - -");
    host.ends();
}

/// Names: cut short, too long, of another type, announced longer than allowed, not there.
#[test]
fn hostile_names() {
    let mut host = Host::loaded();
    for (kind, length, name) in [
        (3, 0, "-"),
        (3, 256, "00"),
        (3, 65535, "41"),
        (1, 6, "6174616c6b31"),
        (0, 0, "-"),
        (255, 65535, "-"),
        (3, 5, "null"),
    ] {
        host.says(&format!("login_ext {kind} {length} {name} 0001"), PARAM_ERR);
    }
    assert_eq!(host.login_ext(&[b'n'; 255], &[0, 1]), UNKNOWN);
    assert_eq!(host.login_ext(&[0xff; 255], &[0, 1]), UNKNOWN);
    for malformed in ["-", "null", "00", "06", "066174616c6b", "05636172", "ff41"] {
        host.says(&format!("login {malformed}"), PARAM_ERR);
    }
    host.ends();
}

/// UserAuthInfo of every length up to some hundred bytes, and of 60 000; its buffer ends at the end of a page each time, so every
/// alignment comes up too.
#[test]
fn hostile_inputs() {
    let mut host = Host::loaded();
    for length in (0..70).chain([4095, 4096, 4097, 60_000]) {
        let answer = host.login_ext(b"atalk1", &vec![0x55; length]);
        if length == 0 {
            drop(Host::challenge(&answer));
        } else {
            assert_eq!(answer, PARAM_ERR, "{length}");
        }
        host.says(&format!("login {}", hex(&vec![0x55; length])), PARAM_ERR);
    }
    for good in ["0001", "000001", "01", "null"] {
        Host::challenge(&host.ask(&format!("login_ext 3 6 {} {good}", hex(b"atalk1"))));
    }
    let challenge = Host::challenge(&host.login_ext(b"atalk1", &[0, 1]));
    let (good, _) = Host::proof(&challenge, "atalk1", PASSWORD);
    let cut = (0..good.len()).map(|length| good[..length].to_vec());
    let a = |a: &[u8], announced: u16| [&[0, 0, 0, 3], &announced.to_be_bytes()[..], a, &[0, 20], &[1; 20]].concat();
    let hostile = [
        a(&[], 0),
        a(&[0; 192], 192),
        a(Group::Bits1536.modulus(), 192),
        a(&[1; 193], 193),
        a(&[1; 192], 0xffff),
        [good.as_slice(), &[0, 0]].concat(),
        vec![0xff; 4096],
        vec![0; 60_000],
    ];
    for input in cut.chain(hostile) {
        Host::challenge(&host.login_ext(b"atalk1", &[0, 1]));
        host.says(&format!("cont {}", hex(&input)), REFUSED);
        host.says(&format!("cont {}", hex(&good)), REFUSED);
    }
    for none in ["null", "minus", "-"] {
        host.says(&format!("login {none}"), PARAM_ERR);
        host.says(&format!("cont {none}"), REFUSED);
        Host::challenge(&host.ask(&format!("login_ext 3 6 {} {none}", hex(b"atalk1"))));
        host.says(&format!("cont {none}"), REFUSED);
    }
    host.logs_in("atalk1");
    host.ends();
}

/// The log's level is respected, and a log of another layout is left alone.
#[test]
fn the_log() {
    let mut host = Host::start();
    host.says("level 3", "ok");
    host.load();
    host.login_ext(b"nobody", &[0, 1]);
    host.says("log", "");
    host.says("level 4", "ok");
    host.login_ext(b"nobody", &[0, 1]);
    let line = r#"4 login name="nobody" uam="SRP" outcome="refused" reason="the system has no such user" result=-5023"#;
    host.says("log", line);
    host.ends();

    let mut host = Host::start_built(&["-DOTHER_LOG"], Stdio::inherit());
    host.load();
    host.logs_in("carol");
    host.ends();
}

/// What afpd does on SIGHUP: cleanup, dlclose, and loading again. The module must really go, and leave no memory behind.
#[test]
fn loaded_and_unloaded_a_hundred_times() {
    let mut host = Host::start();
    let mut heap = Vec::new();
    for round in 0..100 {
        host.load();
        if round % 10 == 0 {
            host.logs_in("atalk1");
            host.says("logout", "ok");
            // A challenge that nobody answers.
            Host::challenge(&host.login_ext(b"carol", &[0, 1]));
        }
        host.unload();
        host.ask("log");
        heap.push(host.ask("heap").parse::<usize>().unwrap());
    }
    // The first rounds leave what the C library keeps for itself.
    assert_eq!(heap[19], heap[99], "the heap grows: {heap:?}");
    host.ends();
}

/// A store that is not there, or settings that are wrong: the first is waited for, the second keep the module out.
#[test]
fn setup_with_things_missing() {
    let mut host = Host::start();
    // Nowhere is also where the settings are looked for.
    host.says(&format!("path {}", host.path("none").display()), "ok");
    host.load();
    assert_eq!(host.login_ext(b"atalk1", &[0, 1]), UNKNOWN);
    host.says(&format!("path {}", host.path("afppasswd.srp").display()), "ok");
    host.logs_in("atalk1");
    host.unload();
    host.configure("[login]\nunknown_user = \"decoy\"\n");
    let path = host.path("uams_srp.so").display().to_string();
    host.says(&format!("load {path}"), "-1 type 1 version 1 method 0 path");
    assert!(host.ask("log").contains("is not loaded: "));
    host.unload();
    host.configure("[login]\nunknown_users = \"decoy\"\n");
    host.load();
    let challenge = Host::challenge(&host.login_ext(b"nobody", &[0, 1]));
    let (input, _) = Host::proof(&challenge, "nobody", PASSWORD);
    host.says(&format!("cont {}", hex(&input)), "-6754 - - -");
    host.ends();
}

/// Attempts count by the address of the client's socket, whatever else is connected; and a descriptor of the tally's memory is open until somebody has logged in.
#[test]
fn attempts() {
    let mut host = Host::start();
    let descriptors = |host: &Host| {
        let entries = fs::read_dir(format!("/proc/{}/fd", host.process.id())).unwrap();
        let targets = entries.map(|entry| fs::read_link(entry.unwrap().path()).unwrap().display().to_string());
        targets.filter(|target| target.contains("tally")).collect::<Vec<_>>()
    };
    host.says("client -", "ok");
    host.says("directory", "ok");
    host.load();
    let wrong = |host: &mut Host, password: &[u8]| {
        let challenge = Host::challenge(&host.login_ext(b"atalk1", &[0, 1]));
        let (input, _) = Host::proof(&challenge, "atalk1", password);
        host.says(&format!("cont {}", hex(&input)), "-6754 - - -");
    };
    host.says("client 127.0.0.7", "ok");
    for _ in 0..5 {
        wrong(&mut host, b"wrong");
    }
    host.ask("log");
    wrong(&mut host, PASSWORD);
    assert!(
        host.ask("log").contains(
            "4 login name=\"atalk1\" uam=\"SRP\" outcome=\"refused\" reason=\"too many failures: refused for "
        )
    );
    assert_eq!(descriptors(&host), ["/memfd:afpd-rs tally (deleted)"]);
    host.says("client 127.0.0.8", "ok");
    host.logs_in("atalk1");
    assert_eq!(descriptors(&host), Vec::<String>::new());
    host.says("logout", "ok");
    host.unload();
    host.load();
    host.unload();
    assert_eq!(descriptors(&host), Vec::<String>::new());
    host.ends();
}

#[test]
fn no_client_to_be_found() {
    let mut host = Host::loaded();
    host.says("client -", "ok");
    host.ask("log");
    host.login_ext(b"atalk1", &[0, 1]);
    assert!(host.ask("log").contains("3 afpd-rs uams_srp: the client's address cannot be found out"));
    host.ends();
}

/// A bug of ours: logged, answered with kFPMiscErr, the exchange gone, and the next login works. The bug is built in with the feature
/// `fault-injection` alone.
#[test]
#[cfg_attr(
    not(feature = "fault-injection"),
    ignore = "needs --features fault-injection; interop/module-memory.sh has it"
)]
fn a_panic_is_an_answer() {
    let mut host = Host::loaded();
    for _ in 0..3 {
        let challenge = Host::challenge(&host.login_ext(b"atalk1", &[0, 1]));
        let (input, _) = Host::proof(&challenge, "atalk1", PASSWORD);
        host.ask("log");
        assert_eq!(host.login_ext(b"panic please", &[0, 1]), "-5014 - - -");
        let log = host.ask("log");
        assert!(log.starts_with("2 afpd-rs uams_srp: a bug, please report it: panicked at "), "{log}");
        host.says(&format!("cont {}", hex(&input)), REFUSED);
    }
    host.logs_in("carol");
    host.ends();
}

/// The memory checker works: it ends a host that writes one byte past a block of its own.
#[test]
fn the_checker_checks() {
    if env::var_os("UAMS_SRP_HOST_CHECKED").is_none() {
        println!("skipped: no memory checker");
        return;
    }
    let Host { mut process, mut input, output, .. } = Host::start_built(&[], Stdio::null());
    writeln!(input, "overrun").unwrap();
    drop((input, output));
    assert!(!process.wait().unwrap().success());
}

/// Of all the code in the file, one symbol is for others; of others', it wants afpd's functions, and libraries every system has.
#[test]
fn symbols() {
    let listing = |arguments: &[&str]| {
        let output = Command::new("nm").args(arguments).arg(module()).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let defined = listing(&["-D", "--defined-only"]);
    let names: Vec<_> = defined.lines().filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(names, ["uams_srp"], "{defined}");
    let undefined = listing(&["-D", "--undefined-only"]);
    let strangers: Vec<_> = undefined
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .filter(|name| !name.contains('@') && !name.starts_with("_ITM_") && *name != "__gmon_start__")
        .filter(|name| !name.starts_with("__asan") && !name.starts_with("__sanitizer"))
        .collect();
    let host = [
        "make_log_entry",
        "type_configs",
        "uam_afpserver_option",
        "uam_checkuser",
        "uam_getname",
        "uam_register",
        "uam_unregister",
    ];
    assert_eq!(strangers.iter().filter(|name| !host.contains(name)).count(), 0, "{strangers:?}");
}

fn add(store: &Store, name: &str) {
    let account = NewAccount { name, full_name: None, group: Group::Bits1536, password: PASSWORD };
    store.add(&account, &mut getrandom::SysRng).unwrap();
}

/// The module under test; built here unless one is named, because Cargo does not build a library of this kind for its tests.
fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| {
        if let Some(named) = env::var_os("UAMS_SRP_MODULE") {
            return named.into();
        }
        // A test executable lies in <target>/<profile>/deps.
        let executable = env::current_exe().unwrap();
        let mut above = executable.ancestors().skip(2);
        let (profile, target) = (above.next().unwrap(), above.next().unwrap());
        let name = match profile.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            name => name,
        };
        let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "-p", "uams-srp", "--profile", name, "--target-dir"]).arg(target);
        if cfg!(feature = "fault-injection") {
            build.args(["--features", "fault-injection"]);
        }
        assert!(build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
        profile.join("libuams_srp.so")
    })
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn unhex(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16).unwrap()).unwrap();
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}
