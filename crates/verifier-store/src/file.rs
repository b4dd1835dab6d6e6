//! Files that nobody else can have touched: opening, checking, reading, locking and replacing them.
//!
//! Everything goes through a [`Folder`], a directory that was opened and checked once, and is relative to it; what is
//! checked is always the opened file. Which bytes are in a file is not known here.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, FlockOperation, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::error::{Rule, StoreError};

/// No store file is longer: 16 MiB are 39 000 lines of a Netatalk file.
pub(crate) const MAX_FILE: u64 = 16 * 1024 * 1024;

/// A file whose last change is younger than this is read again at each look: a second change within the same tick of
/// the file system's clock would leave size and time as they are. Two seconds is the coarsest clock known (FAT).
const SETTLED_AFTER_SECONDS: i64 = 3;
/// How often a file that changes while it is read is read again.
const READ_ATTEMPTS: usize = 32;
/// How long a reader waits for a program that holds Netatalk's lock. Then it reads all the same, as Netatalk does.
const READ_LOCK_WAIT: Duration = Duration::from_millis(250);
const RETRY_EVERY: Duration = Duration::from_millis(5);

/// Who may own a file.
#[derive(Clone, Copy)]
pub(crate) enum Owner {
    /// Root or the user of this process.
    Us,
    /// Root or this user.
    User(u32),
}

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether a change after `now` is sure to show in the stamp. A change time in the future (the clock was set back)
    /// proves nothing.
    fn is_settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_secs()).ok()).unwrap_or(0);
        self.changed.0.saturating_add(SETTLED_AFTER_SECONDS) <= now
    }

    /// Whether both are the same directory or file, changed or not.
    pub(crate) fn same_inode(&self, other: &Stamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// A stamp and whether it can be relied on to tell of the next change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) stamp: Stamp,
    pub(crate) settled: bool,
}

impl Seen {
    fn new(metadata: &Metadata, now: SystemTime) -> Seen {
        let stamp = Stamp::of(metadata);
        Seen { stamp, settled: stamp.is_settled(now) }
    }
}

/// A file's bytes and what was known of it when they were read.
pub(crate) struct Content {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) seen: Seen,
    pub(crate) keep: Keep,
}

/// Owner and mode of a file that is to be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Keep {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
}

impl Keep {
    fn of(metadata: &Metadata) -> Keep {
        Keep { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }
}

/// The points a kill can hit, in their order; the tests kill at each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Locked,
    LeftoverRemoved,
    TemporaryCreated,
    Written,
    OwnerKept,
    FileSynced,
    Renamed,
    DirectorySynced,
    Removed,
    FolderMade,
    FileMade,
    TallyLocked,
    TallyRead,
    /// Of a damaged one that is begun anew: first it is empty, then it has zeros.
    TallyEmptied,
    TallyZeroed,
    TallyWritten,
}

#[cfg(not(test))]
pub(crate) fn reached(_: Step) {}
#[cfg(test)]
pub(crate) use crate::process_tests::reached;

/// An open directory that only its owner (root or we) can change.
pub(crate) struct Folder {
    path: PathBuf,
    directory: File,
    seen: Seen,
    /// Who owns it: user and group.
    owner: (u32, u32),
}

impl Folder {
    /// Opens and checks a directory. Symbolic links on the way are followed; what counts is where they lead.
    pub(crate) fn open(path: &Path) -> Result<Folder, StoreError> {
        let folder = Folder::open_of_anybody(path, OFlags::empty())?;
        folder.must_be_ours()?;
        Ok(folder)
    }

    /// The same, but root may work in a directory of whoever's, as its owner would: files in it may be the owner's or root's, and what root
    /// makes there is the owner's. So a program that runs as root and one that does not can share the directory. Its owner could have
    /// changed anything in it before as well; and through it nothing elsewhere, since no link is followed and no file has a second name.
    pub(crate) fn open_as_owner(path: &Path) -> Result<Folder, StoreError> {
        if we_are_root() { Folder::open_of_anybody(path, OFlags::empty()) } else { Folder::open(path) }
    }

    fn must_be_ours(&self) -> Result<(), StoreError> {
        let (owner, expected) = (self.owner.0, rustix::process::geteuid().as_raw());
        if owner == 0 || owner == expected {
            return Ok(());
        }
        Err(Rule::Owner { owner, expected }.broken_by(&self.path))
    }

    fn open_of_anybody(path: &Path, more: OFlags) -> Result<Folder, StoreError> {
        let now = SystemTime::now();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
        let directory = match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            Err(Errno::NOENT) => return Err(StoreError::Missing { path: path.to_path_buf() }),
            Err(Errno::NOTDIR) => return Err(Rule::NotADirectory.broken_by(path)),
            Err(e) => return Err(io_error(path, "open", e.into())),
        };
        let metadata = directory.metadata().map_err(|e| io_error(path, "examine", e))?;
        if metadata.mode() & 0o022 != 0 {
            return Err(Rule::DirectoryMode { mode: metadata.mode() & 0o7777 }.broken_by(path));
        }
        let owner = (metadata.uid(), metadata.gid());
        Ok(Folder { path: path.to_path_buf(), seen: Seen::new(&metadata, now), directory, owner })
    }

    /// Makes a directory, empty and with this mode whatever the umask says. One that is there already is taken when it
    /// is safe and empty.
    pub(crate) fn create(path: &Path, mode: u32) -> Result<Folder, StoreError> {
        match rustix::fs::mkdir(path, Mode::from_raw_mode(mode)) {
            Ok(()) => {
                reached(Step::FolderMade);
                // Just made, it is no link; were it one by now, somebody wants the mode of something else changed.
                let folder = Folder::open_of_anybody(path, OFlags::NOFOLLOW)?;
                let failed = |e: Errno| io_error(path, "set the mode of", e.into());
                rustix::fs::fchmod(&folder.directory, Mode::from_raw_mode(mode)).map_err(failed)?;
                if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
                    let synced = File::open(parent).and_then(|parent| parent.sync_all());
                    synced.map_err(|e| io_error(parent, "write out", e))?;
                }
                folder.must_be_ours()?;
                Ok(folder)
            }
            Err(Errno::EXIST) => {
                let folder = Folder::open(path)?;
                if folder.list()?.is_empty() {
                    Ok(folder)
                } else {
                    Err(StoreError::Exists { path: path.to_path_buf() })
                }
            }
            Err(e) => Err(io_error(path, "create", e.into())),
        }
    }

    /// Makes a directory that programs of several users may share, see [`Folder::open_as_owner`]: made by root, it belongs to whom the one
    /// above it belongs to.
    pub(crate) fn create_as_owner(path: &Path, mode: u32) -> Result<Folder, StoreError> {
        let made = Folder::create(path, mode)?;
        let above = path.parent().filter(|_| we_are_root()).map(std::fs::metadata);
        let (uid, gid) = match above {
            Some(Ok(above)) if above.uid() != 0 => (above.uid(), above.gid()),
            _ => return Ok(made),
        };
        // The owner of the one above could have put something else there by now. Nothing is given away but an empty directory of root's.
        let made = Folder::open_of_anybody(path, OFlags::NOFOLLOW)?;
        if made.owner.0 == 0 && made.list()?.is_empty() {
            rustix::fs::fchown(&made.directory, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|e| io_error(path, "give its owner to", e.into()))?;
        }
        Folder::open_as_owner(path)
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }

    /// Who may own a file in here, beside root.
    fn owner_of_files(&self) -> Owner {
        if we_are_root() { Owner::User(self.owner.0) } else { Owner::Us }
    }

    /// Owner, group and mode of a file that is made in here for whoever works in here.
    pub(crate) fn owners_own(&self) -> Keep {
        let (uid, gid) = self.owner;
        if we_are_root() { Keep { uid, gid, mode: 0o600 } } else { our_own() }
    }

    /// Whether a file has the stamp it had. Follows no link.
    pub(crate) fn still(&self, name: &OsStr, stamp: &Stamp) -> bool {
        std::fs::symlink_metadata(self.path_of(name)).is_ok_and(|m| Stamp::of(&m) == *stamp)
    }

    pub(crate) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    /// The names in the directory, in order.
    pub(crate) fn list(&self) -> Result<Vec<OsString>, StoreError> {
        let failed = |e: Errno| io_error(&self.path, "list", e.into());
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.directory).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(&name).to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a file, checks it and reads it whole. `None` when there is none.
    pub(crate) fn read(&self, name: &OsStr, owner: Owner) -> Result<Option<Content>, StoreError> {
        for _ in 0..READ_ATTEMPTS {
            let Some(mut file) = self.open_file(name, OFlags::RDONLY)? else { return Ok(None) };
            wait_for_netatalk(&file);
            // A file that was replaced while it was being read is read again under its name.
            if let Some(content) = read_once(&mut file, owner, &self.path_of(name))? {
                return Ok(Some(content));
            }
        }
        Err(StoreError::Busy { path: self.path_of(name) })
    }

    /// Opens a file for reading and writing and takes the lock that Netatalk's afppasswd takes, on all of the file: that
    /// includes the one byte it uses, whichever that is. The lock goes with the file; and it goes as well when *any*
    /// descriptor of this process on the same file is closed (POSIX), so the caller must read through this one.
    pub(crate) fn lock_file(
        &self,
        name: &OsStr,
        owner: Owner,
        wait: Duration,
    ) -> Result<Option<LockedFile>, StoreError> {
        let path = self.path_of(name);
        for _ in 0..READ_ATTEMPTS {
            let Some(mut file) = self.open_file(name, OFlags::RDWR)? else { return Ok(None) };
            let metadata = file.metadata().map_err(|e| io_error(&path, "examine", e))?;
            check_file(&metadata, owner).map_err(|rule| rule.broken_by(&path))?;
            take_lock(wait, &path, || rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive))?;
            let is_current = std::fs::symlink_metadata(&path)
                .is_ok_and(|current| Stamp::of(&current).same_inode(&Stamp::of(&metadata)));
            if is_current && let Some(content) = read_once(&mut file, owner, &path)? {
                return Ok(Some(LockedFile { content, _lock: file }));
            }
        }
        Err(StoreError::Busy { path })
    }

    /// Opens and checks a file that is changed in place, under an exclusive `flock` that goes with it; or, to look at it only, under a
    /// shared one. `None` when there is none.
    pub(crate) fn open_locked(&self, name: &OsStr, change: bool, wait: Duration) -> Result<Option<File>, StoreError> {
        let (access, lock) = if change {
            (OFlags::RDWR, FlockOperation::NonBlockingLockExclusive)
        } else {
            (OFlags::RDONLY, FlockOperation::NonBlockingLockShared)
        };
        let Some(file) = self.open_file(name, access)? else { return Ok(None) };
        let path = self.path_of(name);
        let metadata = file.metadata().map_err(|e| io_error(&path, "examine", e))?;
        check_file(&metadata, self.owner_of_files()).map_err(|rule| rule.broken_by(&path))?;
        take_lock(wait, &path, || rustix::fs::flock(&file, lock))?;
        Ok(Some(file))
    }

    /// Takes the store's own lock, a file of its own that is never removed, until the returned file is dropped.
    pub(crate) fn lock(&self, name: &OsStr, wait: Duration) -> Result<File, StoreError> {
        let path = self.path_of(name);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match rustix::fs::openat(&self.directory, name, flags, Mode::from_raw_mode(0o600)) {
            Ok(fd) => File::from(fd),
            Err(Errno::LOOP) => return Err(Rule::Symlink.broken_by(&path)),
            Err(e) => return Err(io_error(&path, "open the lock file", e.into())),
        };
        let metadata = file.metadata().map_err(|e| io_error(&path, "examine", e))?;
        check_file(&metadata, self.owner_of_files()).map_err(|rule| rule.broken_by(&path))?;
        let (uid, gid) = self.owner;
        // Root has made it. (A lock is empty; anything else is not given away.)
        if we_are_root() && metadata.uid() != uid && metadata.size() == 0 {
            rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .map_err(|e| io_error(&path, "give its owner to", e.into()))?;
        }
        take_lock(wait, &path, || rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive))?;
        reached(Step::Locked);
        Ok(file)
    }

    /// Puts a new file of these bytes in place of an old one or of none, in one step: whoever looks, and whatever stops
    /// the program or the machine, there is the old file or the new one. Only under [`Folder::lock`]; `temporary` is the
    /// one name used for files in the making, so what a killed program left there is removed by the next change.
    pub(crate) fn replace(&self, name: &OsStr, temporary: &OsStr, bytes: &[u8], keep: Keep) -> Result<(), StoreError> {
        self.remove_leftover(temporary)?;
        reached(Step::LeftoverRemoved);
        let result = self.write_new(temporary, bytes, keep).and_then(|()| {
            rustix::fs::renameat(&self.directory, temporary, &self.directory, name)
                .map_err(|e| io_error(&self.path_of(name), "replace", e.into()))
        });
        if let Err(error) = result {
            // The first failure is the one to tell; a leftover is removed by the next change.
            drop(self.remove_leftover(temporary));
            return Err(error);
        }
        reached(Step::Renamed);
        self.sync()?;
        reached(Step::DirectorySynced);
        Ok(())
    }

    /// Removes a file for good. `false` when there was none.
    pub(crate) fn remove(&self, name: &OsStr) -> Result<bool, StoreError> {
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(false),
            Err(e) => return Err(io_error(&self.path_of(name), "remove", e.into())),
        }
        reached(Step::Removed);
        self.sync()?;
        Ok(true)
    }

    /// Makes an empty file that must not have been there.
    pub(crate) fn create_file(&self, name: &OsStr, mode: u32) -> Result<(), StoreError> {
        let path = self.path_of(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.directory, name, flags, Mode::from_raw_mode(mode)) {
            Ok(fd) => {
                reached(Step::FileMade);
                File::from(fd).sync_all().map_err(|e| io_error(&path, "write out", e))?;
            }
            Err(Errno::EXIST) => return Err(StoreError::Exists { path }),
            Err(e) => return Err(io_error(&path, "create", e.into())),
        }
        self.sync()
    }

    fn open_file(&self, name: &OsStr, access: OFlags) -> Result<Option<File>, StoreError> {
        let path = self.path_of(name);
        // Not blocking: a pipe must not hang the server before it is found to be no regular file.
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        match rustix::fs::openat(&self.directory, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(File::from(fd))),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP) => Err(Rule::Symlink.broken_by(&path)),
            Err(Errno::ISDIR | Errno::NXIO) => Err(Rule::NotRegular.broken_by(&path)),
            Err(e) => Err(io_error(&path, "open", e.into())),
        }
    }

    fn write_new(&self, temporary: &OsStr, bytes: &[u8], keep: Keep) -> Result<(), StoreError> {
        let path = self.path_of(temporary);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let created = rustix::fs::openat(&self.directory, temporary, flags, Mode::from_raw_mode(0o600));
        let mut file = File::from(created.map_err(|e| io_error(&path, "create", e.into()))?);
        reached(Step::TemporaryCreated);
        file.write_all(bytes).map_err(|e| io_error(&path, "write", e))?;
        reached(Step::Written);
        let now = file.metadata().map_err(|e| io_error(&path, "examine", e))?;
        if (now.uid(), now.gid()) != (keep.uid, keep.gid) {
            rustix::fs::fchown(&file, Some(Uid::from_raw(keep.uid)), Some(Gid::from_raw(keep.gid)))
                .map_err(|e| io_error(&path, "give the old owner to", e.into()))?;
        }
        rustix::fs::fchmod(&file, Mode::from_raw_mode(keep.mode))
            .map_err(|e| io_error(&path, "set the mode of", e.into()))?;
        reached(Step::OwnerKept);
        file.sync_all().map_err(|e| io_error(&path, "write out", e))?;
        reached(Step::FileSynced);
        Ok(())
    }

    fn remove_leftover(&self, temporary: &OsStr) -> Result<(), StoreError> {
        match rustix::fs::unlinkat(&self.directory, temporary, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(io_error(&self.path_of(temporary), "remove", e.into())),
        }
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.directory.sync_all().map_err(|e| io_error(&self.path, "write out", e))
    }
}

/// A store file that afppasswd cannot change as long as this lives.
pub(crate) struct LockedFile {
    pub(crate) content: Content,
    _lock: File,
}

/// Owner and group a new file of ours gets.
pub(crate) fn our_own() -> Keep {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Keep { uid, gid, mode: 0o600 }
}

pub(crate) fn io_error(path: &Path, action: &'static str, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_path_buf(), action, source }
}

/// `None` when the file changed or lost its name meanwhile.
fn read_once(file: &mut File, owner: Owner, path: &Path) -> Result<Option<Content>, StoreError> {
    let failed = |e| io_error(path, "read", e);
    let now = SystemTime::now();
    let before = file.metadata().map_err(failed)?;
    if before.nlink() == 0 {
        return Ok(None);
    }
    check_file(&before, owner).map_err(|rule| rule.broken_by(path))?;
    let too_large = |size| StoreError::TooLarge { path: path.to_path_buf(), size, limit: MAX_FILE };
    if before.size() > MAX_FILE {
        return Err(too_large(before.size()));
    }
    // One byte more than the file has: a file that grew is noticed, and the buffer never moves (and is never left
    // behind unwiped).
    let room = usize::try_from(before.size()).unwrap_or(usize::MAX).saturating_add(1);
    let mut bytes = Zeroizing::new(vec![0; room]);
    let mut filled = 0_usize;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => filled = filled.saturating_add(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
    bytes.truncate(filled);
    let seen = Seen::new(&before, now);
    let after = file.metadata().map_err(failed)?;
    let unchanged = Stamp::of(&after) == seen.stamp && after.nlink() != 0 && filled.saturating_add(1) == room;
    Ok(unchanged.then(|| Content { bytes, seen, keep: Keep::of(&before) }))
}

fn check_file(metadata: &Metadata, owner: Owner) -> Result<(), Rule> {
    if !metadata.is_file() {
        return Err(Rule::NotRegular);
    }
    check_owner(metadata, owner)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(Rule::Mode { mode: metadata.mode() & 0o7777 });
    }
    if metadata.nlink() > 1 {
        return Err(Rule::HardLinks { links: metadata.nlink() });
    }
    Ok(())
}

fn we_are_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn check_owner(metadata: &Metadata, owner: Owner) -> Result<(), Rule> {
    let expected = match owner {
        Owner::Us => rustix::process::geteuid().as_raw(),
        Owner::User(uid) => uid,
    };
    let owner = metadata.uid();
    if owner == 0 || owner == expected { Ok(()) } else { Err(Rule::Owner { owner, expected }) }
}

/// Lets a change by afppasswd, which rewrites in place, come to its end. The lock is shared and goes with the file;
/// should the other one be held on and on, the file is read all the same, as Netatalk would.
fn wait_for_netatalk(file: &File) {
    let deadline = Instant::now().checked_add(READ_LOCK_WAIT);
    let held = || rustix::fs::fcntl_lock(file, FlockOperation::NonBlockingLockShared);
    while matches!(held(), Err(Errno::WOULDBLOCK | Errno::ACCESS)) {
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return;
        }
        thread::sleep(RETRY_EVERY);
    }
}

pub(crate) fn take_lock(
    wait: Duration,
    path: &Path,
    attempt: impl Fn() -> rustix::io::Result<()>,
) -> Result<(), StoreError> {
    let deadline = Instant::now().checked_add(wait);
    // A tally is held for microseconds, a store for the time of an fsync.
    let mut pause = Duration::from_micros(50);
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(Errno::WOULDBLOCK | Errno::ACCESS | Errno::INTR) => {}
            Err(e) => return Err(io_error(path, "lock", e.into())),
        }
        if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
            return Err(StoreError::Busy { path: path.to_path_buf() });
        }
        thread::sleep(pause);
        pause = pause.saturating_mul(2).min(RETRY_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_settled_once_the_next_change_must_differ() {
        let at = |seconds: u64| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).unwrap();
        let stamp =
            |seconds: i64| Stamp { device: 1, inode: 2, size: 3, modified: (0, 0), changed: (seconds, 999_999_999) };
        for (changed, now, settled) in [
            (1000, 1000, false),
            (1000, 1001, false),
            (1000, 1002, false),
            (1000, 1003, true),
            (1000, 9999, true),
            // The clock was set back, or is nonsense: nothing is certain.
            (1000, 999, false),
            (i64::MAX, 1000, false),
            (0, 0, false),
        ] {
            assert_eq!(stamp(changed).is_settled(at(now)), settled, "changed at {changed}, read at {now}");
        }
    }
}
