//! Logins per processor second of the server, ours and the other's in turn, and how long one takes.
//!
//! Each client is a thread that logs in, leaves, and begins again as soon as the server has closed. The time of a login is from the
//! beginning of the TCP connection to the verified M2, the client's own arithmetic included. The server's processor time is that of its
//! process and, with a server that forks, of all children that have ended.

use std::thread;
use std::time::Instant;

use crate::client::{Account, Client};
use crate::figures::{Aim, Rounds, Times, judge, table};
use crate::{Options, Result, Server, block_on};

const CLIENTS: [usize; 2] = [1, 8];
const LEAST_OF_THEIRS: f64 = 8.0;

/// Of one server, with one number of clients.
#[derive(Default)]
struct Side {
    per_cpu_second: Rounds,
    per_second: Rounds,
    p50: Rounds,
    p99: Rounds,
    logins: usize,
}

pub fn run(options: &Options) -> Result<bool> {
    let (rounds, account) = (options.number("rounds")?, options.account()?);
    // As many as take about the same time.
    let servers = [
        (options.server("theirs")?, options.number("logins")?),
        (options.server("ours")?, 4 * options.number("logins")?),
    ];
    for (server, _) in servers {
        burst(server, 1, 20, account)?; // the first ones are slower
    }
    let mut sides: [[Side; 2]; 2] = Default::default();
    let mut again = true;
    loop {
        for _ in 0..rounds {
            for (clients, sides) in CLIENTS.into_iter().zip(&mut sides) {
                for ((server, logins), side) in servers.into_iter().zip(sides) {
                    side.measure(server, clients, logins, account)?;
                }
            }
        }
        let aims: Vec<Aim> = CLIENTS
            .into_iter()
            .zip(&sides)
            .map(|(clients, [theirs, ours])| {
                let ratio = ours.per_cpu_second.median() / theirs.per_cpu_second.median();
                Aim::at_least(
                    format!("logins per processor second, ours / Netatalk's, {clients} client(s)"),
                    LEAST_OF_THEIRS,
                    ratio,
                )
            })
            .collect();
        if aims.iter().all(|aim| aim.reached) || !again {
            print(&sides);
            return Ok(judge(&aims));
        }
        again = false;
    }
}

impl Side {
    fn measure(&mut self, server: Server, clients: usize, logins: usize, account: Account<'_>) -> Result<()> {
        server.process.wait_for_children()?;
        let (cpu, began) = (server.process.cpu()?, Instant::now());
        let times = burst(server, clients, logins, account)?;
        let took = began.elapsed();
        server.process.wait_for_children()?;
        let logins = times.len() as f64;
        self.per_cpu_second.0.push(logins / (server.process.cpu()? - cpu));
        self.per_second.0.push(logins / took.as_secs_f64());
        self.p50.0.push(times.p50());
        self.p99.0.push(times.p99());
        self.logins += times.len();
        Ok(())
    }
}

fn burst(server: Server, clients: usize, logins: usize, account: Account<'_>) -> Result<Times> {
    let client = || block_on(one_after_the_other(server, logins / clients, account))?;
    thread::scope(|scope| {
        let clients: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
        let mut all = Times::default();
        for client in clients {
            all.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok(all)
    })
}

/// Logs in so many times, leaving in between.
pub async fn one_after_the_other(server: Server, logins: usize, account: Account<'_>) -> Result<Times> {
    let mut times = Times::default();
    for _ in 0..logins {
        let began = Instant::now();
        let client = Client::signed_in(None, server.address, account).await?;
        times.push(began.elapsed());
        client.leave().await;
    }
    Ok(times)
}

fn print(sides: &[[Side; 2]; 2]) {
    let mut rows = vec![vec![String::new(), "Netatalk".to_owned(), "ours".to_owned(), "ours / Netatalk's".to_owned()]];
    for (clients, [theirs, ours]) in CLIENTS.iter().zip(sides) {
        let clients = if *clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
        let mut row = |what: &str, digits, bold, figure: fn(&Side) -> &Rounds| {
            let ratio = format!("{:.2}", figure(ours).median() / figure(theirs).median());
            rows.push(vec![
                format!("{what}, {clients}"),
                figure(theirs).shown(digits),
                figure(ours).shown(digits),
                if bold { format!("**{ratio}**") } else { ratio },
            ]);
        };
        row("logins per processor second of the server", 0, true, |side| &side.per_cpu_second);
        row("logins per second", 0, false, |side| &side.per_second);
        row("time of a login, p50, ms", 2, false, |side| &side.p50);
        row("time of a login, p99, ms", 2, false, |side| &side.p99);
        rows.push(vec![
            format!("logins measured, {clients}"),
            theirs.logins.to_string(),
            ours.logins.to_string(),
            String::new(),
        ]);
    }
    table(&rows);
}
