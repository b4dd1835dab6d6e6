//! The log: tracing events, one line each, on standard error.
//!
//! People get text, in colour where standard error is a terminal; machines get one JSON object per line (`log.format`). What
//! is logged, and that no secret is, is the business of those who log.

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, LogLevel, LogSection};

/// Changes the level of a running log.
#[derive(Clone, Debug)]
pub struct LogControl(reload::Handle<LevelFilter, Registry>);

impl LogControl {
    /// From now on nothing less important than `level` is written. The form stays as it was at the start.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only once the log itself is gone, and then there is nothing to set.
        self.0.modify(|filter| *filter = level.into()).ok();
    }
}

/// Starts the log of the program. Once: a second call is an error.
///
/// # Errors
/// There is a log already.
pub fn start(settings: &LogSection) -> Result<LogControl, TryInitError> {
    let (filter, control) = reload::Layer::new(LevelFilter::from(settings.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let colour = settings.format == LogFormat::Auto && io::stderr().is_terminal();
    let lines = match settings.format {
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).boxed(),
        LogFormat::Auto | LogFormat::Human => lines.with_ansi(colour).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).try_init()?;
    Ok(LogControl(control))
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Off => Self::OFF,
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
