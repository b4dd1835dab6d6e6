//! What a tally was when it was last read or written, for when the disk gives or takes nothing: in this process, or in memory that it
//! shares with all processes forked from it, so that what one child has counted is there for the next one.
//!
//! The shared memory is a file without a name (`memfd_create`), which goes with the last process that has it. Changes are made
//! under a record lock, which belongs to a process even where descriptors are shared, and ends with it.
//!
//! ```text
//! header   when it was last told, u64; zeros; 64 bytes
//! place    SHA-256 of the tally's file name 32 (zeros: free), unsaved u8, zeros 31, the slot 4096 (as on disk); 16384 places, most never touched
//! ```

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, MemfdFlags};
use sha2::{Digest, Sha256};

use crate::file;
use crate::tally::{AccountTally, SLOT, decode, encode};

/// It is held for microseconds; a process that was stopped just then must not stop the others.
const LOCK_WAIT: Duration = Duration::from_millis(500);
const HEADER: usize = 64;
const HEAD: usize = 64;
const PLACES: usize = 16_384;

/// One tally as it was last known.
pub(crate) struct Known {
    pub(crate) number: u64,
    pub(crate) tally: AccountTally,
    /// The disk has not got it.
    pub(crate) unsaved: bool,
}

pub(crate) struct Memory(Mutex<Kept>);

enum Kept {
    Here { told_at: u64, known: HashMap<OsString, Known> },
    Shared(File),
}

/// The memory, held against all others who have it.
pub(crate) struct Held<'a> {
    kept: MutexGuard<'a, Kept>,
    /// It is shared, and the lock could not be had: nothing is known, and nothing can be kept.
    locked_out: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self(Mutex::new(Kept::Here { told_at: 0, known: HashMap::new() }))
    }
}

impl Memory {
    /// An empty memory that processes forked from now on will share.
    pub(crate) fn shared() -> io::Result<Self> {
        let file = File::from(rustix::fs::memfd_create("afpd-rs tally", MemfdFlags::CLOEXEC)?);
        Ok(Self(Mutex::new(Kept::Shared(file))))
    }

    /// As a child has it that was forked just now.
    #[cfg(test)]
    pub(crate) fn forked(&self) -> Self {
        let kept = match &*self.0.lock().unwrap() {
            Kept::Here { .. } => return Self::default(),
            Kept::Shared(file) => Kept::Shared(file.try_clone().unwrap()),
        };
        Self(Mutex::new(kept))
    }

    pub(crate) fn hold(&self) -> Held<'_> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let locked_out = match &*kept {
            Kept::Here { .. } => false,
            Kept::Shared(file) => {
                let attempt = || rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockExclusive);
                file::take_lock(LOCK_WAIT, Path::new("shared memory"), attempt).is_err()
            }
        };
        Held { kept, locked_out }
    }

    /// Whether `every` seconds have passed since this last said yes. A clock that was set back says yes once more.
    pub(crate) fn is_time_to_tell(&self, now: u64, every: u64) -> bool {
        let mut held = self.hold();
        let mut told = [0; 8];
        match &*held.kept {
            Kept::Here { told_at, .. } => told = told_at.to_be_bytes(),
            // What was never written, or cannot be read, is never: better told twice than not at all.
            Kept::Shared(file) => drop(file.read_exact_at(&mut told, 0)),
        }
        let told = u64::from_be_bytes(told);
        let is_time = told == 0 || now < told || now.saturating_sub(told) >= every;
        if is_time {
            match &mut *held.kept {
                Kept::Here { told_at, .. } => *told_at = now,
                Kept::Shared(file) => drop(file.write_all_at(&now.to_be_bytes(), 0)),
            }
        }
        is_time
    }
}

impl Held<'_> {
    pub(crate) fn recall(&self, name: &OsStr) -> Option<Known> {
        match &*self.kept {
            Kept::Here { known, .. } => known.get(name).map(|Known { number, tally, unsaved }| Known {
                number: *number,
                tally: tally.clone(),
                unsaved: *unsaved,
            }),
            Kept::Shared(_) if self.locked_out => None,
            Kept::Shared(file) => {
                let mut place = vec![0; HEAD.saturating_add(SLOT)];
                file.read_exact_at(&mut place, place_of(file, name)?.0).ok()?;
                let (head, slot) = place.split_at_checked(HEAD)?;
                let (number, tally) = decode(slot)?;
                Some(Known { number, tally, unsaved: head.get(32) == Some(&1) })
            }
        }
    }

    /// Whether it is kept.
    pub(crate) fn remember(&mut self, name: OsString, new: Known) -> bool {
        match &mut *self.kept {
            Kept::Here { known, .. } => {
                known.insert(name, new);
                true
            }
            Kept::Shared(_) if self.locked_out => false,
            Kept::Shared(file) => {
                let Some((place, id)) = place_of(file, &name) else { return false };
                let mut bytes = id.to_vec();
                bytes.resize(HEAD, 0);
                if let Some(unsaved) = bytes.get_mut(32) {
                    *unsaved = new.unsaved.into();
                }
                bytes.extend(encode(new.number, &new.tally));
                file.write_all_at(&bytes, place).is_ok()
            }
        }
    }

    pub(crate) fn forget(&mut self, name: &OsStr) {
        match &mut *self.kept {
            Kept::Here { known, .. } => drop(known.remove(name)),
            Kept::Shared(file) => {
                // The place stays this name's, its slot is none any more.
                if let Some((place, _)) = place_of(file, name) {
                    let slot = place.saturating_add(u64::try_from(HEAD).unwrap_or(0));
                    drop(file.write_all_at(&vec![0; SLOT], slot));
                }
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let (Kept::Shared(file), false) = (&*self.kept, self.locked_out) {
            // It ends with the process in any case.
            rustix::fs::fcntl_lock(file, FlockOperation::Unlock).ok();
        }
    }
}

/// Where in the file this name's place is or would be, and what it is known by; `None`: all are taken.
fn place_of(file: &File, name: &OsStr) -> Option<(u64, [u8; 32])> {
    let id: [u8; 32] = Sha256::digest(name.as_bytes()).into();
    let [first, second, ..] = id;
    let begin = usize::from(u16::from_be_bytes([first, second]));
    (0..PLACES).find_map(|step| {
        let place = begin.saturating_add(step).checked_rem(PLACES)?;
        let at = HEADER.saturating_add(place.saturating_mul(HEAD.saturating_add(SLOT)));
        let at = u64::try_from(at).ok()?;
        let mut found = [0; 32];
        // Behind the end, and where nothing was ever written, a place is free.
        let free = file.read_exact_at(&mut found, at).is_err() || found == [0; 32];
        (free || found == id).then_some((at, id))
    })
}
