//! `afpd-rs check-config`: what is in effect, and what is wrong with it.

use std::io::Write;

use crate::exit::{Exit, Failure, OrExit};
use crate::place::Place;
use crate::state::{StateDir, StateError};

/// Prints the settings in effect as a settings file would have them, then where things are, then what is wrong. Makes nothing.
///
/// # Errors
/// What is wrong keeps the server from starting.
pub fn run(place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    match &place.config_file {
        Some(file) => writeln!(out, "# settings from {}", file.display())?,
        None => writeln!(out, "# no settings file: these are the defaults")?,
    }
    write!(out, "{}", place.config.to_toml())?;
    writeln!(out, "\n# name shown to clients: {:?}", place.config.server.name())?;
    writeln!(out, "# state directory: {}", place.state.display())?;
    writeln!(out, "# accounts: {}", place.store_path().display())?;
    writeln!(out, "# failed logins are counted in {}", place.config.attempts.path(&place.state).display())?;
    for doubt in place.config.doubts() {
        writeln!(out, "# doubtful: {doubt}")?;
    }
    out.flush()?;

    match StateDir::open(&place.state) {
        Ok(state) => state.check().or_exit(Exit::Setup)?,
        Err(StateError::Missing { .. }) => writeln!(out, "# the state directory is not there yet; `serve` makes it")?,
        Err(wrong) => return Err(wrong).or_exit(Exit::Setup),
    }
    if place.store_is_in_state() && !place.store_path().exists() {
        writeln!(out, "# no accounts yet; `afpd-rs user add NAME` makes one")?;
        return Ok(Exit::Done);
    }
    let store = place.store()?;
    let accounts = store.accounts().map_err(|error| crate::place::failure(&error))?;
    let warnings = store.warnings().map_err(|error| crate::place::failure(&error))?;
    writeln!(out, "# accounts there: {}", accounts.len())?;
    for warning in &warnings {
        writeln!(out, "# warning: {warning}")?;
    }
    Ok(Exit::Done)
}
