//! Plays one scene against the server that `AFP_SUBJECT` names, for `interop/capture.sh` to record.
//!
//! The scenes are those of the captures 02 to 09 in `captures/`, with [`PRIVATE_KEY`] as the client's secret, so that every proof in
//! what is recorded can be computed again. Prints the manifest entry's secrets.

#![expect(clippy::panic, reason = "a scene that does not go as it must is not to be recorded")]

use conformance::{PRIVATE_KEY, Peer, code, refused, subject, unknown_user};
use testkit::client::{LoginCont, LoginExt, dsi};
use testkit::slow_srp::AForm;

fn main() {
    let accounts = subject().accounts.clone();
    let key = num_bigint::BigUint::from_bytes_be(&PRIVATE_KEY).to_str_radix(16);
    let keyed = |user: &str, password: &str| {
        println!("secrets = \"keyed\"\nuser = \"{user}\"\npassword = \"{password}\"\na = \"{key}\"");
    };
    match std::env::args().nth(1).as_deref() {
        Some("login") => {
            login(&accounts.even);
            keyed(&accounts.even, &accounts.password);
        }
        Some("login-without-pad") => {
            login(&accounts.odd);
            keyed(&accounts.odd, &accounts.password);
        }
        Some("wrong-password") => {
            wrong_password(&accounts.even, "not-the-password");
            keyed(&accounts.even, "not-the-password");
        }
        Some("unknown-user") => refused_at_once("nobody"),
        Some("disabled-user") => refused_at_once(&accounts.disabled),
        other => {
            panic!("{other:?} is no scene: login, login-without-pad, wrong-password, unknown-user, disabled-user")
        }
    }
}

/// As clients do: DSIGetStatus on a connection of its own, then the login on another.
fn status() {
    let mut peer = Peer::connected();
    peer.asks(dsi::GET_STATUS, &[]);
    assert_eq!(peer.reply().code, code::NO_ERR);
    peer.hears_end();
}

fn login(name: &str) {
    status();
    let mut peer = Peer::in_session();
    peer.signs_in(name);
    for call in [[37, 1, 0, 0, 0, 0, 0, 3].as_slice(), &[38, 0, 0, 0, 0, 3], &[16, 0]] {
        peer.calls(call);
        assert_eq!(peer.reply().code, code::NO_ERR);
    }
    peer.calls(&[20, 0]);
    assert_eq!(peer.reply().code, code::NO_ERR);
    peer.asks(dsi::CLOSE_SESSION, &[]);
    peer.hears_end();
}

fn wrong_password(name: &str, password: &str) {
    status();
    let mut peer = Peer::in_session();
    let challenge = peer.is_challenged_as(name);
    let exchange = peer.exchange_with(name, password, &challenge, &PRIVATE_KEY, AForm::SPECIFICATION);
    peer.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    peer.hears(refused(code::SRP_PROOF_FAILED));
}

fn refused_at_once(name: &str) {
    println!("secrets = \"none\"");
    status();
    let mut peer = Peer::in_session();
    peer.calls(&LoginExt::new(name.as_bytes()).bytes());
    peer.hears(unknown_user());
}
