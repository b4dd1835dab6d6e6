//! How many attempts at a password there may be, and from where.
//!
//! The numbers are kept by [`verifier_store::tally`]; here is what they mean.
//!
//! # One attempt
//! | when | what is counted, before anything is sent or compared |
//! |---|---|
//! | a challenge is given | the network has one more *open challenge* |
//! | a proof comes | one open challenge less, one *failure* more; only then is M1 compared |
//! | M1 was right | the network's failures are forgiven, the address is known for [`known_for`](AttemptPolicy::known_for) |
//! | an open challenge is [`answer_within`](AttemptPolicy::answer_within) old | it is a failure; so is one beyond [`open_challenges`](AttemptPolicy::open_challenges) |
//!
//! So neither a crash between counting and comparing, nor any number of connections at once, nor walking away is a free guess: M1
//! is compared only after the failure that it may be is on disk, and a challenge that is never answered counts too, though only
//! after a while. Were it a failure at once, six connections of one Mac, or six Macs behind one router after the server's
//! restart, would refuse each other although all have the right password. As it is, what they have open does not
//! count against them until it has been open for too long, and the first success forgives it.
//!
//! # What follows
//! - [`failures`](AttemptPolicy::failures) from one network at one account: that network is refused for
//!   [`refuse_first`](AttemptPolicy::refuse_first). Then each further failure refuses it for twice as long as the one before, up to
//!   [`refuse_longest`](AttemptPolicy::refuse_longest). Attempts during a refusal do not prolong it.
//! - [`account_failures`](AttemptPolicy::account_failures) at one account from anywhere within
//!   [`account_period`](AttemptPolicy::account_period): only known networks are let go on, until the period has fewer. Each of them
//!   still has its own limit.
//! - [`hard_limit`](AttemptPolicy::hard_limit) failures in a row from anywhere: nobody, until an administrator lifts it. Off by default,
//!   because names are public: any stranger could lock the owner out with it.
//!
//! A refused attempt takes the same path as a wrong one: it is written to the tally, the whole arithmetic is done, and the answer is that to a
//! wrong password. But M1 is replaced by zeros before the comparison. So a right password takes exactly as long as a wrong one, and
//! nobody learns during a refusal what he would have to wait for to use. A verifier is never touched.
//!
//! Names that lead to no account are counted only where they are given made-up challenges: then in one of 64 files
//! chosen by a keyed hash of the name, by the same steps as an account's. That costs the same time, and no disk.
//!
//! # When nothing can be counted
//! If the tally cannot be written (disk full, read-only, unsafe) it goes on in memory (this process's, or that of all forked from one:
//! [`Tally::remembering_together`]) from what was last read. Networks known from there go on, within their own limit. All others are
//! refused: whoever can fill the disk, or is just lucky, must not be able to try passwords without limit; and the owner has the addresses
//! he always uses, and `exempt`. The caller is told once a minute.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use ipnet::IpNet;
use verifier_store::tally::{AccountTally, Network, NetworkTally, Subject, Tally, TallyError};

/// How often the caller is told that nothing can be counted.
const TELL_EVERY: u64 = 60;

/// The numbers. Durations count in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptPolicy {
    /// Failures of one network at one account before it is refused. Default 5.
    pub failures: u32,
    /// How long the first refusal lasts; each further failure doubles it. Default 1 min.
    pub refuse_first: Duration,
    /// No refusal lasts longer. Default 24 h.
    pub refuse_longest: Duration,
    /// After so long without a failure, counted from the end of the last refusal, a network's failures are forgotten. Default 7 days.
    pub forget_after: Duration,
    /// A challenge not answered for so long is a failure. Not less than a login may take. Default 60 s.
    pub answer_within: Duration,
    /// Challenges of one network at one account that may be open at once before each further one is a failure. Default 32.
    pub open_challenges: u32,
    /// Failures at one account from anywhere, within `account_period`, before only known networks go on; 0: no limit. Default 50.
    pub account_failures: u32,
    /// See `account_failures`. Default 1 h; known to a 60th of it.
    pub account_period: Duration,
    /// How long a network stays known after somebody signed in from there. Default 30 days.
    pub known_for: Duration,
    /// Failures in a row at one account from anywhere, before nobody goes on until an administrator lifts it; 0: no such limit.
    /// Default 0. (Apple's number, for other things, is 10.)
    pub hard_limit: u32,
    /// Networks whose attempts are neither counted nor refused. Default none.
    pub exempt: Vec<IpNet>,
}

impl Default for AttemptPolicy {
    fn default() -> Self {
        Self {
            failures: 5,
            refuse_first: Duration::from_mins(1),
            refuse_longest: Duration::from_hours(24),
            forget_after: Duration::from_hours(7 * 24),
            answer_within: Duration::from_mins(1),
            open_challenges: 32,
            account_failures: 50,
            account_period: Duration::from_hours(1),
            known_for: Duration::from_hours(30 * 24),
            hard_limit: 0,
            exempt: Vec::new(),
        }
    }
}

/// Who is at the other end, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    address: Option<IpAddr>,
    at: u64,
}

/// Why M1 was not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// This network has failed too often.
    Network {
        /// For so many seconds more.
        seconds: u64,
    },
    /// The account has been failed at too often, and this network is not known.
    Account {
        /// For so many seconds more, if nobody fails again.
        seconds: u64,
    },
    /// The hard limit is reached.
    Locked,
    /// The tally cannot be written, and this network is not known.
    Uncounted,
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is counted: M1 may be compared.
    Compare,
    /// M1 must not be compared.
    Refuse(Refusal),
}

/// Counts attempts and refuses those that are too many. One for the whole program.
pub struct Attempts {
    tally: Tally,
    policy: AttemptPolicy,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// Where an attempt has been counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    OnDisk,
    InMemory,
    Nowhere,
}

impl Attempts {
    /// Counts in `tally` by `policy`. `tell` gets one line for the log when the tally is damaged or cannot be used.
    #[must_use]
    pub fn new(tally: Tally, policy: AttemptPolicy, tell: Box<dyn Fn(&str) + Send + Sync>) -> Self {
        Self { tally, policy, tell }
    }

    /// A challenge is about to be given.
    pub fn open(&self, subject: Subject<'_>, peer: &Peer) {
        self.change(subject, peer, |tally, network, now| self.policy.open(tally, network, now));
    }

    /// A proof is about to be compared: spends the attempt first.
    #[must_use]
    pub fn spend(&self, subject: Subject<'_>, peer: &Peer) -> Verdict {
        let spent = self.change(subject, peer, |tally, network, now| {
            let known = self.policy.knows(tally, network, now);
            (known, self.policy.spend(tally, network, now))
        });
        match spent {
            // Exempt.
            None => Verdict::Compare,
            Some(((false, Verdict::Compare), Counted::InMemory) | ((_, Verdict::Compare), Counted::Nowhere)) => {
                Verdict::Refuse(Refusal::Uncounted)
            }
            Some(((_, verdict), _)) => verdict,
        }
    }

    /// The proof was right.
    pub fn give_back(&self, subject: Subject<'_>, peer: &Peer) {
        self.change(subject, peer, |tally, network, now| self.policy.give_back(tally, network, now));
    }

    /// What `change` returned and where it is; `None` for a peer that is exempt.
    fn change<T>(
        &self,
        subject: Subject<'_>,
        peer: &Peer,
        change: impl FnOnce(&mut AccountTally, Network, u64) -> T,
    ) -> Option<(T, Counted)> {
        if self.policy.exempts(peer) {
            return None;
        }
        let changed = self.tally.change(subject, peer.at, |tally| change(tally, peer.network(), peer.at));
        if let Some(damaged) = changed.damaged {
            (self.tell)(&damaged.to_string());
        }
        let counted = match (changed.saved, changed.kept) {
            (Ok(()), _) => Counted::OnDisk,
            (Err(error), kept) => {
                self.tell_of(&error, peer.at);
                if kept { Counted::InMemory } else { Counted::Nowhere }
            }
        };
        Some((changed.value, counted))
    }

    fn tell_of(&self, error: &TallyError, now: u64) {
        if self.tally.is_time_to_tell(now, TELL_EVERY) {
            let days = self.policy.known_for.as_secs().div_ceil(86_400);
            (self.tell)(&format!(
                "failed logins cannot be counted: {error}; until that is mended, only addresses that somebody signed in from in the last \
                 {days} days are let in, and those that are exempt"
            ));
        }
    }
}

impl fmt::Debug for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts").field("tally", &self.tally).field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Peer {
    /// A peer at this address, at this time of the wall clock.
    #[must_use]
    pub fn new(address: IpAddr, at: SystemTime) -> Self {
        Self { address: Some(address.to_canonical()), at: seconds(at) }
    }

    /// A peer whose address is not known. All such peers count as one network.
    #[must_use]
    pub fn unknown(at: SystemTime) -> Self {
        Self { address: None, at: seconds(at) }
    }

    fn network(&self) -> Network {
        self.address.map_or(Network::Unknown, Network::of)
    }
}

/// Unix seconds; never 0, which is "never" in a tally.
fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs().max(1))
}

/// The policy itself: what each event does to the numbers. `now` in Unix seconds, and the tally's clock set to it
/// ([`AccountTally::set_clock`], which [`Tally::change`] has done).
impl AttemptPolicy {
    /// Whether this peer's attempts are not counted.
    #[must_use]
    pub fn exempts(&self, peer: &Peer) -> bool {
        peer.address.is_some_and(|address| self.exempt.iter().any(|exempt| exempt.contains(&address.to_canonical())))
    }

    /// Whether somebody signed in from there lately.
    #[must_use]
    pub fn knows(&self, tally: &AccountTally, network: Network, now: u64) -> bool {
        tally.networks().iter().any(|entry| {
            entry.network == network
                && entry.signed_in_at > 0
                && now.saturating_sub(entry.signed_in_at) < self.known_for.as_secs()
        })
    }

    /// Whether the hard limit is reached.
    #[must_use]
    pub fn is_locked(&self, tally: &AccountTally) -> bool {
        self.hard_limit > 0 && tally.in_a_row >= self.hard_limit
    }

    /// For how many seconds more networks that are not known are refused; 0: they are not.
    #[must_use]
    pub fn refuses_strangers_for(&self, tally: &AccountTally, now: u64) -> u64 {
        let period = self.account_period.as_secs();
        let too_many = |at| self.account_failures > 0 && tally.failures_within(at, period) >= self.account_failures;
        if !too_many(now) {
            return 0;
        }
        let minute = period.div_ceil(60).max(1);
        (1..=60)
            .map(|minutes: u64| minute.saturating_mul(minutes))
            .find(|wait| !too_many(now.saturating_add(*wait)))
            .unwrap_or(period)
    }

    /// A challenge is given.
    pub fn open(&self, tally: &mut AccountTally, network: Network, now: u64) {
        self.settle(tally, network, now);
        let most = self.open_challenges;
        let entry = tally.network(network);
        if entry.refused_until(now) > 0 {
            // Its proof will not be compared: there is nothing in it to be had.
        } else if entry.open < most {
            if entry.open == 0 {
                entry.open_since = now;
            }
            entry.open = entry.open.saturating_add(1);
        } else {
            self.fail(tally, network, 1, now);
        }
    }

    /// A proof comes. Counts it as a failure unless it is refused.
    #[must_use]
    pub fn spend(&self, tally: &mut AccountTally, network: Network, now: u64) -> Verdict {
        // This one's challenge is answered, so it is none of those that were left open.
        let entry = tally.network(network);
        entry.open = entry.open.saturating_sub(1);
        self.settle(tally, network, now);
        let known = self.knows(tally, network, now);
        let (locked, strangers) = (self.is_locked(tally), self.refuses_strangers_for(tally, now));
        let entry = tally.network(network);
        let refused = entry.refused_until(now);
        let refusal = if locked {
            Refusal::Locked
        } else if refused > 0 {
            Refusal::Network { seconds: refused }
        } else if strangers > 0 && !known {
            Refusal::Account { seconds: strangers }
        } else {
            self.fail(tally, network, 1, now);
            return Verdict::Compare;
        };
        entry.turned_away = entry.turned_away.saturating_add(1);
        Verdict::Refuse(refusal)
    }

    /// The proof was right.
    pub fn give_back(&self, tally: &mut AccountTally, network: Network, now: u64) {
        tally.in_a_row = 0;
        tally.uncount(now, self.account_period.as_secs());
        let entry = tally.network(network);
        *entry = NetworkTally {
            failures: 0,
            refusals: 0,
            open: 0,
            turned_away: 0,
            refused_for: 0,
            signed_in_at: now,
            ..entry.clone()
        };
    }

    /// Takes note of what time has done: challenges that stayed open are failures, old failures are forgotten. And of damage: it
    /// counts as one failure of whoever comes first.
    fn settle(&self, tally: &mut AccountTally, network: Network, now: u64) {
        if tally.damaged {
            self.fail(tally, network, 1, now);
        }
        let mut abandoned = Vec::new();
        for entry in tally.networks_mut() {
            if entry.open > 0 && now.saturating_sub(entry.open_since) >= self.answer_within.as_secs() {
                abandoned.push((entry.network, entry.open));
                entry.open = 0;
            }
            let quiet_since = entry.failed_at.max(entry.refused_at.saturating_add(entry.refused_for.into()));
            if now.saturating_sub(quiet_since) >= self.forget_after.as_secs() {
                (entry.failures, entry.refusals, entry.refused_for, entry.turned_away) = (0, 0, 0, 0);
            }
        }
        for (network, open) in abandoned {
            self.fail(tally, network, open, now);
        }
    }

    /// Counts failures, and refuses the network if they are too many. Several at once refuse it once.
    fn fail(&self, tally: &mut AccountTally, network: Network, failures: u32, now: u64) {
        tally.in_a_row = tally.in_a_row.saturating_add(failures);
        tally.count(failures, now, self.account_period.as_secs());
        let entry = tally.network(network);
        entry.failures = entry.failures.saturating_add(failures);
        entry.failed_at = now;
        if entry.failures >= self.failures && entry.refused_until(now) == 0 {
            let doubled = 1_u64.checked_shl(entry.refusals).unwrap_or(u64::MAX);
            let seconds = self.refuse_first.as_secs().saturating_mul(doubled).min(self.refuse_longest.as_secs());
            entry.refusals = entry.refusals.saturating_add(1);
            entry.refused_at = now;
            entry.refused_for = u32::try_from(seconds).unwrap_or(u32::MAX);
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network { seconds } => write!(f, "too many failures: refused for {seconds} s"),
            Self::Account { seconds } => {
                write!(f, "too many failures: refused for {seconds} s (from all addresses together)")
            }
            Self::Locked => f.write_str("too many failures: refused until `afpd-rs user unlock`"),
            Self::Uncounted => f.write_str("failures cannot be counted: refused"),
        }
    }
}
