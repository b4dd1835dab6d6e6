//! The log lines about logins and the ends of sessions. Their fields are a promise: filters for other tools are written against them.
//!
//! ```text
//! login peer=192.0.2.7:49152 name="alice" uam="SRP" outcome="signed-in" reason="proof verified" account="alice" form="strip" result=0 ms=3
//! login peer=192.0.2.7:49153 name="alice" uam="SRP" outcome="refused" reason="wrong password" result=-6754 ms=2
//! login peer=192.0.2.7:49153 name="alice" uam="SRP" outcome="refused" reason="too many failures: refused for 57 s" result=-6754 ms=2
//! login peer=192.0.2.7:49154 name="alice" uam="SRP" outcome="abandoned" reason="no answer to the challenge" ms=60000
//! ```
//! What a client sent is quoted and escaped by the log's own format: a name with a line feed or a terminal sequence in it stays one
//! harmless line. A name that is not UTF-8 is shown with `\xff` for each byte that is not ASCII.

use std::borrow::Cow;
use std::net::SocketAddr;

use afp_session::{Ending, LoginOutcome, LoginRefusal, LoginReport};
use srp_uam::{NoRecord, Refusal, Rejected};
use tracing::{debug, error, info, warn};

use super::metrics::form_name;
use super::repeats::Kind;

/// The kind of line that [`write()`] writes; `None`: one that is written however often. Who signed in is always known.
pub(super) fn kind(report: &LoginReport) -> Option<Kind> {
    match &report.outcome {
        LoginOutcome::SignedIn { .. } => None,
        LoginOutcome::Refused { .. } => Some("login-refused"),
        LoginOutcome::Abandoned => Some("login-abandoned"),
    }
}

/// Writes the line of one login attempt.
pub(super) fn write(peer: SocketAddr, report: &LoginReport) {
    let name = &*text(&report.login_name);
    let uam = &*text(&report.uam);
    let ms = u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX);
    match &report.outcome {
        LoginOutcome::SignedIn { account, form } => {
            let form = form_name(*form);
            info!(%peer, name, uam, outcome = "signed-in", reason = "proof verified", account = &**account, form, result = 0, ms, "login");
        }
        LoginOutcome::Refused { why, answer } => {
            let reason = format!("{why}");
            let result = answer.result.0;
            if is_ours(why) {
                error!(%peer, name, uam, outcome = "refused", reason, result, ms, "login");
            } else {
                warn!(%peer, name, uam, outcome = "refused", reason, result, ms, "login");
            }
        }
        LoginOutcome::Abandoned => {
            info!(%peer, name, uam, outcome = "abandoned", reason = "no answer to the challenge", ms, "login");
        }
    }
}

/// The kind of line that [`ended`] writes, where it is one of the usual level.
pub(super) fn ended_kind(ending: &Ending) -> Option<Kind> {
    match ending {
        Ending::Frame(_) | Ending::FirstFrame | Ending::OpenSession => Some("connection-dropped"),
        Ending::Busy | Ending::Evicted | Ending::StatusRefused => Some("no-room"),
        Ending::Dead | Ending::LoginTimeout | Ending::SleptTooLong => Some("session-ended"),
        Ending::StatusServed
        | Ending::Silent
        | Ending::FirstFrameTimeout
        | Ending::ClosedByClient
        | Ending::HungUp
        | Ending::LoginRefused
        | Ending::LingeredAfterLogout
        | Ending::ShutDown => None,
    }
}

/// Writes why a session is over, where that is worth a line at the usual level.
pub(super) fn ended(peer: SocketAddr, ending: &Ending) {
    match ending {
        Ending::Frame(error) => info!(%peer, reason = %error, "connection dropped: not a frame that belongs here"),
        Ending::FirstFrame => info!(%peer, "connection dropped: began with neither GetStatus nor OpenSession"),
        Ending::OpenSession => info!(%peer, "connection dropped: malformed DSIOpenSession options"),
        Ending::Busy => {
            warn!(%peer, "session refused: limits.max_sessions, or limits.connections_per_address, is reached");
        }
        Ending::Evicted => {
            info!(%peer, "connection ended to make room: nobody was signed in, and limits.max_strangers, limits.connections_per_address or the number of open files is reached");
        }
        Ending::StatusRefused => {
            info!(%peer, "server information refused: limits.status_per_minute is reached");
        }
        Ending::Dead => info!(%peer, "session ended: nothing received for too long"),
        Ending::LoginTimeout => info!(%peer, "session ended: no login in time"),
        Ending::SleptTooLong => info!(%peer, "session ended: the client slept too long"),
        Ending::StatusServed
        | Ending::Silent
        | Ending::FirstFrameTimeout
        | Ending::ClosedByClient
        | Ending::HungUp
        | Ending::LoginRefused
        | Ending::LingeredAfterLogout
        | Ending::ShutDown => debug!(%peer, ?ending, "connection ended"),
    }
}

/// Whether the refusal is about the server's own state and its administrator should look.
fn is_ours(why: &LoginRefusal) -> bool {
    matches!(
        why,
        LoginRefusal::Rejected(
            Rejected::Internal
                | Rejected::Randomness
                | Rejected::NoRecord(NoRecord::Store(_) | NoRecord::Unusable { .. })
                | Rejected::TooManyFailures { refusal: Refusal::Uncounted, .. }
                | Rejected::DecoyProof(NoRecord::Store(_) | NoRecord::Unusable { .. })
        )
    )
}

/// The bytes as text, lossless for text.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.escape_ascii().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that a refused login of this name leaves, for people and as JSON.
    fn lines(name: &[u8]) -> [String; 2] {
        let why = LoginRefusal::Rejected(Rejected::NoRecord(NoRecord::Unknown));
        let answer = why.answer();
        let outcome = LoginOutcome::Refused { why, answer };
        let took = Duration::from_millis(2);
        let report = LoginReport { login_name: name.to_vec(), uam: b"SRP".to_vec(), took, outcome };
        let (human, json) = (Memory::default(), Memory::default());
        let writer = |memory: &Memory| {
            let memory = memory.clone();
            move || memory.clone()
        };
        let plain = tracing_subscriber::fmt().without_time().with_ansi(false).with_target(false);
        let flat = tracing_subscriber::fmt().json().flatten_event(true).without_time().with_target(false);
        let peer = SocketAddr::from(([192, 0, 2, 7], 49152));
        tracing::subscriber::with_default(plain.with_writer(writer(&human)).finish(), || write(peer, &report));
        tracing::subscriber::with_default(flat.with_writer(writer(&json)).finish(), || write(peer, &report));
        [human, json].map(|memory| String::from_utf8(memory.0.lock().unwrap().clone()).unwrap())
    }

    #[test]
    fn the_promised_line() {
        let [human, json] = lines(b"alice");
        assert_eq!(
            human.trim_start(),
            "WARN login peer=192.0.2.7:49152 name=\"alice\" uam=\"SRP\" outcome=\"refused\" reason=\"unknown login name\" result=-5023 ms=2\n"
        );
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let expected = serde_json::json!({
            "level": "WARN", "message": "login", "peer": "192.0.2.7:49152", "name": "alice", "uam": "SRP",
            "outcome": "refused", "reason": "unknown login name", "result": -5023, "ms": 2
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_name_cannot_forge_a_line() {
        for name in ["a\nWARN login peer=192.0.2.9:1", "a\" outcome=\"signed-in", "\x1b[2J", "\u{202e}evil", "\r"] {
            let [human, json] = lines(name.as_bytes());
            assert_eq!(human.lines().count(), 1, "{human}");
            assert!(human.contains(&format!("name={name:?} uam=")), "{human}");
            assert!(!human.trim_end().contains(char::is_control), "{human}");
            assert_eq!(json.lines().count(), 1, "{json}");
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["name"], name);
        }
        assert!(lines(b"\xff\x00")[0].contains(r#"name="\\xff\\x00" uam="#));
    }
}
