//! Where a command works: the settings, the state directory and the account store that `--config` and `--state` lead to.

use std::path::{Path, PathBuf};

use verifier_store::tally::Tally;
use verifier_store::{Format, Store, StoreError};

use crate::cli::Global;
use crate::config::{Config, StoreFormat};
use crate::exit::{Exit, Failure, OrExit};
use crate::state::{self, StateDir};

/// Settings and the paths they lead to.
#[derive(Clone, Debug)]
pub struct Place {
    /// The settings.
    pub config: Config,
    /// Where they were read; none: the defaults.
    pub config_file: Option<PathBuf>,
    /// The state directory, which may not be there yet.
    pub state: PathBuf,
}

impl Place {
    /// What the global options lead to.
    ///
    /// # Errors
    /// The settings are wrong.
    pub fn of(global: &Global) -> Result<Self, Failure> {
        let config_file = Config::file(global.config.as_deref());
        let config = Config::load(config_file.as_deref()).or_exit(Exit::Setup)?;
        let state = global.state.clone().unwrap_or_else(|| PathBuf::from(state::DEFAULT));
        Ok(Self { config, config_file, state })
    }

    /// Where the accounts are.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.config.store.path(&self.state)
    }

    /// The tally of failed attempts, which is made at the first one.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::at(&self.config.attempts.path(&self.state))
    }

    /// The account store, which must be there.
    ///
    /// # Errors
    /// It is not there or cannot be used.
    pub fn store(&self) -> Result<Store, Failure> {
        if self.store_is_in_state() && !self.store_path().exists() {
            StateDir::open(&self.state).or_exit(Exit::Setup)?;
            let message = format!(
                "there are no accounts in {} yet; make one with `afpd-rs user add NAME`, or name another directory with --state",
                self.state.display()
            );
            return Err(Failure::new(Exit::Setup, message));
        }
        Store::open(self.config.store.format.into(), &self.store_path()).map_err(|error| failure(&error))
    }

    /// The account store, made if it is not there and is ours to make: in the state directory, which is made too.
    ///
    /// # Errors
    /// It cannot be made or used.
    pub fn store_or_new(&self) -> Result<Store, Failure> {
        if self.store_is_in_state() {
            StateDir::create(&self.state).or_exit(Exit::Setup)?;
        }
        open_or_create(self.config.store.format.into(), &self.store_path()).map_err(|error| failure(&error))
    }

    /// Whether the accounts are in the state directory, where they are ours to make.
    #[must_use]
    pub fn store_is_in_state(&self) -> bool {
        self.config.store.format == StoreFormat::Native && self.config.store.path.is_none()
    }
}

/// The store at `path`, made if nothing is there.
///
/// # Errors
/// It cannot be made or used.
pub fn open_or_create(format: Format, path: &Path) -> Result<Store, StoreError> {
    match Store::open(format, path) {
        Err(StoreError::Missing { .. }) => match Store::create(format, path) {
            // Somebody else was faster.
            Err(StoreError::Exists { .. }) => Store::open(format, path),
            made => made,
        },
        opened => opened,
    }
}

/// The exit code of a store error: is the store at fault, or what was asked of it?
#[must_use]
pub fn failure(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::NoSuchAccount { .. }
        | StoreError::AlreadyExists { .. }
        | StoreError::DuplicateLoginName { .. }
        | StoreError::UnsupportedGroup { .. }
        | StoreError::EmptyPassword
        | StoreError::WrongPassword { .. }
        | StoreError::InvalidName { .. }
        | StoreError::NotInFormat { .. }
        | StoreError::VerifierDestroyed { .. }
        | StoreError::NoSystemUser { .. }
        | StoreError::Exists { .. } => Exit::Failed,
        _ => Exit::Setup,
    };
    Failure::of(exit, error)
}

impl From<StoreFormat> for Format {
    fn from(format: StoreFormat) -> Self {
        match format {
            StoreFormat::Native => Self::Native,
            StoreFormat::NetatalkFile => Self::NetatalkFile,
            StoreFormat::NetatalkDirectory => Self::NetatalkDirectory,
        }
    }
}
