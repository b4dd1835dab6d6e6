//! The tally: which attempts at an account's password there have been, and from where. On disk, so that no restart forgets it,
//! and shared by all processes that let people in. What follows from the numbers is not decided here but in `srp-uam`.
//!
//! # On disk
//! A directory (mode 0700) with one file (0600) per account, called as in the native store with `.tally` in place of `.toml`, for accounts
//! of every store format. Beside them 64 files `~decoy-NN.tally`: with made-up challenges, all names that nobody has share
//! these, so that an unknown name costs the same system calls as a known one and strangers cannot fill the disk with names.
//!
//! A file is 8192 bytes for ever: two slots of 4096. A change takes an exclusive `flock` on the file, reads the valid slot with the
//! higher number, and writes the next number into the *other* slot with one `pwrite`. A kill, a torn write or a power failure
//! therefore leaves the old state or the new one; and as nothing is allocated, a full disk does not matter to an account
//! that has a file (copy-on-write file systems excepted). A new file is made whole under another name and renamed.
//! A change is not synced to the disk: no process that dies can lose one, a power failure may lose the last seconds'.
//!
//! ```text
//! slot     magic "AFPTALY1", number u64, last use u64, failures in a row u32,
//!          width of a bucket in seconds u32, newest bucket u64, failures per bucket 60 x u16,
//!          48 networks x 72 bytes, zeros, checksum u64 over all before it        (big-endian; times are Unix seconds, 0 is never)
//! network  kind u8 (0 none, 4, 6, 1 unknown), address 16, 3 zeros, failures u32, refusals u32, open u32, turned away u32, refused for u32,
//!          last failure u64, refused at u64, open since u64, signed in at u64
//! ```
//! # When it cannot be used
//! A file with no valid slot is damaged: it is begun anew, and [`AccountTally::damaged`] tells whoever changes it. When a file cannot be
//! read or written, the change is made to what this process knew last, in memory, and [`Changed::saved`] says why; the
//! next change that can be written brings it to disk. Of a program that forks, the processes can have one memory
//! ([`Tally::remembering_together`]): what a child knows would end with it.
//!
//! # Whose it is
//! The directory belongs to root or to the user of this process. Root may use one of anybody's; what it makes there is its owner's, and
//! a directory that it makes belongs to whom the one above belongs to. So a daemon with a user of its own and a module in a process of root's
//! can share it.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::StoreError;
use crate::file::{self, Folder, Step, reached};
use crate::native;
use crate::tally_memory::{Known, Memory};

/// How many files the names that nobody has share.
pub const DECOYS: u8 = 64;

/// How many networks are remembered for an account.
pub const NETWORKS: usize = 48;

/// How many buckets failures are counted in, so that those of the last hour are known to a minute.
pub const BUCKETS: usize = 60;

/// How long a change waits for another one. They take microseconds: somebody else holds the file.
const LOCK_WAIT: Duration = Duration::from_secs(2);
const LOCK: &str = ".lock";
const TEMPORARY: &str = ".new";
const SUFFIX: &str = ".tally";

pub(crate) const SLOT: usize = 4096;
const MAGIC: u64 = u64::from_be_bytes(*b"AFPTALY1");

/// Whose attempts are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// This account's.
    Account(&'a str),
    /// Those at names nobody has: one of [`DECOYS`] files, by the caller's choice (taken modulo).
    Decoy(u8),
}

/// Where an attempt comes from, as far as attempts are told apart: an IPv4 address; the first 64 bits of an IPv6 address, which is what one
/// customer or machine is given. Link-local IPv6 addresses count whole: all machines of a link have the same 64 bits there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Network {
    /// One address.
    V4(Ipv4Addr),
    /// A /64, its host part zero; or one link-local address.
    V6(Ipv6Addr),
    /// The caller does not know.
    Unknown,
}

/// What is known of one network's attempts at one account. Times are Unix seconds; 0 is never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkTally {
    /// Which network.
    pub network: Network,
    /// Attempts that failed or are not known to have succeeded, since the last success.
    pub failures: u32,
    /// Refusals imposed since the last success.
    pub refusals: u32,
    /// Challenges given and not answered yet.
    pub open: u32,
    /// Attempts that came during a refusal.
    pub turned_away: u32,
    /// How long the refusal lasts, in seconds; 0: there is none.
    pub refused_for: u32,
    /// When the last failure was counted.
    pub failed_at: u64,
    /// When the refusal began.
    pub refused_at: u64,
    /// When the first of the open challenges was given.
    pub open_since: u64,
    /// When somebody last signed in from there.
    pub signed_in_at: u64,
}

/// What is known of the attempts at one account. Plain data; the policy is its caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountTally {
    /// When it was last changed. No time in here is later.
    pub last: u64,
    /// Failures since the last success, from wherever.
    pub in_a_row: u32,
    /// The file was damaged and this is a new beginning. Not kept.
    pub damaged: bool,
    width: u32,
    newest: u64,
    buckets: [u16; BUCKETS],
    networks: Vec<NetworkTally>,
}

/// What came of a change.
#[derive(Debug)]
pub struct Changed<T> {
    /// What the change returned.
    pub value: T,
    /// Whether it is on disk; else it is in memory only.
    pub saved: Result<(), TallyError>,
    /// Whether the next change will know of this one: it is on disk, or in memory. Memory of one's own always takes it; shared memory may
    /// be out of reach.
    pub kept: bool,
    /// The file was damaged and has been begun anew.
    pub damaged: Option<TallyError>,
}

/// Why a tally cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TallyError {
    /// The directory or the file.
    #[error(transparent)]
    File(#[from] StoreError),
    /// What is in the file is no tally.
    #[error("the tally of failed logins {} is damaged; it counts as one failure and is begun anew at the next attempt", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// The tally directory. Share one per process; any number of processes may use the same directory.
pub struct Tally {
    path: PathBuf,
    /// What was last known, for when the disk gives or takes nothing.
    memory: Memory,
}

impl Tally {
    /// The tally in the directory `path`, which is made at the first attempt if it is not there (the one above it must be).
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf(), memory: Memory::default() }
    }

    /// The same, with a memory that all processes forked from now on share. It takes one file descriptor, which each of them closes when it
    /// drops this.
    ///
    /// # Errors
    /// The system gives no such memory.
    pub fn remembering_together(self) -> Result<Self, TallyError> {
        let memory = Memory::shared().map_err(|e| file::io_error(&self.path, "get memory to share for", e))?;
        Ok(Self { memory, ..self })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the directory if it is not there, and says whether it can be used.
    ///
    /// # Errors
    /// It cannot.
    pub fn open(&self) -> Result<(), TallyError> {
        self.folder().map(drop)
    }

    /// Whether it is time to tell somebody that nothing can be counted: `every` seconds after this last said so. All who share the memory
    /// are told once.
    pub fn is_time_to_tell(&self, now: u64, every: u64) -> bool {
        self.memory.is_time_to_tell(now, every)
    }

    /// Makes the files of these accounts and of the decoys that are not there yet, so that the first attempt at a name is not told
    /// apart by the time that takes.
    ///
    /// # Errors
    /// The first one met; attempts will meet it too.
    pub fn prepare<'a>(&self, accounts: impl IntoIterator<Item = &'a str>) -> Result<(), TallyError> {
        let folder = self.folder()?;
        let decoys = (0..DECOYS).map(Subject::Decoy);
        for subject in accounts.into_iter().map(Subject::Account).chain(decoys) {
            let name = subject.file_name();
            if !folder.path_of(&name).exists() {
                create(&folder, &name)?;
            }
        }
        Ok(())
    }

    /// Changes a tally at `now` (Unix seconds) as `change` says, under the lock, and keeps it. The times in it have been made to fit a
    /// clock that was set back, see [`AccountTally::set_clock`].
    pub fn change<T>(&self, subject: Subject<'_>, now: u64, change: impl FnOnce(&mut AccountTally) -> T) -> Changed<T> {
        let name = subject.file_name();
        let opened = self.folder().and_then(|folder| {
            let file = match folder.open_locked(&name, true, LOCK_WAIT)? {
                Some(file) => file,
                None => create(&folder, &name)?,
            };
            reached(Step::TallyLocked);
            Ok((folder.path_of(&name), file))
        });
        let (opened, read) = match opened {
            Ok((path, file)) => match read(&file, &path) {
                Ok(read) => (Ok((path, file)), read),
                Err(error) => (Err(error), None),
            },
            // A disk that takes nothing any more may still give.
            Err(error @ TallyError::File(StoreError::Io { .. })) => (Err(error), self.look(&name)),
            Err(error) => (Err(error), None),
        };
        reached(Step::TallyRead);
        let damaged = match &opened {
            Ok((path, _)) if read.is_none() => Some(TallyError::Damaged { path: path.clone() }),
            _ => None,
        };
        let mut memory = self.memory.hold();
        let (number, mut tally) = match (read, memory.recall(&name)) {
            // What could not be written then is newer than the disk.
            (Some((number, _)), Some(known)) if known.unsaved && known.number >= number => (known.number, known.tally),
            (Some(read), _) => read,
            (None, Some(known)) if damaged.is_none() => (known.number, known.tally),
            (None, _) => (0, AccountTally { damaged: damaged.is_some(), ..AccountTally::default() }),
        };
        tally.set_clock(now);
        let value = change(&mut tally);
        tally.damaged = false;
        let number = number.saturating_add(1);
        // The file's lock holds up others at this account only; the memory's would hold up everybody for the time of the writing.
        let (file, saved) = match opened {
            Ok((path, file)) => {
                drop(memory);
                let saved = write(&file, &path, number, &tally, damaged.is_some());
                memory = self.memory.hold();
                (Some(file), saved)
            }
            Err(error) => (None, Err(error)),
        };
        reached(Step::TallyWritten);
        let remembered = memory.remember(name, Known { number, tally, unsaved: saved.is_err() });
        drop((memory, file));
        Changed { value, kept: remembered || saved.is_ok(), saved, damaged }
    }

    /// What is known of an account; `None`: there has been no attempt. Changes nothing.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn state(&self, account: &str) -> Result<Option<AccountTally>, TallyError> {
        let name = Subject::Account(account).file_name();
        let folder = match Folder::open_as_owner(&self.path) {
            Err(StoreError::Missing { .. }) => return Ok(None),
            opened => opened?,
        };
        let Some(file) = folder.open_locked(&name, false, LOCK_WAIT)? else { return Ok(None) };
        let path = folder.path_of(&name);
        match read(&file, &path)? {
            Some((_, tally)) => Ok(Some(tally)),
            None => Err(TallyError::Damaged { path }),
        }
    }

    /// Forgives all failures of an account and lifts all refusals; who signed in from where stays known. `false`: there was no tally.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn unlock(&self, account: &str) -> Result<bool, TallyError> {
        let subject = Subject::Account(account);
        if !self.path.join(subject.file_name()).exists() {
            return Ok(false);
        }
        let changed = self.change(subject, 0, AccountTally::forgive);
        changed.saved.map(|()| true)
    }

    /// Removes the tally of an account that is no more. `false`: there was none.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget(&self, account: &str) -> Result<bool, TallyError> {
        let name = Subject::Account(account).file_name();
        self.memory.hold().forget(&name);
        match Folder::open_as_owner(&self.path) {
            Err(StoreError::Missing { .. }) => Ok(false),
            folder => Ok(folder?.remove(&name)?),
        }
    }

    /// As a child has it that was forked just now, but for what it would have in memory of its own.
    #[cfg(test)]
    pub(crate) fn forked(&self) -> Self {
        Self { path: self.path.clone(), memory: self.memory.forked() }
    }

    fn folder(&self) -> Result<Folder, TallyError> {
        match Folder::open_as_owner(&self.path) {
            Err(StoreError::Missing { .. }) => match Folder::create_as_owner(&self.path, 0o700) {
                // Somebody else was faster.
                Err(StoreError::Exists { .. }) => Ok(Folder::open_as_owner(&self.path)?),
                made => Ok(made?),
            },
            opened => Ok(opened?),
        }
    }

    /// The newest state on disk, if it can be had without changing anything.
    fn look(&self, name: &OsString) -> Option<(u64, AccountTally)> {
        let folder = Folder::open_as_owner(&self.path).ok()?;
        let file = folder.open_locked(name, false, LOCK_WAIT).ok()??;
        read(&file, &folder.path_of(name)).ok()?
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Subject<'_> {
    fn file_name(self) -> OsString {
        match self {
            Self::Account(account) => native::named(account, SUFFIX),
            // No account's file name begins with a tilde.
            Self::Decoy(number) => format!("~decoy-{:02}{SUFFIX}", number.checked_rem(DECOYS).unwrap_or(0)).into(),
        }
    }
}

impl Network {
    /// The network of this address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) if address.is_unicast_link_local() => Self::V6(address),
            IpAddr::V6(address) => Self::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => write!(f, "{address}"),
            Self::V6(address) if address.is_unicast_link_local() => write!(f, "{address}"),
            Self::V6(address) => write!(f, "{address}/64"),
            Self::Unknown => f.write_str("an unknown address"),
        }
    }
}

impl NetworkTally {
    /// Seconds until the refusal ends; 0: there is none.
    #[must_use]
    pub fn refused_until(&self, now: u64) -> u64 {
        u64::from(self.refused_for).saturating_sub(now.saturating_sub(self.refused_at))
    }

    fn new(network: Network) -> Self {
        Self {
            network,
            failures: 0,
            refusals: 0,
            open: 0,
            turned_away: 0,
            refused_for: 0,
            failed_at: 0,
            refused_at: 0,
            open_since: 0,
            signed_in_at: 0,
        }
    }

    fn times(&mut self) -> [&mut u64; 4] {
        [&mut self.failed_at, &mut self.refused_at, &mut self.open_since, &mut self.signed_in_at]
    }
}

impl Default for AccountTally {
    fn default() -> Self {
        Self { last: 0, in_a_row: 0, damaged: false, width: 60, newest: 0, buckets: [0; BUCKETS], networks: Vec::new() }
    }
}

impl AccountTally {
    /// The networks that attempts have come from.
    #[must_use]
    pub fn networks(&self) -> &[NetworkTally] {
        &self.networks
    }

    /// As [`AccountTally::networks`], to be changed.
    pub fn networks_mut(&mut self) -> &mut [NetworkTally] {
        &mut self.networks
    }

    /// The entry of a network, made if it is new. When all [`NETWORKS`] are taken, one goes for it: of those that nobody ever signed in
    /// from the one whose refusal ends first and that was quiet for longest; only if there is none, the one signed in from longest ago.
    pub fn network(&mut self, network: Network) -> &mut NetworkTally {
        let position = self.networks.iter().position(|entry| entry.network == network).unwrap_or_else(|| {
            if self.networks.len() >= NETWORKS {
                let worth = |entry: &NetworkTally| {
                    let refused_to = entry.refused_at.saturating_add(entry.refused_for.into());
                    (entry.signed_in_at, refused_to, entry.failed_at, entry.open_since)
                };
                let least = self.networks.iter().enumerate().min_by_key(|(_, entry)| worth(entry));
                if let Some((least, _)) = least {
                    self.networks.swap_remove(least);
                }
            }
            self.networks.push(NetworkTally::new(network));
            self.networks.len().saturating_sub(1)
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        &mut self.networks[position]
    }

    /// Counts `failures` at `now`, for [`AccountTally::failures_within`] of the same period.
    pub fn count(&mut self, failures: u32, now: u64, period: u64) {
        self.turn(now, period);
        if let Some(bucket) = self.buckets.first_mut() {
            *bucket = bucket.saturating_add(u16::try_from(failures).unwrap_or(u16::MAX));
        }
    }

    /// Takes one failure back that was counted by mistake: it turned out a success.
    pub fn uncount(&mut self, now: u64, period: u64) {
        self.turn(now, period);
        if let Some(bucket) = self.buckets.iter_mut().find(|bucket| **bucket > 0) {
            *bucket = bucket.saturating_sub(1);
        }
    }

    /// How many failures there were in the `period` seconds up to `now`, to a 60th of it.
    #[must_use]
    pub fn failures_within(&self, now: u64, period: u64) -> u32 {
        let (_, steps) = self.steps(now, period);
        self.buckets.iter().take(BUCKETS.saturating_sub(steps)).map(|bucket| u32::from(*bucket)).sum()
    }

    /// Makes all times fit a clock that says `now`. One that went forward counts as time that passed. One that was set back (or `now` of
    /// 0: unknown) does not: whatever was to go on for an hour after the last change still goes on for an hour, no more and no less.
    pub fn set_clock(&mut self, now: u64) {
        if now == 0 {
            return;
        }
        if let Some(back) = self.last.checked_sub(now).filter(|back| *back > 0) {
            for time in self.networks.iter_mut().flat_map(NetworkTally::times).filter(|time| **time > 0) {
                // 0 would be "never".
                *time = time.saturating_sub(back).max(1);
            }
            self.newest = now.checked_div(self.width.into()).unwrap_or(0);
        }
        self.last = now;
    }

    /// Forgives failures and refusals.
    fn forgive(&mut self) {
        self.in_a_row = 0;
        self.buckets = [0; BUCKETS];
        for entry in &mut self.networks {
            *entry = NetworkTally { signed_in_at: entry.signed_in_at, ..NetworkTally::new(entry.network) };
        }
    }

    /// Moves the buckets so that the first one is that of `now`.
    fn turn(&mut self, now: u64, period: u64) {
        let (width, steps) = self.steps(now, period);
        self.buckets.rotate_right(steps);
        self.buckets.iter_mut().take(steps).for_each(|bucket| *bucket = 0);
        self.width = width;
        self.newest = now.checked_div(width.into()).unwrap_or(0);
    }

    /// The width of a bucket, and by how many the newest one has become older. After another setting of the period they count as they are.
    fn steps(&self, now: u64, period: u64) -> (u32, usize) {
        let buckets = u64::try_from(BUCKETS).unwrap_or(u64::MAX);
        let width = u32::try_from(period.div_ceil(buckets)).unwrap_or(u32::MAX).max(1);
        if width != self.width {
            return (width, 0);
        }
        let newest = now.checked_div(width.into()).unwrap_or(0);
        (width, usize::try_from(newest.saturating_sub(self.newest)).unwrap_or(BUCKETS).min(BUCKETS))
    }
}

/// Makes a tally's file, whole, and locks it.
fn create(folder: &Folder, name: &OsString) -> Result<File, TallyError> {
    let path = folder.path_of(name);
    let lock = folder.lock(LOCK.as_ref(), LOCK_WAIT)?;
    let opened = folder.open_locked(name, true, LOCK_WAIT)?;
    // Somebody else may have been faster.
    let file = if let Some(file) = opened {
        file
    } else {
        let mut image = encode(0, &AccountTally::default());
        image.resize(SLOT.saturating_mul(2), 0);
        folder.replace(name, TEMPORARY.as_ref(), &image, folder.owners_own())?;
        let gone = || StoreError::Busy { path: path.clone() };
        folder.open_locked(name, true, LOCK_WAIT)?.ok_or_else(gone)?
    };
    drop(lock);
    Ok(file)
}

/// The newer valid slot; `None` when there is none.
fn read(file: &File, path: &Path) -> Result<Option<(u64, AccountTally)>, TallyError> {
    let failed = |e| file::io_error(path, "read", e);
    let mut image = vec![0; SLOT.saturating_mul(2)];
    if file.metadata().map_err(failed)?.size() != u64::try_from(image.len()).unwrap_or(u64::MAX) {
        return Ok(None);
    }
    file.read_exact_at(&mut image, 0).map_err(failed)?;
    let (first, second) = image.split_at(SLOT);
    Ok([decode(first), decode(second)].into_iter().flatten().max_by_key(|(number, _)| *number))
}

/// Writes the slot of this number. A damaged file is first made one.
fn write(file: &File, path: &Path, number: u64, tally: &AccountTally, damaged: bool) -> Result<(), TallyError> {
    let failed = |e| file::io_error(path, "write", e);
    if damaged {
        file.set_len(0).map_err(failed)?;
        reached(Step::TallyEmptied);
        file.write_all_at(&vec![0; SLOT.saturating_mul(2)], 0).map_err(failed)?;
        reached(Step::TallyZeroed);
    }
    let slot = u64::try_from(SLOT).unwrap_or(u64::MAX);
    let offset = if number.is_multiple_of(2) { 0 } else { slot };
    Ok(file.write_all_at(&encode(number, tally), offset).map_err(failed)?)
}

pub(crate) fn encode(number: u64, tally: &AccountTally) -> Vec<u8> {
    let mut slot = Vec::with_capacity(SLOT);
    let mut put = |bytes: &[u8]| slot.extend_from_slice(bytes);
    put(&MAGIC.to_be_bytes());
    put(&number.to_be_bytes());
    put(&tally.last.to_be_bytes());
    put(&tally.in_a_row.to_be_bytes());
    put(&tally.width.to_be_bytes());
    put(&tally.newest.to_be_bytes());
    tally.buckets.iter().for_each(|bucket| put(&bucket.to_be_bytes()));
    for entry in tally.networks.iter().take(NETWORKS) {
        let (kind, address) = match entry.network {
            Network::V4(address) => (4, address.to_ipv6_mapped().octets()),
            Network::V6(address) => (6, address.octets()),
            Network::Unknown => (1, [0; 16]),
        };
        put(&[kind]);
        put(&address);
        put(&[0; 3]);
        for number in [entry.failures, entry.refusals, entry.open, entry.turned_away, entry.refused_for] {
            put(&number.to_be_bytes());
        }
        for time in [entry.failed_at, entry.refused_at, entry.open_since, entry.signed_in_at] {
            put(&time.to_be_bytes());
        }
    }
    slot.resize(SLOT.saturating_sub(8), 0);
    let checksum = checksum(&slot);
    slot.extend_from_slice(&checksum.to_be_bytes());
    slot
}

pub(crate) fn decode(slot: &[u8]) -> Option<(u64, AccountTally)> {
    let (body, checked) = slot.split_last_chunk::<8>()?;
    if checksum(body) != u64::from_be_bytes(*checked) {
        return None;
    }
    let mut rest = Fields(body);
    if rest.u64()? != MAGIC {
        return None;
    }
    let number = rest.u64()?;
    let mut tally = AccountTally { last: rest.u64()?, ..AccountTally::default() };
    tally.in_a_row = rest.u32()?;
    tally.width = rest.u32()?;
    tally.newest = rest.u64()?;
    for bucket in &mut tally.buckets {
        *bucket = u16::from_be_bytes(rest.take()?);
    }
    for _ in 0..NETWORKS {
        let [kind] = rest.take()?;
        let address = Ipv6Addr::from(rest.take::<16>()?);
        rest.take::<3>()?;
        let network = match kind {
            4 => Some(Network::V4(address.to_ipv4_mapped()?)),
            6 => Some(Network::V6(address)),
            1 => Some(Network::Unknown),
            _ => None,
        };
        let mut entry = NetworkTally {
            network: network.unwrap_or(Network::Unknown),
            failures: rest.u32()?,
            refusals: rest.u32()?,
            open: rest.u32()?,
            turned_away: rest.u32()?,
            refused_for: rest.u32()?,
            failed_at: rest.u64()?,
            refused_at: rest.u64()?,
            open_since: rest.u64()?,
            signed_in_at: rest.u64()?,
        };
        // No time is later than the last change; were one, a clock set back could not be told from it.
        entry.times().into_iter().for_each(|time| *time = (*time).min(tally.last));
        if network.is_some() {
            tally.networks.push(entry);
        }
    }
    Some((number, tally))
}

/// What is left to be read of a slot.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// FNV-1a over words of eight bytes: it has to notice a slot that was half written, not a forger, who could write a valid one.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, word| {
        (hash ^ u64::from_be_bytes(*word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
    })
}
