//! How often a password may be tried, over TCP. What the limits are and when they end is tested with a virtual clock in `srp-uam`.
//!
//! Netatalk 4.5.1 has no such limit: it answered more than a hundred wrong proofs a second, without end.

use conformance::{Peer, own_subject, wait_for_log};
use testkit::client::{Heard, LoginCont};

/// A wrong password, the right one during a refusal, and a name nobody has: the same frames.
#[test]
fn a_refusal_is_not_seen() {
    let Some(subject) = own_subject("[login]\nunknown_users = \"decoy\"\n[attempts]\nfailures = 2\n") else { return };
    let attempt = |name: &str, right: bool| {
        let mut peer = Peer::in_session_with(subject.clone());
        let challenge = peer.is_challenged_as(name);
        let mut exchange = peer.exchange(name, &challenge);
        if !right {
            exchange.m1.reverse();
        }
        peer.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
        let mut heard = Vec::new();
        loop {
            match peer.hears_something() {
                Heard::Frame(frame) => heard.push(frame),
                end => return (heard, format!("{end:?}")),
            }
        }
    };
    let (even, odd) = (subject.accounts.even.as_str(), subject.accounts.odd.as_str());
    let wrong = attempt(even, false);
    assert_eq!(wrong.0.first().map(|frame| (frame.code, frame.payload.len())), Some((-6754, 0)));
    assert_eq!(attempt(even, false), wrong);
    assert_eq!(attempt(even, true), wrong, "refused, though right");
    assert_eq!(attempt("nobody", false), wrong);
    let log = wait_for_log(&subject, "too many failures");
    assert!(log.contains("reason=\"too many failures: refused for "), "{log}");
    // Others are not concerned.
    let mut other = Peer::in_session_with(subject.clone());
    other.signs_in(odd);
}
