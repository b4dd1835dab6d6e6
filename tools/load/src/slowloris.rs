//! Connections that cost an attacker nothing and are held as long as the server lets them.
//!
//! They come from as many addresses, so that no cap on a single address has part in what is seen. One that the server ends is opened anew
//! two seconds later; who opens connections as fast as he can makes a flood, see there. Quiet and attack take turns; in both, signed-in
//! sessions make calls and a user logs in from another address.

use std::net::Ipv4Addr;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use afp_proto::dsi::{Command, Frame};
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::client::{Client, login_ext, open_session};
use crate::crowd::{Crowd, address};
use crate::figures::{Aim, Rounds, Times, judge, table};
use crate::witness::{Callers, log_in};
use crate::{Options, Result, Server};

const ATTACKERS: usize = 2_000;
const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);

/// Between the logins of the honest user, and how long he waits.
const EVERY: Duration = Duration::from_millis(150);
const PATIENCE: Duration = Duration::from_secs(1);

/// They come one after the other: a listening socket's queue that overflows forgets those that send nothing, and they would only seem to
/// be there.
const ONE_EVERY: Duration = Duration::from_micros(1500);

/// Before one opens a connection again.
const REOPEN: Duration = Duration::from_secs(2);

/// For all attackers to be there.
const ONSET: Duration = Duration::from_secs(5);

const MOST_SLOWER: f64 = 3.0;

#[derive(Clone, Copy)]
enum Kind {
    Silent,
    Dribble,
    HalfLogin,
}

/// What was seen of one attack.
#[derive(Default)]
struct Seen {
    quiet_p99: Rounds,
    attack_p99: Rounds,
    quiet_logins: Times,
    attack_logins: Times,
    tried: usize,
    failures: Vec<String>,
    lost_calls: Vec<String>,
    open: Rounds,
    per_second: Rounds,
}

pub fn run(options: &Options) -> Result<bool> {
    let kind = match options.text("kind")? {
        "silent" => Kind::Silent,
        "dribble" => Kind::Dribble,
        "half-login" => Kind::HalfLogin,
        other => return Err(format!("kind={other}: silent, dribble or half-login").into()),
    };
    let (rounds, logins) = (options.number("rounds")?, options.number("logins")?);
    let ours = options.server("ours")?;
    let callers = Callers::start(ours, None, options)?;
    let mut seen = Seen::default();
    let mut again = true;
    let aims = loop {
        for _ in 0..rounds {
            seen.round(ours, kind, logins / rounds, &callers, options)?;
            ours.process.wait_for_descriptors(ATTACKERS / 10)?;
        }
        let aims = [
            Aim::every("logins within a second", seen.tried, seen.attack_logins.len()),
            Aim::at_most("calls of signed-in sessions that failed", 0.0, seen.lost_calls.len() as f64),
            Aim::at_most("call of a signed-in session, p99, attack / quiet", MOST_SLOWER, seen.slower()),
        ];
        // A login or a call that failed once has failed.
        if !again || aims[2].reached {
            break aims;
        }
        again = false;
    };
    drop(callers);

    let theirs = options.server("theirs")?;
    let callers = Callers::start(theirs, None, options)?;
    let mut seen_there = Seen::default();
    seen_there.round(theirs, kind, options.number("their_logins")?, &callers, options)?;
    drop(callers);

    let row = |what: &str, figure: &dyn Fn(&Seen) -> String| vec![what.to_owned(), figure(&seen_there), figure(&seen)];
    let per_second = |rounds: &Rounds| format!("{:.0}", rounds.median());
    table(&[
        vec![format!("{ATTACKERS} connections, {}", kind.name()), "Netatalk".to_owned(), "ours".to_owned()],
        row("open", &|seen| per_second(&seen.open)),
        row("opened again per second", &|seen| per_second(&seen.per_second)),
        row("**logins within a second**", &|seen| format!("**{} of {}**", seen.attack_logins.len(), seen.tried)),
        row("what the others were told", &|seen| seen.failures.first().cloned().unwrap_or_default()),
        row("time of a login, p50 and longest, quiet, ms", &|seen| spread(&seen.quiet_logins)),
        row("the same under attack", &|seen| spread(&seen.attack_logins)),
        row("call of a signed-in session, p99, quiet, ms", &|seen| seen.quiet_p99.shown(2)),
        row("the same under attack", &|seen| seen.attack_p99.shown(2)),
        row("**attack / quiet**", &|seen| format!("**{:.2}**", seen.slower())),
        row("calls that failed", &|seen| seen.lost_calls.len().to_string()),
    ]);
    Ok(judge(&aims))
}

impl Seen {
    fn round(&mut self, server: Server, kind: Kind, logins: usize, callers: &Callers, options: &Options) -> Result<()> {
        let account = options.account()?;
        let watch = || -> Result<_> {
            callers.take();
            let logins = log_in(server, None, account, logins, EVERY, PATIENCE, || Ok(()))?;
            Ok((logins, callers.take()))
        };
        let (quiet_logins, quiet) = watch()?;
        if let Some(error) = quiet_logins.failures.first() {
            return Err(format!("a login failed without an attack: {error}").into());
        }
        self.quiet_logins.extend(quiet_logins.times);
        self.quiet_p99.0.push(quiet.times.p99());

        let name = options.text("name")?.to_owned();
        let crowd = Crowd::start(ATTACKERS, move |number, tally| {
            let name = name.clone();
            async move {
                sleep(ONE_EVERY * number as u32).await;
                loop {
                    let from = address(FIRST_ADDRESS, number);
                    if let Ok(client) = Client::connect(Some(from), server.address).await {
                        tally.made.fetch_add(1, Relaxed);
                        kind.attack(client, &name).await;
                        tally.over.fetch_add(1, Relaxed);
                    }
                    sleep(REOPEN).await;
                }
            }
        });
        let until = Instant::now() + ONSET;
        while crowd.tally.made.load(Relaxed) < ATTACKERS && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        let (made, began) = (crowd.tally.made.load(Relaxed), Instant::now());
        let (attack_logins, attack) = watch()?;
        self.per_second.0.push((crowd.tally.made.load(Relaxed) - made) as f64 / began.elapsed().as_secs_f64());
        self.open.0.push(crowd.tally.open() as f64);
        self.attack_p99.0.push(attack.times.p99());
        self.tried += logins;
        self.attack_logins.extend(attack_logins.times);
        self.failures.extend(attack_logins.failures);
        self.lost_calls.extend(quiet.failures.into_iter().chain(attack.failures));
        Ok(())
    }

    fn slower(&self) -> f64 {
        self.attack_p99.median() / self.quiet_p99.median()
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Silent => "that send nothing",
            Kind::Dribble => "that send a byte a second",
            Kind::HalfLogin => "that stop after FPLoginExt",
        }
    }

    /// Until the server ends it.
    async fn attack(self, mut client: Client, name: &str) {
        match self {
            Kind::Silent => {}
            Kind::Dribble => {
                let open = Frame::request(Command::OPEN_SESSION, 0, open_session()).encode();
                let login = Frame::request(Command::COMMAND, 1, login_ext(name)).encode();
                for byte in open.iter().chain(&login) {
                    if client.stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    // Whatever the server says or does not say; ready with an error when it ends the connection.
                    if let Ok(Err(_)) = timeout(Duration::from_secs(1), listen(&mut client)).await {
                        return;
                    }
                }
            }
            Kind::HalfLogin => {
                for (command, call) in [(Command::OPEN_SESSION, open_session()), (Command::COMMAND, login_ext(name))] {
                    if client.ask(command, call).await.is_err() {
                        return;
                    }
                }
            }
        }
        listen(&mut client).await.ok();
    }
}

async fn listen(client: &mut Client) -> Result<()> {
    loop {
        client.hear().await?;
    }
}

fn spread(times: &Times) -> String {
    if times.len() == 0 { "-".to_owned() } else { format!("{:.1}, {:.1}", times.p50(), times.max()) }
}
