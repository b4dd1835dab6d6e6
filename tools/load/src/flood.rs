//! Requests that need no account, as many as come through: from one address, or from many.
//!
//! Each of the flood's connections asks once and is reset by its client as soon as the answer is there, and the next one is made at once. A wrong
//! proof costs the client nothing and the server a login's arithmetic. Meanwhile signed-in sessions make calls, and a user logs in from an
//! address of his own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use afp_proto::ResultCode;
use afp_proto::dsi::Command;
use tokio::time::timeout;

use crate::client::{Client, login_cont, login_ext, open_session};
use crate::crowd::{Crowd, address};
use crate::figures::{Aim, judge, table};
use crate::witness::{Callers, Calls, Logins, log_in};
use crate::{Options, Result};

/// So many logins may wait to be computed (`limits.login_queue`). Who asks more at a time can have others refused, at the door.
const QUEUE: usize = 256;

const FIRST_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 80, 0, 1);
const ADDRESSES: usize = 65_000;
const HONEST_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 79, 0, 1));

/// Between the logins of the honest user, and how long he waits.
const EVERY: Duration = Duration::from_millis(400);
const PATIENCE: Duration = Duration::from_secs(5);

/// MB of 1 000 000 bytes: over what there was before the flood, for connections and for what is remembered of addresses; and in the second half
/// of the flood over the first.
const MOST_GROWTH: f64 = 20.0;
const MOST_GROWTH_IN_SECOND_HALF: f64 = 5.0;

/// What two minutes may write (`log.lines_per_minute` times twenty, of two kinds), and the honest user's own.
const MOST_LOG_LINES: f64 = 2.0 * 600.0 * 2.0 + 100.0;

/// Milliseconds.
const LONGEST_CALLS: f64 = 250.0;

#[derive(Clone, Copy)]
enum Kind {
    Status,
    Begin,
    WrongProof,
}

struct Phase {
    logins: Logins,
    calls: Calls,
    /// Resident memory before each login, KiB.
    memory: Vec<u64>,
}

pub fn run(options: &Options) -> Result<bool> {
    let kind = match options.text("kind")? {
        "status" => Kind::Status,
        "begin" => Kind::Begin,
        "wrong-proof" => Kind::WrongProof,
        other => return Err(format!("kind={other}: status, begin or wrong-proof").into()),
    };
    let (from, addresses) = match options.text("from")? {
        "one" => ("one address", 1),
        "many" => ("65 000 addresses", ADDRESSES),
        other => return Err(format!("from={other}: one or many").into()),
    };
    let (ours, account) = (options.server("ours")?, options.account()?);
    let (seconds, askers) = (options.number("seconds")?, options.number("askers")?);
    let log = Path::new(options.text("log")?);
    let callers = Callers::start(ours, Some(HONEST_ADDRESS), options)?;
    let watch = |seconds: usize| -> Result<Phase> {
        callers.take();
        let mut memory = Vec::new();
        let count = seconds * 1000 / EVERY.as_millis() as usize;
        let logins = log_in(ours, Some(HONEST_ADDRESS), account, count, EVERY, PATIENCE, || {
            memory.push(ours.process.memory()?.rss);
            Ok(())
        })?;
        Ok(Phase { logins, calls: callers.take(), memory })
    };

    let quiet = watch(options.number("quiet")?)?;
    let (memory, log_before, cpu) = (ours.process.memory()?.rss, log_size(log)?, ours.process.cpu()?);
    let (name, next) = (account.name.to_owned(), Arc::new(AtomicUsize::new(0)));
    let began = Instant::now();
    let crowd = Crowd::start(askers, move |_, tally| {
        let (name, next) = (name.clone(), Arc::clone(&next));
        async move {
            loop {
                let from = address(FIRST_ADDRESS, next.fetch_add(1, Relaxed) % addresses);
                match timeout(PATIENCE, kind.ask(from, ours.address, &name)).await {
                    Ok(Ok(true)) => tally.served.fetch_add(1, Relaxed),
                    Ok(Ok(false)) => tally.refused.fetch_add(1, Relaxed),
                    // No address of its own for the moment, or evicted.
                    _ => {
                        tokio::task::yield_now().await;
                        tally.over.fetch_add(1, Relaxed)
                    }
                };
            }
        }
    });
    let flood = watch(seconds)?;
    let took = began.elapsed().as_secs_f64();
    let tally = Arc::clone(&crowd.tally);
    drop(crowd);
    let cpu = (ours.process.cpu()? - cpu) / took;
    thread::sleep(Duration::from_millis(500));
    let (memory_after, log_after) = (ours.process.memory()?.rss, log_size(log)?);
    drop(callers);

    let per_second = |count: &AtomicUsize| format!("{:.0}", count.load(Relaxed) as f64 / took);
    let ms = |figure: f64| format!("{figure:.2}");
    let megabytes = |kib: u64| kib as f64 * 1024.0 / 1e6;
    let (first_half, second_half) = flood.memory.split_at(flood.memory.len() / 2);
    let most = |memory: &[u64]| memory.iter().copied().max().unwrap_or_default();
    let [before, first_half, second_half, afterwards] =
        [memory, most(first_half), most(second_half), memory_after].map(megabytes);
    let lost: Vec<_> = quiet.calls.failures.iter().chain(&flood.calls.failures).collect();
    let tried = flood.logins.times.len() + flood.logins.failures.len();
    let lines = log_after.lines - log_before.lines;
    let row = |what: &str, quiet: String, flood: String| vec![what.to_owned(), quiet, flood];
    table(&[
        row(&format!("{} from {from}, {askers} at a time", kind.name()), "quiet".to_owned(), "flood".to_owned()),
        row("answered per second", String::new(), per_second(&tally.served)),
        row("refused per second", String::new(), per_second(&tally.refused)),
        row("ended without an answer per second", String::new(), per_second(&tally.over)),
        row("processors the server used", String::new(), format!("{cpu:.2}")),
        row("calls of signed-in sessions", quiet.calls.times.len().to_string(), flood.calls.times.len().to_string()),
        row(
            "**calls that failed**",
            quiet.calls.failures.len().to_string(),
            format!("**{}**", flood.calls.failures.len()),
        ),
        row("a call, p50, ms", ms(quiet.calls.times.p50()), ms(flood.calls.times.p50())),
        row("a call, p99, ms", ms(quiet.calls.times.p99()), ms(flood.calls.times.p99())),
        row(
            "logins from another address",
            format!("{} of {}", quiet.logins.times.len(), quiet.logins.times.len() + quiet.logins.failures.len()),
            format!("{} of {tried}", flood.logins.times.len()),
        ),
        row("what the others were told", String::new(), flood.logins.failures.first().cloned().unwrap_or_default()),
        row("a login, p50, ms", ms(quiet.logins.times.p50()), ms(flood.logins.times.p50())),
        row("the longest, ms", ms(quiet.logins.times.max()), ms(flood.logins.times.max())),
        row(
            "resident memory, MB: before; first half, second half, afterwards",
            format!("{before:.1}"),
            format!("{first_half:.1}, {second_half:.1}, {afterwards:.1}"),
        ),
        row("lines in the log", String::new(), format!("{lines} ({} bytes)", log_after.bytes - log_before.bytes)),
    ]);
    let mut aims = vec![
        Aim::at_most("calls of signed-in sessions that failed", 0.0, lost.len() as f64),
        Aim::at_most(
            "growth of the resident memory, MB",
            MOST_GROWTH,
            first_half.max(second_half).max(afterwards) - before,
        ),
        Aim::at_most(
            "the same in the second half of the flood",
            MOST_GROWTH_IN_SECOND_HALF,
            second_half.max(afterwards) - first_half,
        ),
        Aim::at_most("lines in the log", MOST_LOG_LINES, lines as f64),
    ];
    if askers < QUEUE {
        aims.push(Aim::at_most("call of a signed-in session, p99, ms", LONGEST_CALLS, flood.calls.times.p99()));
        aims.push(Aim::every("logins from another address", tried, flood.logins.times.len()));
    }
    Ok(judge(&aims))
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Status => "DSIGetStatus",
            Kind::Begin => "FPLoginExt without FPLoginCont",
            Kind::WrongProof => "wrong proofs",
        }
    }

    /// Whether it was answered as such a request is, and not refused as one too many.
    async fn ask(self, from: IpAddr, to: std::net::SocketAddr, name: &str) -> Result<bool> {
        let mut client = Client::connect(Some(from), to).await?;
        client.stream.set_zero_linger()?;
        if let Kind::Status = self {
            return Ok(client.ask(Command::GET_STATUS, Vec::new()).await?.result() == ResultCode::NO_ERR);
        }
        let reply = client.ask(Command::OPEN_SESSION, open_session()).await?;
        if reply.result() != ResultCode::NO_ERR {
            return Ok(false);
        }
        let reply = client.ask(Command::COMMAND, login_ext(name)).await?;
        if reply.result() != ResultCode::AUTH_CONTINUE {
            return Ok(false);
        }
        if let Kind::WrongProof = self {
            let reply = client.ask(Command::COMMAND, login_cont(&[0x5a; 192], &[0xa5; 20])).await?;
            return Ok(reply.result() == ResultCode::SRP_PROOF_FAILED);
        }
        Ok(true)
    }
}

struct LogSize {
    lines: usize,
    bytes: usize,
}

fn log_size(path: &Path) -> Result<LogSize> {
    let log = std::fs::read(path)?;
    Ok(LogSize { lines: log.iter().filter(|byte| **byte == b'\n').count(), bytes: log.len() })
}
