//! What can be wrong with a store: with a whole operation ([`StoreError`]), with one record ([`UnusableReason`]), and
//! what is reported while everything else goes on ([`Warning`]).
//!
//! No variant ever holds a salt, a verifier or a password.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::Format;

/// Why an operation on the store was refused or failed. Whatever it was, the store on disk is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system said no.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// The file or directory concerned.
        path: PathBuf,
        /// What was tried: "open", "read", "replace"…
        action: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// There is nothing at this path.
    #[error("there is no verifier store at {}: create one, or correct the path", .path.display())]
    Missing {
        /// Where the store was looked for.
        path: PathBuf,
    },
    /// [`Store::create`](crate::Store::create) found something there already.
    #[error("{} exists already: open it, or choose another path", .path.display())]
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// A file or directory that others could have changed or read.
    #[error("{} is not safe to use: {rule}; to fix it: {fix}", .path.display())]
    Insecure {
        /// The file or directory concerned.
        path: PathBuf,
        /// The rule it breaks.
        rule: Rule,
        /// A command or an instruction that repairs it.
        fix: String,
    },
    /// Longer than any real store file, so it is not read at all.
    #[error("{} is {size} bytes long; a store file may have at most {limit}", .path.display())]
    TooLarge {
        /// The file concerned.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The record that was to be changed cannot be read.
    #[error("{}:{line}: {reason}", .path.display())]
    Malformed {
        /// The file concerned.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there.
        reason: UnusableReason,
    },
    /// Another program holds the lock, or rewrites the file faster than it can be read.
    #[error("{} is being changed by another program: try again when it has finished", .path.display())]
    Busy {
        /// The lock file or store file concerned.
        path: PathBuf,
    },
    /// No account of this name.
    #[error("there is no account {account:?}")]
    NoSuchAccount {
        /// The name that was asked for.
        account: String,
    },
    /// An account of this name is there already (a disabled one counts).
    #[error("the account {account:?} exists already: set its password instead, or remove it first")]
    AlreadyExists {
        /// The name.
        account: String,
    },
    /// A login name may belong to one account only.
    #[error("the login name {login_name:?} belongs to the account {account:?} already")]
    DuplicateLoginName {
        /// The login name, bytes outside ASCII escaped where they are not UTF-8.
        login_name: String,
        /// Who has it.
        account: String,
    },
    /// The store holds two records of this name, so it is not clear which one is meant.
    #[error("{}:{line}: {account:?} was named before, in line {first}: delete one of the two lines", .path.display())]
    DuplicateRecord {
        /// The file concerned.
        path: PathBuf,
        /// The line of the second record.
        line: usize,
        /// The line of the first.
        first: usize,
        /// The name both have.
        account: String,
    },
    /// The group is not one that an account may have here.
    #[error("accounts in a {format} cannot use the {bits}-bit group; it takes {}", .format.group_sizes())]
    UnsupportedGroup {
        /// Size of the refused group in bits.
        bits: usize,
        /// The store's format.
        format: Format,
    },
    /// Empty passwords are not accepted.
    #[error("the password is empty")]
    EmptyPassword,
    /// An alias must have the account's own password, and this one is not.
    #[error("this is not the password of {account:?}: a further login name needs the same password")]
    WrongPassword {
        /// The account.
        account: String,
    },
    /// The account's own record cannot be used, so the password of a further login name cannot be compared with it.
    #[error("the record of {account:?} cannot be used ({reason}): set its password first")]
    Unusable {
        /// The account.
        account: String,
        /// What is wrong with the record.
        reason: UnusableReason,
    },
    /// Not a name an account or a login may have.
    #[error("{name:?} cannot be an account or login name: {fault}")]
    InvalidName {
        /// The name.
        name: String,
        /// The rule it breaks.
        fault: NameFault,
    },
    /// The format has no place for what was asked.
    #[error("a {format} has no place for {what}: use the native store")]
    NotInFormat {
        /// The store's format.
        format: Format,
        /// What it cannot hold.
        what: &'static str,
    },
    /// Disabling in the Netatalk formats overwrites the verifier with asterisks.
    #[error("the record of {account:?} holds asterisks in place of a verifier: set a new password, which enables it")]
    VerifierDestroyed {
        /// The account.
        account: String,
    },
    /// A Netatalk directory names its files by user id, so the account must be a user of the system.
    #[error("{account:?} is not a user of this system, and a Netatalk directory names its files by user id")]
    NoSystemUser {
        /// The account.
        account: String,
    },
    /// The random number generator failed.
    #[error("no random numbers for a salt could be had")]
    Randomness,
}

/// Why one login name cannot be used although the store knows it. The reason is for the log and the administrator; a
/// client must not learn it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnusableReason {
    /// Not UTF-8 where the format asks for it.
    #[error("this is not UTF-8")]
    NotUtf8,
    /// Not TOML, or not the TOML of an account. Long runs of hex digits are left out of the message.
    #[error("{message}")]
    Toml {
        /// What the TOML parser said.
        message: String,
    },
    /// A newer (or no) format version.
    #[error("the format version is {found}; this program knows version 1")]
    FormatVersion {
        /// The number found.
        found: i64,
    },
    /// The file's name and the account name inside it do not belong together.
    #[error("the account named inside belongs into a file called {expected}")]
    FileName {
        /// The name the file should have.
        expected: String,
    },
    /// An account file without a `[[login]]`.
    #[error("the account has no login name")]
    NoLoginName,
    /// A line that is no `user:salt:verifier`.
    #[error("this line is not user:salt:verifier")]
    NotARecord,
    /// A file of a Netatalk directory must be one line, ended by a line feed.
    #[error("the file is not exactly one line user:salt:verifier")]
    NotOneRecord,
    /// The name breaks a rule.
    #[error("the name cannot be used: {0}")]
    Name(NameFault),
    /// The salt is not 32 hex digits.
    #[error("the salt is not 32 hex digits")]
    SaltDigits,
    /// The verifier has not the number of hex digits its group asks for, or something else among them.
    #[error("the verifier is not {expected} hex digits")]
    VerifierDigits {
        /// The right number of digits.
        expected: usize,
    },
    /// A verifier of 0 would let anyone in.
    #[error("the verifier is 0, which would let anyone in")]
    VerifierZero,
    /// A verifier must be below the modulus.
    #[error("the verifier is not below the modulus of its group")]
    VerifierNotBelowModulus,
    /// Not one of the groups accounts may have.
    #[error("the group of {bits} bits is not one of 1536, 2048, 3072")]
    UnsupportedGroup {
        /// What the file says.
        bits: u64,
    },
    /// Two records claim the login name; neither is believed.
    #[error("this login name is given a second time (first: {first}); neither is used until one is deleted")]
    Duplicate {
        /// `file:line` of the first claim.
        first: String,
    },
    /// The file that holds the record breaks a safety rule.
    #[error("the file is not safe to use: {rule}; to fix it: {fix}")]
    Insecure {
        /// The rule.
        rule: Rule,
        /// A command or an instruction that repairs it.
        fix: String,
    },
    /// Netatalk directory: root's placeholder; the user has never set a password.
    #[error("the user is not enrolled: the file is root's placeholder")]
    NotEnrolled,
    /// Netatalk directory: the record names somebody whose user id is not the file's name.
    #[error("the record names a user whose user id is not the name of the file")]
    OtherUser,
    /// The file is longer than a store file may be.
    #[error("the file is {size} bytes long; at most {limit} are read")]
    TooLarge {
        /// Size in bytes.
        size: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// The file could not be read.
    #[error("the file cannot be read: {kind}")]
    Unreadable {
        /// What kind of failure it was.
        kind: io::ErrorKind,
    },
    /// Only ever a warning: the line is fine here, but Netatalk 4.5 reads it in pieces of 673 bytes and takes the
    /// later pieces for lines of their own.
    #[error("this line has {len} bytes; Netatalk would read what follows byte 673 as a line of its own")]
    LongLine {
        /// Length of the line in bytes.
        len: usize,
    },
    /// Only ever a warning: a file in the store's directory that is no record.
    #[error("this file is not part of the store and is ignored")]
    NotPartOfStore,
}

/// Something the administrator should look at while every other account goes on working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file concerned.
    pub path: PathBuf,
    /// The line, counted from 1, where one can be named.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: UnusableReason,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// The safety rules. What is checked is always the opened file, never a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A symbolic link where a file should be.
    #[error("it is a symbolic link")]
    Symlink,
    /// A directory, pipe, socket or device where a file should be.
    #[error("it is not a regular file")]
    NotRegular,
    /// Something else where the directory should be.
    #[error("it is not a directory")]
    NotADirectory,
    /// A second name for the same file might lie where others can reach it.
    #[error("it has {links} hard links, and may have one only")]
    HardLinks {
        /// How many names the file has.
        links: u64,
    },
    /// Group or others may read or write the file.
    #[error("its mode is {mode:#o}, so others than its owner can get at it")]
    Mode {
        /// The permission bits.
        mode: u32,
    },
    /// Group or others may write into the directory, that is, replace its files.
    #[error("its mode is {mode:#o}, so others than its owner can replace files in it")]
    DirectoryMode {
        /// The permission bits.
        mode: u32,
    },
    /// Neither root nor this process's user owns it (in a Netatalk directory: not the user whose id is its name).
    #[error("it belongs to user id {owner}, and must belong to {expected} or root")]
    Owner {
        /// Who owns it.
        owner: u32,
        /// Who may.
        expected: u32,
    },
    /// Netatalk directory: an active record must belong to its user; root owns placeholders only.
    #[error("it is an active record that belongs to root, and must belong to user id {expected}")]
    RootOwnedActive {
        /// The user whose id is the file's name.
        expected: u32,
    },
}

impl Rule {
    /// The error for `path`, with the command that repairs it.
    pub(crate) fn broken_by(self, path: &Path) -> StoreError {
        let quoted = shell_quote(path);
        let fix = match self {
            Rule::Symlink => format!("put the file itself at {quoted}, or give the path of the file"),
            Rule::NotRegular | Rule::NotADirectory => format!("look at what {quoted} is, and correct the path"),
            Rule::HardLinks { .. } => format!("cp -p {quoted} {quoted}.copy && mv {quoted}.copy {quoted}"),
            Rule::Mode { .. } => format!("chmod 600 {quoted}"),
            Rule::DirectoryMode { .. } => format!("chmod go-w {quoted}"),
            Rule::Owner { owner, expected } => {
                format!("chown {expected} {quoted}, or run this program as user id {owner}")
            }
            Rule::RootOwnedActive { expected } => format!("chown {expected} {quoted}"),
        };
        StoreError::Insecure { path: path.to_path_buf(), rule: self, fix }
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// No name at all.
    #[error("it is empty")]
    Empty,
    /// Longer than AFP and Netatalk allow.
    #[error("it has {len} bytes, and may have 255")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A control character, NUL, CR and LF among them.
    #[error("it contains a control character")]
    Control,
    /// The separator of Netatalk's records.
    #[error("it contains a colon")]
    Colon,
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// In a Netatalk file a line that starts so is a comment.
    #[error("it begins with '#', which makes a comment of the line")]
    Comment,
}

/// So that a fix can be pasted into a shell whatever the path is.
fn shell_quote(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}
