//! Who may stay: the budgets for connections, as plain data without sockets, tasks or clocks.
//!
//! A connection is a *stranger* until somebody is signed in on it, and then a *session*. The two have separate budgets, so that
//! strangers, however many, take nothing from the sessions. When the strangers' budget is full, the stranger who has been idle
//! longest goes and the newcomer stays: to lock people out by holding connections open, an attacker would have to open the whole
//! budget anew within the moment that an honest login takes. Idle means without a step towards a login; bytes that come to nothing and tickles
//! are no step.
//!
//! An address (of IPv6 the first 64 bits: what one customer has) may hold so many connections, and ask for so many challenges and
//! so much server information a minute; the three caps leave a connection alone that is exempt. A cap of 0 is none.
//!
//! `now` is the time since any fixed moment.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

/// The time that the caps on rates are about.
const MINUTE: Duration = Duration::from_mins(1);

/// Addresses that have no connection are forgotten beyond this number of addresses, those first whose allowance is whole again.
const ADDRESSES_KEPT: usize = 16_384;

/// How many of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) strangers: usize,
    pub(super) sessions: usize,
    /// Both together: what the descriptors of the process allow.
    pub(super) total: usize,
    pub(super) per_address: usize,
    pub(super) challenges_per_minute: u32,
    pub(super) status_per_minute: u32,
}

/// What an address may do so often a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rate {
    Challenge,
    Status,
}

/// A connection at the door.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id(u64);

/// A newcomer that was let in.
#[derive(Debug)]
pub(super) struct Arrival<T> {
    pub(super) id: Id,
    /// Whether there would be room for a session.
    pub(super) admits: bool,
    /// Who had to go for it, and why.
    pub(super) evicted: Option<(T, Cap)>,
}

/// Which limit made somebody go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cap {
    Strangers,
    Address,
    Descriptors,
}

/// Why nobody can be signed in on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSession {
    /// As many are signed in as may be.
    Full,
    /// The connection has been evicted.
    Gone,
}

/// Where a client comes from: an IPv4 address, or the first 64 bits of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Address {
    V4([u8; 4]),
    V6([u8; 8]),
}

/// All connections. `T` is what the caller needs to end one; it gets it back when one has to go.
#[derive(Debug)]
pub(super) struct Door<T> {
    limits: Limits,
    next: u64,
    /// Evicted and still there.
    leaving: usize,
    guests: HashMap<Id, Guest<T>>,
    /// The strangers, longest idle first.
    idle: BTreeSet<(Duration, Id)>,
    /// The same, by address; without the exempt.
    idle_at: BTreeSet<(Address, Duration, Id)>,
    addresses: HashMap<Address, Visits>,
}

#[derive(Debug)]
struct Guest<T> {
    address: Address,
    exempt: bool,
    /// Of a stranger: when its last step was. `None`: somebody is signed in.
    stepped: Option<Duration>,
    ticket: T,
}

/// What an address has and did.
#[derive(Debug, Default)]
struct Visits {
    connections: usize,
    /// For each [`Rate`]: when the allowance will be whole again.
    whole_at: [Duration; 2],
}

impl<T> Door<T> {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            next: 0,
            leaving: 0,
            guests: HashMap::new(),
            idle: BTreeSet::new(),
            idle_at: BTreeSet::new(),
            addresses: HashMap::new(),
        }
    }

    /// From now on these limits hold. Gives back the strangers that are too many now; no session has to go.
    pub(super) fn set_limits(&mut self, limits: Limits) -> Vec<T> {
        self.limits = limits;
        let mut evicted = Vec::new();
        while self.idle.len() > limits.strangers {
            evicted.extend(self.evict_longest_idle());
        }
        evicted
    }

    /// Somebody connects. `None`: only sessions are here, and no descriptor is left for another connection.
    pub(super) fn arrive(&mut self, ip: IpAddr, exempt: bool, ticket: T, now: Duration) -> Option<Arrival<T>> {
        let address = Address::of(ip);
        let held = self.addresses.get(&address).map_or(0, |visits| visits.connections);
        let address_full = !exempt && self.limits.per_address != 0 && held >= self.limits.per_address;
        let evicted = if address_full && let Some(ticket) = self.evict_longest_idle_at(address) {
            Some((ticket, Cap::Address))
        } else if self.idle.len() >= self.limits.strangers {
            self.evict_longest_idle().map(|ticket| (ticket, Cap::Strangers))
        } else if self.guests.len() >= self.limits.total {
            Some((self.evict_longest_idle()?, Cap::Descriptors))
        } else {
            None
        };
        // An address that is full of sessions has nobody to send away.
        let admits =
            self.sessions() < self.limits.sessions && (!address_full || matches!(evicted, Some((_, Cap::Address))));
        let id = Id(self.next);
        self.next = self.next.wrapping_add(1);
        self.guests.insert(id, Guest { address, exempt, stepped: Some(now), ticket });
        self.idle.insert((now, id));
        if !exempt {
            self.idle_at.insert((address, now, id));
            self.forget_addresses(now);
            let visits = self.addresses.entry(address).or_default();
            visits.connections = visits.connections.saturating_add(1);
        }
        Some(Arrival { id, admits, evicted })
    }

    /// A stranger came a step closer to a login.
    pub(super) fn step(&mut self, id: Id, now: Duration) {
        let Some(guest) = self.guests.get_mut(&id) else { return };
        let Some(before) = guest.stepped.replace(now) else {
            guest.stepped = None;
            return;
        };
        self.idle.remove(&(before, id));
        self.idle.insert((now, id));
        if self.idle_at.remove(&(guest.address, before, id)) {
            self.idle_at.insert((guest.address, now, id));
        }
    }

    /// Whether the address of this connection may do this once more this minute; if so, it has.
    pub(super) fn may(&mut self, id: Id, rate: Rate, now: Duration) -> bool {
        let per_minute = match rate {
            Rate::Challenge => self.limits.challenges_per_minute,
            Rate::Status => self.limits.status_per_minute,
        };
        let Some(guest) = self.guests.get(&id) else { return false };
        if guest.exempt || guest.stepped.is_none() {
            return true;
        }
        let Some(one) = MINUTE.checked_div(per_minute) else { return true };
        let visits = self.addresses.entry(guest.address).or_default();
        let [challenges, status] = &mut visits.whole_at;
        let whole_at = match rate {
            Rate::Challenge => challenges,
            Rate::Status => status,
        };
        // An allowance of a minute's worth, used up one by one and growing back evenly.
        let then = (*whole_at).max(now).saturating_add(one);
        if then.saturating_sub(now) > MINUTE {
            return false;
        }
        *whole_at = then;
        true
    }

    /// Somebody has signed in on this connection.
    pub(super) fn sign_in(&mut self, id: Id) -> Result<(), NoSession> {
        let full = self.sessions() >= self.limits.sessions;
        let guest = self.guests.get_mut(&id).ok_or(NoSession::Gone)?;
        if full && guest.stepped.is_some() {
            return Err(NoSession::Full);
        }
        if let Some(stepped) = guest.stepped.take() {
            self.idle.remove(&(stepped, id));
            self.idle_at.remove(&(guest.address, stepped, id));
        }
        Ok(())
    }

    /// The connection is over. Has nothing to give back of one that has been evicted.
    pub(super) fn leave(&mut self, id: Id) -> Option<T> {
        let ticket = self.strike_out(id);
        if ticket.is_none() {
            self.leaving = self.leaving.saturating_sub(1);
        }
        ticket
    }

    fn strike_out(&mut self, id: Id) -> Option<T> {
        let guest = self.guests.remove(&id)?;
        if let Some(stepped) = guest.stepped {
            self.idle.remove(&(stepped, id));
            self.idle_at.remove(&(guest.address, stepped, id));
        }
        if !guest.exempt
            && let Some(visits) = self.addresses.get_mut(&guest.address)
        {
            visits.connections = visits.connections.saturating_sub(1);
        }
        Some(guest.ticket)
    }

    /// Sends away the stranger who has been idle longest, if there is one.
    pub(super) fn evict_longest_idle(&mut self) -> Option<T> {
        let (_, id) = self.idle.first().copied()?;
        self.evict(id)
    }

    fn evict_longest_idle_at(&mut self, address: Address) -> Option<T> {
        let first = (address, Duration::ZERO, Id(0));
        let (_, _, id) = self.idle_at.range(first..).next().copied().filter(|(at, ..)| *at == address)?;
        self.evict(id)
    }

    fn evict(&mut self, id: Id) -> Option<T> {
        let ticket = self.strike_out(id)?;
        self.leaving = self.leaving.saturating_add(1);
        Some(ticket)
    }

    /// So many have been evicted and have not left yet: they still have their descriptors.
    pub(super) fn leaving(&self) -> usize {
        self.leaving
    }

    pub(super) fn strangers(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn sessions(&self) -> usize {
        self.guests.len().saturating_sub(self.idle.len())
    }

    fn forget_addresses(&mut self, now: Duration) {
        // Those that have connections are as many as the connections at most; twice that, so that not every arrival looks through all.
        if self.addresses.len() < ADDRESSES_KEPT.max(self.guests.len().saturating_mul(2)) {
            return;
        }
        self.addresses.retain(|_, visits| visits.connections > 0 || visits.whole_at.iter().any(|at| *at > now));
        if self.addresses.len() >= ADDRESSES_KEPT {
            self.addresses.retain(|_, visits| visits.connections > 0);
        }
    }
}

impl Address {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::V4(octets) => write!(f, "{}", std::net::Ipv4Addr::from(octets)),
            Self::V6(octets) => {
                let ip = std::net::Ipv6Addr::from_bits(u128::from(u64::from_be_bytes(octets)) << 64);
                write!(f, "{ip}/64")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OPEN: Limits = Limits {
        strangers: 3,
        sessions: 2,
        total: 100,
        per_address: 0,
        challenges_per_minute: 0,
        status_per_minute: 0,
    };

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Arrives and tells who had to go.
    fn arrive(door: &mut Door<u32>, from: u8, ticket: u32, second: u64) -> (Id, Option<(u32, Cap)>) {
        let arrival = door.arrive(ip(from), false, ticket, at(second)).unwrap();
        (arrival.id, arrival.evicted)
    }

    #[test]
    fn the_longest_idle_stranger_goes_and_the_newcomer_stays() {
        let mut door = Door::new(OPEN);
        let (one, _) = arrive(&mut door, 1, 1, 0);
        arrive(&mut door, 2, 2, 1);
        arrive(&mut door, 3, 3, 2);
        door.step(one, at(3));
        assert_eq!(arrive(&mut door, 4, 4, 4).1, Some((2, Cap::Strangers)));
        assert_eq!(arrive(&mut door, 5, 5, 5).1, Some((3, Cap::Strangers)));
        assert_eq!(arrive(&mut door, 6, 6, 6).1, Some((1, Cap::Strangers)));
        assert_eq!(door.strangers(), 3);
        assert_eq!(door.leaving(), 3);
        assert_eq!(door.leave(one), None, "gone already");
        assert_eq!((door.strangers(), door.leaving()), (3, 2));
    }

    #[test]
    fn strangers_take_nothing_from_sessions() {
        let mut door = Door::new(OPEN);
        let (one, _) = arrive(&mut door, 1, 1, 0);
        let (two, _) = arrive(&mut door, 1, 2, 0);
        assert_eq!((door.sign_in(one), door.sign_in(one)), (Ok(()), Ok(())));
        for stranger in 10..1000 {
            arrive(&mut door, 9, stranger, 1);
        }
        assert_eq!((door.strangers(), door.sessions()), (3, 1));
        assert_eq!(door.sign_in(two), Err(NoSession::Gone));
        door.step(one, at(5));
        assert_eq!(door.sessions(), 1, "a step of a session changes nothing");
        let (three, _) = arrive(&mut door, 1, 3, 2);
        let late = arrive(&mut door, 1, 4, 2).0;
        assert_eq!(door.sign_in(three), Ok(()));
        assert_eq!(door.sign_in(late), Err(NoSession::Full));
        assert!(!door.arrive(ip(7), false, 5, at(3)).unwrap().admits, "no room for a session");
        assert_eq!(door.leave(one), Some(1));
        assert!(door.arrive(ip(7), false, 6, at(3)).unwrap().admits);
        assert_eq!(door.sign_in(late), Ok(()), "there is room again");
    }

    #[test]
    fn an_address_that_is_full_pays_itself() {
        let mut door = Door::new(Limits { strangers: 10, per_address: 2, ..OPEN });
        arrive(&mut door, 1, 1, 0);
        let (two, _) = arrive(&mut door, 2, 2, 1);
        let (three, _) = arrive(&mut door, 2, 3, 2);
        assert_eq!(arrive(&mut door, 2, 4, 3).1, Some((2, Cap::Address)));
        assert_eq!(door.sign_in(two), Err(NoSession::Gone));
        door.sign_in(three).unwrap();
        let last = door.idle_at.iter().next_back().copied().unwrap().2;
        door.sign_in(last).unwrap();
        // Two sessions: the newcomer is told so, and the one after it takes its place.
        let full = door.arrive(ip(2), false, 5, at(4)).unwrap();
        assert!(!full.admits && full.evicted.is_none());
        assert_eq!(arrive(&mut door, 2, 6, 5).1, Some((5, Cap::Address)));
        let other = door.arrive(ip(3), false, 7, at(5)).unwrap();
        assert!(!other.admits && other.evicted.is_none(), "the sessions are full, the address is not");
        let exempt = door.arrive(ip(2), true, 8, at(6)).unwrap();
        assert_eq!(exempt.evicted, None);
        assert_eq!(door.addresses[&Address::of(ip(2))].connections, 3);
        door.leave(exempt.id);
        assert_eq!(door.addresses[&Address::of(ip(2))].connections, 3, "the exempt are not counted");
    }

    #[test]
    fn without_descriptors_a_stranger_goes_and_never_a_session() {
        let mut door = Door::new(Limits { total: 2, ..OPEN });
        let (one, _) = arrive(&mut door, 1, 1, 0);
        door.sign_in(one).unwrap();
        let (two, _) = arrive(&mut door, 2, 2, 0);
        let (three, evicted) = arrive(&mut door, 2, 3, 1);
        assert_eq!(evicted, Some((2, Cap::Descriptors)));
        assert_eq!(door.leave(two), None);
        door.sign_in(three).unwrap();
        assert!(door.arrive(ip(4), false, 4, at(2)).is_none());
        assert_eq!((door.strangers(), door.sessions()), (0, 2));
    }

    #[test]
    fn rates_grow_back_evenly() {
        let mut door = Door::new(Limits { challenges_per_minute: 3, status_per_minute: 1, ..OPEN });
        let (id, _) = arrive(&mut door, 1, 1, 0);
        let (neighbour, _) = arrive(&mut door, 1, 2, 0);
        let (other, _) = arrive(&mut door, 2, 3, 0);
        let mut may = |id, rate, second| door.may(id, rate, at(second));
        assert!(may(id, Rate::Challenge, 0) && may(neighbour, Rate::Challenge, 0) && may(id, Rate::Challenge, 0));
        assert!(!may(id, Rate::Challenge, 0) && !may(neighbour, Rate::Challenge, 19));
        assert!(may(id, Rate::Status, 0) && !may(id, Rate::Status, 59) && may(id, Rate::Status, 60));
        assert!(may(other, Rate::Challenge, 0));
        assert!(may(id, Rate::Challenge, 20) && !may(id, Rate::Challenge, 21));
        assert!((0..3).all(|_| may(id, Rate::Challenge, 1000)) && !may(id, Rate::Challenge, 1000));
        let exempt = door.arrive(ip(1), true, 4, at(0)).unwrap().id;
        assert!((0..1000).all(|_| door.may(exempt, Rate::Challenge, at(1000))));
        door.sign_in(exempt).unwrap();
        assert!(door.may(exempt, Rate::Status, at(0)));
        assert!(!door.may(Id(999), Rate::Status, at(0)), "nobody");
    }

    #[test]
    fn fewer_strangers_from_now_on() {
        let mut door = Door::new(OPEN);
        for stranger in 0..3 {
            arrive(&mut door, 1, stranger, u64::from(stranger));
        }
        assert_eq!(door.set_limits(Limits { strangers: 1, ..OPEN }), [0, 1]);
        let (id, _) = arrive(&mut door, 1, 4, 5);
        door.sign_in(id).unwrap();
        assert!(door.set_limits(Limits { sessions: 0, strangers: 1, ..OPEN }).is_empty());
        assert_eq!(door.sessions(), 1, "no session has to go");
    }

    #[test]
    fn ipv6_counts_by_64_bits() {
        let of = |text: &str| Address::of(text.parse().unwrap());
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("2001:db8:0:1::1").to_string(), "2001:db8:0:1::/64");
        assert_eq!(of("::ffff:192.0.2.1").to_string(), "192.0.2.1");
    }

    /// Two hundred thousand addresses that connect once and ask once leave no more behind than there is room for.
    #[test]
    fn addresses_are_forgotten() {
        let mut door = Door::new(Limits { status_per_minute: 1, ..OPEN });
        for number in 0..200_000_u32 {
            let id = door.arrive(number.to_be_bytes().into(), false, number, at(0)).unwrap().id;
            assert!(door.may(id, Rate::Status, at(0)));
            door.leave(id);
        }
        assert!(door.addresses.len() <= ADDRESSES_KEPT, "{}", door.addresses.len());
        let (id, _) = arrive(&mut door, 1, 1, 120);
        assert!(door.may(id, Rate::Status, at(120)));
    }

    proptest! {
        /// Whatever happens, the books are in order and no budget is exceeded.
        #[test]
        fn the_books_are_in_order(acts in prop::collection::vec((0..6_u8, 0..8_u8, any::<bool>()), 0..200)) {
            let limits = Limits { strangers: 4, sessions: 3, total: 6, per_address: 2, challenges_per_minute: 5, status_per_minute: 5 };
            let mut door = Door::new(limits);
            let mut there: Vec<(Id, u32)> = Vec::new();
            let mut sessions = Vec::new();
            for (step, (act, which, exempt)) in acts.into_iter().enumerate() {
                let now = at(step as u64 / 3);
                let ticket = u32::try_from(step).unwrap();
                let id = there.get(usize::from(which)).map_or(Id(u64::MAX), |(id, _)| *id);
                match act {
                    0 | 1 => if let Some(arrival) = door.arrive(ip(which % 3), exempt, ticket, now) {
                        if let Some((gone, _)) = arrival.evicted {
                            there.retain(|(_, ticket)| *ticket != gone);
                        }
                        there.push((arrival.id, ticket));
                    },
                    2 => door.step(id, now),
                    3 => { door.may(id, Rate::Challenge, now); }
                    4 => if door.sign_in(id).is_ok() && !sessions.contains(&id) { sessions.push(id) },
                    _ => {
                        let known = there.iter().any(|(known, _)| *known == id);
                        prop_assert_eq!(door.leave(id).is_some(), known);
                        there.retain(|(known, _)| *known != id);
                        sessions.retain(|known| *known != id);
                    }
                }
                prop_assert!(sessions.iter().all(|id| there.iter().any(|(known, _)| known == id)), "a session was evicted");
                prop_assert_eq!((door.sessions(), door.strangers()), (sessions.len(), there.len() - sessions.len()));
                prop_assert!(door.strangers() <= limits.strangers && door.sessions() <= limits.sessions);
                prop_assert!(door.guests.len() <= limits.total);
                let counted: usize = door.addresses.values().map(|visits| visits.connections).sum();
                prop_assert_eq!(counted, door.guests.values().filter(|guest| !guest.exempt).count());
                let indexed = door.guests.values().filter(|guest| !guest.exempt && guest.stepped.is_some()).count();
                prop_assert_eq!(door.idle_at.len(), indexed);
            }
        }
    }
}
