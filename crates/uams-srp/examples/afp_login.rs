//! Logs in to an AFP server by SRP, as often as wanted, and says how it went and how long it took: what `interop/module-*.sh` measure
//! with. The arithmetic is the engine's own, so that it takes little of the machine it shares with the server.
//!
//! ```text
//! afp_login ADDRESS login NAME PASSWORD        "signed-in", or the refusal's result and payload; ends with 0 either way
//! afp_login ADDRESS file NAME PASSWORD VOLUME  signs in, writes a file, reads it back, deletes it
//! afp_login ADDRESS hold COUNT NAME PASSWORD   signs in so many times and stays until standard input ends
//! afp_login ADDRESS load CLIENTS LOGINS NAME PASSWORD      logins per second
//! afp_login ADDRESS steps LOGINS NAME PASSWORD             time of each step, ms: median, 10th and 90th percentile
//! afp_login ADDRESS names ROUNDS NAME...                   time of FPLoginExt's answer by name, in turn, the same way
//! ```
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a program for tests"
)]

use std::error::Error;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use srp6a::{Group, Profile};
use testkit::client::{Client, Frame, Heard, LoginCont, LoginExt, dsi};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        [address, "login", name, password] => match Session::open(address.parse()?)?.logs_in(name, password)? {
            Login::SignedIn => println!("signed-in"),
            Login::Refused { result, payload } => println!("{result} {payload:02x?}"),
        },
        [address, "file", name, password, volume] => {
            let mut session = Session::open(address.parse()?)?;
            session.must_log_in(name, password)?;
            session.writes_and_reads(volume)?;
            println!("written, read back, deleted");
        }
        [address, "hold", count, name, password] => {
            let mut sessions = Vec::new();
            for _ in 0..count.parse()? {
                let mut session = Session::open(address.parse()?)?;
                session.must_log_in(name, password)?;
                sessions.push(session);
            }
            println!("signed-in");
            io::stdin().read_to_end(&mut Vec::new())?;
        }
        [address, "load", clients, logins, name, password] => {
            let (address, clients, logins): (_, usize, usize) = (address.parse()?, clients.parse()?, logins.parse()?);
            let began = Instant::now();
            thread::scope(|scope| {
                let work =
                    || (0..logins / clients).try_for_each(|_| Session::open(address)?.must_log_in(name, password));
                let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
                threads
                    .into_iter()
                    .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a client panicked".into())))
            })?;
            println!("{:.1}", f64::from(u32::try_from(logins / clients * clients)?) / began.elapsed().as_secs_f64());
        }
        [address, "steps", logins, name, password] => {
            let mut times: [Vec<Duration>; 4] = Default::default();
            for _ in 0..logins.parse()? {
                let connect = Instant::now();
                let mut session = Session::connect(address.parse()?)?;
                times[0].push(connect.elapsed());
                let open = Instant::now();
                session.open_session()?;
                times[1].push(open.elapsed());
                session.must_log_in(name, password)?;
                times[2].push(session.ext);
                times[3].push(session.cont);
            }
            for (step, times) in ["connect", "OpenSession", "LoginExt", "LoginCont"].iter().zip(&mut times) {
                println!("{step} {}", spread(times));
            }
        }
        [address, "names", rounds, ref names @ ..] if !names.is_empty() => {
            let mut times = vec![Vec::new(); names.len()];
            for _ in 0..rounds.parse()? {
                for (name, times) in names.iter().zip(&mut times) {
                    let mut session = Session::open(address.parse()?)?;
                    session.asks_for_a_challenge(name)?;
                    times.push(session.ext);
                }
            }
            for (name, times) in names.iter().zip(&mut times) {
                println!("{name} {}", spread(times));
            }
        }
        _ => return Err("see the top of afp_login.rs for the arguments".into()),
    }
    Ok(())
}

/// Median, 10th and 90th percentile in milliseconds.
fn spread(times: &mut [Duration]) -> String {
    times.sort();
    let at =
        |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).map_or(0.0, Duration::as_secs_f64);
    format!("{:.2} {:.2} {:.2}", at(50) * 1e3, at(10) * 1e3, at(90) * 1e3)
}

enum Login {
    SignedIn,
    Refused { result: i32, payload: Vec<u8> },
}

struct Session {
    client: Client,
    /// How long the server took for the two login calls.
    ext: Duration,
    cont: Duration,
}

impl Session {
    fn connect(address: SocketAddr) -> Result<Session> {
        Ok(Session { client: Client::connect(address)?, ext: Duration::ZERO, cont: Duration::ZERO })
    }

    fn open(address: SocketAddr) -> Result<Session> {
        let mut session = Session::connect(address)?;
        session.open_session()?;
        Ok(session)
    }

    fn open_session(&mut self) -> Result<()> {
        let reply = self.asks(dsi::OPEN_SESSION, &[1, 4, 0, 0, 0, 2])?;
        if reply.code == 0 { Ok(()) } else { Err(format!("OpenSession: {}", reply.code).into()) }
    }

    fn asks(&mut self, command: u8, payload: &[u8]) -> Result<Frame> {
        self.client.request(command, payload)?;
        self.reply()
    }

    fn reply(&mut self) -> Result<Frame> {
        loop {
            match self.client.hear()? {
                Heard::Frame(frame) if frame.flags == 1 => return Ok(frame),
                // A tickle, or the word that the server goes.
                Heard::Frame(_) => {}
                other => return Err(format!("no reply: {other:?}").into()),
            }
        }
    }

    fn asks_for_a_challenge(&mut self, name: &str) -> Result<Frame> {
        let began = Instant::now();
        let reply = self.asks(dsi::COMMAND, &LoginExt::new(name.as_bytes()).bytes())?;
        self.ext = began.elapsed();
        Ok(reply)
    }

    fn logs_in(&mut self, name: &str, password: &str) -> Result<Login> {
        let challenge = self.asks_for_a_challenge(name)?;
        if challenge.code != -5001 {
            return Ok(Login::Refused { result: challenge.code, payload: challenge.payload });
        }
        let [.., salt, b_pub] = fields(&challenge.payload)?;
        let client = srp6a::Client::start(&Profile::AFP, Group::Bits1536, &mut getrandom::SysRng)?;
        let a_pub = client.a_pub().to_vec();
        let proof = client.prove(name.as_bytes(), password.as_bytes(), salt, b_pub)?;
        let call = LoginCont::new(&a_pub, proof.m1()).bytes();
        let began = Instant::now();
        let reply = self.asks(dsi::COMMAND, &call)?;
        self.cont = began.elapsed();
        if reply.code != 0 {
            return Ok(Login::Refused { result: reply.code, payload: reply.payload });
        }
        proof.verify(reply.payload.get(4..).unwrap_or_default())?;
        Ok(Login::SignedIn)
    }

    fn must_log_in(&mut self, name: &str, password: &str) -> Result<()> {
        match self.logs_in(name, password)? {
            Login::SignedIn => Ok(()),
            Login::Refused { result, payload } => Err(format!("{name} is refused: {result}, {payload:02x?}").into()),
        }
    }

    fn calls(&mut self, what: &str, call: &[u8]) -> Result<Vec<u8>> {
        let reply = self.asks(dsi::COMMAND, call)?;
        if reply.code == 0 { Ok(reply.payload) } else { Err(format!("{what}: {}", reply.code).into()) }
    }

    /// 100 000 bytes, which is more than one read of a socket.
    fn writes_and_reads(&mut self, volume: &str) -> Result<()> {
        let content: Vec<u8> = (0..100_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let size = u64::try_from(content.len())?.to_be_bytes();
        let path = [&[3, 8, 0, 1, 3][..], &10_u16.to_be_bytes(), b"a file.bin"].concat();
        let name = [&[u8::try_from(volume.len())?], volume.as_bytes()].concat();
        let root = [0, 0, 0, 2];

        let opened = self.calls("FPOpenVol", &[&[24, 0, 0, 0x20][..], &name].concat())?;
        let volume = opened.get(2..4).ok_or("FPOpenVol: too short")?.to_vec();
        self.calls("FPCreateFile", &[&[7, 0x80][..], &volume, &root, &path].concat())?;
        let opened = self.calls("FPOpenFork", &[&[26, 0][..], &volume, &root, &[0, 0, 0, 3], &path].concat())?;
        let fork = opened.get(2..4).ok_or("FPOpenFork: too short")?.to_vec();
        let write = [&[61, 0][..], &fork, &[0; 8], &size].concat();
        let mut frame = Frame::request(dsi::WRITE, 1000, &[&write[..], &content].concat());
        frame.code = i32::try_from(write.len())?;
        self.client.send(&frame.bytes())?;
        let written = self.reply()?;
        if (written.code, written.payload.as_slice()) != (0, &size[..]) {
            return Err(format!("FPWriteExt: {written:?}").into());
        }
        self.client.set_next_id(1001);
        let read = self.calls("FPReadExt", &[&[60, 0][..], &fork, &[0; 8], &size].concat())?;
        if read != content {
            return Err(format!("read {} bytes that are not what was written", read.len()).into());
        }
        self.calls("FPCloseFork", &[&[4, 0][..], &fork].concat())?;
        self.calls("FPDelete", &[&[8, 0][..], &volume, &root, &path].concat())?;
        Ok(())
    }
}

/// Netatalk keeps a session whose client has just gone; and what it does with a child that ends is part of what is measured.
impl Drop for Session {
    fn drop(&mut self) {
        let closed = self.client.request(dsi::CLOSE_SESSION, &[]);
        while closed.is_ok() && matches!(self.client.hear(), Ok(Heard::Frame(_))) {}
    }
}

/// N, g, salt and B of a challenge.
fn fields(challenge: &[u8]) -> Result<[&[u8]; 4]> {
    let mut rest = challenge.get(4..).ok_or("the challenge is too short")?;
    let mut fields = [&[][..]; 4];
    for field in &mut fields {
        let (length, behind) = rest.split_first_chunk::<2>().ok_or("the challenge is cut")?;
        (*field, rest) = behind.split_at_checked(u16::from_be_bytes(*length).into()).ok_or("the challenge is cut")?;
    }
    Ok(fields)
}
