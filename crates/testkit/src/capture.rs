//! Reads network captures (classic pcap files) and puts their TCP streams together again.
//!
//! Small captures of one protocol, for replay: everything is held in memory. Segments may come twice, out of order and
//! overlapping; a hole is an error, because a replay over it would prove nothing. Where the beginning of a connection was
//! not captured, the side with the lower port number is taken for the server.
//!
//! The folder `captures/` at the top of the project describes itself in a [`Manifest`].

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use serde::Deserialize;

/// The TCP connections of a capture, in the order of their first packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    /// At least one byte was sent in each.
    pub connections: Vec<Connection>,
}

/// What two sides said to each other over one TCP connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Who connected.
    pub client: SocketAddr,
    /// Who was connected to.
    pub server: SocketAddr,
    /// All bytes from the client.
    pub from_client: Vec<u8>,
    /// All bytes from the server.
    pub from_server: Vec<u8>,
}

impl Capture {
    /// # Errors
    /// [`CaptureError`] if the file cannot be read, is no pcap file of Ethernet or raw IP packets, or misses a segment.
    pub fn read(path: &Path) -> Result<Self, CaptureError> {
        let wrong = |what: &dyn fmt::Display| CaptureError { path: path.to_owned(), what: what.to_string() };
        let file = File::open(path).map_err(|error| wrong(&error))?;
        let mut reader = PcapReader::new(BufReader::new(file)).map_err(|error| wrong(&error))?;
        let link = reader.header().datalink;
        let mut talks = Talks::default();
        while let Some(packet) = reader.next_packet() {
            let packet = packet.map_err(|error| wrong(&error))?;
            let sliced = match link {
                DataLink::ETHERNET => SlicedPacket::from_ethernet(&packet.data),
                DataLink::LINUX_SLL => SlicedPacket::from_linux_sll(&packet.data),
                DataLink::RAW | DataLink::IPV4 | DataLink::IPV6 => SlicedPacket::from_ip(&packet.data),
                other => {
                    return Err(wrong(&format!(
                        "link type {other:?} is not supported: capture on an Ethernet interface"
                    )));
                }
            };
            let sliced = sliced.map_err(|error| wrong(&error))?;
            if let (Some((source, destination)), Some(TransportSlice::Tcp(tcp))) =
                (addresses(&sliced), &sliced.transport)
            {
                talks.add(
                    SocketAddr::new(source, tcp.source_port()),
                    SocketAddr::new(destination, tcp.destination_port()),
                    tcp,
                );
            }
        }
        let connections: Result<Vec<_>, String> = talks.in_order.into_iter().map(Talk::finish).collect();
        let mut connections = connections.map_err(|hole| wrong(&hole))?;
        connections.retain(|connection| !connection.from_client.is_empty() || !connection.from_server.is_empty());
        Ok(Self { connections })
    }
}

/// Which file, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureError {
    path: PathBuf,
    what: String,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl std::error::Error for CaptureError {}

/// `manifest.toml` in a folder of captures; the file itself explains its keys.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// One entry for each file.
    pub capture: Vec<Entry>,
}

/// One capture in a [`Manifest`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// File name.
    pub file: String,
    /// What to look at.
    pub shows: String,
    /// DSI frames, both directions and all connections together.
    pub frames: usize,
    /// Whether its SRP proofs can be recomputed.
    #[serde(flatten)]
    pub secrets: Secrets,
}

/// What is known of a capture's SRP secrets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "secrets", rename_all = "kebab-case")]
pub enum Secrets {
    /// There is no proof in it.
    None,
    /// There are proofs, but the ephemeral secrets are lost.
    WireOnly,
    /// Everything needed to recompute the proofs.
    Keyed {
        /// Login name.
        user: String,
        /// Of a throw-away account.
        password: String,
        /// The client's secret exponent, hex.
        a: String,
    },
}

impl Manifest {
    /// Reads `manifest.toml` in `folder` and compares it with the files that are there.
    ///
    /// # Errors
    /// [`CaptureError`] if it cannot be read, is malformed, lists a file twice or one that is not there, or if there is a
    /// `.pcap` that it does not list.
    pub fn read(folder: &Path) -> Result<Self, CaptureError> {
        let path = folder.join("manifest.toml");
        let wrong = |what: String| CaptureError { path: path.clone(), what };
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let manifest: Self = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let mut there = Vec::new();
        for file in std::fs::read_dir(folder).map_err(|error| wrong(error.to_string()))? {
            let name = file.map_err(|error| wrong(error.to_string()))?.file_name();
            if Path::new(&name).extension().is_some_and(|extension| extension == "pcap") {
                there.push(name.to_string_lossy().into_owned());
            }
        }
        there.sort();
        let mut listed: Vec<_> = manifest.capture.iter().map(|entry| entry.file.clone()).collect();
        listed.sort();
        if let Some(name) = there.iter().find(|name| !listed.contains(name)) {
            return Err(wrong(format!("{name} is in the folder but not listed: add a [[capture]] entry for it")));
        }
        if let Some(name) = listed.iter().find(|name| !there.contains(name)) {
            return Err(wrong(format!("{name} is listed but not in the folder: remove its entry or restore the file")));
        }
        if listed.len() != there.len() {
            return Err(wrong("a file is listed twice".into()));
        }
        Ok(manifest)
    }
}

fn addresses(packet: &SlicedPacket<'_>) -> Option<(IpAddr, IpAddr)> {
    match packet.net.as_ref()? {
        NetSlice::Ipv4(ip) => Some((ip.header().source_addr().into(), ip.header().destination_addr().into())),
        NetSlice::Ipv6(ip) => Some((ip.header().source_addr().into(), ip.header().destination_addr().into())),
        NetSlice::Arp(_) => None,
    }
}

/// The connections seen so far, and which of them a pair of addresses means at present.
#[derive(Default)]
struct Talks {
    in_order: Vec<Talk>,
    current: HashMap<(SocketAddr, SocketAddr), usize>,
}

struct Talk {
    client: SocketAddr,
    server: SocketAddr,
    from_client: Direction,
    from_server: Direction,
}

#[derive(Default)]
struct Direction {
    /// The sequence number of the first byte, once a SYN has said it.
    first: Option<u32>,
    segments: Vec<(u32, Vec<u8>)>,
}

impl Talks {
    fn add(&mut self, source: SocketAddr, destination: SocketAddr, tcp: &TcpSlice<'_>) {
        let key = (source.min(destination), source.max(destination));
        let known = self.current.get(&key).and_then(|index| self.in_order.get(*index));
        // A SYN with another sequence number is a new connection between the same ports.
        let begins = tcp.syn() && !tcp.ack();
        let first = tcp.sequence_number().wrapping_add(1);
        let again = known.is_some_and(|talk| talk.client == source && talk.from_client.first == Some(first));
        if known.is_none() || begins && !again {
            let from_client = begins || tcp.syn() == tcp.ack() && source.port() > destination.port();
            let (client, server) = if from_client { (source, destination) } else { (destination, source) };
            self.current.insert(key, self.in_order.len());
            self.in_order.push(Talk {
                client,
                server,
                from_client: Direction::default(),
                from_server: Direction::default(),
            });
        }
        let Some(talk) = self.current.get(&key).and_then(|index| self.in_order.get_mut(*index)) else { return };
        let direction = if talk.client == source { &mut talk.from_client } else { &mut talk.from_server };
        if tcp.syn() {
            direction.first = Some(first);
        }
        // The byte before the first one, with which some systems keep a connection alive, is dropped as a repetition.
        if !tcp.payload().is_empty() {
            let sequence = if tcp.syn() { first } else { tcp.sequence_number() };
            direction.segments.push((sequence, tcp.payload().to_vec()));
        }
    }
}

impl Talk {
    fn finish(self) -> Result<Connection, String> {
        let Self { client, server, from_client, from_server } = self;
        let hole = |from: SocketAddr, to: SocketAddr| {
            move |at| format!("a segment from {from} to {to} is missing at byte {at}")
        };
        Ok(Connection {
            client,
            server,
            from_client: from_client.assemble().map_err(hole(client, server))?,
            from_server: from_server.assemble().map_err(hole(server, client))?,
        })
    }
}

impl Direction {
    /// All bytes in order, or where the first hole is.
    fn assemble(self) -> Result<Vec<u8>, usize> {
        // Without a SYN the first segment seen is the beginning.
        let Some(first) = self.first.or_else(|| self.segments.first().map(|(sequence, _)| *sequence)) else {
            return Ok(Vec::new());
        };
        // Distances from the first byte; those a little before it come out negative.
        let mut segments: Vec<_> = self
            .segments
            .into_iter()
            .map(|(sequence, bytes)| (i64::from(sequence.wrapping_sub(first).cast_signed()), bytes))
            .collect();
        segments.sort_by_key(|(at, _)| *at);
        let mut stream = Vec::new();
        for (at, bytes) in segments {
            let length = i64::try_from(stream.len()).unwrap_or(i64::MAX);
            let Ok(known) = usize::try_from(length - at) else { return Err(stream.len()) };
            stream.extend_from_slice(bytes.get(known..).unwrap_or_default());
        }
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use etherparse::PacketBuilder;
    use pcap_file::pcap::{PcapPacket, PcapWriter};
    use tempfile::{NamedTempFile, TempDir};

    use super::*;

    const CLIENT: ([u8; 4], u16) = ([192, 0, 2, 1], 50_000);
    const SERVER: ([u8; 4], u16) = ([192, 0, 2, 2], 548);

    /// From, to, sequence number, SYN, ACK, payload.
    type Packet<'a> = (([u8; 4], u16), ([u8; 4], u16), u32, bool, bool, &'a [u8]);

    fn write(packets: &[Packet<'_>]) -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        let mut writer = PcapWriter::new(file.reopen().unwrap()).unwrap();
        for (from, to, sequence, syn, ack, payload) in packets {
            let mut builder =
                PacketBuilder::ethernet2([0; 6], [0; 6]).ipv4(from.0, to.0, 64).tcp(from.1, to.1, *sequence, 1000);
            if *syn {
                builder = builder.syn();
            }
            if *ack {
                builder = builder.ack(1);
            }
            let mut bytes = Vec::new();
            builder.write(&mut bytes, payload).unwrap();
            let length = bytes.len().try_into().unwrap();
            writer.write_packet(&PcapPacket::new(std::time::Duration::ZERO, length, &bytes)).unwrap();
        }
        file
    }

    fn read(packets: &[Packet<'_>]) -> Result<Capture, CaptureError> {
        Capture::read(write(packets).path())
    }

    #[test]
    fn both_directions_with_repetitions_overlaps_and_disorder() {
        let capture = read(&[
            // The sequence number runs over in the middle.
            (CLIENT, SERVER, u32::MAX - 3, true, false, b""),
            (SERVER, CLIENT, 70, true, true, b""),
            (CLIENT, SERVER, 2, false, true, b"fgh"),
            (CLIENT, SERVER, u32::MAX - 2, false, true, b"abc"),
            (CLIENT, SERVER, u32::MAX - 2, false, true, b"abc"),
            (CLIENT, SERVER, u32::MAX - 1, false, true, b"bcdef"),
            (SERVER, CLIENT, 71, false, true, b"reply"),
            (SERVER, CLIENT, 75, false, true, b"y"),
            (CLIENT, SERVER, u32::MAX - 3, false, true, b"\0"),
        ])
        .unwrap();
        let [connection] = &capture.connections[..] else { panic!("{capture:?}") };
        assert_eq!((connection.client.port(), connection.server.port()), (50_000, 548));
        assert_eq!(connection.from_client.escape_ascii().to_string(), "abcdefgh");
        assert_eq!(connection.from_server, b"reply");
    }

    #[test]
    fn a_hole_is_an_error() {
        let error = read(&[
            (CLIENT, SERVER, 0, true, false, b""),
            (CLIENT, SERVER, 1, false, true, b"abc"),
            (CLIENT, SERVER, 5, false, true, b"ef"),
        ])
        .unwrap_err();
        assert!(error.to_string().contains("missing at byte 3"), "{error}");
    }

    #[test]
    fn the_same_ports_again_are_another_connection() {
        let capture = read(&[
            (CLIENT, SERVER, 0, true, false, b""),
            (CLIENT, SERVER, 1, false, true, b"one"),
            (CLIENT, SERVER, 900, true, false, b""),
            (CLIENT, SERVER, 901, false, true, b"two"),
        ])
        .unwrap();
        let streams: Vec<_> = capture.connections.iter().map(|connection| &connection.from_client[..]).collect();
        assert_eq!(streams, [b"one", b"two"]);
    }

    #[test]
    fn without_a_syn_the_lower_port_is_the_server() {
        let capture =
            read(&[(SERVER, CLIENT, 9, false, true, b"reply"), (CLIENT, SERVER, 5, false, true, b"call")]).unwrap();
        assert_eq!(capture.connections[0].from_client, b"call");
        assert_eq!(capture.connections[0].from_server, b"reply");
    }

    #[test]
    fn what_is_no_capture() {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(b"this is no capture file at all").unwrap();
        assert!(Capture::read(file.path()).is_err());
        assert!(Capture::read(Path::new("no such file")).is_err());
    }

    fn manifest(text: &str, files: &[&str]) -> Result<Manifest, CaptureError> {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("manifest.toml"), text).unwrap();
        for file in files {
            std::fs::write(folder.path().join(file), b"").unwrap();
        }
        Manifest::read(folder.path())
    }

    #[test]
    fn manifest_and_folder_must_agree() {
        let one = "[[capture]]\nfile = \"a.pcap\"\nshows = \"x\"\nframes = 1\nsecrets = \"none\"\n";
        assert_eq!(manifest(one, &["a.pcap", "notes.txt"]).unwrap().capture[0].secrets, Secrets::None);
        for (text, files, wanted) in [
            (one.to_owned(), &["a.pcap", "b.pcap"][..], "b.pcap is in the folder but not listed"),
            (one.to_owned(), &[], "a.pcap is listed but not in the folder"),
            (one.repeat(2), &["a.pcap"], "listed twice"),
            (one.replace("none", "unknown"), &["a.pcap"], "unknown variant"),
        ] {
            let error = manifest(&text, files).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn keyed_entries_have_their_keys() {
        let keyed = "[[capture]]\nfile = \"a.pcap\"\nshows = \"x\"\nframes = 1\nsecrets = \"keyed\"\n";
        assert!(manifest(keyed, &["a.pcap"]).unwrap_err().to_string().contains("user"));
        let keyed = format!("{keyed}user = \"u\"\npassword = \"p\"\na = \"01\"\n");
        let entry = manifest(&keyed, &["a.pcap"]).unwrap().capture.remove(0);
        assert_eq!(entry.secrets, Secrets::Keyed { user: "u".into(), password: "p".into(), a: "01".into() });
    }
}
