//! What connections cost that are just there: memory, and the time of somebody else's login.
//!
//! Half of ours are strangers (every other one has opened a session, the rest have sent nothing), half are signed in; all answer the
//! server's signs of life. Logins are measured as in `logins`, one at a time, with 10 connections and with all of them, in turn. Of a
//! server that forks fewer are enough: what is told is the memory of one signed-in session's process.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::client::{Account, Client, open_session};
use crate::crowd::{Crowd, Tally};
use crate::figures::{Aim, Rounds, Times, judge, table};
use crate::logins::one_after_the_other;
use crate::process::Memory;
use crate::{Options, Result, Server, block_on};
use afp_proto::dsi::Command;

const FEW: usize = 10;
const MANY: usize = 10_000;
const THEIR_SESSIONS: usize = 150;

const MOST_MEMORY: f64 = 100.0; // of 1 000 000 bytes
const MOST_SLOWER: f64 = 2.0;

/// With one number of connections.
#[derive(Default)]
struct State {
    times: Times,
    p50: Rounds,
    p99: Rounds,
    memory: Memory,
}

pub fn run(options: &Options) -> Result<bool> {
    let (ours, account) = (options.server("ours")?, options.account()?);
    let (rounds, logins) = (options.number("rounds")?, options.number("logins")?);
    block_on(one_after_the_other(ours, 50, account))??; // the first ones are slower
    let idle_descriptors = ours.process.descriptors()?;
    let before = ours.process.memory()?;
    let [mut few, mut many] = [State::default(), State::default()];
    let mut again = true;
    let (peak, aims) = loop {
        for _ in 0..rounds {
            for (count, state) in [(FEW, &mut few), (MANY, &mut many)] {
                let crowd = gather(ours, count, account)?;
                let times = block_on(one_after_the_other(ours, logins, account))??;
                let memory = ours.process.memory()?;
                // Who was dropped meanwhile was not there.
                crowd.tally.check()?;
                drop(crowd);
                ours.process.wait_for_descriptors(idle_descriptors)?;
                state.p50.0.push(times.p50());
                state.p99.0.push(times.p99());
                state.times.extend(times);
                // With few: before there were many.
                if state.memory.rss == 0 || (count == MANY && memory.rss > state.memory.rss) {
                    state.memory = memory;
                }
            }
        }
        let peak = ours.process.peak()?;
        let aims = [
            Aim::at_most(format!("most resident memory with {MANY} connections, MB"), MOST_MEMORY, megabytes(peak)),
            Aim::at_most(
                format!("time of a login (p50) with {MANY} connections / with {FEW}"),
                MOST_SLOWER,
                many.p50.median() / few.p50.median(),
            ),
        ];
        if aims.iter().all(|aim| aim.reached) || !again {
            break (peak, aims);
        }
        again = false;
    };

    let row = |what: &str, figure: &dyn Fn(&State) -> String, ratio: Option<f64>| {
        vec![
            what.to_owned(),
            figure(&few),
            figure(&many),
            ratio.map_or_else(String::new, |ratio| format!("**{ratio:.2}**")),
        ]
    };
    table(&[
        vec![
            "ours, half of them signed in".to_owned(),
            format!("{FEW} connections"),
            format!("{MANY} connections"),
            "ratio".to_owned(),
        ],
        row("resident memory, MB", &|state| format!("{:.1}", megabytes(state.memory.rss)), None),
        row("time of a login, p50, ms", &|state| state.p50.shown(2), Some(many.p50.median() / few.p50.median())),
        row("time of a login, p99, ms", &|state| state.p99.shown(2), Some(many.p99.median() / few.p99.median())),
        row("logins measured", &|state| state.times.len().to_string(), None),
    ]);
    let each = (many.memory.rss - before.rss) as f64 / MANY as f64;
    let (child, parent) = their_memory(options.server("theirs")?, account)?;
    let shown = |kib: u64| format!("{:.0}", kib as f64 / THEIR_SESSIONS as f64);
    table(&[
        vec![
            "memory of an idle connection, KiB".to_owned(),
            format!("Netatalk, a process for each, {THEIR_SESSIONS} signed in"),
            format!("ours, {MANY}"),
        ],
        vec![
            "what it has alone (Netatalk: Private; ours: growth of the resident memory)".to_owned(),
            shown(child.private),
            format!("**{each:.1}**"),
        ],
        vec!["the same and its part of what is shared (Pss)".to_owned(), shown(child.pss), String::new()],
        vec![
            "what there is beside connections (Netatalk: parent, Pss)".to_owned(),
            parent.pss.to_string(),
            before.rss.to_string(),
        ],
    ]);
    println!("\nOurs had at most {:.1} MB at any time.", megabytes(peak));
    Ok(judge(&aims))
}

fn megabytes(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// All there, the even ones signed in.
fn gather(server: Server, count: usize, account: Account<'_>) -> Result<Crowd> {
    let (name, password): (Arc<str>, Arc<str>) = (account.name.into(), account.password.into());
    let crowd = Crowd::start(count, move |number, tally| {
        let (name, password) = (Arc::clone(&name), Arc::clone(&password));
        async move {
            match arrive(server, number, Account { name: &name, password: &password }, &tally).await {
                Ok(mut client) => {
                    tally.made.fetch_add(1, Relaxed);
                    client.stay().await;
                    tally.fail("the server ended it");
                }
                Err(error) => tally.fail(error),
            }
        }
    });
    crowd.wait_for(count)?;
    Ok(crowd)
}

async fn arrive(server: Server, number: usize, account: Account<'_>, tally: &Tally) -> Result<Client> {
    let _turn = tally.door.acquire().await?;
    let mut client = Client::connect(None, server.address).await?;
    if number % 4 != 1 {
        client.ask(Command::OPEN_SESSION, open_session()).await?;
    }
    if number.is_multiple_of(2) {
        client.log_in(account).await?;
    }
    Ok(client)
}

/// Of all children, and of the parent.
fn their_memory(server: Server, account: Account<'_>) -> Result<(Memory, Memory)> {
    block_on(async {
        let mut clients = Vec::new();
        for _ in 0..THEIR_SESSIONS {
            clients.push(Client::signed_in(None, server.address, account).await?);
        }
        let children = server.process.children()?;
        if children.len() != THEIR_SESSIONS {
            return Err(format!("{} processes for {THEIR_SESSIONS} sessions", children.len()).into());
        }
        let mut sum = Memory::default();
        for child in children {
            let memory = child.memory()?;
            sum.pss += memory.pss;
            sum.private += memory.private;
        }
        let parent = server.process.memory()?;
        for client in clients {
            client.leave().await;
        }
        Ok((sum, parent))
    })?
}
