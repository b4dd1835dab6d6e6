//! What has been read of a store, and whether it is still so.
//!
//! Each file is parsed once and kept with its stamp (device, inode, size, both change times in nanoseconds). Before each
//! lookup the stamps are compared; a file whose stamp differs, or whose last change was too recent when it was read for
//! the stamp to be sure to show the next, is read again. What cannot be read any more is forgotten, never used on.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::Format;
use crate::error::{StoreError, UnusableReason, Warning};
use crate::file::{Content, Folder, Owner, Seen, Stamp};
use crate::record::{Body, Lookup, Parsed, StoredAccount, Warned};
use crate::{native, netatalk};

/// The files of one store.
#[derive(Default)]
pub(crate) struct Cache {
    folder: Option<Stamp>,
    listing: Option<(Seen, Vec<OsString>)>,
    files: BTreeMap<OsString, CachedFile>,
    /// By login name. For the Netatalk directory it stays empty: there the user id decides, see [`Cache::record_of`].
    index: HashMap<Vec<u8>, Lookup>,
    duplicates: Vec<Warning>,
}

struct CachedFile {
    /// `None`: read again at each look. So is whatever could not be used.
    seen: Option<Seen>,
    parsed: Result<Parsed, Fault>,
}

/// A file that gave nothing, and why.
#[derive(Clone, PartialEq, Eq)]
struct Fault {
    line: Option<usize>,
    reason: UnusableReason,
}

impl Cache {
    /// Makes everything in here true again.
    ///
    /// # Errors
    /// When the store as a whole cannot be used. Then nothing stays in the cache.
    pub(crate) fn refresh(&mut self, format: Format, folder: &Folder, file: &OsStr) -> Result<(), StoreError> {
        self.refresh_or_keep(format, folder, file).inspect_err(|_| self.forget())
    }

    /// Like [`Cache::refresh`], for one file of a Netatalk directory.
    pub(crate) fn record_of(&mut self, folder: &Folder, uid: u32) -> Result<Option<&StoredAccount>, UnusableReason> {
        self.start(folder);
        let name = OsString::from(uid.to_string());
        self.refresh_entry(Format::NetatalkDirectory, folder, &name);
        match self.files.get(&name).map(|cached| &cached.parsed) {
            None => Ok(None),
            Some(Err(fault)) => Err(fault.reason.clone()),
            Some(Ok(parsed)) => Ok(parsed.accounts.first()),
        }
    }

    /// What is known about a login name. After [`Cache::refresh`].
    pub(crate) fn lookup(&self, login_name: &[u8]) -> Lookup {
        self.index.get(login_name).cloned().unwrap_or(Lookup::Unknown)
    }

    /// An account with those of its login names marked that cannot be used because another record has them too.
    pub(crate) fn as_looked_up(&self, account: &StoredAccount) -> StoredAccount {
        let mut account = account.clone();
        for login in &mut account.logins {
            if let Some(Lookup::Unusable { reason, .. }) = self.index.get(&login.name) {
                login.body = Body::Unusable(reason.clone());
            }
        }
        account
    }

    /// All accounts with the file each is in.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (&OsStr, &StoredAccount)> {
        self.files.iter().flat_map(|(name, cached)| {
            let accounts = cached.parsed.as_ref().map(|parsed| parsed.accounts.as_slice()).unwrap_or_default();
            accounts.iter().map(move |account| (name.as_os_str(), account))
        })
    }

    /// Everything that is wrong with the store's records.
    pub(crate) fn warnings(&self, folder: &Folder) -> Vec<Warning> {
        let mut warnings = Vec::new();
        for (name, cached) in &self.files {
            let path = folder.path_of(name);
            let mut warn = |line, reason: &UnusableReason| {
                warnings.push(Warning { path: path.clone(), line, reason: reason.clone() });
            };
            match &cached.parsed {
                Err(fault) => warn(fault.line, &fault.reason),
                Ok(parsed) => parsed.warnings.iter().for_each(|Warned { line, reason }| warn(*line, reason)),
            }
        }
        warnings.extend(self.duplicates.iter().cloned());
        warnings
    }

    pub(crate) fn forget(&mut self) {
        *self = Cache::default();
    }

    fn refresh_or_keep(&mut self, format: Format, folder: &Folder, file: &OsStr) -> Result<(), StoreError> {
        self.start(folder);
        let changed = match format {
            Format::NetatalkFile => self.refresh_file(folder, file)?,
            Format::Native | Format::NetatalkDirectory => self.refresh_entries(format, folder)?,
        };
        if changed && format != Format::NetatalkDirectory {
            self.rebuild_index(folder);
        }
        Ok(())
    }

    /// Another directory in the old one's place has nothing to do with what is known.
    fn start(&mut self, folder: &Folder) {
        let stamp = folder.seen().stamp;
        if self.folder.is_some_and(|known| !known.same_inode(&stamp)) {
            self.forget();
        }
        self.folder = Some(stamp);
    }

    fn refresh_file(&mut self, folder: &Folder, name: &OsStr) -> Result<bool, StoreError> {
        if self.files.get(name).is_some_and(|cached| cached.is_current(folder, name)) {
            return Ok(false);
        }
        let missing = || StoreError::Missing { path: folder.path_of(name) };
        let Content { bytes, seen, .. } = folder.read(name, Owner::Us)?.ok_or_else(missing)?;
        let cached = CachedFile { seen: Some(seen), parsed: Ok(netatalk::parse_file(&bytes)) };
        self.files.insert(name.to_owned(), cached);
        Ok(true)
    }

    fn refresh_entries(&mut self, format: Format, folder: &Folder) -> Result<bool, StoreError> {
        let seen = folder.seen();
        let listed = self.listing.take().filter(|(known, _)| known.settled && known.stamp == seen.stamp);
        let mut changed = false;
        let (seen, names) = if let Some(listed) = listed {
            listed
        } else {
            let mut names = folder.list()?;
            names.retain(|name| !name.as_encoded_bytes().starts_with(b"."));
            let before = self.files.len();
            self.files.retain(|name, _| names.binary_search(name).is_ok());
            changed = before != self.files.len();
            (seen, names)
        };
        for name in &names {
            changed |= self.refresh_entry(format, folder, name);
        }
        self.listing = Some((seen, names));
        Ok(changed)
    }

    /// Whether anything may have changed.
    fn refresh_entry(&mut self, format: Format, folder: &Folder, name: &OsStr) -> bool {
        if self.files.get(name).is_some_and(|cached| cached.is_current(folder, name)) {
            return false;
        }
        match CachedFile::read(format, folder, name) {
            Some(cached) => {
                let fault = cached.parsed.as_ref().err().cloned();
                let before = self.files.insert(name.to_owned(), cached);
                // A file that is broken as before does not make a new index necessary.
                fault.is_none() || before.and_then(|b| b.parsed.err()) != fault
            }
            None => self.files.remove(name).is_some(),
        }
    }

    fn rebuild_index(&mut self, folder: &Folder) {
        let mut index: HashMap<Vec<u8>, Lookup> = HashMap::new();
        let mut first_seen: HashMap<&[u8], String> = HashMap::new();
        let mut duplicates = Vec::new();
        for (name, cached) in &self.files {
            let path = folder.path_of(name);
            let Ok(parsed) = &cached.parsed else { continue };
            for account in &parsed.accounts {
                for login in &account.logins {
                    let place = format!("{}:{}", path.display(), login.line);
                    if let Some(first) = first_seen.get(login.name.as_slice()) {
                        let reason = UnusableReason::Duplicate { first: first.clone() };
                        duplicates.push(Warning { path: path.clone(), line: Some(login.line), reason: reason.clone() });
                        index.insert(login.name.clone(), Lookup::Unusable { account: account.name.clone(), reason });
                    } else {
                        first_seen.insert(&login.name, place);
                        index.insert(login.name.clone(), account.lookup(login));
                    }
                }
            }
        }
        // An account whose file gave nothing is known by the file's name, if by nothing else.
        for (name, cached) in &self.files {
            let Err(fault) = &cached.parsed else { continue };
            let Some(account) = native::account_name(name) else { continue };
            let lookup = Lookup::Unusable { account: account.clone(), reason: fault.reason.clone() };
            index.insert(account.into_bytes(), lookup);
        }
        self.index = index;
        self.duplicates = duplicates;
    }
}

impl CachedFile {
    fn is_current(&self, folder: &Folder, name: &OsStr) -> bool {
        self.seen.is_some_and(|seen| seen.settled && folder.still(name, &seen.stamp))
    }

    /// A file of a native store or a Netatalk directory. `None` when there is none.
    fn read(format: Format, folder: &Folder, name: &OsStr) -> Option<CachedFile> {
        let fault = |line, reason| CachedFile { seen: None, parsed: Err(Fault { line, reason }) };
        let uid = uid_of(name);
        let owner = match (format, uid) {
            (Format::Native, _) if native::is_account_file(name) => Owner::Us,
            (Format::NetatalkDirectory, Some(uid)) => Owner::User(uid),
            _ => return Some(fault(None, UnusableReason::NotPartOfStore)),
        };
        let Content { bytes, seen, keep } = match folder.read(name, owner) {
            Ok(content) => content?,
            Err(error) => return Some(fault(None, reason_of(error))),
        };
        let parsed = match uid {
            Some(uid) if format == Format::NetatalkDirectory => {
                read_record(&bytes, uid, keep.uid, &folder.path_of(name)).map_err(|reason| (1, reason))
            }
            _ => native::parse(name, &bytes),
        };
        Some(match parsed {
            Ok(parsed) => CachedFile { seen: Some(seen), parsed: Ok(parsed) },
            Err((line, reason)) => fault(Some(line), reason),
        })
    }
}

/// The user id a file of a Netatalk directory is for: decimal digits as `printf` writes them.
pub(crate) fn uid_of(name: &OsStr) -> Option<u32> {
    let uid: u32 = name.to_str()?.parse().ok()?;
    (uid.to_string().as_str() == name).then_some(uid)
}

/// Netatalk 4.6: root's placeholder is not an enrolment, the user's own asterisks are a switched-off one, and an active
/// record must be the user's own.
fn read_record(image: &[u8], uid: u32, owner: u32, path: &Path) -> Result<Parsed, UnusableReason> {
    let account = netatalk::parse_record(image)?;
    let placeholder = account.logins.iter().all(|l| matches!(l.body, Body::Placeholder));
    if owner != uid {
        return Err(if placeholder {
            UnusableReason::NotEnrolled
        } else {
            reason_of(crate::error::Rule::RootOwnedActive { expected: uid }.broken_by(path))
        });
    }
    for login in &account.logins {
        if let Body::Unusable(reason) = &login.body {
            return Err(reason.clone());
        }
    }
    Ok(Parsed { accounts: vec![account], warnings: Vec::new() })
}

/// What one unreadable file means while the others work.
pub(crate) fn reason_of(error: StoreError) -> UnusableReason {
    match error {
        StoreError::Insecure { rule, fix, .. } => UnusableReason::Insecure { rule, fix },
        StoreError::TooLarge { size, limit, .. } => UnusableReason::TooLarge { size, limit },
        StoreError::Malformed { reason, .. } => reason,
        StoreError::Io { source, .. } => UnusableReason::Unreadable { kind: source.kind() },
        _ => UnusableReason::Unreadable { kind: std::io::ErrorKind::ResourceBusy },
    }
}
