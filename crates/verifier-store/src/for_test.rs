//! Doors for fuzz targets and the constant-time check; not part of the interface.

use crate::record::Body;
use crate::{Format, hex, native, netatalk, tally};

/// Reads bytes as a store file of this format would be read, changes them where the format is changed in place, and
/// checks what must hold whatever they are. Returns how many accounts there were.
///
/// # Panics
/// When something that must hold does not.
#[expect(clippy::must_use_candidate, clippy::panic, reason = "this is the check itself, for fuzzing and tests")]
pub fn check_file(format: Format, image: &[u8]) -> usize {
    match format {
        Format::Native => {
            let Ok(document) = native::AccountFile::read(image) else { return 0 };
            let again = document.to_toml();
            let Ok(document) = native::AccountFile::read(&again) else { panic!("our own document is not read back") };
            assert_eq!(document.to_toml(), again, "a second writing differs");
            let name = native::file_name(document.account());
            native::parse(&name, image).map_or(0, |parsed| parsed.accounts.len())
        }
        Format::NetatalkDirectory => {
            let Ok(account) = netatalk::parse_record(image) else { return 0 };
            let [login] = account.logins.as_slice() else { panic!("one record, one login name") };
            if let Body::Active(credentials) = &login.body {
                let again = netatalk::record(&account.name, &netatalk::NewBody::Active(credentials));
                assert!(again.eq_ignore_ascii_case(image), "what was read is written otherwise");
            }
            1
        }
        Format::NetatalkFile => {
            let accounts = netatalk::parse_file(image).accounts;
            let names = accounts.iter().map(|account| account.name.as_str());
            for name in names.chain(["a new user"]).take(8) {
                if netatalk::check_netatalk_name(name).is_ok() {
                    check_replacement(image, name);
                }
            }
            accounts.len()
        }
    }
}

/// The decoding of a verifier's hex digits. Whether all of them are digits.
pub fn decode_hex(digits: &[u8], bytes: &mut [u8]) -> bool {
    let decoded = hex::decode(digits, bytes.len());
    if let Some(decoded) = &decoded {
        bytes.copy_from_slice(decoded);
    }
    decoded.is_some()
}

/// Puts the checksum of a tally's slot right, which nobody guesses.
pub fn seal_tally(slot: &mut [u8]) {
    if let Some((body, checked)) = slot.split_last_chunk_mut::<8>() {
        *checked = tally::checksum(body).to_be_bytes();
    }
}

/// A placeholder put over a record: every other line is the same byte for byte, and taking it away again leaves them.
fn check_replacement(image: &[u8], name: &str) {
    let new = netatalk::with_record(image, name, &netatalk::NewBody::Placeholder);
    let numbers = netatalk::line_numbers(image, name);
    let changed = numbers.first().copied();
    let others = |image: &[u8], without: Option<usize>| -> Vec<Vec<u8>> {
        let lines = image.split(|b| *b == b'\n').zip(1..);
        lines.filter(|(_, number)| Some(*number) != without).map(|(line, _)| line.to_vec()).collect()
    };
    let before = others(image, changed);
    let mut after = others(&new, changed);
    if changed.is_none() {
        // The new line and the empty rest behind its line feed; a last line without line feed got one.
        assert_eq!(after.pop(), Some(Vec::new()));
        assert!(after.pop().is_some_and(|line| line.starts_with(name.as_bytes())), "appended elsewhere");
        let before = before.strip_suffix(&[Vec::new()]).unwrap_or(&before);
        assert_eq!(before, after, "other lines changed");
    } else {
        assert_eq!(before, after, "other lines changed");
    }
    let shown = netatalk::parse_file(&new);
    let known = shown.accounts.iter().find(|account| account.is_called(name));
    assert!(known.is_some_and(|account| !account.enabled), "the placeholder is not found again");
}
