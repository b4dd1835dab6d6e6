//! Who is there honestly while others misbehave: signed-in sessions that make calls all the time, and a user who logs in.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use tokio::time::{sleep, timeout};

use crate::client::{Account, Client};
use crate::figures::Times;
use crate::{Options, Result, Server, block_on};

/// Sessions, and the pause between two calls of any of them.
const SESSIONS: usize = 4;
const PAUSE: Duration = Duration::from_millis(5);

/// A call without an answer for so long has failed, and its session is counted as lost.
const CALL_PATIENCE: Duration = Duration::from_secs(10);

/// Signed-in sessions that take turns in making calls, on a thread of their own.
pub struct Callers {
    calls: Arc<Mutex<Calls>>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Clone, Default)]
pub struct Calls {
    pub times: Times,
    pub failures: Vec<String>,
}

#[derive(Default)]
pub struct Logins {
    pub times: Times,
    pub failures: Vec<String>,
}

impl Callers {
    /// Signs in and begins to call.
    pub fn start(server: Server, from: Option<IpAddr>, options: &Options) -> Result<Callers> {
        let Account { name, password } = options.account()?;
        let (name, password) = (name.to_owned(), password.to_owned());
        let calls = Arc::new(Mutex::new(Calls::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (their_calls, their_stop) = (Arc::clone(&calls), Arc::clone(&stop));
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = thread::spawn(move || {
            let work = async {
                let mut sessions = Vec::new();
                for _ in 0..SESSIONS {
                    match Client::signed_in(from, server.address, Account { name: &name, password: &password }).await {
                        Ok(client) => sessions.push(client),
                        Err(error) => return ready.send(Err(error)).unwrap_or_default(),
                    }
                }
                ready.send(Ok(())).unwrap_or_default();
                call(sessions, &their_calls, &their_stop).await;
            };
            block_on(work).expect("a runtime");
        });
        is_ready.recv()??;
        Ok(Callers { calls, stop, thread: Some(thread) })
    }

    /// What was called since it was last asked.
    pub fn take(&self) -> Calls {
        std::mem::take(&mut lock(&self.calls))
    }
}

impl Drop for Callers {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

async fn call(mut sessions: Vec<Client>, calls: &Mutex<Calls>, stop: &AtomicBool) {
    let mut turn = 0;
    while !stop.load(Relaxed) && !sessions.is_empty() {
        turn = (turn + 1) % sessions.len();
        let began = Instant::now();
        let called = timeout(CALL_PATIENCE, sessions[turn].call()).await.unwrap_or_else(|_| Err("no answer".into()));
        let took = began.elapsed();
        match called {
            Ok(()) => lock(calls).times.push(took),
            Err(error) => {
                lock(calls).failures.push(error.to_string());
                drop(sessions.swap_remove(turn));
            }
        }
        sleep(PAUSE).await;
    }
    for session in sessions {
        session.leave().await;
    }
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().expect("not poisoned")
}

/// Logs in so many times, every so often; one that takes longer than `patience`, from the connection on, has failed. `meanwhile` is called
/// before each.
pub fn log_in(
    server: Server,
    from: Option<IpAddr>,
    account: Account<'_>,
    count: usize,
    every: Duration,
    patience: Duration,
    mut meanwhile: impl FnMut() -> Result<()>,
) -> Result<Logins> {
    block_on(async {
        let mut logins = Logins::default();
        for _ in 0..count {
            meanwhile()?;
            let began = Instant::now();
            match timeout(patience, Client::signed_in(from, server.address, account)).await {
                Ok(Ok(client)) => {
                    logins.times.push(began.elapsed());
                    client.leave().await;
                }
                Ok(Err(error)) => logins.failures.push(error.to_string()),
                Err(_) => logins.failures.push(format!("not done after {} s", patience.as_secs_f64())),
            }
            sleep(every.saturating_sub(began.elapsed())).await;
        }
        Ok(logins)
    })?
}
