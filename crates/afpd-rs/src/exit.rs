//! How the program ends: the exit codes, and an error that carries one.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// The exit codes. They are promised in `--help` and afpd-rs(8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// What was asked for is done.
    Done = 0,
    /// It could not be done: no such account, a port that is taken, a file that cannot be read.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The configuration, the state directory or the account store cannot be used as it is.
    Setup = 3,
    /// `login`: the server refused the login. `decode`: a proof is not what the secrets give.
    Refused = 4,
    /// `status` and `login`: the server cannot be reached or does not keep to the protocol. `stats`: it does not run, or has no figures.
    Peer = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked, for one line on standard error, and with which code the program ends.
#[derive(Debug)]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What was wrong, where, and what to do. Empty: nothing needs to be said.
    pub message: String,
}

impl Failure {
    /// A failure that says `message`.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    /// A failure that says what `error` and its causes say.
    #[must_use]
    pub fn of(exit: Exit, error: &(dyn Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        Self { exit, message }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Output that cannot be written. Nothing is said when the reader has left (`afpd-rs user list | head -1`).
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Failed, "");
        }
        Self::new(Exit::Failed, format!("the output cannot be written: {error}"))
    }
}

/// Turns an error into a [`Failure`] with the given code.
pub trait OrExit<T> {
    /// The value, or a failure that ends the program with `exit`.
    ///
    /// # Errors
    /// The failure.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Error + 'static> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(exit, &error))
    }
}
