//! A scripted AFP client that can say anything.
//!
//! Blocking, on [`std::net`], and built by hand from the layouts in Apple's "AFP Reference" and in the specification (AFP SRP
//! User Authentication Method): it shares no code with the server's own decoders, so that a mistake there cannot hide here.
//! Every field of a message can be set to what it should not be, bytes can be sent raw or one segment at a time, and what
//! comes back is reported as it is, silence and end of connection included. SRP numbers come from
//! [`slow_srp`](crate::slow_srp). It judges nothing: that is the tests' part.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// DSI commands, one byte ("AFP Reference", DSI).
pub mod dsi {
    #![expect(missing_docs, reason = "the protocol's own names")]
    pub const CLOSE_SESSION: u8 = 1;
    pub const COMMAND: u8 = 2;
    pub const GET_STATUS: u8 = 3;
    pub const OPEN_SESSION: u8 = 4;
    pub const TICKLE: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const ATTENTION: u8 = 8;
}

/// How long [`Client::hear`] waits if not told otherwise: far above any honest answer, far below the two minutes of the protocol.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One DSI frame as it came: a 16-byte header and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 0 request, 1 reply.
    pub flags: u8,
    /// One of [`dsi`].
    pub command: u8,
    /// Request id.
    pub id: u16,
    /// Result code of a reply; write offset of a request.
    pub code: i32,
    /// Should be 0.
    pub reserved: u32,
    /// What the header announced, all of it.
    pub payload: Vec<u8>,
}

impl Frame {
    /// A request with an empty payload and every field as it should be.
    #[must_use]
    pub fn request(command: u8, id: u16, payload: &[u8]) -> Frame {
        Frame { flags: 0, command, id, code: 0, reserved: 0, payload: payload.to_vec() }
    }

    /// The frame on the wire.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_announcing(u32::try_from(self.payload.len()).unwrap_or(u32::MAX))
    }

    /// The frame on the wire, with a length field that may lie.
    #[must_use]
    pub fn bytes_announcing(&self, length: u32) -> Vec<u8> {
        let mut bytes = vec![self.flags, self.command];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.code.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(self.reserved.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// What a client can hear next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A whole frame.
    Frame(Frame),
    /// The server closed, or reset, the connection between two frames.
    End,
    /// Nothing for as long as the client was told to wait.
    Silence,
}

/// A TCP connection to a server under test.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    next_id: u16,
}

impl Client {
    /// Connects and says nothing.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn connect(address: SocketAddr) -> io::Result<Client> {
        Client::over(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// The same over a connection that is there.
    ///
    /// # Errors
    /// Whatever the operating system says.
    pub fn over(stream: TcpStream) -> io::Result<Client> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Client { stream, next_id: 0 })
    }

    /// The request id that [`Client::request`] will use next. Ids start at 0 and are the client's to choose.
    pub fn set_next_id(&mut self, id: u16) {
        self.next_id = id;
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// Whatever the operating system says; a server may have closed already.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Sends bytes one segment each.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn dribble(&mut self, bytes: &[u8]) -> io::Result<()> {
        bytes.iter().try_for_each(|byte| self.stream.write_all(&[*byte]))
    }

    /// Sends a request and tells its id.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn request(&mut self, command: u8, payload: &[u8]) -> io::Result<u16> {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.send(&Frame::request(command, id, payload).bytes())?;
        Ok(id)
    }

    /// Tells the server that no more will be sent, and keeps listening.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub fn finish_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// The next frame, the end, or silence after [`PATIENCE`].
    ///
    /// # Errors
    /// [`ErrorKind::UnexpectedEof`] if the server stops in the middle of a frame, [`ErrorKind::TimedOut`] if it pauses there.
    pub fn hear(&mut self) -> io::Result<Heard> {
        self.hear_within(PATIENCE)
    }

    /// The same with another patience.
    ///
    /// # Errors
    /// As [`Client::hear`].
    pub fn hear_within(&mut self, patience: Duration) -> io::Result<Heard> {
        let until = Instant::now() + patience;
        let mut header = [0; 16];
        match self.fill(&mut header, until)? {
            0 => return Ok(if Instant::now() >= until { Heard::Silence } else { Heard::End }),
            16 => {}
            got => return Err(cut_off("header", got, 16, until)),
        }
        let [flags, command, i0, i1, c0, c1, c2, c3, l0, l1, l2, l3, r0, r1, r2, r3] = header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let mut payload = vec![0; length];
        let got = self.fill(&mut payload, until)?;
        if got != length {
            return Err(cut_off("payload", got, length, until));
        }
        Ok(Heard::Frame(Frame {
            flags,
            command,
            id: u16::from_be_bytes([i0, i1]),
            code: i32::from_be_bytes([c0, c1, c2, c3]),
            reserved: u32::from_be_bytes([r0, r1, r2, r3]),
            payload,
        }))
    }

    /// Reads until the buffer is full, the connection ends or the time is up, and tells how much came.
    fn fill(&mut self, mut buffer: &mut [u8], until: Instant) -> io::Result<usize> {
        let wanted = buffer.len();
        while !buffer.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(buffer) {
                Ok(0) => break,
                Ok(got) => buffer = buffer.get_mut(got..).unwrap_or_default(),
                Err(error) => match error.kind() {
                    // A peer that closes with our bytes unread resets the connection: an end like another.
                    ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted => break,
                    ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                    _ => return Err(error),
                },
            }
        }
        Ok(wanted - buffer.len())
    }
}

fn cut_off(part: &str, got: usize, wanted: usize, until: Instant) -> io::Error {
    let kind = if Instant::now() >= until { ErrorKind::TimedOut } else { ErrorKind::UnexpectedEof };
    io::Error::new(kind, format!("only {got} of {wanted} bytes of a frame's {part} came"))
}

/// When a zero byte goes before UserAuthInfo in FPLoginExt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// When UserAuthInfo would begin at an odd offset, as real clients do.
    WhenOdd,
    /// Always.
    Always,
    /// Never, as the specification's table reads.
    Never,
}

/// FPLoginExt (0x3F), every field open.
#[derive(Clone, Debug)]
pub struct LoginExt {
    /// "None defined": 0.
    pub flags: u16,
    /// AFP version.
    pub version: Vec<u8>,
    /// UAM name.
    pub uam: Vec<u8>,
    /// 3 for UTF-8.
    pub name_type: u8,
    /// The login name.
    pub name: Vec<u8>,
    /// The length field before it, if it shall lie.
    pub name_length: Option<u16>,
    /// Path type, its length field and the path, raw.
    pub path: Vec<u8>,
    /// The byte that the specification's table leaves out.
    pub pad: Pad,
    /// What the UAM gets.
    pub user_auth_info: Vec<u8>,
}

impl LoginExt {
    /// What a real client sends for this user: AFP3.4, "SRP", the pad where it is due, and 0001.
    #[must_use]
    pub fn new(name: &[u8]) -> LoginExt {
        LoginExt {
            flags: 0,
            version: b"AFP3.4".to_vec(),
            uam: b"SRP".to_vec(),
            name_type: 3,
            name: name.to_vec(),
            name_length: None,
            path: vec![3, 0, 0],
            pad: Pad::WhenOdd,
            user_auth_info: vec![0, 1],
        }
    }

    /// The call, from its command byte.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x3f, 0];
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(pascal(&self.version));
        bytes.extend(pascal(&self.uam));
        bytes.push(self.name_type);
        bytes.extend(self.name_length.unwrap_or_else(|| length_of(&self.name)).to_be_bytes());
        bytes.extend(&self.name);
        bytes.extend(&self.path);
        let pad = match self.pad {
            Pad::WhenOdd => bytes.len() % 2 == 1,
            Pad::Always => true,
            Pad::Never => false,
        };
        if pad {
            bytes.push(0);
        }
        bytes.extend(&self.user_auth_info);
        bytes
    }
}

/// FPLoginCont (0x13) with the SRP proof, every field open.
#[derive(Clone, Debug)]
pub struct LoginCont {
    /// 0.
    pub pad: u8,
    /// 0, whatever the server gave: so do the known clients.
    pub id: u16,
    /// 3.
    pub step: u16,
    /// The client's public key.
    pub a: Vec<u8>,
    /// The length field before it, if it shall lie.
    pub a_length: Option<u16>,
    /// The client's proof.
    pub m1: Vec<u8>,
    /// The length field before it, if it shall lie.
    pub m1_length: Option<u16>,
    /// Bytes after the proof: none.
    pub tail: Vec<u8>,
}

impl LoginCont {
    /// What a real client sends.
    #[must_use]
    pub fn new(a: &[u8], m1: &[u8]) -> LoginCont {
        LoginCont {
            pad: 0,
            id: 0,
            step: 3,
            a: a.to_vec(),
            a_length: None,
            m1: m1.to_vec(),
            m1_length: None,
            tail: Vec::new(),
        }
    }

    /// The call, from its command byte.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x13, self.pad];
        bytes.extend(self.id.to_be_bytes());
        bytes.extend(self.step.to_be_bytes());
        bytes.extend(self.a_length.unwrap_or_else(|| length_of(&self.a)).to_be_bytes());
        bytes.extend(&self.a);
        bytes.extend(self.m1_length.unwrap_or_else(|| length_of(&self.m1)).to_be_bytes());
        bytes.extend(&self.m1);
        bytes.extend(&self.tail);
        bytes
    }
}

/// FPLogin (0x12): no pad after the command byte; "SRP" gets a Pascal user name as its UserAuthInfo.
#[must_use]
pub fn fp_login(version: &[u8], uam: &[u8], user_auth_info: &[u8]) -> Vec<u8> {
    [&[0x12], pascal(version).as_slice(), &pascal(uam), user_auth_info].concat()
}

/// One length byte, then the bytes (cut to 255).
#[must_use]
pub fn pascal(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![length];
    bytes.extend(text.iter().take(length.into()));
    bytes
}

fn length_of(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}
