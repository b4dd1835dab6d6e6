//! The state directory: what the program keeps between two starts.
//!
//! ```text
//! accounts/      the native account store (crate verifier-store)
//! signature      16 random bytes in hex, made once: by it a client knows us again under another name or address
//! decoy-secret   32 random bytes, made once, mode 0600: what challenges for unknown users are computed from
//! tally/         failed logins, one file per account (verifier_store::tally)
//! ```
//! Nobody but its owner may write to it, and its owner is who runs the program, or root.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Where the state is kept unless `--state` says otherwise.
pub use srp_uam::settings::DEFAULT_STATE as DEFAULT;
use thiserror::Error;
use zeroize::Zeroizing;

/// A state directory that may be trusted.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// Why a state directory, or a file in it, cannot be used.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the fields are what the texts name")]
pub enum StateError {
    /// It is not there.
    #[error("the state directory {path:?} does not exist; create it, or name another with --state")]
    Missing { path: PathBuf },
    /// It cannot be made.
    #[error("the state directory {path:?} cannot be created: {error}; run as root, or name another with --state")]
    Create { path: PathBuf, error: io::Error },
    /// It is something else.
    #[error("{path:?} is not a directory; name one with --state")]
    NotADirectory { path: PathBuf },
    /// Somebody else owns it.
    #[error(
        "{path:?} belongs to user {owner}, not to user {us}, who runs this; run as its owner (`runuser -u NAME -- afpd-rs …`) or, if it is to be yours, `chown {us} {path:?}`"
    )]
    Foreign { path: PathBuf, owner: u32, us: u32 },
    /// Others could change or read what is in it.
    #[error("{path:?} has mode {mode:04o}, so that others can {what} it; `chmod {fix} {path:?}`")]
    Insecure { path: PathBuf, mode: u32, what: &'static str, fix: &'static str },
    /// A file cannot be read or written.
    #[error("{path:?} cannot be {action}: {error}")]
    File { path: PathBuf, action: &'static str, error: io::Error },
    /// A file has something else in it.
    #[error("{path:?} should hold {expected}; restore it, or remove it to get a new one ({consequence})")]
    Malformed { path: PathBuf, expected: &'static str, consequence: &'static str },
    /// The system gave no random bytes.
    #[error("the system has no random bytes to give: {0}")]
    Randomness(getrandom::Error),
}

impl StateDir {
    /// The state directory at `path`, which must be there.
    ///
    /// # Errors
    /// It is not there, is no directory, or others could write to it.
    pub fn open(path: &Path) -> Result<StateDir, StateError> {
        let found = fs::metadata(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => StateError::Missing { path: path.to_owned() },
            _ => StateError::File { path: path.to_owned(), action: "looked at", error },
        })?;
        if !found.is_dir() {
            return Err(StateError::NotADirectory { path: path.to_owned() });
        }
        let us = rustix::process::geteuid().as_raw();
        if found.uid() != us && found.uid() != 0 {
            return Err(StateError::Foreign { path: path.to_owned(), owner: found.uid(), us });
        }
        if found.mode() & 0o022 != 0 {
            let mode = found.mode() & 0o7777;
            return Err(StateError::Insecure { path: path.to_owned(), mode, what: "change", fix: "go-w" });
        }
        Ok(StateDir { path: path.to_owned() })
    }

    /// The state directory at `path`, made (mode 0700, with the directories above it) if it is not there.
    ///
    /// # Errors
    /// As [`StateDir::open`], and: it cannot be made.
    pub fn create(path: &Path) -> Result<StateDir, StateError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => StateError::NotADirectory { path: path.to_owned() },
            _ => StateError::Create { path: path.to_owned(), error },
        })?;
        StateDir::open(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is in it can be used. Makes nothing.
    ///
    /// # Errors
    /// As [`StateDir::signature`] and [`StateDir::decoy_secret`].
    pub fn check(&self) -> Result<(), StateError> {
        if self.path.join("signature").exists() {
            self.signature()?;
        }
        if self.path.join("decoy-secret").exists() {
            self.decoy_secret()?;
        }
        Ok(())
    }

    /// The server signature, 16 bytes; made now if there is none yet.
    ///
    /// # Errors
    /// The file cannot be read, written or understood.
    pub fn signature(&self) -> Result<[u8; 16], StateError> {
        let path = self.path.join("signature");
        let mut fresh = [0; 16];
        getrandom::fill(&mut fresh).map_err(StateError::Randomness)?;
        let mut line = base16ct::lower::encode_string(&fresh);
        line.push('\n');
        let kept = once(&path, line.as_bytes())?;
        let mut signature = [0; 16];
        match base16ct::mixed::decode(kept.trim_ascii(), &mut signature) {
            Ok(bytes) if bytes.len() == 16 => Ok(signature),
            _ => Err(StateError::Malformed {
                path,
                expected: "32 hex digits",
                consequence: "clients will then take this for another server",
            }),
        }
    }

    /// The secret behind decoy challenges, 32 bytes; made now if there is none yet.
    ///
    /// # Errors
    /// The file cannot be read or written, is not 32 bytes long, or others can read it.
    pub fn decoy_secret(&self) -> Result<Zeroizing<[u8; 32]>, StateError> {
        let path = self.path.join("decoy-secret");
        let mut fresh = Zeroizing::new([0; 32]);
        getrandom::fill(fresh.as_mut_slice()).map_err(StateError::Randomness)?;
        let kept = once(&path, fresh.as_slice())?;
        let found =
            fs::metadata(&path).map_err(|error| StateError::File { path: path.clone(), action: "looked at", error })?;
        if found.mode() & 0o077 != 0 {
            let mode = found.mode() & 0o7777;
            return Err(StateError::Insecure { path, mode, what: "read or change", fix: "go-rwx" });
        }
        kept.as_slice().try_into().map(Zeroizing::new).map_err(|_| StateError::Malformed {
            path,
            expected: "32 bytes",
            consequence: "challenges for unknown users will then change once",
        })
    }
}

/// What is in `path`; if there is no such file, `fresh`, put there whole and in one step (two starts at once agree on one).
fn once(path: &Path, fresh: &[u8]) -> Result<Zeroizing<Vec<u8>>, StateError> {
    let failed = |action| move |error| StateError::File { path: path.to_owned(), action, error };
    if let Some(kept) = read(path).map_err(failed("read"))? {
        return Ok(kept);
    }
    let directory = path.parent().unwrap_or(path);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed("created"))?;
    file.write_all(fresh).and_then(|()| file.as_file().sync_all()).map_err(failed("written"))?;
    match file.persist_noclobber(path) {
        Ok(_) => fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed("written"))?,
        Err(lost) if lost.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(lost) => return Err(failed("created")(lost.error)),
    }
    read(path).map_err(failed("read"))?.ok_or_else(|| failed("read")(io::ErrorKind::NotFound.into()))
}

/// The first 4096 bytes of a file; none if there is no file.
fn read(path: &Path) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Room for all of it at once: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(4096).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn fresh() -> (tempfile::TempDir, StateDir) {
        let parent = tempfile::tempdir().unwrap();
        let state = StateDir::create(&parent.path().join("a/state")).unwrap();
        (parent, state)
    }

    #[test]
    fn what_is_made_once_stays() {
        let (_parent, state) = fresh();
        assert_eq!(fs::metadata(state.path()).unwrap().mode() & 0o7777, 0o700);
        let (signature, secret) = (state.signature().unwrap(), state.decoy_secret().unwrap());
        assert_ne!(signature, [0; 16]);
        assert_ne!(*secret, [0; 32]);
        let again = StateDir::open(state.path()).unwrap();
        assert_eq!(again.signature().unwrap(), signature);
        assert_eq!(*again.decoy_secret().unwrap(), *secret);
        assert_eq!(fs::metadata(state.path().join("decoy-secret")).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 2, "no temporary file stays behind");
    }

    #[test]
    fn two_starts_at_once_agree() {
        let (_parent, state) = fresh();
        let signatures: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| state.signature().unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(signatures.iter().all(|signature| *signature == signatures[0]));
    }

    #[test]
    fn what_cannot_be_trusted_is_refused() {
        let (parent, state) = fresh();
        let missing = StateDir::open(&parent.path().join("none")).unwrap_err().to_string();
        assert!(missing.contains("does not exist") && missing.contains("--state"), "{missing}");
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(StateDir::open(&file), Err(StateError::NotADirectory { .. })));
        assert!(matches!(StateDir::create(&file), Err(StateError::NotADirectory { .. })));
        let below = StateDir::create(&file.join("state")).unwrap_err();
        assert!(matches!(below, StateError::Create { .. }), "{below}");

        set_permissions(state.path(), Permissions::from_mode(0o770)).unwrap();
        let open = StateDir::open(state.path()).unwrap_err().to_string();
        assert!(open.contains("mode 0770") && open.contains("chmod go-w"), "{open}");
        set_permissions(state.path(), Permissions::from_mode(0o755)).unwrap();
        StateDir::open(state.path()).unwrap();

        state.decoy_secret().unwrap();
        set_permissions(state.path().join("decoy-secret"), Permissions::from_mode(0o640)).unwrap();
        let readable = state.decoy_secret().unwrap_err().to_string();
        assert!(readable.contains("mode 0640") && readable.contains("chmod go-rwx"), "{readable}");
    }

    #[test]
    fn damaged_files_are_named() {
        let (_parent, state) = fresh();
        for damaged in ["", "0102", "not hex not hex not hex not hex!", "000102030405060708090a0b0c0d0e0f10"] {
            fs::write(state.path().join("signature"), damaged).unwrap();
            let error = state.check().unwrap_err().to_string();
            assert!(error.contains("signature") && error.contains("32 hex digits"), "{error}");
        }
        fs::write(state.path().join("signature"), "000102030405060708090A0B0C0D0E0F\n").unwrap();
        assert_eq!(state.signature().unwrap(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        state.decoy_secret().unwrap();
        fs::write(state.path().join("decoy-secret"), [7; 31]).unwrap();
        assert!(state.decoy_secret().unwrap_err().to_string().contains("32 bytes"));
    }
}
