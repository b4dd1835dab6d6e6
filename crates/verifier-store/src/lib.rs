//! Who may log in: accounts, their login names and SRP verifiers, on disk in three formats.
//!
//! A server asks one question, [`Store::lookup`]: what is known about this login name? The answer is salt and verifier,
//! or why there is none. The rest is for the administrator's commands, and for the numbers of failed attempts, which are kept in
//! the [`tally`]. What follows from those numbers, wire formats and the arithmetic of SRP live elsewhere.
//!
//! ```no_run
//! use std::path::Path;
//! use verifier_store::{Format, Lookup, NewAccount, Store};
//! # fn main() -> Result<(), verifier_store::StoreError> {
//! # let mut rng = getrandom::SysRng;
//! let store = Store::create(Format::Native, Path::new("/var/lib/afpd-rs/accounts"))?;
//! let group = srp6a::Group::Bits1536;
//! store.add(&NewAccount { name: "jörg", full_name: Some("Jörg Müller"), group, password: b"secret" }, &mut rng)?;
//! match store.lookup("Jörg Müller".as_bytes())? {
//!     Lookup::Found(record) => println!("{} logs in with {} bits", record.account, record.verifier.group().bits()),
//!     Lookup::Unknown => println!("never heard of"),
//!     Lookup::Disabled { account } => println!("{account} is switched off"),
//!     Lookup::Unusable { account, reason } => println!("{account}: {reason}"),
//! }
//! # Ok(()) }
//! ```
//!
//! # Accounts and login names
//! The verifier is computed over the login name *as typed* (the specification: x = SHA1(salt | SHA1(name ":" password))),
//! so every spelling somebody may type needs a salt and verifier of its own. In the native store an account has several
//! login names: its own name, the person's full name, aliases, and of each of these the composed (NFC) and decomposed
//! (NFD) Unicode spelling when they differ; the latter are added by themselves. All have the same password:
//! [`Store::set_password`] renews them all. Login names are compared byte for byte; each belongs to one account.
//! A name has 1 to 255 bytes of UTF-8, without control characters and colons. `bob` and `Bob` are two accounts.
//!
//! # The formats
//! ## Native (the default)
//! A directory (mode 0700) with one file (0600) per account. The file is called after the account: `a`-`z`, `0`-`9`, `-`,
//! `_` and inner dots stand for themselves, every other byte is `%` and two hex digits, so `Bob` is `%42ob.toml`, on any
//! file system another file than `bob.toml`. (Names that get longer than 200 bytes by that end in `~` and a SHA-256.)
//! ```toml
//! # Written by afpd-rs; comments are not kept.
//! version = 1
//! account = "jörg"
//! full_name = "Jörg Müller"      # may be missing; every other key must be there
//! enabled = true
//!
//! [[login]]                      # one or more
//! name = "jörg"
//! group = 1536                   # or 2048, 3072
//! salt = "…"                     # 32 hex digits
//! verifier = "…"                 # 384, 512 or 768 hex digits
//! ```
//! ## Netatalk file
//! Netatalk 4.5's `afppasswd.srp`: a line `user:salt:verifier` per user, 32 and 384 hex digits (capitals are written,
//! either case is read). Asterisks in place of the digits mean that there is no verifier: the user was disabled or never
//! had a password, which the format does not tell apart. Only the 1536-bit group, only one login name per user. A change
//! keeps every other byte of the file: comments, foreign lines, line ends, and what follows the digits.
//! ```text
//! alice:00112233445566778899AABBCCDDEEFF:5A…
//! bob:********************************:**…
//! ```
//! ## Netatalk directory
//! Netatalk 4.6's: a directory (0755) with one file (0600) per user, called by the *user id*, owned by that user, and
//! holding exactly one line as above. A login name is looked up among the system's users ([`Users`]; `/etc/passwd` by
//! default), and the file of that user id is the only one that counts: what a user writes into his own file about
//! somebody else is void. Netatalk's words for what can be found there, and ours:
//!
//! | there | Netatalk 4.6 | [`Store::lookup`] |
//! |---|---|---|
//! | user's own file, active | OK | [`Lookup::Found`] |
//! | no file | MISSING | [`Lookup::Unknown`] |
//! | root's file, asterisks | NOT_ENROLLED | [`Lookup::Unusable`] ([`UnusableReason::NotEnrolled`]) |
//! | user's own file, asterisks | DISABLED | [`Lookup::Disabled`] |
//! | root's file, active; foreign owner, link, mode | UNSAFE | [`Lookup::Unusable`] ([`UnusableReason::Insecure`]) |
//! | anything else in it | INVALID | [`Lookup::Unusable`] (the fault) |
//!
//! In both Netatalk formats disabling an account destroys its verifier; enabling it takes a new password.
//!
//! # What is refused
//! - *Files and directories* that anybody but root and this process's user could have changed, or others could read:
//!   symbolic links, hard links, foreign owners, any permission of group or others, directories that group or others may
//!   write to ([`Rule`]). It is the opened file that is checked, never a path. The error carries a command that repairs
//!   it. Links in the path *to* the store are followed; where they lead is checked. Files above 16 MiB are not read.
//! - *Verifiers* of 0 (they let anyone in) or not below N, and groups other than 1536, 2048 and 3072 bits.
//! - *Login names given twice*: neither is used. Netatalk goes by the first; here nobody gets in by a name until it is
//!   clear whose it is.
//!
//! What is wrong with one record, line or account file leaves all others working. The lookup of that name gives
//! [`Lookup::Unusable`], and [`Store::warnings`] says file, line and reason. What is wrong with the whole (a Netatalk file
//! or a directory that is unsafe or cannot be read) is a [`StoreError`] of each lookup: the caller decides what to tell
//! the client, and nothing known from before is used. Errors come in these kinds:
//!
//! | kind | variants |
//! |---|---|
//! | the system | [`StoreError::Io`], [`StoreError::Randomness`] |
//! | the place | [`StoreError::Missing`], [`StoreError::Exists`], [`StoreError::Insecure`], [`StoreError::TooLarge`] |
//! | the content | [`StoreError::Malformed`], [`StoreError::DuplicateRecord`], [`StoreError::Unusable`] |
//! | somebody else at work | [`StoreError::Busy`] |
//! | what was asked for | all others |
//!
//! # Changes by others
//! A lookup compares device, inode, size and both change times (nanoseconds) of the directory and each file with what they
//! were when it was read, and reads again what differs. A file whose last change was less than three seconds old when it
//! was read is read again each time, because a second change within one tick of the clock would not show. So a change by
//! whatever program, by replacing or by rewriting in place, counts from the next lookup on. This relies on the file
//! system's clock being this machine's: on a network file system it may be another.
//!
//! # How a change is made
//! 1. An exclusive `flock` on the lock file (`.afpd-rs.lock` in a directory, `.afppasswd.srp.lock` beside a Netatalk file of
//!    that name; it is never removed). Whoever has to wait for more than ten seconds gets [`StoreError::Busy`].
//! 2. For a Netatalk file also the POSIX record lock that `afppasswd` takes on it, over all bytes. Readers wait up to 250 ms
//!    for that lock too, so that they do not see a line half rewritten.
//! 3. The store is read again, so that nothing is based on what was known before.
//! 4. The new content goes to a temporary file of fixed name (`.afpd-rs.new`, `.afppasswd.srp.new`) in the same directory,
//!    gets the owner and mode of the file it will replace, and is synced.
//! 5. `rename` over the old file, sync of the directory.
//!
//! A kill or power failure at any point leaves the old file or the new one. A leftover temporary file is ignored and
//! removed by the next change; locks end with the process. Two limits come with Netatalk's side: an `afppasswd` that has
//! opened the file already and waits for the lock while we replace the file then writes into the old one, and its change is
//! lost; and POSIX locks are given up when the process closes *any* descriptor of the file, so a program should have one
//! [`Store`] per Netatalk file.
//!
//! # Secrets in memory
//! The verifiers of all accounts are kept for as long as the [`Store`] lives, in memory that is wiped when they go; so are
//! the buffers files are read into and written from. Hex digits are decoded in constant time, and no verifier, salt or
//! password is in any `Debug` output or error. What remains: the operating system's page cache, and a copy made by the TOML
//! parser if somebody writes a verifier with escapes (`"\u0041…"`), which nobody does.

#![forbid(unsafe_code)]

mod cache;
mod change;
mod error;
mod file;
#[doc(hidden)]
pub mod for_test;
mod hex;
mod native;
mod netatalk;
#[cfg(test)]
mod process_tests;
mod record;
mod store;
pub mod tally;
mod tally_memory;
#[cfg(test)]
mod tally_tests;
mod users;

pub use error::{NameFault, Rule, StoreError, UnusableReason, Warning};
pub use record::{Account, LoginName, LoginNameKind, LoginRecord, Lookup, NewAccount, SALT_LEN, Salt, Status};
pub use store::{Existing, Format, LeftOut, LeftOutReason, Store, Transfer};
pub use users::{PasswdFile, Users};
