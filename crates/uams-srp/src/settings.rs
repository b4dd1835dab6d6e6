//! The optional `afpd-rs.toml`: what the module takes from it, and the secret behind decoys.
//!
//! The file is the one named by the environment variable `AFPD_RS_CONFIG`, or `afpd-rs.toml` in the directory of the verifier file, which is
//! Netatalk's configuration directory unless `srp passwd file` says otherwise. Without the variable it may be missing. It may be the
//! daemon's own: its tables are known, and all but `[login]` and `[attempts]` are the daemon's business. `[attempts]` is read as the daemon
//! reads it, by [`srp_uam::settings`]. Anything else in the file is taken for a slip of the
//! finger and refused: whoever writes `unknown_user = "decoy"` must not get "reveal".
//!
//! The secret is 32 random bytes in [`SECRET_FILE`] beside the settings, made at the first start that wants it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use srp_uam::DecoySecret;
use srp_uam::settings::AttemptsSection;
use zeroize::Zeroizing;

const FILE: &str = "afpd-rs.toml";
const SECRET_FILE: &str = "afpd-rs.decoy-secret";

/// What the module goes by.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// With it, unknown users get a challenge made from it; without, they are told.
    pub(crate) decoy: Option<DecoySecret>,
    /// How often a password may be tried, and where that is counted.
    pub(crate) attempts: AttemptsSection,
    /// Where the settings were read from.
    pub(crate) source: Option<PathBuf>,
}

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{} cannot be read: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("{}, line {line}, column {column}: {message}", .path.display())]
    Wrong { path: PathBuf, line: usize, column: usize, message: String },
    #[error("the decoy secret {} cannot be {action}: {error}", .path.display())]
    Secret { path: PathBuf, action: &'static str, error: io::Error },
    #[error("the decoy secret {} has mode {mode:04o}, so that others can read or change it: chmod 600 it", .path.display())]
    SecretOpen { path: PathBuf, mode: u32 },
    #[error("the decoy secret {} should hold 32 bytes: remove it to get a new one", .path.display())]
    SecretLength { path: PathBuf },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    login: Login,
    #[serde(default)]
    attempts: AttemptsSection,
    #[serde(rename = "server")]
    _server: Option<IgnoredAny>,
    #[serde(rename = "store")]
    _store: Option<IgnoredAny>,
    #[serde(rename = "timers")]
    _timers: Option<IgnoredAny>,
    #[serde(rename = "limits")]
    _limits: Option<IgnoredAny>,
    #[serde(rename = "log")]
    _log: Option<IgnoredAny>,
    #[serde(rename = "metrics")]
    _metrics: Option<IgnoredAny>,
    #[serde(rename = "network")]
    _network: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Login {
    unknown_users: UnknownUsers,
}

#[derive(Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum UnknownUsers {
    #[default]
    Reveal,
    Decoy,
}

impl Settings {
    /// Reads the file at `named`, or the usual one in `directory` if there is one.
    ///
    /// # Errors
    /// A file that cannot be read or understood, or a secret that cannot be read, made or trusted.
    pub(crate) fn read(named: Option<PathBuf>, directory: Option<&Path>) -> Result<Settings, SettingsError> {
        let must_be_there = named.is_some();
        let Some(path) = named.or_else(|| directory.map(|directory| directory.join(FILE))) else {
            return Ok(Settings::default());
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !must_be_there => return Ok(Settings::default()),
            Err(error) => return Err(SettingsError::Read { path, error }),
        };
        let document: Document = match toml::from_str(&text) {
            Ok(document) => document,
            Err(error) => {
                let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
                let (line, rest) = (before.matches('\n').count(), before.rsplit('\n').next().unwrap_or_default());
                // One line: it goes to a log.
                let message = error.message().replace('\n', ", ");
                return Err(SettingsError::Wrong { path, line: line + 1, column: rest.chars().count() + 1, message });
            }
        };
        let decoy = match document.login.unknown_users {
            UnknownUsers::Reveal => None,
            UnknownUsers::Decoy => Some(secret(&path.with_file_name(SECRET_FILE))?),
        };
        Ok(Settings { decoy, attempts: document.attempts, source: Some(path) })
    }
}

/// The secret in this file, made if there is none.
fn secret(path: &Path) -> Result<DecoySecret, SettingsError> {
    let failed = |action| move |error| SettingsError::Secret { path: path.to_owned(), action, error };
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let secret =
                DecoySecret::generate(&mut getrandom::SysRng).map_err(io::Error::other).map_err(failed("made"))?;
            let written = file.write_all(secret.as_bytes()).and_then(|()| file.sync_all());
            if let Err(error) = written {
                // Half a secret would be in the way of every later start.
                drop(std::fs::remove_file(path));
                return Err(failed("written")(error));
            }
            Ok(secret)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = File::open(path).map_err(failed("read"))?;
            let mode = file.metadata().map_err(failed("read"))?.mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(SettingsError::SecretOpen { path: path.to_owned(), mode });
            }
            // Room for one byte too many, which shows a file that is too long.
            let mut bytes = Zeroizing::new(Vec::with_capacity(33));
            file.take(33).read_to_end(&mut bytes).map_err(failed("read"))?;
            let kept: &[u8; 32] =
                bytes.as_slice().try_into().map_err(|_| SettingsError::SecretLength { path: path.to_owned() })?;
            Ok(DecoySecret::from_bytes(*kept))
        }
        Err(error) => Err(failed("made")(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(text: &str) -> Result<Settings, SettingsError> {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), text).unwrap();
        Settings::read(None, Some(directory.path()))
    }

    #[test]
    fn no_file_is_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let settings = Settings::read(None, Some(directory.path())).unwrap();
        assert!(settings.decoy.is_none() && settings.source.is_none());
        assert!(Settings::read(None, None).unwrap().decoy.is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is made unasked");
    }

    #[test]
    fn a_file_that_was_named_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let named = directory.path().join("elsewhere.toml");
        let error = Settings::read(Some(named.clone()), None).unwrap_err().to_string();
        assert!(error.contains("elsewhere.toml"), "{error}");
        fs::write(&named, "[login]\nunknown_users = \"decoy\"\n").unwrap();
        let settings = Settings::read(Some(named.clone()), None).unwrap();
        assert!(settings.decoy.is_some());
        assert_eq!(settings.source.as_deref(), Some(&*named));
    }

    /// Every key of the daemon's, as its own example has them.
    #[test]
    fn the_daemons_file_is_understood() {
        let example = include_str!("../../../config/afpd-rs.toml");
        let keys =
            example.lines().map(|line| line.strip_prefix('#').filter(|key| !key.starts_with(' ')).unwrap_or(line));
        let all = keys.collect::<Vec<_>>().join("\n");
        assert!(all.contains("\nunknown_users = \"reveal\"\n") && all.contains("\nlisten = "), "{all}");
        let settings = read(&all).unwrap();
        assert!(settings.decoy.is_none());
        assert_eq!(settings.attempts, AttemptsSection::default());
        assert_eq!(read(&all.replace("failures = 5", "failures = 7")).unwrap().attempts.policy().failures, 7);
        assert!(read(&all.replace("\"reveal\"", "\"decoy\"")).unwrap().decoy.is_some());
    }

    #[test]
    fn a_slip_is_refused_with_its_place() {
        for (text, word) in [
            ("[login]\nunknown_user = \"decoy\"", "unknown_users"),
            ("[login]\n unknown_user = \"decoy\"", "line 2, column 2"),
            ("[login]\nunknown_users = \"hide\"", "decoy"),
            ("[logn]\nunknown_users = \"decoy\"", "login"),
            ("unknown_users = \"decoy\"", "line 1"),
            ("[login", "line 1"),
            ("[attempts]\nfailurs = 5", "failures"),
            ("[attempts]\nfailures = 0", "from 1 to 1000"),
            ("[attempts]\npath = \"tally\"", "write it from /"),
            ("[attempts]\nexempt = [\"192.168.1.0/16\"]", "line 2, column 10"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(FILE) && error.contains(word) && error.contains("line "), "{text:?} gave {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn the_secret_is_made_once_and_guarded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(SECRET_FILE);
        let made = secret(&path).unwrap();
        assert_ne!(made.as_bytes(), &[0; 32]);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(secret(&path).unwrap().as_bytes(), made.as_bytes());
        for length in [0, 31, 33] {
            fs::write(&path, vec![7; length]).unwrap();
            assert!(matches!(secret(&path), Err(SettingsError::SecretLength { .. })), "{length}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let error = secret(&path).unwrap_err().to_string();
        assert!(error.contains("0640") && error.contains("chmod 600"), "{error}");
        assert!(secret(&directory.path().join("missing/secret")).is_err());
    }
}
