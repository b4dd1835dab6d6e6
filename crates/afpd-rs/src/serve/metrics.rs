//! The figures: what has happened so far, and the text that Prometheus reads (OpenMetrics).
//!
//! Labels come from our own words, never from a peer: the number of time series is fixed, and no name of a user, an account or an
//! address is among them. Who did what is in the log.

use std::time::Duration;

use afp_proto::dsi::FrameError;
use afp_session::{Busy, Ending, Event, LoginOutcome, LoginRefusal};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use srp_uam::{NoRecord, ProofForm, Rejected};

use super::door::Cap;

/// Label names and their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];
type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// Upper bounds of a login's computation and of the wait for it, in seconds. One takes about a millisecond.
const SECONDS: [f64; 12] = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];

/// Which round of a login was computed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Round {
    Challenge,
    Proof,
}

/// The figures of the program.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    connections: Family<Labels<1>, Gauge>,
    accepted: Counter,
    evicted: Counters<1>,
    accept_pauses: Counter,
    panics: Counter,
    status: Counters<1>,
    logins: Counters<2>,
    proof_forms: Counters<1>,
    ended: Counters<1>,
    frames_refused: Counters<1>,
    /// Logins that wait for a thread now.
    pub(super) login_queue: Gauge,
    waits: Histogram,
    computations: Family<Labels<1>, Histogram>,
    lines_counted: Counter,
    reloads: Counters<1>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("afpd"),
            connections: Family::default(),
            accepted: Counter::default(),
            evicted: Family::default(),
            accept_pauses: Counter::default(),
            panics: Counter::default(),
            status: Family::default(),
            logins: Family::default(),
            proof_forms: Family::default(),
            ended: Family::default(),
            frames_refused: Family::default(),
            login_queue: Gauge::default(),
            waits: Histogram::new(SECONDS),
            computations: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            lines_counted: Counter::default(),
            reloads: Family::default(),
        };
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let to = &mut self.registry;
        to.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        to.register("connections", "Connections now, by state", self.connections.clone());
        to.register("connections_accepted", "Connections accepted", self.accepted.clone());
        to.register(
            "connections_evicted",
            "Connections ended to make room, by the limit that was reached",
            self.evicted.clone(),
        );
        to.register(
            "accept_pauses",
            "Pauses in accepting for want of descriptors or memory",
            self.accept_pauses.clone(),
        );
        to.register("connection_panics", "Connections that ended by a bug in this program", self.panics.clone());
        to.register("status_probes", "Requests for server information, by outcome", self.status.clone());
        to.register("logins", "Logins, by outcome and reason", self.logins.clone());
        to.register("login_proof_forms", "Logins, by the form of A in the client's proof", self.proof_forms.clone());
        to.register("connections_ended", "Connections ended, by reason", self.ended.clone());
        to.register("frames_refused", "Frames refused, by rule", self.frames_refused.clone());
        to.register("login_queue", "Logins that wait to be computed now", self.login_queue.clone());
        to.register("login_wait_seconds", "How long logins waited to be computed", self.waits.clone());
        to.register("login_compute_seconds", "How long logins took to compute, by round", self.computations.clone());
        to.register("log_lines_counted", "Log lines that were counted and not written", self.lines_counted.clone());
        to.register("reloads", "Times that settings were read again, by outcome", self.reloads.clone());
        self
    }

    /// The text, for so many connections now.
    pub(super) fn text(&self, strangers: usize, sessions: usize) -> String {
        for (state, number) in [("stranger", strangers), ("signed-in", sessions)] {
            self.connections.get_or_create(&[("state", state)]).set(i64::try_from(number).unwrap_or(i64::MAX));
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        encode(&mut text, &self.registry).unwrap_or_default();
        text
    }

    pub(super) fn accepted(&self) {
        self.accepted.inc();
    }

    pub(super) fn evicted(&self, cap: Cap) {
        let cap = match cap {
            Cap::Strangers => "max_strangers",
            Cap::Address => "connections_per_address",
            Cap::Descriptors => "descriptors",
        };
        self.evicted.get_or_create(&[("limit", cap)]).inc();
    }

    pub(super) fn accept_paused(&self) {
        self.accept_pauses.inc();
    }

    pub(super) fn panicked(&self) {
        self.panics.inc();
    }

    pub(super) fn line_counted(&self) {
        self.lines_counted.inc();
    }

    pub(super) fn reloaded(&self, done: bool) {
        self.reloads.get_or_create(&[("outcome", if done { "done" } else { "refused" })]).inc();
    }

    /// A login was computed.
    pub(super) fn computed(&self, round: Round, waited: Duration, took: Duration) {
        let round = match round {
            Round::Challenge => "challenge",
            Round::Proof => "proof",
        };
        self.waits.observe(waited.as_secs_f64());
        self.computations.get_or_create(&[("round", round)]).observe(took.as_secs_f64());
    }

    /// Something happened on a connection.
    pub(super) fn event(&self, event: &Event) {
        match event {
            Event::StatusServed => drop(self.status.get_or_create(&[("outcome", "served")]).inc()),
            Event::StatusRefused => drop(self.status.get_or_create(&[("outcome", "refused")]).inc()),
            Event::Opened | Event::LoggedOut { .. } => {}
            Event::Login(report) => self.login(&report.outcome),
            Event::Ended(ending) => self.ended(ending),
        }
    }

    fn login(&self, outcome: &LoginOutcome) {
        let (outcome, reason) = match outcome {
            LoginOutcome::SignedIn { form, .. } => {
                self.proof_forms.get_or_create(&[("form", form_name(*form))]).inc();
                ("signed-in", "proof-verified")
            }
            LoginOutcome::Refused { why, .. } => ("refused", refusal(why)),
            LoginOutcome::Abandoned => ("abandoned", "no-proof"),
        };
        self.logins.get_or_create(&[("outcome", outcome), ("reason", reason)]).inc();
    }

    fn ended(&self, ending: &Ending) {
        let rule = match ending {
            Ending::Frame(FrameError::Header(_)) => Some("header"),
            Ending::Frame(FrameError::PayloadTooLong { .. }) => Some("length"),
            Ending::Frame(FrameError::WriteOffsetBeyondPayload { .. }) => Some("write-offset"),
            Ending::FirstFrame => Some("first-frame"),
            Ending::OpenSession => Some("open-session-options"),
            _ => None,
        };
        if let Some(rule) = rule {
            self.frames_refused.get_or_create(&[("rule", rule)]).inc();
        }
        let reason = match ending {
            Ending::StatusServed => "status-served",
            Ending::StatusRefused => "status-refused",
            Ending::Silent => "silent",
            Ending::ClosedByClient => "closed-by-client",
            Ending::HungUp => "hung-up",
            Ending::LoginRefused => "login-refused",
            Ending::Frame(_) | Ending::FirstFrame | Ending::OpenSession => "frame-refused",
            Ending::FirstFrameTimeout => "no-first-frame",
            Ending::LoginTimeout => "no-login",
            Ending::Dead => "dead",
            Ending::SleptTooLong => "slept-too-long",
            Ending::LingeredAfterLogout => "lingered-after-logout",
            Ending::ShutDown => "shut-down",
            Ending::Busy => "busy",
            Ending::Evicted => "evicted",
        };
        self.ended.get_or_create(&[("reason", reason)]).inc();
    }
}

/// The form of A in a proof, as log and figures name it.
pub(super) fn form_name(form: ProofForm) -> &'static str {
    match form {
        ProofForm::Strip => "strip",
        ProofForm::AsReceived => "as-received",
        ProofForm::Pad => "pad",
    }
}

/// A refusal in one word; the log says more.
fn refusal(why: &LoginRefusal) -> &'static str {
    match why {
        LoginRefusal::VersionUnreadable(_) | LoginRefusal::UamUnreadable(_) | LoginRefusal::Malformed(_) => "malformed",
        LoginRefusal::UnknownVersion => "unknown-version",
        LoginRefusal::UnknownUam => "uam-not-offered",
        LoginRefusal::ProofBeforeChallenge => "proof-before-challenge",
        LoginRefusal::BeforeLogin | LoginRefusal::AlreadySignedIn => "out-of-order",
        LoginRefusal::Busy(Busy::Queue) => "queue-full",
        LoginRefusal::Busy(Busy::Rate) => "too-many-from-address",
        LoginRefusal::Busy(Busy::Sessions) => "sessions-full",
        LoginRefusal::Rejected(rejected) => match rejected {
            Rejected::InitMalformed(_) | Rejected::ProofMalformed(_) => "malformed",
            Rejected::NoRecord(why) => no_record(why),
            Rejected::Randomness | Rejected::Internal => "internal",
            Rejected::Refused(_) => "bad-number",
            Rejected::WrongProof { .. } => "wrong-password",
            Rejected::TooManyFailures { .. } => "too-many-failures",
            Rejected::DecoyProof(_) => "decoy",
        },
    }
}

fn no_record(why: &NoRecord) -> &'static str {
    match why {
        NoRecord::Unknown => "unknown-name",
        NoRecord::Disabled { .. } => "disabled",
        NoRecord::Unusable { .. } => "unusable-record",
        NoRecord::Barred { .. } => "barred",
        NoRecord::Store(_) => "store",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_counts_what_happened() {
        let metrics = Metrics::new();
        metrics.accepted();
        metrics.evicted(Cap::Strangers);
        metrics.event(&Event::StatusServed);
        metrics.event(&Event::Ended(Ending::Frame(FrameError::PayloadTooLong { length: 5000, limit: 4096 })));
        metrics.computed(Round::Proof, Duration::from_millis(3), Duration::from_micros(900));
        let text = metrics.text(3, 2);
        for line in [
            concat!("afpd_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "afpd_connections{state=\"stranger\"} 3",
            "afpd_connections{state=\"signed-in\"} 2",
            "afpd_connections_accepted_total 1",
            "afpd_connections_evicted_total{limit=\"max_strangers\"} 1",
            "afpd_status_probes_total{outcome=\"served\"} 1",
            "afpd_frames_refused_total{rule=\"length\"} 1",
            "afpd_connections_ended_total{reason=\"frame-refused\"} 1",
            "afpd_login_wait_seconds_count 1",
            "afpd_login_compute_seconds_bucket{le=\"0.001\",round=\"proof\"} 1",
            "afpd_login_compute_seconds_bucket{le=\"0.0005\",round=\"proof\"} 0",
            "afpd_login_queue 0",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
