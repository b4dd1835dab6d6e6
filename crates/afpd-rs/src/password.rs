//! Where passwords come from: a terminal, or one line of standard input. Never the command line, which every user can read.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;

use thiserror::Error;
use zeroize::Zeroizing;

/// The longest password taken, in bytes. Clients stop far below it.
const LONGEST: usize = 1024;

/// Why there is no password.
#[derive(Debug, Error)]
pub enum PasswordError {
    /// Nothing was typed, or the line is empty.
    #[error("the password is empty; an empty password is refused")]
    Empty,
    /// The two were not the same.
    #[error("the two passwords are not the same; nothing was changed")]
    NotTheSame,
    /// More than 1024 bytes.
    #[error("the password is longer than {LONGEST} bytes")]
    TooLong,
    /// Not text.
    #[error("the password is not UTF-8, which is what AFP clients send; check the encoding of the file or terminal")]
    NotUtf8,
    /// There is nobody to ask.
    #[error("no password can be asked for ({0}); give it as a line on standard input with --password-stdin")]
    NoTerminal(io::Error),
    /// Standard input cannot be read.
    #[error("the password cannot be read from standard input: {0}")]
    Read(io::Error),
}

/// A new password for `account`: asked for twice, or one line of standard input.
///
/// # Errors
/// See [`PasswordError`].
pub fn new(account: &str, from_stdin: bool) -> Result<Zeroizing<String>, PasswordError> {
    if from_stdin {
        return line_of_stdin();
    }
    let first = ask(&format!("New password for {}: ", account.escape_debug()))?;
    if *first != *ask("The same again: ")? {
        return Err(PasswordError::NotTheSame);
    }
    Ok(first)
}

/// The password `account` has: asked for once, or one line of standard input.
///
/// # Errors
/// See [`PasswordError`].
pub fn known(account: &str, from_stdin: bool) -> Result<Zeroizing<String>, PasswordError> {
    if from_stdin { line_of_stdin() } else { ask(&format!("Password for {}: ", account.escape_debug())) }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, PasswordError> {
    let typed = rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(PasswordError::NoTerminal)?;
    match typed.len() {
        0 => Err(PasswordError::Empty),
        1..=LONGEST => Ok(typed),
        _ => Err(PasswordError::TooLong),
    }
}

/// Straight from the descriptor: the buffer of `std::io::Stdin` would keep a copy that nobody wipes.
fn line_of_stdin() -> Result<Zeroizing<String>, PasswordError> {
    let descriptor = io::stdin().as_fd().try_clone_to_owned().map_err(PasswordError::Read)?;
    line_of(File::from(descriptor))
}

/// The first line, without its line end; what follows it is not looked at.
fn line_of(mut input: impl Read) -> Result<Zeroizing<String>, PasswordError> {
    let mut line = Zeroizing::new([0_u8; LONGEST + 3]);
    let mut filled = 0;
    loop {
        let read = match input.read(line.get_mut(filled..).unwrap_or_default()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(PasswordError::Read)?,
        };
        filled = filled.saturating_add(read);
        let seen = line.get(..filled).unwrap_or_default();
        let end = seen.iter().position(|byte| *byte == b'\n');
        if end.is_none() && read > 0 {
            continue;
        }
        let text = seen.get(..end.unwrap_or(filled)).unwrap_or_default();
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        return match text.len() {
            0 => Err(PasswordError::Empty),
            1..=LONGEST => std::str::from_utf8(text)
                .map(|text| Zeroizing::new(text.to_owned()))
                .map_err(|_| PasswordError::NotUtf8),
            _ => Err(PasswordError::TooLong),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out one byte at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let one = into.len().min(1);
            self.0.read(&mut into[..one])
        }
    }

    #[test]
    fn one_line_without_its_end() {
        for input in ["open sesame", "open sesame\n", "open sesame\r\n", "open sesame\nsecond line\n"] {
            assert_eq!(*line_of(input.as_bytes()).unwrap(), "open sesame");
            assert_eq!(*line_of(Dribble(input.as_bytes())).unwrap(), "open sesame");
        }
        assert_eq!(*line_of(" spaces stay \n".as_bytes()).unwrap(), " spaces stay ");
        assert_eq!(line_of("x".repeat(LONGEST).as_bytes()).unwrap().len(), LONGEST);
        assert_eq!(line_of(("x".repeat(LONGEST) + "\r\n").as_bytes()).unwrap().len(), LONGEST);
    }

    #[test]
    fn what_is_no_password_is_refused() {
        for empty in ["", "\n", "\r\n", "\nsecond line"] {
            assert!(matches!(line_of(empty.as_bytes()), Err(PasswordError::Empty)), "{empty:?}");
        }
        for length in [LONGEST + 1, LONGEST + 2, LONGEST + 3, 10 * LONGEST] {
            assert!(matches!(line_of("x".repeat(length).as_bytes()), Err(PasswordError::TooLong)), "{length}");
        }
        assert!(matches!(line_of(&b"caf\xe9\n"[..]), Err(PasswordError::NotUtf8)));
    }
}
