//! One change of a store, from taking the locks to the last `fsync`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::sync::MutexGuard;

use zeroize::Zeroizing;

use crate::Format;
use crate::cache::{self, Cache};
use crate::error::{StoreError, UnusableReason};
use crate::file::{self, Folder, Keep, LockedFile, Owner};
use crate::native::{self, AccountFile};
use crate::netatalk::{self, NewBody};
use crate::record::{Body, StoredAccount, StoredLogin};
use crate::store::{Existing, LeftOut, LeftOutReason, Store, Transfer};

/// A store that nobody else changes as long as this lives, and what is in it.
pub(crate) struct Change<'a> {
    store: &'a Store,
    folder: Folder,
    cache: MutexGuard<'a, Cache>,
    /// The Netatalk file, under Netatalk's own lock.
    netatalk: Option<LockedFile>,
    /// Who has which login name (native store).
    holders: HashMap<Vec<u8>, String>,
    _lock: File,
}

impl<'a> Change<'a> {
    /// Takes the locks and reads what is there; nothing can come between that and what is then written.
    pub(crate) fn begin(store: &'a Store) -> Result<Change<'a>, StoreError> {
        let folder = Folder::open(&store.folder)?;
        let lock = folder.lock(&store.lock, store.lock_wait)?;
        let mut cache = store.cache();
        // The cache first: reading the file by a second descriptor would give up Netatalk's lock.
        cache.refresh(store.format(), &folder, &store.file)?;
        let mut netatalk = None;
        if store.format() == Format::NetatalkFile {
            let missing = || StoreError::Missing { path: store.path().to_path_buf() };
            netatalk = Some(folder.lock_file(&store.file, Owner::Us, store.lock_wait)?.ok_or_else(missing)?);
        }
        // An account's own name is its own, whoever else claims it; of other names the first claim counts.
        let own = |account: &StoredAccount, login: &StoredLogin| login.name == account.name.as_bytes();
        let mut holders = HashMap::new();
        for own_names in [true, false] {
            for (_, account) in cache.accounts() {
                for login in account.logins.iter().filter(|login| own(account, login) == own_names) {
                    holders.entry(login.name.clone()).or_insert_with(|| account.name.clone());
                }
            }
        }
        Ok(Change { store, folder, cache, netatalk, holders, _lock: lock })
    }

    /// The account as it is stored. `None` also for the placeholder of a Netatalk directory: nobody is enrolled there.
    pub(crate) fn find(&mut self, account: &str) -> Result<Option<StoredAccount>, StoreError> {
        match self.store.format() {
            Format::Native => {
                let name = native::file_name(account);
                let Some(content) = self.folder.read(&name, Owner::Us)? else { return Ok(None) };
                let path = self.folder.path_of(&name);
                let parsed = native::parse(&name, &content.bytes);
                let parsed = parsed.map_err(|(line, reason)| StoreError::Malformed { path, line, reason })?;
                Ok(parsed.accounts.into_iter().next())
            }
            Format::NetatalkFile => {
                let image = self.image();
                if let [first, line, ..] = *netatalk::line_numbers(image, account) {
                    let path = self.store.path().to_path_buf();
                    return Err(StoreError::DuplicateRecord { path, line, first, account: account.to_owned() });
                }
                Ok(netatalk::parse_file(image).accounts.into_iter().find(|stored| stored.is_called(account)))
            }
            Format::NetatalkDirectory => {
                let uid = self.uid(account)?;
                let path = self.folder.path_of(&file_of(uid));
                let malformed = |reason| StoreError::Malformed { path, line: 1, reason };
                match self.cache.record_of(&self.folder, uid) {
                    Ok(None) | Err(UnusableReason::NotEnrolled) => Ok(None),
                    Ok(Some(stored)) if stored.name == account => Ok(Some(stored.clone())),
                    Ok(Some(_)) => Err(malformed(UnusableReason::OtherUser)),
                    Err(UnusableReason::Insecure { rule, fix }) => {
                        Err(StoreError::Insecure { path: self.folder.path_of(&file_of(uid)), rule, fix })
                    }
                    Err(reason) => Err(malformed(reason)),
                }
            }
        }
    }

    /// As [`Change::find`], for an account that has to be there.
    pub(crate) fn existing(&mut self, account: &str) -> Result<StoredAccount, StoreError> {
        self.find(account)?.ok_or_else(|| StoreError::NoSuchAccount { account: account.to_owned() })
    }

    /// Which account has a login name. Only the native store has names that are not the account's own.
    pub(crate) fn holder_of(&self, login_name: &[u8]) -> Option<&str> {
        self.holders.get(login_name).map(String::as_str)
    }

    /// Writes an account, new or in place of the old one.
    pub(crate) fn put(&mut self, account: &StoredAccount) -> Result<(), StoreError> {
        self.stage(account)?;
        self.finish()
    }

    /// Removes an account. `false` when there was none.
    pub(crate) fn delete(&mut self, account: &str) -> Result<bool, StoreError> {
        match self.store.format() {
            Format::Native => self.folder.remove(&native::file_name(account)),
            Format::NetatalkDirectory => {
                let uid = self.uid(account)?;
                self.folder.remove(&file_of(uid))
            }
            Format::NetatalkFile => {
                if self.find(account)?.is_none() {
                    return Ok(false);
                }
                self.set_image(netatalk::without_record(self.image(), account));
                self.finish()?;
                Ok(true)
            }
        }
    }

    /// Changes the one word in an account file of the native store and keeps everything else, faults included.
    pub(crate) fn set_enabled(&mut self, account: &str, enabled: bool) -> Result<(), StoreError> {
        let name = native::file_name(account);
        let no_such = || StoreError::NoSuchAccount { account: account.to_owned() };
        let content = self.folder.read(&name, Owner::Us)?.ok_or_else(no_such)?;
        let path = self.folder.path_of(&name);
        let read = AccountFile::read(&content.bytes);
        let mut document = read.map_err(|(line, reason)| StoreError::Malformed { path, line, reason })?;
        document.enabled = enabled;
        self.folder.replace(&name, &self.store.temporary, &document.to_toml(), content.keep)
    }

    /// Carries one account over from another store, as far as this one has a place for it. Call [`Change::finish`] after
    /// the last.
    pub(crate) fn import(
        &mut self,
        mut account: StoredAccount,
        existing: Existing,
        transfer: &mut Transfer,
    ) -> Result<(), StoreError> {
        let name = account.name.clone();
        let left_out = |login_name, reason| LeftOut { account: name.clone(), login_name, reason };
        if let Some(reason) = self.obstacle(&account, existing)? {
            transfer.left_out.push(left_out(None, reason));
            return Ok(());
        }
        let native = self.store.format() == Format::Native;
        account.logins.retain(|login| {
            let holder = self.holder_of(&login.name).filter(|holder| *holder != name);
            let reason = match (&login.body, holder) {
                _ if login.name == name.as_bytes() => return true,
                (Body::Unusable(reason), _) => LeftOutReason::Unusable(reason.clone()),
                (Body::Placeholder, _) => LeftOutReason::Placeholder,
                (Body::Active(_), _) if !native => LeftOutReason::NoPlaceForAliases,
                (Body::Active(_), Some(holder)) => LeftOutReason::LoginNameTaken { account: holder.to_owned() },
                (Body::Active(_), None) => return true,
            };
            transfer.left_out.push(left_out(Some(login.name.clone()), reason));
            false
        });
        if !native {
            account.full_name = None;
        }
        self.stage(&account)?;
        for login in &account.logins {
            self.holders.insert(login.name.clone(), name.clone());
        }
        transfer.transferred.push(name);
        Ok(())
    }

    /// Writes what [`Change::import`] has gathered (a Netatalk file is written once).
    pub(crate) fn finish(&mut self) -> Result<(), StoreError> {
        match &self.netatalk {
            Some(LockedFile { content, .. }) => {
                self.folder.replace(&self.store.file, &self.store.temporary, &content.bytes, content.keep)
            }
            None => Ok(()),
        }
    }

    /// Why an account cannot be carried over at all.
    fn obstacle(&mut self, account: &StoredAccount, existing: Existing) -> Result<Option<LeftOutReason>, StoreError> {
        let netatalk = self.store.format() != Format::Native;
        let own = account.logins.iter().find(|login| login.name == account.name.as_bytes());
        let reason = match own.map(|login| &login.body) {
            None => Some(match account.logins.first().map(|login| &login.body) {
                Some(Body::Unusable(reason)) => LeftOutReason::Unusable(reason.clone()),
                _ => LeftOutReason::NoOwnVerifier,
            }),
            Some(Body::Placeholder) => Some(LeftOutReason::Placeholder),
            Some(Body::Unusable(reason)) => Some(LeftOutReason::Unusable(reason.clone())),
            Some(Body::Active(_)) if netatalk && !account.enabled => Some(LeftOutReason::Disabled),
            Some(Body::Active(known)) if netatalk && known.verifier.group() != netatalk::GROUP => {
                Some(LeftOutReason::Group { bits: known.verifier.group().bits() })
            }
            Some(Body::Active(_)) => None,
        };
        if reason.is_some() {
            return Ok(reason);
        }
        match self.store.check_account_name(&account.name) {
            Err(StoreError::InvalidName { fault, .. }) => {
                return Ok(Some(LeftOutReason::Unusable(UnusableReason::Name(fault))));
            }
            other => other?,
        }
        if let Some(holder) = self.holder_of(account.name.as_bytes()).filter(|holder| *holder != account.name) {
            return Ok(Some(LeftOutReason::LoginNameTaken { account: holder.to_owned() }));
        }
        match self.find(&account.name) {
            Ok(Some(_)) if existing == Existing::Keep => Ok(Some(LeftOutReason::AlreadyThere)),
            Ok(_) => Ok(None),
            Err(StoreError::NoSystemUser { .. }) => Ok(Some(LeftOutReason::NoSystemUser)),
            Err(error @ (StoreError::Malformed { .. } | StoreError::Insecure { .. } | StoreError::TooLarge { .. })) => {
                Ok(Some(LeftOutReason::Unusable(cache::reason_of(error))))
            }
            Err(StoreError::DuplicateRecord { path, first, .. }) => {
                let first = format!("{}:{first}", path.display());
                Ok(Some(LeftOutReason::Unusable(UnusableReason::Duplicate { first })))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes an account; in a Netatalk file, into the image that [`Change::finish`] writes.
    fn stage(&mut self, account: &StoredAccount) -> Result<(), StoreError> {
        let own = account.logins.iter().find(|login| login.name == account.name.as_bytes());
        let new = match own {
            Some(StoredLogin { body: Body::Active(credentials), .. }) if account.enabled => {
                NewBody::Active(credentials)
            }
            _ => NewBody::Placeholder,
        };
        match self.store.format() {
            Format::Native => {
                let name = native::file_name(&account.name);
                self.write(&name, &native::write(account), file::our_own())
            }
            Format::NetatalkFile => {
                self.set_image(netatalk::with_record(self.image(), &account.name, &new));
                Ok(())
            }
            Format::NetatalkDirectory => {
                let uid = self.uid(&account.name)?;
                self.write(&file_of(uid), &netatalk::record(&account.name, &new), Keep { uid, ..file::our_own() })
            }
        }
    }

    /// Writes one file of a directory. An old one's mode and group stay; its owner too, but for a Netatalk directory,
    /// where writing a record is what makes the user's own file of root's placeholder.
    fn write(&self, name: &OsString, bytes: &[u8], new: Keep) -> Result<(), StoreError> {
        let netatalk = self.store.format() == Format::NetatalkDirectory;
        let owner = if netatalk { Owner::User(new.uid) } else { Owner::Us };
        let old = self.folder.read(name, owner)?.map(|content| content.keep);
        let keep = match old {
            Some(old) if netatalk => Keep { uid: new.uid, ..old },
            Some(old) => old,
            None => new,
        };
        self.folder.replace(name, &self.store.temporary, bytes, keep)
    }

    fn image(&self) -> &[u8] {
        self.netatalk.as_ref().map_or(&[], |locked| &locked.content.bytes)
    }

    fn set_image(&mut self, image: Zeroizing<Vec<u8>>) {
        if let Some(locked) = &mut self.netatalk {
            locked.content.bytes = image;
        }
    }

    fn uid(&self, account: &str) -> Result<u32, StoreError> {
        self.store.uid(account)?.ok_or_else(|| StoreError::NoSystemUser { account: account.to_owned() })
    }
}

fn file_of(uid: u32) -> OsString {
    OsString::from(uid.to_string())
}
