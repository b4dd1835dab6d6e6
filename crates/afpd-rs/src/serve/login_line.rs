//! The log lines about logins and the ends of sessions. Their fields are a promise: filters for other tools are written against them.
//!
//! ```text
//! login peer=192.0.2.7:49152 name="alice" uam="SRP" outcome="signed-in" reason="proof verified" account="alice" form="strip" result=0 ms=3
//! login peer=192.0.2.7:49153 name="alice" uam="SRP" outcome="refused" reason="wrong password" result=-6754 ms=2
//! login peer=192.0.2.7:49154 name="alice" uam="SRP" outcome="abandoned" reason="no answer to the challenge" ms=60000
//! ```
//! What a client sent is quoted and escaped: a name with a line feed or a terminal sequence in it stays one harmless line.

use std::net::SocketAddr;

use afp_session::{Ending, LoginOutcome, LoginRefusal, LoginReport};
use srp_uam::{NoRecord, ProofForm, Rejected};
use tracing::{debug, error, info, warn};

/// Writes the line of one login attempt.
pub(super) fn write(peer: SocketAddr, report: &LoginReport) {
    let name = quoted(&report.login_name);
    let uam = quoted(&report.uam);
    let ms = report.took.as_millis();
    match &report.outcome {
        LoginOutcome::SignedIn { account, form } => {
            let form = form_name(*form);
            info!(%peer, %name, %uam, outcome = "signed-in", reason = "proof verified", ?account, form, result = 0, ms, "login");
        }
        LoginOutcome::Refused { why, answer } => {
            let reason = format!("{why}");
            let result = answer.result.0;
            if is_ours(why) {
                error!(%peer, %name, %uam, outcome = "refused", reason, result, ms, "login");
            } else {
                warn!(%peer, %name, %uam, outcome = "refused", reason, result, ms, "login");
            }
        }
        LoginOutcome::Abandoned => {
            info!(%peer, %name, %uam, outcome = "abandoned", reason = "no answer to the challenge", ms, "login");
        }
    }
}

/// Writes why a session is over, where that is worth a line at the usual level.
pub(super) fn ended(peer: SocketAddr, ending: &Ending) {
    match ending {
        Ending::Frame(error) => info!(%peer, reason = %error, "connection dropped: not a frame that belongs here"),
        Ending::FirstFrame => info!(%peer, "connection dropped: began with neither GetStatus nor OpenSession"),
        Ending::OpenSession => info!(%peer, "connection dropped: malformed DSIOpenSession options"),
        Ending::Busy => warn!(%peer, "session refused: limits.max_connections is reached"),
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
                | Rejected::DecoyProof(NoRecord::Store(_) | NoRecord::Unusable { .. })
        )
    )
}

fn form_name(form: ProofForm) -> &'static str {
    match form {
        ProofForm::Strip => "strip",
        ProofForm::AsReceived => "as-received",
        ProofForm::Pad => "pad",
    }
}

/// The bytes between quotes; text is shown as such, everything unprintable escaped.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_cannot_forge_a_line() {
        assert_eq!(quoted(b"alice"), r#""alice""#);
        assert_eq!(quoted("Zo\u{eb}".as_bytes()), "\"Zo\u{eb}\"");
        assert_eq!(quoted(b"a\nlogin peer=1"), r#""a\nlogin peer=1""#);
        assert_eq!(quoted(b"a\" outcome=\"signed-in"), r#""a\" outcome=\"signed-in""#);
        assert_eq!(quoted(b"\x1b[2J"), r#""\u{1b}[2J""#);
        assert_eq!(quoted("\u{202e}evil".as_bytes()), r#""\u{202e}evil""#);
        assert_eq!(quoted(b"\xff\x00\""), r#""\xff\x00\"""#);
    }
}
