//! [`Store`]: what the rest of the program uses.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand_core::TryCryptoRng;
use srp6a::Group;
use subtle::ConstantTimeEq;

use crate::cache::{self, Cache};
use crate::change::Change;
use crate::error::{StoreError, UnusableReason, Warning};
use crate::file::{self, Folder};
use crate::netatalk;
use crate::record::{
    Account, Body, Credentials, Lookup, NewAccount, StoredAccount, StoredLogin, account_group, check_name, spellings,
};
use crate::users::{PasswdFile, Users};

/// How long a change waits for another one to finish.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// The three formats; see the [crate's page](crate) for what they look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Ours: a directory with one TOML file per account.
    Native,
    /// Netatalk 4.5: one file, one line per user.
    NetatalkFile,
    /// Netatalk 4.6: a directory with one file per user id.
    NetatalkDirectory,
}

impl Format {
    /// For error messages: which groups an account may have.
    pub(crate) fn group_sizes(self) -> &'static str {
        match self {
            Format::Native => "1536, 2048 or 3072 bits",
            Format::NetatalkFile | Format::NetatalkDirectory => "1536 bits only",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Native => "native store",
            Format::NetatalkFile => "Netatalk file",
            Format::NetatalkDirectory => "Netatalk directory",
        })
    }
}

/// What an import does with an account that is there already (a disabled one and a placeholder count).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays as it is; the report says so.
    Keep,
    /// It is replaced, with all its login names.
    Replace,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transfer {
    /// The accounts that were written, by name.
    pub transferred: Vec<String>,
    /// What was not.
    pub left_out: Vec<LeftOut>,
}

/// An account or login name an import could not carry over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The account.
    pub account: String,
    /// The login name, when the rest of the account was carried over.
    pub login_name: Option<Vec<u8>>,
    /// Why.
    pub reason: LeftOutReason,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.account)?;
        if let Some(login_name) = &self.login_name {
            write!(f, ", login name {:?}", String::from_utf8_lossy(login_name))?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Why something was left out of an import.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LeftOutReason {
    /// The account is there already and [`Existing::Keep`] was asked for.
    #[error("there is such an account already")]
    AlreadyThere,
    /// The login name belongs to another account there.
    #[error("the login name belongs to the account {account:?} there")]
    LoginNameTaken {
        /// Who has it.
        account: String,
    },
    /// The Netatalk formats have one login name per user: the account's own.
    #[error("the Netatalk formats have no further login names")]
    NoPlaceForAliases,
    /// The account's own name has no verifier to carry over, and a Netatalk format has no other name.
    #[error("there is no verifier for the account's own name")]
    NoOwnVerifier,
    /// A Netatalk format would have to destroy the verifier of a disabled account.
    #[error("the account is disabled, and the Netatalk formats cannot keep the verifier of such a one")]
    Disabled,
    /// Asterisks: there is nothing to carry over.
    #[error("there is no verifier, only a placeholder")]
    Placeholder,
    /// The Netatalk formats know the 1536-bit group alone.
    #[error("its group has {bits} bits, and the Netatalk formats know 1536 only")]
    Group {
        /// Size in bits.
        bits: usize,
    },
    /// A Netatalk directory needs a system user.
    #[error("it is not a user of this system, and a Netatalk directory names its files by user id")]
    NoSystemUser,
    /// The record in the source cannot be used.
    #[error("{0}")]
    Unusable(UnusableReason),
}

/// One verifier store on disk. Cheap to share (`Arc`), safe to use from many threads; a lookup costs a few `stat` calls
/// as long as nothing has changed.
pub struct Store {
    format: Format,
    /// As it was given.
    path: PathBuf,
    /// The directory, for a Netatalk file the one it is in.
    pub(crate) folder: PathBuf,
    /// The Netatalk file's name; empty in the other formats.
    pub(crate) file: OsString,
    pub(crate) lock: OsString,
    pub(crate) temporary: OsString,
    users: Arc<dyn Users>,
    pub(crate) lock_wait: Duration,
    cache: Mutex<Cache>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("format", &self.format).field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens a store that exists, and reads it once. Creates nothing. Records that cannot be used are no error: see
    /// [`Store::warnings`].
    ///
    /// # Errors
    /// [`StoreError::Missing`], [`StoreError::Insecure`] and whatever else keeps the whole store from being read.
    pub fn open(format: Format, path: &Path) -> Result<Store, StoreError> {
        Store::open_with_users(format, path, Arc::new(PasswdFile::default()))
    }

    /// Like [`Store::open`], with another source of user ids than `/etc/passwd` (only the Netatalk directory asks).
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_users(format: Format, path: &Path, users: Arc<dyn Users>) -> Result<Store, StoreError> {
        let store = Store::at(format, path, users)?;
        drop(store.current()?);
        Ok(store)
    }

    /// Makes an empty store: a directory (mode 0700, for Netatalk 0755), or a file (0600). An empty directory that is
    /// there already is taken. Directories above it must exist.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when something is there, [`StoreError::Insecure`] when others could write to the place.
    pub fn create(format: Format, path: &Path) -> Result<Store, StoreError> {
        Store::create_with_users(format, path, Arc::new(PasswdFile::default()))
    }

    /// Like [`Store::create`], with another source of user ids than `/etc/passwd`.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_with_users(format: Format, path: &Path, users: Arc<dyn Users>) -> Result<Store, StoreError> {
        let store = Store::at(format, path, users)?;
        match format {
            Format::Native => drop(Folder::create(&store.folder, 0o700)?),
            Format::NetatalkDirectory => drop(Folder::create(&store.folder, 0o755)?),
            Format::NetatalkFile => Folder::open(&store.folder)?.create_file(&store.file, 0o600)?,
        }
        drop(store.current()?);
        Ok(store)
    }

    /// Which format this store has.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Where it is, as given to [`Store::open`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the store says about a login name at this moment: a change by whatever program is seen.
    ///
    /// # Errors
    /// When the store cannot be read (any more), or is not safe (any more). What was known before is not used then.
    pub fn lookup(&self, login_name: &[u8]) -> Result<Lookup, StoreError> {
        if self.format == Format::NetatalkDirectory {
            self.lookup_by_uid(login_name)
        } else {
            Ok(self.current()?.0.lookup(login_name))
        }
    }

    /// Forgets what is known and reads everything again. Not needed for changes to be seen.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    pub fn reload(&self) -> Result<Vec<Warning>, StoreError> {
        self.cache().forget();
        self.warnings()
    }

    /// All accounts, sorted by the names of their files or in the order of the Netatalk file. Files that could not be
    /// read at all are among the [warnings](Store::warnings) only.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let (cache, _) = self.current()?;
        Ok(cache.accounts().map(|(_, account)| cache.as_looked_up(account).describe()).collect())
    }

    /// What is wrong with single records, now. All other accounts work.
    ///
    /// # Errors
    /// As [`Store::lookup`].
    pub fn warnings(&self) -> Result<Vec<Warning>, StoreError> {
        let (cache, folder) = self.current()?;
        let mut warnings = cache.warnings(&folder);
        if self.format == Format::NetatalkDirectory {
            for (name, account) in cache.accounts() {
                if self.uid(&account.name)? != cache::uid_of(name) {
                    let path = folder.path_of(name);
                    warnings.push(Warning { path, line: Some(1), reason: UnusableReason::OtherUser });
                }
            }
        }
        Ok(warnings)
    }

    /// Adds an account, in the native store with its full name as a further login name and with every other Unicode
    /// spelling of both.
    ///
    /// # Errors
    /// A name, group or password that is not allowed, an account or login name that exists, and all of
    /// [`Store::lookup`]'s.
    pub fn add<R: TryCryptoRng + ?Sized>(&self, new: &NewAccount<'_>, rng: &mut R) -> Result<(), StoreError> {
        self.check_account_name(new.name)?;
        if new.password.is_empty() {
            return Err(StoreError::EmptyPassword);
        }
        let bits = new.group.bits();
        let allowed = u64::try_from(bits).is_ok_and(|bits| account_group(bits).is_ok());
        if !allowed || (self.format != Format::Native && new.group != netatalk::GROUP) {
            return Err(StoreError::UnsupportedGroup { bits, format: self.format });
        }
        if let Some(full_name) = new.full_name {
            check_name(full_name).map_err(|fault| StoreError::InvalidName { name: full_name.to_owned(), fault })?;
            self.only_native("a full name")?;
        }
        let names = if self.format == Format::Native {
            new.full_name.into_iter().map(ToOwned::to_owned).fold(spellings(new.name), with_spellings)
        } else {
            vec![new.name.to_owned()]
        };
        let account = StoredAccount {
            name: new.name.to_owned(),
            full_name: new.full_name.map(ToOwned::to_owned),
            enabled: true,
            logins: logins(&names, new.group, new.password, rng)?,
        };

        let mut change = Change::begin(self)?;
        if change.find(new.name)?.is_some() {
            return Err(StoreError::AlreadyExists { account: new.name.to_owned() });
        }
        for login in &account.logins {
            if let Some(holder) = change.holder_of(&login.name) {
                let login_name = String::from_utf8_lossy(&login.name).into_owned();
                return Err(StoreError::DuplicateLoginName { login_name, account: holder.to_owned() });
            }
        }
        change.put(&account)
    }

    /// Gives an account a new password: every one of its login names gets a new salt and verifier, and every spelling
    /// of them that was missing is added (unless somebody else has it). In the Netatalk formats this enables a disabled
    /// account too; in the native store it stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`], [`StoreError::EmptyPassword`], and all of [`Store::lookup`]'s.
    pub fn set_password<R: TryCryptoRng + ?Sized>(
        &self,
        account: &str,
        password: &[u8],
        rng: &mut R,
    ) -> Result<(), StoreError> {
        if password.is_empty() {
            return Err(StoreError::EmptyPassword);
        }
        let mut change = Change::begin(self)?;
        let mut stored = change.existing(account)?;
        let group = stored.group().unwrap_or(netatalk::GROUP);
        let mut names = vec![account.to_owned()];
        if self.format == Format::Native {
            let known = stored.logins.iter().map(|login| String::from_utf8_lossy(&login.name).into_owned());
            let known = known.chain(stored.full_name.clone()).filter(|name| check_name(name).is_ok());
            names = known.fold(spellings(account), with_spellings);
            names.retain(|name| change.holder_of(name.as_bytes()).is_none_or(|holder| holder == account));
        } else {
            stored.enabled = true;
        }
        stored.logins = logins(&names, group, password, rng)?;
        change.put(&stored)
    }

    /// Gives an account of a native store a further login name (and its other Unicode spellings). The password must be
    /// the account's own: it is needed because the verifier is computed over the name, and it is checked against the
    /// account's verifier, so that a slip of the finger does not make a second password.
    ///
    /// # Errors
    /// [`StoreError::WrongPassword`], [`StoreError::DuplicateLoginName`], [`StoreError::NotInFormat`] for the Netatalk
    /// formats, and those of [`Store::set_password`].
    pub fn add_alias<R: TryCryptoRng + ?Sized>(
        &self,
        account: &str,
        login_name: &str,
        password: &[u8],
        rng: &mut R,
    ) -> Result<(), StoreError> {
        self.only_native("further login names")?;
        check_name(login_name).map_err(|fault| StoreError::InvalidName { name: login_name.to_owned(), fault })?;
        if password.is_empty() {
            return Err(StoreError::EmptyPassword);
        }
        let mut change = Change::begin(self)?;
        let mut stored = change.existing(account)?;
        for login in &stored.logins {
            // Rewriting the file would lose the record at fault.
            if let Body::Unusable(reason) = &login.body {
                return Err(StoreError::Unusable { account: account.to_owned(), reason: reason.clone() });
            }
        }
        let own = stored.logins.iter().find(|login| login.name == account.as_bytes()).or(stored.logins.first());
        let Some(StoredLogin { name, body: Body::Active(known), .. }) = own else {
            return Err(StoreError::NoSuchAccount { account: account.to_owned() });
        };
        let group = known.verifier.group();
        let given = Credentials::derive(group, name, password, known.salt);
        if !bool::from(given.verifier.as_be_bytes().ct_eq(known.verifier.as_be_bytes())) {
            return Err(StoreError::WrongPassword { account: account.to_owned() });
        }
        let mut names = Vec::new();
        for name in spellings(login_name) {
            match change.holder_of(name.as_bytes()) {
                None => names.push(name),
                // The other spelling of a name the account has already.
                Some(holder) if holder == account && name != login_name => {}
                Some(holder) => {
                    let account = holder.to_owned();
                    return Err(StoreError::DuplicateLoginName { login_name: name, account });
                }
            }
        }
        stored.logins.extend(logins(&names, group, password, rng)?);
        change.put(&stored)
    }

    /// Lets an account log in again.
    ///
    /// # Errors
    /// [`StoreError::VerifierDestroyed`] in the Netatalk formats, where only a new password can do it;
    /// [`StoreError::NoSuchAccount`]; all of [`Store::lookup`]'s.
    pub fn enable(&self, account: &str) -> Result<(), StoreError> {
        self.set_enabled(account, true)
    }

    /// Keeps an account from logging in. In the Netatalk formats its verifier is lost by that.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`] and all of [`Store::lookup`]'s.
    pub fn disable(&self, account: &str) -> Result<(), StoreError> {
        self.set_enabled(account, false)
    }

    /// Removes an account and all its login names, even one whose file cannot be used.
    ///
    /// # Errors
    /// [`StoreError::NoSuchAccount`] and all of [`Store::lookup`]'s.
    pub fn remove(&self, account: &str) -> Result<(), StoreError> {
        let mut change = Change::begin(self)?;
        if change.delete(account)? { Ok(()) } else { Err(StoreError::NoSuchAccount { account: account.to_owned() }) }
    }

    /// Copies every account of another store into this one, verifiers and all; nobody needs a new password. Spellings
    /// that the source does not have cannot be made without the password and come with the next change of it.
    ///
    /// # Errors
    /// When one of the stores cannot be read or this one not written. In a directory the accounts written before that
    /// stay; a Netatalk file is written once, with all of them.
    pub fn import_from(&self, source: &Store, existing: Existing) -> Result<Transfer, StoreError> {
        let accounts: Vec<StoredAccount> = {
            let (cache, _) = source.current()?;
            let mine = |name: &OsStr, account: &StoredAccount| {
                Ok::<bool, StoreError>(
                    source.format != Format::NetatalkDirectory || source.uid(&account.name)? == cache::uid_of(name),
                )
            };
            let mut accounts = Vec::new();
            for (name, account) in cache.accounts() {
                if mine(name, account)? {
                    accounts.push(cache.as_looked_up(account));
                }
            }
            accounts
        };
        let mut transfer = Transfer::default();
        let mut change = Change::begin(self)?;
        for account in accounts {
            change.import(account, existing, &mut transfer)?;
        }
        if !transfer.transferred.is_empty() {
            change.finish()?;
        }
        Ok(transfer)
    }

    /// Copies every account of this store into another: [`Store::import_from`] the other way round.
    ///
    /// # Errors
    /// As [`Store::import_from`].
    pub fn export_to(&self, target: &Store, existing: Existing) -> Result<Transfer, StoreError> {
        target.import_from(self, existing)
    }

    fn at(format: Format, path: &Path, users: Arc<dyn Users>) -> Result<Store, StoreError> {
        let (folder, file) = match format {
            Format::Native | Format::NetatalkDirectory => (path, OsString::new()),
            Format::NetatalkFile => {
                let no_file = || file::io_error(path, "use as a file", std::io::ErrorKind::IsADirectory.into());
                let file = path.file_name().ok_or_else(no_file)?.to_owned();
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                (folder.unwrap_or(Path::new(".")), file)
            }
        };
        // Hidden names, so that neither we nor Netatalk take them for records.
        let hidden = |suffix: &str| {
            let mut name = OsString::from(".");
            name.push(if file.is_empty() { OsStr::new("afpd-rs") } else { &file });
            name.push(suffix);
            name
        };
        Ok(Store {
            format,
            path: path.to_path_buf(),
            folder: folder.to_path_buf(),
            lock: hidden(".lock"),
            temporary: hidden(".new"),
            file,
            users,
            lock_wait: LOCK_WAIT,
            cache: Mutex::default(),
        })
    }

    pub(crate) fn cache(&self) -> MutexGuard<'_, Cache> {
        // A panic under the lock would be our bug; what it left half done is forgotten.
        self.cache.lock().unwrap_or_else(|poisoned| {
            self.cache.clear_poison();
            let mut cache = PoisonError::into_inner(poisoned);
            cache.forget();
            cache
        })
    }

    /// The cache, true at this moment, and the directory it is about.
    fn current(&self) -> Result<(MutexGuard<'_, Cache>, Folder), StoreError> {
        let mut cache = self.cache();
        let folder = Folder::open(&self.folder).inspect_err(|_| cache.forget())?;
        cache.refresh(self.format, &folder, &self.file)?;
        Ok((cache, folder))
    }

    /// As Netatalk 4.6 does it: from the name to the user id, and from there to the one file that can be meant. So a
    /// record in which a user calls himself by another's name is worth nothing.
    fn lookup_by_uid(&self, login_name: &[u8]) -> Result<Lookup, StoreError> {
        let mut cache = self.cache();
        let folder = Folder::open(&self.folder).inspect_err(|_| cache.forget())?;
        let name = String::from_utf8_lossy(login_name);
        let Some(uid) = self.uid(&name)?.filter(|_| name.as_bytes() == login_name) else { return Ok(Lookup::Unknown) };
        let account = name.into_owned();
        Ok(match cache.record_of(&folder, uid) {
            Ok(None) => Lookup::Unknown,
            Ok(Some(stored)) if stored.name != account => {
                Lookup::Unusable { account, reason: UnusableReason::OtherUser }
            }
            Ok(Some(stored)) => stored.logins.first().map_or(Lookup::Unknown, |login| stored.lookup(login)),
            Err(reason) => Lookup::Unusable { account, reason },
        })
    }

    pub(crate) fn uid(&self, name: &str) -> Result<Option<u32>, StoreError> {
        let failed = |e| file::io_error(&self.path, "find out the user ids for", e);
        self.users.uid(name.as_bytes()).map_err(failed)
    }

    fn only_native(&self, what: &'static str) -> Result<(), StoreError> {
        let format = self.format;
        if format == Format::Native { Ok(()) } else { Err(StoreError::NotInFormat { format, what }) }
    }

    pub(crate) fn check_account_name(&self, name: &str) -> Result<(), StoreError> {
        let checked =
            if self.format == Format::Native { check_name(name) } else { netatalk::check_netatalk_name(name) };
        checked.map_err(|fault| StoreError::InvalidName { name: name.to_owned(), fault })
    }

    fn set_enabled(&self, account: &str, enabled: bool) -> Result<(), StoreError> {
        let mut change = Change::begin(self)?;
        let stored = change.existing(account)?;
        match (self.format, enabled) {
            (Format::Native, _) => change.set_enabled(account, enabled),
            (_, true) if stored.enabled => Ok(()),
            (_, true) => Err(StoreError::VerifierDestroyed { account: account.to_owned() }),
            (_, false) if !stored.enabled => Ok(()),
            (_, false) => change.put(&StoredAccount { enabled: false, ..stored }),
        }
    }
}

/// A salt and verifier for each name.
fn logins<R: TryCryptoRng + ?Sized>(
    names: &[String],
    group: Group,
    password: &[u8],
    rng: &mut R,
) -> Result<Vec<StoredLogin>, StoreError> {
    let login = |name: &String| {
        let body = Body::Active(Credentials::new(group, name.as_bytes(), password, rng)?);
        Ok(StoredLogin { name: name.clone().into_bytes(), line: 0, body })
    };
    names.iter().map(login).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `fold` wants")]
fn with_spellings(mut names: Vec<String>, name: String) -> Vec<String> {
    for spelling in spellings(&name) {
        if !names.contains(&spelling) {
            names.push(spelling);
        }
    }
    names
}
