//! The native store's account files: one TOML document each.
//!
//! ```toml
//! # Written by afpd-rs; comments are not kept.
//! version = 1
//! account = "jörg"
//! full_name = "Jörg Müller"   # may be missing
//! enabled = true
//!
//! [[login]]
//! name = "jörg"
//! group = 1536                # 1536, 2048 or 3072
//! salt = "…32 hex digits"
//! verifier = "…384 hex digits for 1536 bits, 512 for 2048, 768 for 3072"
//! ```
//! Every key but `full_name` must be there, no other is allowed. Reading goes through serde and `toml`; writing is done
//! by hand, which leaves no copies of a verifier behind. Also here: the names of the files.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::DeTable;
use zeroize::Zeroizing;

use crate::error::UnusableReason;
use crate::hex::{self, Case};
use crate::record::{Body, Credentials, Parsed, StoredAccount, StoredLogin, Warned, account_group, check_name};

const VERSION: i64 = 1;
const SUFFIX: &str = ".toml";
/// Longest file name that still spells the account; file systems stop at 255 bytes.
const LONGEST_SPELT: usize = 200;

/// The file of an account. Letters a-z, digits, `-`, `_` and (not as the first) `.` stand for themselves; every other
/// byte is `%` and two hex digits in small letters, capitals too: so no two accounts meet in one file on file systems
/// that ignore case or Unicode spelling. A name whose spelling gets longer than 200 bytes is cut to 100 and continued by
/// `~` (which no other file name has) and its SHA-256; the account's name is in the file anyway.
pub(crate) fn file_name(account: &str) -> OsString {
    named(account, SUFFIX)
}

/// As [`file_name`], for files of another kind.
pub(crate) fn named(account: &str, suffix: &str) -> OsString {
    let mut name = String::new();
    for (position, byte) in account.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            b'.' if position > 0 => name.push('.'),
            _ => {
                name.push('%');
                push_hex(&mut name, &[byte]);
            }
        }
    }
    if name.len() > LONGEST_SPELT {
        name.truncate(LONGEST_SPELT / 2);
        name.push('~');
        push_hex(&mut name, &Sha256::digest(account.as_bytes()));
    }
    name.push_str(suffix);
    name.into()
}

/// The account a file name spells, or `None` when it spells none (or only the beginning of a long one).
pub(crate) fn account_name(file: &OsStr) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = file.to_str()?.strip_suffix(SUFFIX)?.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => bytes.push(*hex::decode(&[rest.next()?, rest.next()?], 1)?.first()?),
            _ => bytes.push(byte),
        }
    }
    let account = String::from_utf8(bytes).ok()?;
    (file_name(&account) == file).then_some(account)
}

/// Whether this is an account file at all: hidden files are the lock, leftovers and editors' backups.
pub(crate) fn is_account_file(file: &OsStr) -> bool {
    let name = file.as_encoded_bytes();
    !name.starts_with(b".") && name.ends_with(SUFFIX.as_bytes())
}

/// An account file as it stands there, faults and all, so that changing one thing loses nothing else.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountFile {
    #[expect(dead_code, reason = "that it is there is checked here, its value before")]
    version: i64,
    account: Spanned<String>,
    #[serde(default)]
    full_name: Option<String>,
    pub(crate) enabled: bool,
    #[serde(default, rename = "login")]
    logins: Vec<Spanned<LoginEntry>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LoginEntry {
    name: Spanned<String>,
    group: u64,
    salt: Digits,
    verifier: Digits,
}

/// Hex digits not looked at yet, wiped when dropped.
struct Digits(Zeroizing<Vec<u8>>);

/// Where in a file which fault is.
pub(crate) type Fault = (usize, UnusableReason);

impl AccountFile {
    /// Reads a document, and nothing more: names and digits may still be wrong.
    ///
    /// # Errors
    /// The line and what is wrong there.
    pub(crate) fn read(image: &[u8]) -> Result<AccountFile, Fault> {
        let text = std::str::from_utf8(image).map_err(|e| {
            let before = image.get(..e.valid_up_to()).unwrap_or_default();
            (line_at(before, before.len()), UnusableReason::NotUtf8)
        })?;
        let fault = |e: &toml::de::Error| {
            let reason = UnusableReason::Toml { message: without_digits(e.message()) };
            (line_at(image, e.span().map_or(0, |span| span.start)), reason)
        };
        // Not `toml::from_str`: its errors keep a copy of the whole text.
        let (table, errors) = DeTable::parse_recoverable(text);
        if let Some(error) = errors.first() {
            return Err(fault(error));
        }
        if let Some(version) = table.get_ref().get("version") {
            let found = version.get_ref().as_integer().and_then(|i| i64::from_str_radix(i.as_str(), i.radix()).ok());
            if let Some(found) = found.filter(|found| *found != VERSION) {
                return Err((line_at(image, version.span().start), UnusableReason::FormatVersion { found }));
            }
        }
        AccountFile::deserialize(toml::de::Deserializer::from(table)).map_err(|e| fault(&e))
    }

    /// The account's name, checked or not.
    pub(crate) fn account(&self) -> &str {
        self.account.get_ref()
    }

    /// What the document says, with every login name that cannot be used marked.
    ///
    /// # Errors
    /// When the account as a whole cannot be used.
    pub(crate) fn interpret(&self, file: &OsStr, image: &[u8]) -> Result<Parsed, Fault> {
        let line = |span: Range<usize>| line_at(image, span.start);
        let account_line = line(self.account.span());
        let account = self.account.get_ref();
        check_name(account).map_err(|fault| (account_line, UnusableReason::Name(fault)))?;
        let expected = file_name(account);
        if expected != file {
            let expected = expected.to_string_lossy().into_owned();
            return Err((account_line, UnusableReason::FileName { expected }));
        }
        if self.logins.is_empty() {
            return Err((account_line, UnusableReason::NoLoginName));
        }
        let logins = self.logins.iter().map(|login| {
            let login = login.get_ref();
            let body = login.credentials().map_or_else(Body::Unusable, Body::Active);
            let name = login.name.get_ref().clone().into_bytes();
            StoredLogin { name, line: line(login.name.span()), body }
        });
        let mut parsed = Parsed::default();
        let logins: Vec<StoredLogin> = logins.collect();
        for login in &logins {
            if let Body::Unusable(reason) = &login.body {
                parsed.warnings.push(Warned { line: Some(login.line), reason: reason.clone() });
            }
        }
        let full_name = self.full_name.clone();
        parsed.accounts.push(StoredAccount { name: account.clone(), full_name, enabled: self.enabled, logins });
        Ok(parsed)
    }

    /// The document, as [`write()`] would have written it.
    pub(crate) fn to_toml(&self) -> Zeroizing<Vec<u8>> {
        let mut out = head(self.account.get_ref(), self.full_name.as_deref(), self.enabled, self.logins.len());
        for login in &self.logins {
            let login = login.get_ref();
            push_login_head(&mut out, login.name.get_ref(), login.group);
            push_digits(&mut out, "salt", &login.salt);
            push_digits(&mut out, "verifier", &login.verifier);
        }
        out
    }
}

impl LoginEntry {
    fn credentials(&self) -> Result<Credentials, UnusableReason> {
        check_name(self.name.get_ref()).map_err(UnusableReason::Name)?;
        Credentials::from_hex(account_group(self.group)?, &self.salt.0, &self.verifier.0)
    }
}

/// One file of the store.
pub(crate) fn parse(file: &OsStr, image: &[u8]) -> Result<Parsed, Fault> {
    AccountFile::read(image)?.interpret(file, image)
}

/// The document of an account. Only logins with credentials are written: a native account has no placeholders.
pub(crate) fn write(account: &StoredAccount) -> Zeroizing<Vec<u8>> {
    let mut out = head(&account.name, account.full_name.as_deref(), account.enabled, account.logins.len());
    for login in &account.logins {
        let Body::Active(Credentials { salt, verifier }) = &login.body else { continue };
        let bits = u64::try_from(verifier.group().bits()).unwrap_or_default();
        push_login_head(&mut out, &String::from_utf8_lossy(&login.name), bits);
        out.extend_from_slice(b"salt = \"");
        hex::encode_onto(&mut out, &salt.0, Case::Lower);
        out.extend_from_slice(b"\"\nverifier = \"");
        hex::encode_onto(&mut out, verifier.as_be_bytes(), Case::Lower);
        out.extend_from_slice(b"\"\n");
    }
    out
}

fn head(account: &str, full_name: Option<&str>, enabled: bool, logins: usize) -> Zeroizing<Vec<u8>> {
    // Room for every login (names of 255 bytes at most, escapes included): no outgrown buffer is given back unwiped.
    let mut out = Zeroizing::new(Vec::with_capacity(logins.saturating_add(1).saturating_mul(4096)));
    let account = toml::Value::from(account);
    let full_name = full_name.map(|name| format!("full_name = {}\n", toml::Value::from(name))).unwrap_or_default();
    let text = format!(
        "# Written by afpd-rs; comments are not kept.\nversion = {VERSION}\naccount = {account}\n{full_name}enabled = {enabled}\n"
    );
    out.extend_from_slice(text.as_bytes());
    out
}

fn push_login_head(out: &mut Zeroizing<Vec<u8>>, name: &str, group: u64) {
    out.extend_from_slice(format!("\n[[login]]\nname = {}\ngroup = {group}\n", toml::Value::from(name)).as_bytes());
}

/// Digits as they were, right or wrong.
fn push_digits(out: &mut Zeroizing<Vec<u8>>, key: &str, digits: &Digits) {
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b" = ");
    if digits.0.iter().all(u8::is_ascii_alphanumeric) {
        out.push(b'"');
        out.extend_from_slice(&digits.0);
        out.push(b'"');
    } else {
        let text = String::from_utf8_lossy(&digits.0).into_owned();
        out.extend_from_slice(toml::Value::from(text).to_string().as_bytes());
    }
    out.push(b'\n');
}

/// Counted from 1.
fn line_at(image: &[u8], position: usize) -> usize {
    let before = image.get(..position).unwrap_or(image);
    before.split(|b| *b == b'\n').count()
}

/// The parser's message, with anything in it that might be a salt or verifier left out.
fn without_digits(message: &str) -> String {
    let mut out = String::new();
    let mut run = String::new();
    for c in message.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() {
            run.push(c);
            continue;
        }
        out.push_str(if run.len() >= 16 { "(digits)" } else { &run });
        run.clear();
        out.push(c);
    }
    out.trim_end().replace('\n', "; ")
}

fn push_hex(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let written = write!(out, "{byte:02x}");
        debug_assert!(written.is_ok());
    }
}

impl<'de> Deserialize<'de> for Digits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digits, D::Error> {
        struct DigitsVisitor;
        impl Visitor<'_> for DigitsVisitor {
            type Value = Digits;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string of hex digits")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digits, E> {
                Ok(Digits(Zeroizing::new(text.as_bytes().to_vec())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Digits, E> {
                Ok(Digits(Zeroizing::new(text.into_bytes())))
            }
        }
        deserializer.deserialize_str(DigitsVisitor)
    }
}
