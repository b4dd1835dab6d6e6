//! Netatalk's two stores: the file of 4.5 (`afppasswd.srp`, one line per user) and the directory of 4.6 (one file of one
//! line per user id).
//!
//! ```text
//! alice:9F86D081884C7D659A2FEAA0C55AD015:04A5…(384 hex digits, 1536-bit group)
//! bob:********************************:****…(384 asterisks)
//! ```
//! Facts: Netatalk 4.5.1, measured; for 4.6 the published behaviour of its store. Capitals are written, either case is
//! read; an asterisk as the first character of the salt means that there is no verifier; what follows the last digit is
//! ignored (and kept, when a line is changed); comments and empty lines do no harm.
//! What differs: a line is what ends with a line feed, however long; a name that occurs twice is used by neither.

use std::ops::Range;

use srp6a::Group;
use zeroize::Zeroizing;

use crate::error::{NameFault, UnusableReason};
use crate::hex::{self, Case};
use crate::record::{Body, Credentials, Parsed, SALT_LEN, StoredAccount, StoredLogin, Warned, check_name};

/// The only group Netatalk knows.
pub(crate) const GROUP: Group = Group::Bits1536;

const SALT_DIGITS: usize = SALT_LEN * 2;
const VERIFIER_DIGITS: usize = GROUP.byte_len() * 2;
/// `:` salt `:` verifier
const CREDENTIALS_LEN: usize = 2 + SALT_DIGITS + VERIFIER_DIGITS;
/// What Netatalk 4.5 reads of a line at a time.
const NETATALK_LINE: usize = 673;

/// What a record is to say.
pub(crate) enum NewBody<'a> {
    Active(&'a Credentials),
    Placeholder,
}

/// A whole `afppasswd.srp`.
pub(crate) fn parse_file(image: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    for line in lines(image) {
        if line.text.len() > NETATALK_LINE {
            let reason = UnusableReason::LongLine { len: line.text.len() };
            parsed.warnings.push(Warned { line: Some(line.number), reason });
        }
        match split(line.text) {
            Content::Nothing => {}
            Content::Other => {
                parsed.warnings.push(Warned { line: Some(line.number), reason: UnusableReason::NotARecord });
            }
            Content::Record { name, rest } => parsed.accept(name, body(rest), line.number),
        }
    }
    parsed
}

/// One file of a 4.6 directory: exactly one record and its line feed.
pub(crate) fn parse_record(image: &[u8]) -> Result<StoredAccount, UnusableReason> {
    let line = image.strip_suffix(b"\n").filter(|l| !l.contains(&b'\n')).ok_or(UnusableReason::NotOneRecord)?;
    let colon = line.iter().position(|b| *b == b':').ok_or(UnusableReason::NotOneRecord)?;
    let (name, rest) = line.split_at_checked(colon).ok_or(UnusableReason::NotOneRecord)?;
    if rest.len() != CREDENTIALS_LEN {
        return Err(UnusableReason::NotOneRecord);
    }
    let name = usable_name(name).map_err(UnusableReason::Name)?;
    Ok(account(name.to_owned(), body(rest), 1))
}

/// The content of one file of a 4.6 directory.
pub(crate) fn record(name: &str, new: &NewBody<'_>) -> Zeroizing<Vec<u8>> {
    let mut out = with_room(name.len().saturating_add(CREDENTIALS_LEN).saturating_add(1));
    push_record(&mut out, name.as_bytes(), new);
    out.push(b'\n');
    out
}

/// The file with the record of `name` put in place of the old one, or appended. Every other byte stays as it is.
pub(crate) fn with_record(image: &[u8], name: &str, new: &NewBody<'_>) -> Zeroizing<Vec<u8>> {
    let room = image.len().saturating_add(name.len()).saturating_add(CREDENTIALS_LEN).saturating_add(2);
    let mut out = with_room(room);
    if let Some(line) = lines_of(image, name).next() {
        out.extend_from_slice(image.get(..line.range.start).unwrap_or_default());
        push_record(&mut out, name.as_bytes(), new);
        out.extend_from_slice(kept_tail(line.text, name.len()));
        out.extend_from_slice(image.get(line.range.end..).unwrap_or_default());
    } else {
        out.extend_from_slice(image);
        if image.last().is_some_and(|b| *b != b'\n') {
            out.push(b'\n');
        }
        push_record(&mut out, name.as_bytes(), new);
        out.push(b'\n');
    }
    out
}

/// The file without the record of `name`. Every other byte stays as it is.
pub(crate) fn without_record(image: &[u8], name: &str) -> Zeroizing<Vec<u8>> {
    let mut out = with_room(image.len());
    if let Some(line) = lines_of(image, name).next() {
        out.extend_from_slice(image.get(..line.range.start).unwrap_or_default());
        let rest = image.get(line.range.end..).unwrap_or_default();
        out.extend_from_slice(rest.strip_prefix(b"\n").unwrap_or(rest));
    } else {
        out.extend_from_slice(image);
    }
    out
}

/// The numbers of the lines that hold a record of `name`.
pub(crate) fn line_numbers(image: &[u8], name: &str) -> Vec<usize> {
    lines_of(image, name).map(|line| line.number).collect()
}

/// Whether a name can stand in a Netatalk file.
pub(crate) fn check_netatalk_name(name: &str) -> Result<(), NameFault> {
    if name.starts_with('#') {
        return Err(NameFault::Comment);
    }
    check_name(name)
}

impl Parsed {
    fn accept(&mut self, name: &[u8], body: Body, line: usize) {
        let (shown, body) = match usable_name(name) {
            Ok(name) => (name.to_owned(), body),
            Err(fault) => (String::from_utf8_lossy(name).into_owned(), Body::Unusable(UnusableReason::Name(fault))),
        };
        if let Body::Unusable(reason) = &body {
            self.warnings.push(Warned { line: Some(line), reason: reason.clone() });
        }
        let mut account = account(shown, body, line);
        if let Some(login) = account.logins.first_mut() {
            login.name = name.to_vec();
        }
        self.accounts.push(account);
    }
}

fn account(name: String, body: Body, line: usize) -> StoredAccount {
    let enabled = !matches!(body, Body::Placeholder);
    let login = StoredLogin { name: name.clone().into_bytes(), line, body };
    StoredAccount { name, full_name: None, enabled, logins: vec![login] }
}

/// A line without its line feed.
struct Line<'a> {
    /// Counted from 1.
    number: usize,
    range: Range<usize>,
    text: &'a [u8],
}

fn lines(image: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut start = 0_usize;
    image.split_inclusive(|b| *b == b'\n').zip(1..).map(move |(whole, number)| {
        let text = whole.strip_suffix(b"\n").unwrap_or(whole);
        let range = start..start.saturating_add(text.len());
        start = start.saturating_add(whole.len());
        Line { number, range, text }
    })
}

fn lines_of<'a>(image: &'a [u8], name: &'a str) -> impl Iterator<Item = Line<'a>> {
    lines(image)
        .filter(move |line| matches!(split(line.text), Content::Record { name: found, .. } if found == name.as_bytes()))
}

enum Content<'a> {
    /// Empty or a comment.
    Nothing,
    /// Something that is no record.
    Other,
    /// `rest` begins with the colon.
    Record { name: &'a [u8], rest: &'a [u8] },
}

fn split(line: &[u8]) -> Content<'_> {
    if line.starts_with(b"#") || line.iter().all(u8::is_ascii_whitespace) {
        return Content::Nothing;
    }
    let split = line.iter().position(|b| *b == b':').and_then(|colon| line.split_at_checked(colon));
    split.map_or(Content::Other, |(name, rest)| Content::Record { name, rest })
}

/// What `:salt:verifier…` says. Digits after the last one make another number of it; anything else there is ignored.
fn body(rest: &[u8]) -> Body {
    if rest.get(1) == Some(&b'*') {
        return Body::Placeholder;
    }
    let Some((salt, verifier)) = fields(rest) else { return Body::Unusable(fault(rest)) };
    match Credentials::from_hex(GROUP, salt, verifier) {
        Ok(credentials) => Body::Active(credentials),
        Err(reason) => Body::Unusable(reason),
    }
}

/// The two fields of a record whose lengths are right, whatever they hold.
fn fields(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (salt, rest) = rest.strip_prefix(b":")?.split_at_checked(SALT_DIGITS)?;
    let (verifier, tail) = rest.strip_prefix(b":")?.split_at_checked(VERIFIER_DIGITS)?;
    (!tail.first().is_some_and(u8::is_ascii_hexdigit)).then_some((salt, verifier))
}

/// Which of the two fields is to blame. Only for records that [`fields`] refused.
fn fault(rest: &[u8]) -> UnusableReason {
    let salt_len = rest.get(1..).unwrap_or_default().iter().position(|b| *b == b':');
    match salt_len {
        None => UnusableReason::NotARecord,
        Some(SALT_DIGITS) => UnusableReason::VerifierDigits { expected: VERIFIER_DIGITS },
        Some(_) => UnusableReason::SaltDigits,
    }
}

/// What follows the credentials of a line that is replaced: all of it if the line was in order, else only a CR.
fn kept_tail(line: &[u8], name_len: usize) -> &[u8] {
    let rest = line.get(name_len..).unwrap_or_default();
    match rest.split_at_checked(CREDENTIALS_LEN) {
        Some((credentials, tail)) if fields(rest).is_some() && !credentials.contains(&b'\r') => tail,
        _ if line.ends_with(b"\r") => b"\r",
        _ => b"",
    }
}

fn usable_name(name: &[u8]) -> Result<&str, NameFault> {
    let name = std::str::from_utf8(name).map_err(|_| NameFault::NotUtf8)?;
    check_name(name)?;
    Ok(name)
}

/// Room for all that will be written, so that no outgrown buffer with a verifier in it is given back unwiped.
fn with_room(len: usize) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(len))
}

fn push_record(out: &mut Zeroizing<Vec<u8>>, name: &[u8], new: &NewBody<'_>) {
    out.extend_from_slice(name);
    match new {
        NewBody::Active(Credentials { salt, verifier }) => {
            out.push(b':');
            hex::encode_onto(out, &salt.0, Case::Upper);
            out.push(b':');
            hex::encode_onto(out, verifier.as_be_bytes(), Case::Upper);
        }
        NewBody::Placeholder => {
            out.push(b':');
            out.extend_from_slice(&[b'*'; SALT_DIGITS]);
            out.push(b':');
            out.extend_from_slice(&[b'*'; VERIFIER_DIGITS]);
        }
    }
}
