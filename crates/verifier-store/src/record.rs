//! The records themselves: what a lookup gives, what an account is, which names are allowed.

use std::fmt;

use rand_core::TryCryptoRng;
use srp6a::{Group, InvalidVerifier, Profile, Verifier};
use unicode_normalization::UnicodeNormalization;

use crate::error::{NameFault, StoreError, UnusableReason};
use crate::hex;

/// The bytes of a salt: always 16 (the specification's challenge has no room for another length).
pub const SALT_LEN: usize = 16;

/// The salt of one login name. It goes over the wire, so it is no secret; it is kept out of logs all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; SALT_LEN]);

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// Everything a login needs: `x` is computed over `login_name` as typed, so each spelling has its own salt and verifier.
#[derive(Clone, Debug)]
pub struct LoginRecord {
    /// The account that is signed in when the proof is right.
    pub account: String,
    /// The login name, byte for byte as the client has to type it.
    pub login_name: Vec<u8>,
    /// 16 bytes.
    pub salt: Salt,
    /// v, which knows its group.
    pub verifier: Verifier,
}

/// What the store knows about a login name.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A record to log in with.
    Found(LoginRecord),
    /// No account has this login name.
    Unknown,
    /// The account is switched off.
    Disabled {
        /// Its name.
        account: String,
    },
    /// The name is known, but nobody can log in with it until an administrator has looked at it.
    Unusable {
        /// The account (for a record whose name is not UTF-8: with replacement characters).
        account: String,
        /// What is wrong.
        reason: UnusableReason,
    },
}

/// An account to be added.
#[derive(Clone, Copy)]
pub struct NewAccount<'a> {
    /// 1 to 255 bytes, no control characters, no colon. In the Netatalk formats this is the system user's name.
    pub name: &'a str,
    /// A further login name (native store only).
    pub full_name: Option<&'a str>,
    /// 1536, 2048 or 3072 bits; the Netatalk formats know 1536 alone, and so do Apple's clients as far as they have
    /// been seen.
    pub group: Group,
    /// Any bytes but none at all.
    pub password: &'a [u8],
}

impl fmt::Debug for NewAccount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccount")
            .field("name", &self.name)
            .field("full_name", &self.full_name)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}

/// One account, as `user list` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's name.
    pub name: String,
    /// The person's name, where the format has one.
    pub full_name: Option<String>,
    /// Whether anyone can log in.
    pub status: Status,
    /// All login names, the account's own among them, in the order of the file.
    pub login_names: Vec<LoginName>,
}

/// Whether an account can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// At least one login name has a usable verifier.
    Enabled,
    /// Switched off. In a Netatalk file this is also what a user looks like who never had a password.
    Disabled,
    /// No login name can be used; this is what is wrong with the first.
    Unusable(UnusableReason),
}

/// One login name of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginName {
    /// As the client has to type it.
    pub name: Vec<u8>,
    /// Where it comes from.
    pub kind: LoginNameKind,
    /// The group of its verifier; `None` when it has no usable one.
    pub group: Option<Group>,
}

/// Where a login name comes from. The file does not say; it follows from the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginNameKind {
    /// The account's own name.
    Account,
    /// The person's full name.
    FullName,
    /// Given by the administrator.
    Alias,
    /// Another Unicode spelling (NFC, NFD) of one of the names above, added by itself.
    Spelling,
}

/// Salt and verifier of one login name.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) salt: Salt,
    pub(crate) verifier: Verifier,
}

impl Credentials {
    /// New ones for a password, with a fresh random salt.
    pub(crate) fn new<R: TryCryptoRng + ?Sized>(
        group: Group,
        login_name: &[u8],
        password: &[u8],
        rng: &mut R,
    ) -> Result<Credentials, StoreError> {
        let mut salt = [0; SALT_LEN];
        rng.try_fill_bytes(&mut salt).map_err(|_| StoreError::Randomness)?;
        Ok(Credentials::derive(group, login_name, password, Salt(salt)))
    }

    /// The ones that belong to a password and a salt.
    pub(crate) fn derive(group: Group, login_name: &[u8], password: &[u8], salt: Salt) -> Credentials {
        Credentials { salt, verifier: Verifier::derive(&Profile::AFP, group, login_name, password, &salt.0) }
    }

    /// From hex digits of either case.
    pub(crate) fn from_hex(group: Group, salt: &[u8], verifier: &[u8]) -> Result<Credentials, UnusableReason> {
        let salt = hex::decode(salt, SALT_LEN).ok_or(UnusableReason::SaltDigits)?;
        let salt = Salt(salt.as_slice().try_into().map_err(|_| UnusableReason::SaltDigits)?);
        let expected = group.byte_len().saturating_mul(2);
        let wrong_digits = UnusableReason::VerifierDigits { expected };
        let bytes = hex::decode(verifier, group.byte_len()).ok_or_else(|| wrong_digits.clone())?;
        match Verifier::from_be_bytes(group, &bytes) {
            Ok(verifier) => Ok(Credentials { salt, verifier }),
            Err(InvalidVerifier::Zero) => Err(UnusableReason::VerifierZero),
            Err(InvalidVerifier::NotBelowModulus) => Err(UnusableReason::VerifierNotBelowModulus),
            Err(_) => Err(wrong_digits),
        }
    }
}

/// One account as its file has it, whatever the format.
#[derive(Clone)]
pub(crate) struct StoredAccount {
    pub(crate) name: String,
    pub(crate) full_name: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) logins: Vec<StoredLogin>,
}

/// One login name as its file has it.
#[derive(Clone)]
pub(crate) struct StoredLogin {
    pub(crate) name: Vec<u8>,
    /// Counted from 1.
    pub(crate) line: usize,
    pub(crate) body: Body,
}

/// What stands behind a login name.
#[derive(Clone)]
pub(crate) enum Body {
    Active(Credentials),
    /// Asterisks, in the Netatalk formats.
    Placeholder,
    Unusable(UnusableReason),
}

impl StoredAccount {
    /// Whether this is the record of `name`. Compared with the bytes in the file: the name of a record that is not UTF-8
    /// has replacement characters, and somebody else may be called by these.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.name == name && self.logins.iter().all(|login| std::str::from_utf8(&login.name).is_ok())
    }

    /// What looking up one of its login names gives.
    pub(crate) fn lookup(&self, login: &StoredLogin) -> Lookup {
        let account = self.name.clone();
        match &login.body {
            _ if !self.enabled => Lookup::Disabled { account },
            Body::Placeholder => Lookup::Disabled { account },
            Body::Unusable(reason) => Lookup::Unusable { account, reason: reason.clone() },
            Body::Active(Credentials { salt, verifier }) => Lookup::Found(LoginRecord {
                account,
                login_name: login.name.clone(),
                salt: *salt,
                verifier: verifier.clone(),
            }),
        }
    }

    /// The group of the account: that of its own name, else of any name.
    pub(crate) fn group(&self) -> Option<Group> {
        let own = self.logins.iter().filter(|l| l.name == self.name.as_bytes());
        own.chain(&self.logins).find_map(StoredLogin::group)
    }

    /// For the list.
    pub(crate) fn describe(&self) -> Account {
        let fault = self.logins.iter().find_map(|l| match &l.body {
            Body::Unusable(reason) => Some(reason.clone()),
            Body::Active(_) | Body::Placeholder => None,
        });
        let usable = self.logins.iter().any(|l| matches!(l.body, Body::Active(_)));
        let status = match fault {
            _ if !self.enabled => Status::Disabled,
            _ if usable => Status::Enabled,
            Some(reason) => Status::Unusable(reason),
            None => Status::Disabled,
        };
        let mut login_names: Vec<LoginName> = Vec::new();
        for login in &self.logins {
            let kind = self.kind(login, &login_names);
            login_names.push(LoginName { name: login.name.clone(), kind, group: login.group() });
        }
        Account { name: self.name.clone(), full_name: self.full_name.clone(), status, login_names }
    }

    fn kind(&self, login: &StoredLogin, before: &[LoginName]) -> LoginNameKind {
        let is = |name: &str| name.as_bytes() == login.name;
        let spells = |name: &[u8]| same_letters(name, &login.name);
        if is(&self.name) {
            LoginNameKind::Account
        } else if self.full_name.as_deref().is_some_and(is) {
            LoginNameKind::FullName
        } else if spells(self.name.as_bytes())
            || self.full_name.as_deref().is_some_and(|n| spells(n.as_bytes()))
            || before.iter().any(|b| spells(&b.name))
        {
            LoginNameKind::Spelling
        } else {
            LoginNameKind::Alias
        }
    }
}

impl StoredLogin {
    fn group(&self) -> Option<Group> {
        match &self.body {
            Body::Active(credentials) => Some(credentials.verifier.group()),
            Body::Placeholder | Body::Unusable(_) => None,
        }
    }
}

/// What one file (or one record of it) gave.
#[derive(Clone, Default)]
pub(crate) struct Parsed {
    pub(crate) accounts: Vec<StoredAccount>,
    pub(crate) warnings: Vec<Warned>,
}

/// A warning before the path is put to it.
#[derive(Clone)]
pub(crate) struct Warned {
    pub(crate) line: Option<usize>,
    pub(crate) reason: UnusableReason,
}

/// The groups an account may have, by size in bits. The 1024-bit group is too weak; no client is known for 4096.
pub(crate) fn account_group(bits: u64) -> Result<Group, UnusableReason> {
    match bits {
        1536 => Ok(Group::Bits1536),
        2048 => Ok(Group::Bits2048),
        3072 => Ok(Group::Bits3072),
        bits => Err(UnusableReason::UnsupportedGroup { bits }),
    }
}

/// The rules for account and login names.
pub(crate) fn check_name(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        Err(NameFault::Empty)
    } else if name.len() > 255 {
        Err(NameFault::TooLong { len: name.len() })
    } else if name.chars().any(char::is_control) {
        Err(NameFault::Control)
    } else if name.contains(':') {
        Err(NameFault::Colon)
    } else {
        Ok(())
    }
}

/// The Unicode spellings of a name that clients are known to send: as given, composed (NFC), decomposed (NFD).
/// A spelling that would be too long for a login name is left out.
pub(crate) fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    for other in [name.nfc().collect::<String>(), name.nfd().collect()] {
        if !all.contains(&other) && check_name(&other).is_ok() {
            all.push(other);
        }
    }
    all
}

fn same_letters(one: &[u8], other: &[u8]) -> bool {
    match (std::str::from_utf8(one), std::str::from_utf8(other)) {
        (Ok(one), Ok(other)) => one.nfc().eq(other.nfc()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "Jörg Müller", "a/b", "..", ".", " ", "x.y", &"é".repeat(127), "#1", "*"] {
            assert_eq!(check_name(good), Ok(()), "{good:?}");
        }
        assert_eq!(check_name(""), Err(NameFault::Empty));
        assert_eq!(check_name(&"é".repeat(128)), Err(NameFault::TooLong { len: 256 }));
        for bad in ["a\0", "\n", "a\r", "\u{7f}", "\u{85}", "tab\there"] {
            assert_eq!(check_name(bad), Err(NameFault::Control), "{bad:?}");
        }
        assert_eq!(check_name("a:b"), Err(NameFault::Colon));
    }

    #[test]
    fn spellings_are_added_when_they_differ_only() {
        assert_eq!(spellings("carol"), ["carol"]);
        assert_eq!(spellings("J\u{f6}rg"), ["J\u{f6}rg", "Jo\u{308}rg"]);
        assert_eq!(spellings("Jo\u{308}rg"), ["Jo\u{308}rg", "J\u{f6}rg"]);
        // Half and half: three spellings.
        assert_eq!(spellings("\u{f6}o\u{308}").len(), 3);
        // The decomposed spelling of 127 é has 381 bytes, which no login name may have.
        assert_eq!(spellings(&"\u{e9}".repeat(127)).len(), 1);
        assert!(same_letters("J\u{f6}rg".as_bytes(), "Jo\u{308}rg".as_bytes()));
        assert!(!same_letters(b"jorg", "J\u{f6}rg".as_bytes()));
    }
}
