//! TCP connections out of packets: each direction's bytes in order, as far as the capture has them.
//!
//! Sources: RFC 9293; the link layers' header lengths from the tcpdump LINKTYPE list. IP fragments are not put together: AFP over
//! TCP has none.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{EtherType, LaxNetSlice, LaxSlicedPacket, TcpSlice, TransportSlice};

use super::capture::Packet;

/// Segments that may wait for one that is missing; beyond that it is taken as not captured.
const WAITING: usize = 4096;

/// Which end sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

/// One TCP connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) client: SocketAddr,
    pub(super) server: SocketAddr,
    /// Bytes and what else happened, in the order of the capture.
    pub(super) events: Vec<Event>,
    from_client: Direction,
    from_server: Direction,
}

/// What happened on a connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) time: Duration,
    pub(super) from: End,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The next bytes of this direction.
    Bytes(Vec<u8>),
    /// So many bytes are not in the capture; more follow them.
    Missing(u32),
    /// This end has nothing more to say.
    Finished,
    /// The connection is broken off.
    Reset,
}

/// All TCP connections in the packets, in the order of their beginnings.
pub(super) fn connections(packets: &[Packet<'_>]) -> Vec<Connection> {
    let mut connections: Vec<Connection> = Vec::new();
    // From (sender, receiver) to the connection's number and which end the sender is.
    let mut open: HashMap<(SocketAddr, SocketAddr), (usize, End)> = HashMap::new();
    for packet in packets {
        let Some((source, destination, segment)) = segment_of(packet) else { continue };
        let begins = segment.syn() && !segment.ack();
        let known = open.get(&(source, destination)).copied().filter(|(number, from)| {
            !begins || connections.get(*number).is_some_and(|connection| connection.is_repeated_syn(*from, &segment))
        });
        let (number, from) = known.unwrap_or_else(|| {
            // Without a SYN the lower port is the server's.
            let from_client = begins || (!segment.syn() && source.port() > destination.port());
            let (client, server) = if from_client { (source, destination) } else { (destination, source) };
            let number = connections.len();
            connections.push(Connection::new(client, server));
            open.insert((client, server), (number, End::Client));
            open.insert((server, client), (number, End::Server));
            (number, if from_client { End::Client } else { End::Server })
        });
        if let Some(connection) = connections.get_mut(number) {
            connection.take(packet.time, from, &segment);
        }
    }
    for connection in &mut connections {
        connection.end();
    }
    connections
}

impl Connection {
    fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self {
            client,
            server,
            events: Vec::new(),
            from_client: Direction::default(),
            from_server: Direction::default(),
        }
    }

    /// A SYN sent again belongs to the connection it has begun; any other begins a new one between the same ports.
    fn is_repeated_syn(&self, from: End, segment: &TcpSlice<'_>) -> bool {
        let direction = if from == End::Client { &self.from_client } else { &self.from_server };
        direction.first == Some(segment.sequence_number())
    }

    fn take(&mut self, time: Duration, from: End, segment: &TcpSlice<'_>) {
        let direction = if from == End::Client { &mut self.from_client } else { &mut self.from_server };
        let mut say = |what| self.events.push(Event { time, from, what });
        if segment.syn() {
            direction.first.get_or_insert(segment.sequence_number());
            direction.next.get_or_insert(segment.sequence_number().wrapping_add(1));
        } else {
            direction.take(segment.sequence_number(), segment.payload(), &mut say);
        }
        if segment.fin() && !direction.finished {
            direction.finished = true;
            say(What::Finished);
        }
        if segment.rst() {
            say(What::Reset);
        }
    }

    /// What waits for a segment that never came is handed out behind the gap.
    fn end(&mut self) {
        let time = self.events.last().map(|event| event.time).unwrap_or_default();
        for (from, direction) in [(End::Client, &mut self.from_client), (End::Server, &mut self.from_server)] {
            while !direction.waiting.is_empty() {
                direction.skip_gap(&mut |what| self.events.push(Event { time, from, what }));
            }
        }
    }
}

/// One direction's bytes being put in order.
#[derive(Debug, Default)]
struct Direction {
    /// The sequence number of the SYN, if it was captured.
    first: Option<u32>,
    /// The sequence number of the next byte; none before the first segment.
    next: Option<u32>,
    /// Segments that came before their turn.
    waiting: Vec<(u32, Vec<u8>)>,
    finished: bool,
}

impl Direction {
    fn take(&mut self, sequence: u32, bytes: &[u8], say: &mut impl FnMut(What)) {
        if bytes.is_empty() {
            return;
        }
        self.next.get_or_insert(sequence);
        if !self.deliver(sequence, bytes, say) {
            self.waiting.push((sequence, bytes.to_vec()));
            if self.waiting.len() > WAITING {
                self.skip_gap(say);
            }
        }
        self.drain(say);
    }

    /// Hands out what of the segment is new, if its turn has come.
    fn deliver(&mut self, sequence: u32, bytes: &[u8], say: &mut impl FnMut(What)) -> bool {
        let next = self.next.unwrap_or(sequence);
        let ahead = sequence.wrapping_sub(next);
        if ahead != 0 && ahead < 1 << 31 {
            return false;
        }
        let seen = usize::try_from(next.wrapping_sub(sequence)).unwrap_or(usize::MAX);
        if let Some(new) = bytes.get(seen..).filter(|new| !new.is_empty()) {
            // A segment is shorter than an IP packet, 64 KiB.
            self.next = Some(next.wrapping_add(u32::try_from(new.len()).unwrap_or_default()));
            say(What::Bytes(new.to_vec()));
        }
        true
    }

    fn drain(&mut self, say: &mut impl FnMut(What)) {
        let next = self.next.unwrap_or_default();
        while let Some(at) = self.waiting.iter().position(|(sequence, _)| {
            let ahead = sequence.wrapping_sub(self.next.unwrap_or(next));
            ahead == 0 || ahead >= 1 << 31
        }) {
            let (sequence, bytes) = self.waiting.swap_remove(at);
            self.deliver(sequence, &bytes, say);
        }
    }

    /// Goes on with the waiting segment that is nearest.
    fn skip_gap(&mut self, say: &mut impl FnMut(What)) {
        let next = self.next.unwrap_or_default();
        if let Some(missing) = self.waiting.iter().map(|(sequence, _)| sequence.wrapping_sub(next)).min() {
            say(What::Missing(missing));
            self.next = Some(next.wrapping_add(missing));
        }
        self.drain(say);
    }
}

/// The TCP segment in a packet, and between whom.
fn segment_of<'a>(packet: &Packet<'a>) -> Option<(SocketAddr, SocketAddr, TcpSlice<'a>)> {
    let bytes = packet.bytes;
    let sliced = match packet.link {
        // Ethernet
        1 => LaxSlicedPacket::from_ethernet(bytes).ok()?,
        // BSD loopback: four bytes of address family. In both byte orders, so IP's own version tells.
        0 | 108 => LaxSlicedPacket::from_ip(bytes.get(4..)?).ok()?,
        // Bare IP; 12 and 14 are what some systems write for it.
        12 | 14 | 101 | 228 | 229 => LaxSlicedPacket::from_ip(bytes).ok()?,
        // Linux "any" device, versions 1 and 2
        113 => LaxSlicedPacket::from_ether_type(ether_type(bytes.get(14..)?)?, bytes.get(16..)?),
        276 => LaxSlicedPacket::from_ether_type(ether_type(bytes)?, bytes.get(20..)?),
        _ => return None,
    };
    let (source, destination): (IpAddr, IpAddr) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        Some(LaxNetSlice::Ipv6(ip)) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        _ => return None,
    };
    let Some(TransportSlice::Tcp(segment)) = sliced.transport else { return None };
    let source = SocketAddr::new(source, segment.source_port());
    let destination = SocketAddr::new(destination, segment.destination_port());
    Some((source, destination, segment))
}

fn ether_type(bytes: &[u8]) -> Option<EtherType> {
    bytes.first_chunk().map(|bytes| EtherType(u16::from_be_bytes(*bytes)))
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 40_000);
    const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 548);

    /// A segment from the client; `flags` of "S", "F", "R".
    fn segment(from: ([u8; 4], u16), to: ([u8; 4], u16), sequence: u32, flags: &str, payload: &[u8]) -> Vec<u8> {
        let mut builder =
            PacketBuilder::ethernet2([2; 6], [4; 6]).ipv4(from.0, to.0, 64).tcp(from.1, to.1, sequence, 1);
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'A' => builder.ack(1),
                'F' => builder.fin(),
                _ => builder.rst(),
            };
        }
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    fn run(segments: &[Vec<u8>]) -> Vec<Connection> {
        let packets: Vec<_> = segments.iter().map(|bytes| Packet { time: Duration::ZERO, link: 1, bytes }).collect();
        connections(&packets)
    }

    fn bytes_from(connection: &Connection, end: End) -> Vec<u8> {
        let of_end = connection.events.iter().filter(|event| event.from == end);
        of_end.flat_map(|event| if let What::Bytes(bytes) = &event.what { bytes.clone() } else { Vec::new() }).collect()
    }

    #[test]
    fn order_repetition_and_overlap_do_not_matter() {
        let first = u32::MAX - 3;
        let part = |at: u32, bytes: &[u8]| segment(CLIENT, SERVER, first.wrapping_add(1 + at), "A", bytes);
        let found = run(&[
            segment(CLIENT, SERVER, first, "S", b""),
            segment(SERVER, CLIENT, 5, "SA", b""),
            segment(CLIENT, SERVER, first, "S", b""),
            part(0, b"ab"),
            part(6, b"ghi"),
            part(0, b"ab"),
            part(4, b"efg"),
            part(1, b"bcd"),
            part(1, b"bc"),
            segment(SERVER, CLIENT, 6, "A", b"reply"),
            segment(CLIENT, SERVER, first.wrapping_add(10), "FA", b""),
        ]);
        let [connection] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((connection.client.port(), connection.server.port()), (40_000, 548));
        assert_eq!(bytes_from(connection, End::Client), b"abcdefghi");
        assert_eq!(bytes_from(connection, End::Server), b"reply");
        assert_eq!(connection.events.last().unwrap().what, What::Finished);
    }

    #[test]
    fn a_gap_is_told() {
        let found = run(&[
            segment(CLIENT, SERVER, 10, "A", b"ab"),
            segment(CLIENT, SERVER, 15, "A", b"fg"),
            segment(CLIENT, SERVER, 17, "RA", b""),
        ]);
        let what: Vec<_> = found[0].events.iter().map(|event| &event.what).collect();
        assert_eq!(what, [&What::Bytes(b"ab".to_vec()), &What::Reset, &What::Missing(3), &What::Bytes(b"fg".to_vec())]);
    }

    #[test]
    fn the_same_ports_again_are_another_connection() {
        let found = run(&[
            segment(CLIENT, SERVER, 10, "S", b""),
            segment(CLIENT, SERVER, 11, "A", b"one"),
            segment(CLIENT, SERVER, 99, "S", b""),
            segment(CLIENT, SERVER, 100, "A", b"two"),
        ]);
        assert_eq!(found.len(), 2);
        assert_eq!(bytes_from(&found[1], End::Client), b"two");
    }

    #[test]
    fn without_a_beginning_the_lower_port_serves() {
        let found = run(&[segment(SERVER, CLIENT, 6, "A", b"reply"), segment(CLIENT, SERVER, 10, "A", b"ab")]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].server.port(), 548);
        assert_eq!(bytes_from(&found[0], End::Server), b"reply");
    }

    #[test]
    fn every_link_layer() {
        let ethernet = segment(CLIENT, SERVER, 10, "A", b"ab");
        let ip = &ethernet[14..];
        let sll = [&[0; 14][..], &[8, 0], ip].concat();
        let sll2 = [&[8, 0][..], &[0; 18], ip].concat();
        let null = [&[2, 0, 0, 0][..], ip].concat();
        for (link, bytes) in
            [(1, &ethernet[..]), (0, &null), (108, &null), (101, ip), (228, ip), (113, &sll), (276, &sll2)]
        {
            let found = connections(&[Packet { time: Duration::ZERO, link, bytes }]);
            assert_eq!(bytes_from(&found[0], End::Client), b"ab", "{link}");
            for length in 0..bytes.len() {
                connections(&[Packet { time: Duration::ZERO, link, bytes: &bytes[..length] }]);
            }
        }
        assert!(connections(&[Packet { time: Duration::ZERO, link: 147, bytes: ip }]).is_empty());
    }
}
