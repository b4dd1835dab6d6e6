//! The log: tracing events, one line each, on standard error.
//!
//! People get text, in colour where standard error is a terminal; machines get one JSON object per line (`log.format`). What
//! is logged, and that no secret is, is the business of those who log.
//!
//! Nobody waits for the log: a thread of its own writes the lines. While standard error takes none (a pipe that nobody reads, a terminal that was
//! stopped, a full disk) lines queue up, then they are counted, and when it takes them again a line says how many are missing.

use std::io::{self, IsTerminal, Write};
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

use tracing::{error, warn};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel, LogSection};

/// So many lines wait to be written. The longest one, with a login name that is all escapes, has about 1 KiB.
const WAITING: usize = 2048;

/// How long the end of the program waits for lines to be written.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Changes the level of a running log. When it is dropped, what was logged before has been written, if anything takes it.
#[derive(Debug)]
pub struct LogControl {
    level: reload::Handle<LevelFilter, Registry>,
    lines: Lines,
}

impl LogControl {
    /// From now on nothing less important than `level` is written. The form stays as it was at the start.
    pub fn set_level(&self, level: LogLevel) {
        // Fails only once the log itself is gone, and then there is nothing to set.
        self.level.modify(|filter| *filter = level.into()).ok();
    }
}

impl Drop for LogControl {
    fn drop(&mut self) {
        self.lines.written_within(LAST_LINES);
    }
}

/// Starts the log of the program. Once: a second call is an error.
///
/// # Errors
/// There is a log already, or the system gives no thread.
pub fn start(settings: &LogSection) -> io::Result<LogControl> {
    let (filter, level) = reload::Layer::new(LevelFilter::from(settings.level));
    let lines = Lines::to(io::stderr())
        .map_err(|error| io::Error::other(format!("the system gives no thread for the log: {error}")))?;
    let written = lines.clone();
    let layer = tracing_subscriber::fmt::layer().with_writer(move || written.clone()).with_target(false);
    let colour = settings.format == LogFormat::Auto && io::stderr().is_terminal();
    let layer = match settings.format {
        LogFormat::Json => layer.json().flatten_event(true).with_ansi(false).boxed(),
        LogFormat::Auto | LogFormat::Human => layer.with_ansi(colour).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(layer).try_init().map_err(io::Error::other)?;
    Ok(LogControl { level, lines })
}

/// Makes a panic, which is a bug, a line of the log like any other. The usual way, straight to standard error, may wait for ever, and is no
/// line of JSON.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(at, "bug in afpd-rs: {}", panic.payload_as_str().unwrap_or("a panic without words"));
    }));
}

/// Lines on their way.
#[derive(Clone, Debug)]
struct Lines {
    waiting: SyncSender<Line>,
    /// So many found no room among those that wait.
    lost: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Line {
    Text(Vec<u8>),
    /// All before it have been written.
    Reached(SyncSender<()>),
}

impl Lines {
    fn to(target: impl Write + Send + 'static) -> io::Result<Self> {
        let (waiting, lines) = mpsc::sync_channel(WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&lines, &counted, target))?;
        Ok(Self { waiting, lost })
    }

    /// Waits for what was logged before to be written, but not longer.
    fn written_within(&self, patience: Duration) {
        let end = Instant::now().checked_add(patience);
        let (reached, told) = mpsc::sync_channel(1);
        let mut last = Line::Reached(reached);
        while let Err(mpsc::TrySendError::Full(again)) = self.waiting.try_send(last) {
            if end.is_none_or(|end| Instant::now() >= end) {
                return;
            }
            last = again;
            thread::sleep(Duration::from_millis(5));
        }
        let left = end.map(|end| end.saturating_duration_since(Instant::now())).unwrap_or_default();
        told.recv_timeout(left).ok();
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.waiting.try_send(Line::Text(line.to_vec())).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines for as long as there is a log.
fn write_all(lines: &Receiver<Line>, lost: &AtomicU64, mut target: impl Write) {
    let mut missing = 0_u64;
    let mut takes = true;
    loop {
        let line = match lines.try_recv() {
            Err(TryRecvError::Empty) => {
                missing = missing.saturating_add(lost.swap(0, Ordering::Relaxed));
                if missing > 0 && takes {
                    // It comes back to here as a line like any other, and finds room.
                    warn!(lines = missing, "log: {missing} lines are missing here, standard error took none");
                    missing = 0;
                }
                lines.recv().map_err(|_| TryRecvError::Disconnected)
            }
            line => line,
        };
        match line {
            Ok(Line::Text(line)) => {
                takes = target.write_all(&line).is_ok();
                missing = missing.saturating_add(u64::from(!takes));
            }
            // Who no longer waits need not be told.
            Ok(Line::Reached(told)) => drop(told.try_send(())),
            Err(_) => return,
        }
    }
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// A target that takes nothing holds up nobody; what found no room is counted.
    #[test]
    fn lines_wait_and_then_are_counted() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let mut lines = Lines::to(ours).unwrap();
        let began = Instant::now();
        let written = 10_000;
        for number in 0..written {
            lines.write_all(format!("{number:0100}\n").as_bytes()).unwrap();
        }
        lines.written_within(Duration::from_millis(50));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        let lost = lines.lost.load(Ordering::Relaxed);
        assert!(lost > 0 && lost < written, "{lost}");
        let reader = thread::spawn(move || {
            let mut text = String::new();
            theirs.read_to_string(&mut text).unwrap();
            text
        });
        lines.written_within(Duration::from_secs(10));
        drop(lines);
        // In their order, each of them whole.
        let numbers: Vec<u64> = reader.join().unwrap().lines().map(|line| line.parse().unwrap()).collect();
        assert!(numbers.is_sorted());
        assert_eq!(numbers.len() as u64, written - lost);
    }
}
