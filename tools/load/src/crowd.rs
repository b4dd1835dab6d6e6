//! Many connections at once, on a thread of their own, until they are sent away.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use crate::{Result, block_on};

/// So many connect or sign in at a time: fewer than the listening socket's queue holds, and than one address may have challenges open
/// at one account (`attempts.open_challenges`).
const AT_THE_DOOR: usize = 16;

/// How long a crowd may take to come together.
const PATIENCE: Duration = Duration::from_secs(60);

/// What its members have done so far.
pub struct Tally {
    pub door: Semaphore,
    /// Connections that were made, and how many of them are over.
    pub made: AtomicUsize,
    pub over: AtomicUsize,
    /// Requests that were served, and those that were refused.
    pub served: AtomicUsize,
    pub refused: AtomicUsize,
    /// Attempts that came to nothing, and how the first did.
    failed: AtomicUsize,
    first_failure: Mutex<Option<String>>,
}

pub struct Crowd {
    pub tally: Arc<Tally>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Crowd {
    /// Starts so many members; each is told its number.
    pub fn start<F>(count: usize, member: impl Fn(usize, Arc<Tally>) -> F + Send + 'static) -> Crowd
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let tally = Arc::new(Tally {
            door: Semaphore::new(AT_THE_DOOR),
            made: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
            served: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            first_failure: Mutex::new(None),
        });
        let (stop, stopped) = oneshot::channel();
        let members = Arc::clone(&tally);
        let thread = thread::spawn(move || {
            // Its end is the end of all members.
            let done = block_on(async move {
                for number in 0..count {
                    tokio::spawn(member(number, Arc::clone(&members)));
                }
                stopped.await.ok();
            });
            done.expect("a runtime");
        });
        Crowd { tally, stop: Some(stop), thread: Some(thread) }
    }

    /// Waits until so many connections have been made; an error if somebody failed meanwhile.
    pub fn wait_for(&self, count: usize) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.tally.made.load(Relaxed) < count {
            self.tally.check()?;
            if Instant::now() > until {
                let made = self.tally.made.load(Relaxed);
                return Err(format!("only {made} of {count} connections after {} s", PATIENCE.as_secs()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        self.tally.check()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Tally {
    pub fn open(&self) -> usize {
        self.made.load(Relaxed).saturating_sub(self.over.load(Relaxed))
    }

    pub fn fail(&self, what: impl ToString) {
        self.failed.fetch_add(1, Relaxed);
        self.first_failure.lock().expect("not poisoned").get_or_insert_with(|| what.to_string());
    }

    pub fn failed(&self) -> usize {
        self.failed.load(Relaxed)
    }

    pub fn check(&self) -> Result<()> {
        match &*self.first_failure.lock().expect("not poisoned") {
            None => Ok(()),
            Some(first) => Err(format!("{} connections failed, the first with: {first}", self.failed()).into()),
        }
    }
}

/// Addresses counted up from `first`.
pub fn address(first: Ipv4Addr, number: usize) -> IpAddr {
    Ipv4Addr::from_bits(first.to_bits() + number as u32).into()
}
