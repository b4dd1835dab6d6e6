//! Writes first inputs for the targets in `fuzz/`: `fuzz_seeds PROJECT CORPUS` makes `CORPUS/<target>/…` out of `PROJECT/captures`,
//! `PROJECT/config/afpd-rs.toml`, and what neither has and is written out here.
//!
//! A file's name is made from its content, so that writing twice changes nothing.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::hash::{Hash, Hasher};
use std::path::Path;

use afp_proto::afp::{self, Command as Afp};
use afp_proto::dsi::{Command, Frame, Framer, Kind};
use afp_proto::srp::INIT;
use testkit::capture::{Capture, Manifest};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [project, corpus] = &arguments[..] else { return Err("usage: fuzz_seeds PROJECT CORPUS".into()) };
    let seeds = Seeds { corpus: Path::new(corpus) };
    let project = Path::new(project);
    for captures in ["captures", "captures/ours"] {
        seeds.connections(&project.join(captures))?;
        seeds.captures(&project.join(captures))?;
    }
    seeds.messages()?;
    seeds.settings(&project.join("config/afpd-rs.toml"))?;
    seeds.stores()?;
    seeds.tallies()?;
    seeds.operations()
}

type Written = Result<(), Box<dyn Error>>;

struct Seeds<'a> {
    corpus: &'a Path,
}

impl Seeds<'_> {
    fn write(&self, target: &str, parts: &[&[u8]]) -> Written {
        let bytes = parts.concat();
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let folder = self.corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(folder.join(format!("seed-{:016x}", hasher.finish())), bytes)?)
    }

    /// What two sides said to each other, for the targets that take such bytes.
    fn connections(&self, captures: &Path) -> Written {
        for entry in Manifest::read(captures)?.capture {
            for connection in Capture::read(&captures.join(entry.file))?.connections {
                let (requests, replies) = (frames(&connection.from_client)?, frames(&connection.from_server)?);
                for stream in [&connection.from_client, &connection.from_server] {
                    // A limit of 4096 bytes, in pieces of seven.
                    self.write("framer", &[&[0x10, 0x00, 7], stream])?;
                }
                for signed_in in [0, 1] {
                    let pieces: Vec<u8> = connection
                        .from_client
                        .chunks(200)
                        .flat_map(|piece| [&[u8::try_from(piece.len()).unwrap_or(u8::MAX), 1], piece].concat())
                        .collect();
                    self.write("session", &[&[signed_in], &pieces])?;
                }
                for request in &requests {
                    self.write("calls", &[&[25], &request.encode()])?;
                    let answers = |reply: &&Frame| {
                        reply.header.kind == Kind::Reply && reply.header.request_id == request.header.request_id
                    };
                    if let Some(reply) = replies.iter().find(answers) {
                        self.exchange(request, reply)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn exchange(&self, request: &Frame, reply: &Frame) -> Written {
        let (asked, answered) = (&request.payload, &reply.payload);
        match request.header.command {
            Command::GET_STATUS => return self.write("server_info", &[answered]),
            Command::OPEN_SESSION => {
                self.write("calls", &[&[22], asked])?;
                return self.write("calls", &[&[23], answered]);
            }
            Command::COMMAND => self.write("calls", &[&[0], asked])?,
            _ => return Ok(()),
        }
        match asked.first().copied().map(afp::Command) {
            Some(Afp::GET_SRVR_PARMS) => self.write("calls", &[&[1], answered]),
            Some(Afp::GET_SRVR_MSG) => self.write("calls", &[&[2], answered]),
            Some(Afp::LOGIN_EXT) if answered.len() > 2 => self.write("srp_messages", &[&[1], answered]),
            Some(Afp::LOGIN_CONT) => {
                self.write("srp_messages", &[&[3], asked.get(4..).unwrap_or_default()])?;
                self.write("srp_messages", &[&[4], answered])
            }
            _ => Ok(()),
        }
    }

    /// Messages that no capture has.
    fn messages(&self) -> Written {
        self.write("srp_messages", &[&[0], &INIT])?;
        self.write("srp_messages", &[&[0, 0], &INIT])?;
        self.write("srp_messages", &[&[2], &INIT])?;
        self.write("srp_messages", &[&[5], b"\x05carol", &INIT])?;
        for call in [
            &b"\x25\x01\0\0\0\0\0\x07"[..],
            b"\x15\x03\0\0\x01\xF5",
            b"\x15\x05ABCDEFGHIJKLMNOP",
            b"\x16\x01\0\x02ab",
            b"\x16\x03\x02ab",
            b"\x40\0\0\0",
            b"\x40\0\0\x01\0\0\0\x03abc",
            b"\x40\0\0\x03\0\0\0\x03\x01\x02\x03\x04abc",
            b"\x41\0\0\0\0\0\0\x04\xDE\xAD\xBE\xEF",
            b"\x7A\0\0\0\0\x01",
        ] {
            self.write("calls", &[&[0], call])?;
        }
        self.write("calls", &[&[3], b"\0\0\0\x04\xDE\xAD\xBE\xEF"])?;
        self.write("calls", &[&[4], b"\0\x03\0\0\x01\xF5\0\0\0\x14"])?;
        self.write("calls", &[&[5], b"\0\0\0\x0A"])?;
        self.write("calls", &[&[7], b"\x02ab"])?;
        self.write("calls", &[&[9], b"\0\x02ab"])?;
        self.write("calls", &[&[11], b"\0\0\0\x01\0\0\x01\xF5\0\x02ab"])?;
        self.write("calls", &[&[15], b"\0\0\x01\xF5"])?;
        self.write("calls", &[&[19], b"ABCDEFGHIJKLMNOP"])?;
        self.write("calls", &[&[24], &[0x80, 0x00]])
    }

    /// The captures themselves, and the same packets as pcapng.
    fn captures(&self, folder: &Path) -> Written {
        for entry in Manifest::read(folder)?.capture {
            let file = std::fs::read(folder.join(entry.file))?;
            self.write("captures", &[&file])?;
            self.write("captures", &[&pcapng(&file).ok_or("a capture is cut")?])?;
        }
        Ok(())
    }

    /// The example, with its keys as they are and in effect, and every section alone.
    fn settings(&self, example: &Path) -> Written {
        let text = std::fs::read_to_string(example)?;
        let keys = text.lines().map(|line| line.strip_prefix('#').filter(|key| !key.starts_with(' ')).unwrap_or(line));
        let keys = keys.filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        self.write("config", &[text.as_bytes()])?;
        self.write("config", &[keys.as_bytes()])?;
        for section in keys.split("\n[") {
            self.write("config", &[b"[", section.trim_start_matches('[').as_bytes()])?;
        }
        self.write(
            "config",
            &[b"[[network]]\ncidr = \"192.168.0.0/16\"\nuams = [\"SRP\"]\n[[network]]\ncidr = \"::/0\"\nuams = []\n"],
        )?;
        self.write(
            "config",
            &[b"[login]\nunknown_users = \"decoy\"\n[metrics]\nlisten = \"unix:/run/afpd-rs/metrics\"\n"],
        )
    }

    /// Files of the three store formats; the control characters stand for longer pieces, as the targets say.
    fn stores(&self) -> Written {
        self.write("store_native", &[b"\x01\x04\x02\x03\x05\x06\x07"])?;
        self.write("store_native", &[b"\x01\x02\x03\x05\x06\x07[[login]]\nname = \"Bob\"\n\x08\x03\x05\x06\x06\x07"])?;
        self.write("store_native", &[b"# a remark\nversion = 1\naccount = \"bob\"\nenabled = false\nlogin = []\n"])?;
        self.write("store_netatalk_file", &[b"# a remark\nalice\x01\x02\nbob\x03\x04\n"])?;
        self.write("store_netatalk_file", &[b"bob\x01\x02 behind it\x06alice\x03\x04"])?;
        self.write("store_netatalk_file", &[b"\x07\nbob\x01\x02\x05\x01\x02\nbob\x03\x04\n"])?;
        self.write("store_netatalk_directory", &[b"\x05\x01\x02\n"])?;
        self.write("store_netatalk_directory", &[b"bob\x03\x04\n"])
    }

    /// Three changes of 32 bytes, the seals, and a file: one without entries, one with a network of each kind, damaged ones.
    fn tallies(&self) -> Written {
        let now = 1_900_000_000_u64;
        let change = |kind: u8, family: u8, later: u64| {
            let address = [family; 16];
            [&[kind, family][..], &address, &now.saturating_add(later).to_le_bytes(), &[5, 32, 50, 12, 6, 0]].concat()
        };
        let changes = [change(0, 1, 0), change(1, 1, 60), change(2, 2, 4000)].concat();
        let head = |number: u64| {
            let (last, newest) = (now.to_be_bytes(), (now / 60).to_be_bytes());
            [b"AFPTALY1", &number.to_be_bytes()[..], &last, &7_u32.to_be_bytes(), &60_u32.to_be_bytes(), &newest]
                .concat()
        };
        let network = |kind: u8, address: [u8; 16]| {
            let counts = [6_u32, 1, 2, 3, 60].map(u32::to_be_bytes).concat();
            let times = [now; 4].map(u64::to_be_bytes).concat();
            [&[kind][..], &address, &[0; 3], &counts, &times].concat()
        };
        let v4 = [&[0; 10][..], &[0xff, 0xff, 192, 0, 2, 1]].concat().try_into().unwrap_or_default();
        let networks = [network(4, v4), network(6, [0x20; 16]), network(1, [0; 16])].concat();
        let slot = |number: u64| {
            let mut slot = [&head(number)[..], &[0, 1].repeat(60), &networks].concat();
            slot.resize(4096, 0);
            slot
        };
        for (seal, file) in [
            (7, Vec::new()),
            (7, head(1)),
            (7, slot(2)),
            (7, [slot(2), slot(3)].concat()),
            (1, [slot(2), slot(3)].concat()),
            (0, [slot(2), slot(3)].concat()),
            (7, [slot(u64::MAX), slot(u64::MAX)].concat()),
        ] {
            self.write("tally", &[&changes, &[seal], &file])?;
        }
        Ok(())
    }

    /// Plans of the target `session_operations`, in the form that `arbitrary` reads.
    fn operations(&self) -> Written {
        /// How many kinds of acts there are; the numbers below are their places.
        const ACTS: u64 = 25;
        let choice = |place: u64, of: u64| u32::try_from((place << 32).div_ceil(of)).unwrap_or(u32::MAX).to_le_bytes();
        let act = |place: u64, rest: &[u8]| [&choice(place, ACTS)[..], rest].concat();
        let open = act(0, &choice(0, 3));
        let get_status = act(1, &[]);
        let cut_login = |form: u64, name: u64, short: u8| {
            let init = choice(0, 4);
            act(form, &[&choice(0, 4)[..], &choice(0, 4), &choice(name, 5), &init, &[short]].concat())
        };
        let login = |form: u64, name: u64| cut_login(form, name, 0);
        let prove = |proof: u64| act(4, &[&choice(proof, 10)[..], &[0, 0, 0]].concat());
        let wrong_bit = act(4, &[&choice(1, 10)[..], &[9], &[0, 0, 0]].concat());
        let logout = act(5, &[]);
        let sleep = act(6, &[1]);
        let call = |bytes: &[u8]| {
            let rest: Vec<u8> = bytes.iter().skip(1).flat_map(|byte| [1, *byte]).chain([0]).collect();
            act(9, &[bytes.get(..1).unwrap_or_default(), &rest].concat())
        };
        let (answer, refuse, late) = (act(14, &[]), act(15, &choice(0, 3)), act(16, &[]));
        let (woken, shut_down, evict) = (act(19, &[]), act(21, &[]), act(22, &[]));
        let (alice, nobody) = (login(2, 0), login(2, 2));
        let [at_once, decoy, hold, busy] = [[0; 5], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]];
        for (mode, acts) in [
            (
                at_once,
                vec![
                    &open,
                    &alice,
                    &prove(0),
                    &call(b"\x10\0"),
                    &call(b"\x25\x01\0\0\0\0\0\x03"),
                    &logout,
                    &act(8, &[]),
                ],
            ),
            (at_once, vec![&open, &login(3, 0), &prove(0), &sleep, &woken, &act(7, &[]), &get_status]),
            (at_once, vec![&open, &alice, &wrong_bit]),
            (at_once, vec![&open, &alice, &alice, &prove(2)]),
            (at_once, vec![&open, &alice, &cut_login(2, 0, 8 * 24), &prove(2)]),
            (at_once, vec![&open, &alice, &call(b"\x10\0"), &prove(0)]),
            (at_once, vec![&open, &nobody]),
            (at_once, vec![&get_status]),
            (at_once, vec![&open, &alice, &woken, &woken, &woken]),
            (decoy, vec![&open, &nobody, &prove(0)]),
            (hold, vec![&open, &alice, &answer, &prove(0), &answer, &call(b"\x10\0"), &answer, &shut_down]),
            (hold, vec![&open, &alice, &answer, &prove(0), &refuse, &late]),
            (hold, vec![&open, &alice, &evict, &answer]),
            (busy, vec![&get_status]),
            (busy, vec![&open]),
        ] {
            // 1: another step follows; then how its bytes are cut.
            let steps: Vec<u8> = acts.into_iter().flat_map(|act| [&[1, 0][..], act].concat()).collect();
            self.write("session_operations", &[&mode, &steps])?;
        }
        Ok(())
    }
}

/// The packets of a little-endian pcap file in one section of a pcapng file.
fn pcapng(pcap: &[u8]) -> Option<Vec<u8>> {
    let block = |kind: u32, body: &[u8]| {
        let padding = vec![0; body.len().next_multiple_of(4).saturating_sub(body.len())];
        let length = u32::try_from(body.len().saturating_add(padding.len()).saturating_add(12)).unwrap_or(u32::MAX);
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), body, &padding, &length.to_le_bytes()].concat()
    };
    let section = [&0x1a2b_3c4d_u32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xff; 8]].concat();
    let interface = [pcap.get(20..22)?, &[0; 2], pcap.get(16..20)?].concat();
    let mut file = [block(0x0a0d_0d0a, &section), block(1, &interface)].concat();
    let mut rest = pcap.get(24..)?;
    while let Some((head, behind)) = rest.split_first_chunk::<16>() {
        let kept = head.get(8..12)?;
        let (bytes, behind) =
            behind.split_at_checked(usize::try_from(u32::from_le_bytes(kept.try_into().ok()?)).ok()?)?;
        // Interface 0, a time, both lengths.
        file.extend(block(6, &[&[0; 8][..], head.get(..4)?, kept, head.get(12..16)?, bytes].concat()));
        rest = behind;
    }
    Some(file)
}

fn frames(stream: &[u8]) -> Result<Vec<Frame>, Box<dyn Error>> {
    let mut framer = Framer::new(1 << 20);
    framer.push(stream);
    let mut frames = Vec::new();
    while let Some(frame) = framer.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}
