//! DSIGetStatus: the server information block, and the connection around it.
//!
//! Facts: Apple's AFP Reference, FPGetSrvrInfo and DSIGetStatus. The block is read here by its offsets, as a client must.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use conformance::{Peer, code, differs, replied_and_hung_up, subject};
use testkit::client::{Frame, dsi};
use testkit::subject::Kind;

/// The block, read by its offsets.
#[derive(Debug, PartialEq)]
struct ServerInfo {
    machine_type: Vec<u8>,
    versions: Vec<String>,
    uams: Vec<String>,
    flags: u16,
    name: Vec<u8>,
    signature: Vec<u8>,
    /// Tag and data.
    addresses: Vec<(u8, Vec<u8>)>,
    utf8_name: String,
}

fn read(block: &[u8]) -> ServerInfo {
    let offset = |at: usize| usize::from(u16::from_be_bytes([block[at], block[at + 1]]));
    let pascal = |at: usize| block[at + 1..][..usize::from(block[at])].to_vec();
    let list = |at: usize| {
        let mut at = at;
        let count = block[at];
        at += 1;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(String::from_utf8(pascal(at)).unwrap());
            at += 1 + usize::from(block[at]);
        }
        items
    };
    let name = pascal(10);
    let behind_name = (10 + 1 + name.len()).next_multiple_of(2);
    let utf8_at = offset(behind_name + 6);
    let mut addresses = Vec::new();
    let mut at = offset(behind_name + 2);
    let count = block[at];
    at += 1;
    for _ in 0..count {
        let length = usize::from(block[at]);
        addresses.push((block[at + 1], block[at + 2..at + length].to_vec()));
        at += length;
    }
    ServerInfo {
        machine_type: pascal(offset(0)),
        versions: list(offset(2)),
        uams: list(offset(4)),
        flags: u16::from_be_bytes([block[8], block[9]]),
        name,
        signature: block[offset(behind_name)..][..16].to_vec(),
        addresses,
        utf8_name: String::from_utf8(block[utf8_at + 2..][..offset(utf8_at)].to_vec()).unwrap(),
    }
}

/// Asks on a connection of its own, as clients do.
fn ask() -> Vec<u8> {
    let mut peer = Peer::connected();
    peer.asks(dsi::GET_STATUS, &[]);
    let reply = peer.reply();
    assert_eq!(reply.code, code::NO_ERR);
    reply.payload
}

/// Specification, "Server Advertisement": the string "SRP" in the list of UAMs. Both servers.
#[test]
fn srp_is_offered() {
    assert!(read(&ask()).uams.contains(&"SRP".to_owned()));
}

/// What is offered can be used, and nothing else is offered. Netatalk lists what it is configured for.
#[test]
fn uams_and_versions() {
    let info = read(&ask());
    let (uams, versions): (&[&str], &[&str]) = match subject().kind {
        Kind::AfpdRs => (&["SRP"], &["AFP3.4", "AFP3.3", "AFP3.2", "AFP3.1"]),
        Kind::Netatalk => (
            &["No User Authent", "Cleartxt Passwrd", "DHX2", "SRP"],
            &["AFP2.2", "AFPX03", "AFP3.1", "AFP3.2", "AFP3.3", "AFP3.4"],
        ),
    };
    assert_eq!(info.uams, uams, "docs/netatalk-differences.md, `uams`");
    assert_eq!(info.versions, versions, "docs/netatalk-differences.md, `versions`");
}

/// The flags promise what there is: messages, a signature, addresses, a UTF-8 name. Both servers. Ours promises nothing else but
/// the extended sleep of FPZzzzz; no copying, no password change, no reconnect.
#[test]
fn flags() {
    let flags = read(&ask()).flags;
    assert_eq!(flags & 0x0238, 0x0238, "messages, signature, TCP/IP, UTF-8 name in {flags:#06x}");
    assert_eq!(flags & 0x0080, 0, "reconnect in {flags:#06x}");
    if subject().kind == Kind::AfpdRs {
        assert_eq!(flags & !0x0b38, 0, "more than ours can do in {flags:#06x}");
    }
}

/// Both names, machine type and signature fit their fields. Both servers.
#[test]
fn names_and_signature() {
    let info = read(&ask());
    assert!((1..=31).contains(&info.name.len()), "{info:?}");
    assert!((1..=16).contains(&info.machine_type.len()), "{info:?}");
    assert!(!info.utf8_name.is_empty(), "{info:?}");
    assert_ne!(info.signature, [0; 16], "{info:?}");
}

/// Clients recognise a server by it. Both servers.
#[test]
fn the_signature_does_not_change() {
    assert_eq!(read(&ask()).signature, read(&ask()).signature);
}

/// The address the client has used is among those told. Both servers.
#[test]
fn the_address_in_use_is_told() {
    let subject = subject();
    let info = read(&ask());
    let wanted = match subject.address.ip() {
        std::net::IpAddr::V4(ip) => ip.octets().to_vec(),
        std::net::IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let port = subject.address.port().to_be_bytes();
    let with_port = [wanted.clone(), port.to_vec()].concat();
    assert!(info.addresses.iter().any(|(_, data)| *data == wanted || *data == with_port), "{:?}", info.addresses);
}

/// Netatalk keeps to 1400 bytes for the sake of old clients; so do we.
#[test]
fn the_block_is_not_too_long() {
    assert!(ask().len() <= 1400);
}

/// AFP Reference: the server closes after the reply. Netatalk leaves that to the client, for two minutes.
#[test]
fn the_connection_ends_after_the_reply() {
    let mut peer = Peer::connected();
    peer.asks(dsi::GET_STATUS, &[]);
    match peer.kind() {
        Kind::AfpdRs => {
            let want = replied_and_hung_up(code::NO_ERR);
            peer.hears(differs("status-closes", want, want));
        }
        Kind::Netatalk => {
            assert_eq!(peer.reply().code, code::NO_ERR);
            peer.client().finish_sending().unwrap();
            peer.hears_end();
        }
    }
}

/// A request id of any number comes back, and payload and offset of the request are not looked at: some clients send FPGetSrvrInfo
/// with it, some do not. Both servers.
#[test]
fn the_request_may_have_a_payload_and_an_offset() {
    for (id, code, payload) in [(0xffff, 0, vec![]), (1, 0, vec![15, 0]), (2, 77, vec![])] {
        let mut peer = Peer::connected();
        peer.sends(&Frame { flags: 0, command: dsi::GET_STATUS, id, code, reserved: 0, payload });
        assert_eq!(peer.reply().code, code::NO_ERR);
    }
}

/// One byte per segment. Both servers.
#[test]
fn one_byte_at_a_time() {
    let mut peer = Peer::connected();
    let request = Frame::request(dsi::GET_STATUS, 5, &[]);
    peer.client().dribble(&request.bytes()).unwrap();
    peer.awaits_reply_to(&request);
    assert_eq!(read(&peer.reply().payload), read(&ask()));
}

/// Within a session Mac servers answer, and so does ours; Netatalk does not. The session goes on with either.
#[test]
fn within_a_session() {
    let mut peer = Peer::in_session();
    peer.asks(dsi::GET_STATUS, &[]);
    if peer.kind() == Kind::AfpdRs {
        let reply = peer.reply();
        assert_eq!(read(&reply.payload).uams, ["SRP"], "docs/netatalk-differences.md, `status-in-session`");
    }
    peer.is_heard();
}

/// Macs and port scanners open connections and close them without a word; the next client is none the worse. Both servers.
#[test]
fn a_silent_probe() {
    for _ in 0..5 {
        let mut peer = Peer::connected();
        peer.client().finish_sending().unwrap();
        peer.hears_end();
    }
    ask();
}

/// And it is no error: nothing is logged about it above the level of debugging.
#[test]
fn a_silent_probe_is_not_logged() {
    let Some(subject) = conformance::own_subject("") else { return };
    let mut peer = Peer::connected_to(subject.clone());
    peer.client().finish_sending().unwrap();
    peer.hears_end();
    // A login attempt is logged, so that by then what there was to log about the probe has been.
    let mut peer = Peer::in_session_with(subject.clone());
    let name = peer.accounts().even;
    peer.signs_in(&name);
    let log = conformance::wait_for_log(&subject, "atalk1");
    for word in ["WARN", "ERROR", "\"warn\"", "\"error\""] {
        assert!(!log.contains(word), "{log}");
    }
}
