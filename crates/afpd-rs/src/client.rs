//! A small AFP client: asks a server what it is, and signs in to it with SRP.
//!
//! For looking at servers, ours and others', step by step: each step is reported with its sizes, result code and time as soon as it
//! is over, and every failure says what it means. It is stricter than an honest server needs: a group that is not RFC 5054's is not
//! computed with, and a wrong M2 ends everything, because then the server is not the one that has the account.
//!
//! Blocking, with a limit on the wait for each answer. Sources: the specification (AFP SRP User Authentication Method); Apple "AFP
//! Reference"; Netatalk 4.5.1, measured, for what its answers mean.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use afp_proto::afp::{
    FpGetSrvrMsg, FpGetSrvrMsgReply, FpGetSrvrParms, FpGetSrvrParmsReply, FpGetUserInfo, FpGetUserInfoReply,
    FpLoginCont, FpLoginExt, FpLogout, MessageType,
};
use afp_proto::dsi::{Attention, Command, Frame, FrameError, Framer, Kind, OpenSessionOptions, OpenSessionReply};
use afp_proto::server_info::ServerInfo;
use afp_proto::srp::{self, Challenge, ClientProof, ServerProof, UnknownUser};
use afp_proto::{DecodeError, Pascal, ResultCode, WidePascal};
use bytes::Bytes;
use getrandom::SysRng;
use srp6a::{Client, Group, Profile, ServerMisbehaved, WrongServerProof};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization as _;

use crate::cli::Target;
use crate::exit::{Exit, Failure};

/// The versions spoken, best first. Those before 3.1 have no FPLoginExt to rely on.
const VERSIONS: [&[u8]; 4] = [b"AFP3.4", b"AFP3.3", b"AFP3.2", b"AFP3.1"];

/// No answer to what is asked here is longer.
const LONGEST_REPLY: u32 = 1 << 16;

/// One thing that was done, for the transcript.
#[derive(Clone, Debug)]
pub struct Step {
    /// Such as `FPLoginExt`.
    pub name: &'static str,
    /// Bytes of payload sent and received, and the result code; none for what is no request.
    pub exchange: Option<(usize, ResultCode, usize)>,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub note: String,
}

/// Why there is no answer, or no login.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the fields are what the texts name")]
pub enum ClientError {
    /// The name has no address.
    #[error("{target} cannot be found: {error}; check the name, or use the address")]
    Resolve { target: Target, error: io::Error },
    /// No address takes a connection.
    #[error("{address} does not take connections: {error}; is the server running, and is this its port?")]
    Connect { address: SocketAddr, error: io::Error },
    /// The connection broke.
    #[error("the connection broke during {step}: {error}")]
    Broken { step: &'static str, error: io::Error },
    /// The server closed the connection instead of answering.
    #[error("the server closed the connection instead of answering {step}; its log may say why")]
    Closed { step: &'static str },
    /// Nothing came.
    #[error("no answer to {step} within {} seconds; a slow network may need --timeout", .limit.as_secs_f64())]
    Timeout { step: &'static str, limit: Duration },
    /// No room.
    #[error("the server is busy: it has as many connections as it takes ({code}); try again later")]
    Busy { code: ResultCode },
    /// Not DSI.
    #[error("the answer to {step} is not DSI: {error}; is this an AFP server?")]
    Frame { step: &'static str, error: FrameError },
    /// An answer to something else.
    #[error("the server answered {step} with a reply to {command}, request {request_id}")]
    OtherReply { step: &'static str, command: Command, request_id: u16 },
    /// An answer that cannot be read.
    #[error("the answer to {step} cannot be read: {error}")]
    Malformed { step: &'static str, error: DecodeError },
    /// A result code that is a no.
    #[error("{step} was refused with {code}: {meaning}")]
    Refused { step: &'static str, code: ResultCode, meaning: &'static str },
    /// SRP is not among the login methods.
    #[error("the server does not offer SRP; it offers {offers}")]
    NoSrp { offers: String },
    /// No version in common.
    #[error("the server speaks {offers}; this program speaks AFP3.1 to AFP3.4")]
    NoVersion { offers: String },
    /// N and g are not a group to be trusted.
    #[error(
        "the server's group (index {index}, N of {bytes} bytes) is not the RFC 5054 group of that number, or is too small: refused"
    )]
    Group { index: u16, bytes: usize },
    /// A challenge an honest server does not send.
    #[error("the server's challenge cannot be honest: {0}; refused")]
    Challenge(ServerMisbehaved),
    /// M2 is wrong.
    #[error("{0}: this is not the server that has the account, or somebody is in between")]
    WrongServerProof(WrongServerProof),
    /// A login name that cannot be sent.
    #[error("a login name has 1 to 255 bytes, this one has {0}")]
    LoginName(usize),
    /// The system gave no random bytes.
    #[error("the system has no random bytes to give")]
    Randomness,
}

impl ClientError {
    /// The code the program ends with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused { .. } => Exit::Refused,
            Self::LoginName(_) => Exit::Usage,
            Self::Randomness => Exit::Failed,
            _ => Exit::Peer,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::of(error.exit(), &error)
    }
}

/// What a server says about itself.
#[derive(Debug)]
pub struct Status {
    /// The address that answered.
    pub address: SocketAddr,
    /// The block.
    pub info: ServerInfo,
    /// Its size in bytes.
    pub size: usize,
    /// How long the answer took.
    pub took: Duration,
}

/// Asks a server what it is, over a connection of its own.
///
/// # Errors
/// See [`ClientError`].
pub fn status(target: &Target, limit: Duration) -> Result<Status, ClientError> {
    let (mut connection, _) = Connection::open(target, limit)?;
    connection.status()
}

/// Signs in, asks who it is now, and signs out. `told` hears of every step, also of the last before an error.
///
/// # Errors
/// See [`ClientError`].
pub fn login(
    target: &Target,
    limit: Duration,
    user: &str,
    password: &[u8],
    told: &mut dyn FnMut(Step),
) -> Result<(), ClientError> {
    let user_name = Pascal::new(user.as_bytes()).ok().filter(|name| !name.is_empty());
    let user_name = user_name.ok_or(ClientError::LoginName(user.len()))?;

    let (mut connection, took) = Connection::open(target, limit)?;
    told(Step { name: "TCP connect", exchange: None, took, note: format!("to {}", connection.address) });
    let Status { info, size, took, .. } = connection.status()?;
    let offers = joined(&info.uams);
    let exchange = Some((0, ResultCode::NO_ERR, size));
    let note = format!("{:?} speaks {}; login methods {offers}", server_name(&info), joined(&info.versions));
    told(Step { name: "DSIGetStatus", exchange, took, note });
    if !info.uams.iter().any(|uam| uam == b"SRP") {
        return Err(ClientError::NoSrp { offers });
    }
    let version = VERSIONS.into_iter().find(|version| info.versions.iter().any(|offered| offered == version));
    let version = version.ok_or_else(|| ClientError::NoVersion { offers: joined(&info.versions) })?;

    // A server closes the connection after DSIGetStatus.
    let (connection, took) = Connection::open(target, limit)?;
    told(Step {
        name: "TCP connect",
        exchange: None,
        took,
        note: "again: DSIGetStatus uses up a connection".to_owned(),
    });
    Session { connection, told }.run(Pascal::cut(version), user_name, password)
}

/// The name for people: the UTF-8 one, or else the old one, which is in Mac Roman almost everywhere.
#[must_use]
pub fn server_name(info: &ServerInfo) -> String {
    match &info.utf8_server_name {
        // Servers decompose it; terminals and our escaping like it composed.
        Some(name) => String::from_utf8_lossy(name).nfc().collect(),
        None => mac_roman(&info.server_name),
    }
}

/// Text in the Mac Roman encoding.
#[must_use]
pub fn mac_roman(bytes: &[u8]) -> String {
    encoding_rs::MACINTOSH.decode_without_bom_handling(bytes).0.into_owned()
}

/// Protocol words, which are ASCII, for people.
#[must_use]
pub fn joined(words: &[Vec<u8>]) -> String {
    let words: Vec<_> = words.iter().map(|word| word.escape_ascii().to_string()).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// A session being walked through.
struct Session<'a> {
    connection: Connection,
    told: &'a mut dyn FnMut(Step),
}

impl Session<'_> {
    fn run(&mut self, version: Pascal<'_>, user_name: Pascal<'_>, password: &[u8]) -> Result<(), ClientError> {
        let options = OpenSessionOptions { attention_quantum: Some(2) }.encode();
        self.step("DSIOpenSession", Command::OPEN_SESSION, options, ResultCode::NO_ERR, |payload| {
            let reply = OpenSessionReply::decode(payload)?;
            let number = |value: Option<u32>| value.map_or_else(|| "not told".to_owned(), |value| value.to_string());
            let (quantum, replay) = (number(reply.request_quantum), number(reply.replay_cache_size));
            Ok(((), format!("request quantum {quantum}, replay cache {replay}")))
        })?;

        let login = FpLoginExt::new(version, Pascal::from(b"SRP"), user_name, &srp::INIT).encode();
        let challenge = self.step("FPLoginExt", Command::COMMAND, login, ResultCode::AUTH_CONTINUE, |payload| {
            let challenge = Challenge::decode(payload)?;
            let (bits, salt) = (challenge.modulus.len().saturating_mul(8), challenge.salt.len());
            Ok((
                payload.clone(),
                format!("a challenge: group {} of {bits} bits, salt of {salt} bytes, B", challenge.group_index),
            ))
        })?;
        self.prove(&challenge, user_name, password)?;
        self.look_around()?;

        self.step("FPLogout", Command::COMMAND, FpLogout { padded: true }.encode(), ResultCode::NO_ERR, |_| {
            Ok(((), "signed out".to_owned()))
        })?;
        self.connection.say_goodbye();
        Ok(())
    }

    fn prove(&mut self, challenge: &Bytes, user_name: Pascal<'_>, password: &[u8]) -> Result<(), ClientError> {
        let malformed = |error| ClientError::Malformed { step: "FPLoginExt", error };
        let challenge = Challenge::decode(challenge).map_err(malformed)?;
        let group = Group::from_modulus(&challenge.modulus, &challenge.generator)
            .filter(|group| group.usable_for_accounts() && group.index() == challenge.group_index)
            .ok_or(ClientError::Group { index: challenge.group_index, bytes: challenge.modulus.len() })?;
        let begun = Instant::now();
        let client = Client::start(&Profile::AFP, group, &mut SysRng).map_err(|_| ClientError::Randomness)?;
        let a_pub = client.a_pub().to_vec();
        let proof =
            client.prove(&user_name, password, &challenge.salt, &challenge.b_pub).map_err(ClientError::Challenge)?;
        let note = "A and the proof M1".to_owned();
        (self.told)(Step { name: "computation", exchange: None, took: begun.elapsed(), note });

        let message = ClientProof { a_pub: WidePascal::cut(&a_pub), m1: WidePascal::cut(proof.m1()) }.encode();
        let cont = FpLoginCont { pad: 0, id: challenge.context, user_auth_info: &message }.encode();
        let m2 = self.step("FPLoginCont", Command::COMMAND, cont, ResultCode::NO_ERR, |payload| {
            Ok((ServerProof::decode(payload)?.m2.to_vec(), "signed in; the server's proof M2".to_owned()))
        })?;
        let begun = Instant::now();
        proof.verify(&m2).map_err(ClientError::WrongServerProof)?;
        let note = "M2 is right: the server knows this account's verifier".to_owned();
        (self.told)(Step { name: "verification", exchange: None, took: begun.elapsed(), note });
        Ok(())
    }

    /// What a signed-in client asks first. A no to these is told and changes nothing.
    fn look_around(&mut self) -> Result<(), ClientError> {
        let bitmap = FpGetUserInfo::USER_ID | FpGetUserInfo::GROUP_ID;
        let call = FpGetUserInfo { flags: FpGetUserInfo::THIS_USER, user_id: 0, bitmap }.encode();
        self.look("FPGetUserInfo", call, |payload| {
            let FpGetUserInfoReply { user_id, group_id, .. } = FpGetUserInfoReply::decode(payload)?;
            let number = |id: Option<u32>| id.map_or_else(|| "not told".to_owned(), |id| id.to_string());
            Ok(format!("user {}, group {}", number(user_id), number(group_id)))
        })?;
        self.look("FPGetSrvrParms", FpGetSrvrParms { padded: true }.encode(), |payload| {
            let FpGetSrvrParmsReply { volumes, .. } = FpGetSrvrParmsReply::decode(payload)?;
            let names: Vec<_> = volumes.iter().map(|volume| String::from_utf8_lossy(&volume.name)).collect();
            Ok(format!("{} volumes {names:?}", volumes.len()))
        })?;
        let bitmap = FpGetSrvrMsg::MESSAGE | FpGetSrvrMsg::UTF8;
        let call = FpGetSrvrMsg { message_type: MessageType::LOGIN, bitmap }.encode();
        self.look("FPGetSrvrMsg", call, |payload| {
            let FpGetSrvrMsgReply { message, .. } = FpGetSrvrMsgReply::decode(payload)?;
            Ok(format!("login message {:?}", String::from_utf8_lossy(&message)))
        })
    }

    /// A request whose result must be `wanted`, or it is an error.
    fn step<T>(
        &mut self,
        name: &'static str,
        command: Command,
        payload: Vec<u8>,
        wanted: ResultCode,
        read: impl FnOnce(&Bytes) -> Result<(T, String), DecodeError>,
    ) -> Result<T, ClientError> {
        let sent = payload.len();
        let reply = self.connection.ask(name, command, payload)?;
        let step =
            |note| Step { name, exchange: Some((sent, reply.code, reply.payload.len())), took: reply.took, note };
        if reply.code != wanted {
            (self.told)(step("refused".to_owned()));
            let meaning = meaning(name, reply.code, &reply.payload);
            return Err(ClientError::Refused { step: name, code: reply.code, meaning });
        }
        match read(&reply.payload) {
            Ok((value, note)) => {
                (self.told)(step(note));
                Ok(value)
            }
            Err(error) => {
                (self.told)(step("unreadable".to_owned()));
                Err(ClientError::Malformed { step: name, error })
            }
        }
    }

    /// A call whose failure is only told.
    fn look(
        &mut self,
        name: &'static str,
        payload: Vec<u8>,
        read: impl FnOnce(&[u8]) -> Result<String, DecodeError>,
    ) -> Result<(), ClientError> {
        let sent = payload.len();
        let reply = self.connection.ask(name, Command::COMMAND, payload)?;
        let note = match reply.code {
            ResultCode::NO_ERR => read(&reply.payload).unwrap_or_else(|error| format!("unreadable: {error}")),
            _ => "not answered".to_owned(),
        };
        (self.told)(Step { name, exchange: Some((sent, reply.code, reply.payload.len())), took: reply.took, note });
        Ok(())
    }
}

/// What a refusal means, as far as the specification, Apple's reference and Netatalk 4.5.1 (measured) tell.
fn meaning(step: &str, code: ResultCode, payload: &[u8]) -> &'static str {
    match (step, code) {
        ("FPLoginExt", ResultCode::USER_NOT_AUTH) if UnknownUser::decode(payload).is_ok() => {
            "no account with this login name can sign in with SRP: it is unknown, disabled, or has no SRP verifier; login names are compared exactly"
        }
        ("FPLoginExt", ResultCode::USER_NOT_AUTH) => {
            "this login name may not sign in; Netatalk answers like this when it is no user of the system or has no valid shell"
        }
        (_, ResultCode::SRP_PROOF_FAILED) => {
            "wrong password, or the account is locked; the login name must also be typed exactly as the account has it"
        }
        ("FPLoginCont", ResultCode::USER_NOT_AUTH) => {
            "the server would not take the proof message, or the account may not sign in whatever its password (Netatalk: root)"
        }
        (_, ResultCode::BAD_UAM) => "the server does not take SRP from here, whatever it advertises",
        (_, ResultCode::BAD_VERSION) => "the server does not speak this AFP version, whatever it advertises",
        (_, ResultCode::PARAM_ERR) => "the server found the request malformed",
        (_, ResultCode::CALL_NOT_SUPPORTED) => "the server does not know this call, or not now",
        (_, ResultCode::SERVER_GOING_DOWN) => "the server is going down",
        (_, ResultCode::PWD_EXPIRED_ERR | ResultCode::PWD_NEEDS_CHANGE_ERR) => "the password must be changed first",
        (_, ResultCode::MISC_ERR) => "something went wrong in the server; its log may say what",
        _ => "this code is not expected here",
    }
}

struct Reply {
    code: ResultCode,
    payload: Bytes,
    took: Duration,
}

/// One TCP connection to a server.
struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    framer: Framer,
    next_id: u16,
    limit: Duration,
}

impl Connection {
    /// Connects to the first of the target's addresses that takes a connection.
    fn open(target: &Target, limit: Duration) -> Result<(Self, Duration), ClientError> {
        let resolve = |error| ClientError::Resolve { target: target.clone(), error };
        let addresses = (target.host.as_str(), target.port).to_socket_addrs().map_err(resolve)?;
        let mut failed = resolve(io::Error::other("the name has no address"));
        for address in addresses {
            let begun = Instant::now();
            let stream = TcpStream::connect_timeout(&address, limit).and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(limit))?;
                Ok(stream)
            });
            match stream {
                Ok(stream) => {
                    let framer = Framer::new(LONGEST_REPLY);
                    return Ok((Self { address, stream, framer, next_id: 0, limit }, begun.elapsed()));
                }
                Err(error) => failed = ClientError::Connect { address, error },
            }
        }
        Err(failed)
    }

    fn status(&mut self) -> Result<Status, ClientError> {
        let step = "DSIGetStatus";
        let reply = self.ask(step, Command::GET_STATUS, Vec::new())?;
        if reply.code != ResultCode::NO_ERR {
            let meaning = meaning(step, reply.code, &reply.payload);
            return Err(ClientError::Refused { step, code: reply.code, meaning });
        }
        let info = ServerInfo::decode(&reply.payload).map_err(|error| ClientError::Malformed { step, error })?;
        Ok(Status { address: self.address, info, size: reply.payload.len(), took: reply.took })
    }

    /// Sends a request and waits for its answer.
    fn ask(&mut self, step: &'static str, command: Command, payload: Vec<u8>) -> Result<Reply, ClientError> {
        let request_id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let begun = Instant::now();
        let frame = Frame::request(command, request_id, payload);
        self.stream.write_all(&frame.encode()).map_err(|error| self.broken(step, error))?;
        loop {
            let frame = self.receive(step, begun)?;
            match (frame.header.kind, frame.header.command) {
                (Kind::Reply, _) if is_busy(frame.result()) => return Err(ClientError::Busy { code: frame.result() }),
                (Kind::Reply, answered) if answered == command && frame.header.request_id == request_id => {
                    return Ok(Reply { code: frame.result(), payload: frame.payload, took: begun.elapsed() });
                }
                (Kind::Reply, command) => {
                    return Err(ClientError::OtherReply { step, command, request_id: frame.header.request_id });
                }
                (Kind::Request, Command::CLOSE_SESSION) => return Err(ClientError::Closed { step }),
                (Kind::Request, Command::ATTENTION) if goes_down(&frame.payload) => {
                    return Err(ClientError::Closed { step });
                }
                // Tickles and messages.
                (Kind::Request, _) => {}
            }
        }
    }

    fn receive(&mut self, step: &'static str, begun: Instant) -> Result<Frame, ClientError> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.framer.next_frame().map_err(|error| ClientError::Frame { step, error })? {
                return Ok(frame);
            }
            let rest = self.limit.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero());
            let rest = rest.ok_or(ClientError::Timeout { step, limit: self.limit })?;
            self.stream.set_read_timeout(Some(rest)).map_err(|error| self.broken(step, error))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ClientError::Closed { step }),
                Ok(read) => self.framer.push(buffer.get(..read).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.broken(step, error)),
            }
        }
    }

    fn broken(&self, step: &'static str, error: io::Error) -> ClientError {
        match error.kind() {
            // What a timeout is called depends on the system.
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Timeout { step, limit: self.limit },
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => ClientError::Closed { step },
            _ => ClientError::Broken { step, error },
        }
    }

    /// DSICloseSession has no answer; if it cannot be sent, the server has closed already.
    fn say_goodbye(&mut self) {
        let frame = Frame::request(Command::CLOSE_SESSION, self.next_id, Bytes::new());
        self.stream.write_all(&frame.encode()).ok();
    }
}

fn is_busy(code: ResultCode) -> bool {
    [
        ResultCode::NO_MORE_SESSIONS,
        ResultCode::DSI_SERVER_BUSY,
        ResultCode::SERVER_BUSY_UNSIGNED,
        ResultCode::DSI_TOO_MANY_CLIENTS,
    ]
    .contains(&code)
}

fn goes_down(attention: &[u8]) -> bool {
    let upper = Attention::decode(attention).map(|attention| attention.with_minutes(0));
    matches!(upper, Ok(Attention::SHUTDOWN | Attention::DISCONNECT | Attention::CRASH))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use hex_literal::hex;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// The next request; none when the client has left.
    fn receive(stream: &mut TcpStream, framer: &mut Framer) -> Option<Frame> {
        let mut buffer = [0; 1024];
        loop {
            if let Some(frame) = framer.next_frame().unwrap() {
                return Some(frame);
            }
            match stream.read(&mut buffer) {
                Ok(read) if read > 0 => framer.push(&buffer[..read]),
                _ => return None,
            }
        }
    }

    /// A server that answers the first request of each connection with the given bytes, and then closes it.
    fn scripted(connections: Vec<Vec<u8>>) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for answer in connections {
                let (mut stream, _) = listener.accept().unwrap();
                receive(&mut stream, &mut Framer::new(4096)).unwrap();
                stream.write_all(&answer).unwrap();
            }
        });
        Target { host: "127.0.0.1".to_owned(), port }
    }

    fn reply(command: Command, code: ResultCode, payload: &[u8]) -> Vec<u8> {
        Frame::reply(command, 0, code, Bytes::copy_from_slice(payload)).encode().to_vec()
    }

    fn status_with(uam: &[u8], version: &[u8]) -> Vec<u8> {
        let info = ServerInfo {
            machine_type: b"test".to_vec(),
            versions: vec![version.to_vec()],
            uams: vec![uam.to_vec()],
            flags: afp_proto::server_info::ServerFlags(0),
            server_name: b"Zo\x91".to_vec(),
            utf8_server_name: None,
            signature: None,
            addresses: Vec::new(),
            directory_names: Vec::new(),
            icon: None,
        };
        reply(Command::GET_STATUS, ResultCode::NO_ERR, &info.encode().unwrap())
    }

    fn login_fails(connections: Vec<Vec<u8>>) -> ClientError {
        login(&scripted(connections), LIMIT, "anna", b"open sesame", &mut |_| ()).unwrap_err()
    }

    #[test]
    fn a_status_is_read() {
        let status = status(&scripted(vec![status_with(b"SRP", b"AFP3.4")]), LIMIT).unwrap();
        assert_eq!(server_name(&status.info), "Zoë");
        assert_eq!(joined(&status.info.uams), "SRP");
    }

    #[test]
    fn what_a_server_may_not_do_is_named() {
        let closes = status(&scripted(vec![Vec::new()]), LIMIT).unwrap_err();
        assert!(matches!(closes, ClientError::Closed { step: "DSIGetStatus" }), "{closes}");
        let http = status(&scripted(vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()]), LIMIT).unwrap_err();
        assert!(matches!(http, ClientError::Frame { .. }), "{http}");
        let other = status(&scripted(vec![reply(Command::COMMAND, ResultCode::NO_ERR, b"")]), LIMIT).unwrap_err();
        assert!(matches!(other, ClientError::OtherReply { .. }), "{other}");
        let cut = status(&scripted(vec![reply(Command::GET_STATUS, ResultCode::NO_ERR, b"abc")]), LIMIT).unwrap_err();
        assert!(matches!(cut, ClientError::Malformed { .. }), "{cut}");
        // Netatalk 4.5.1, measured: whatever was asked, the reply is one to DSIOpenSession.
        let busy = status(&scripted(vec![hex!("01040000 0000fbd1 00000000 00000000").to_vec()]), LIMIT).unwrap_err();
        assert!(matches!(busy, ClientError::Busy { .. }), "{busy}");
        assert_eq!(busy.exit(), Exit::Peer);
    }

    #[test]
    fn a_silent_server_is_not_waited_for_longer_than_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        let silent = status(&target, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(silent, ClientError::Timeout { .. }), "{silent}");
        drop(listener);
        let gone = status(&target, LIMIT).unwrap_err();
        assert!(matches!(gone, ClientError::Connect { .. }), "{gone}");
    }

    #[test]
    fn a_server_without_srp_or_a_version_in_common_is_left() {
        let error = login_fails(vec![status_with(b"DHX2", b"AFP3.4")]);
        assert!(matches!(&error, ClientError::NoSrp { offers } if offers == "DHX2"), "{error}");
        let error = login_fails(vec![status_with(b"SRP", b"AFP2.2")]);
        assert!(matches!(&error, ClientError::NoVersion { offers } if offers == "AFP2.2"), "{error}");
    }

    #[test]
    fn refusals_say_what_they_mean() {
        for (step, code, payload, said) in [
            ("FPLoginExt", ResultCode::USER_NOT_AUTH, &[0, 1][..], "unknown, disabled"),
            ("FPLoginExt", ResultCode::USER_NOT_AUTH, &[], "valid shell"),
            ("FPLoginCont", ResultCode::SRP_PROOF_FAILED, &[], "wrong password"),
            ("FPLoginCont", ResultCode::USER_NOT_AUTH, &[], "proof message"),
            ("FPLoginExt", ResultCode::BAD_UAM, &[], "SRP"),
            ("FPLoginExt", ResultCode::BAD_VERSION, &[], "version"),
        ] {
            assert!(meaning(step, code, payload).contains(said), "{step} {code}");
        }
    }

    /// A session in which the server plays its part with a challenge of our making.
    fn with_challenge(challenge: &Challenge<'_>) -> ClientError {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target { host: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() };
        let challenge = challenge.encode();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            receive(&mut stream, &mut Framer::new(4096)).unwrap();
            stream.write_all(&status_with(b"SRP", b"AFP3.4")).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut framer = Framer::new(4096);
            for (id, command, code, payload) in [
                (0, Command::OPEN_SESSION, ResultCode::NO_ERR, Vec::new()),
                (1, Command::COMMAND, ResultCode::AUTH_CONTINUE, challenge),
                (2, Command::COMMAND, ResultCode::NO_ERR, [&[0, 4, 0, 20][..], &[7; 20]].concat()),
            ] {
                if receive(&mut stream, &mut framer).is_none() {
                    return;
                }
                stream.write_all(&Frame::reply(command, id, code, payload).encode()).unwrap();
            }
        });
        let error = login(&target, LIMIT, "anna", b"open sesame", &mut |_| ()).unwrap_err();
        server.join().unwrap();
        error
    }

    #[test]
    fn dishonest_challenges_and_proofs_are_refused() {
        let group = Group::Bits1536;
        let b_pub = [5; 192];
        let honest = Challenge {
            context: 0,
            group_index: 2,
            modulus: WidePascal::cut(group.modulus()),
            generator: WidePascal::from(&[2]),
            salt: WidePascal::from(&[1; 16]),
            b_pub: WidePascal::cut(&b_pub),
        };
        let mut composite = group.modulus().to_vec();
        *composite.last_mut().unwrap() ^= 2;
        for dishonest in [
            Challenge { modulus: WidePascal::cut(&composite), ..honest },
            Challenge { generator: WidePascal::from(&[1]), ..honest },
            Challenge { group_index: 3, ..honest },
            Challenge { group_index: 1, modulus: WidePascal::cut(Group::Bits1024.modulus()), ..honest },
        ] {
            let error = with_challenge(&dishonest);
            assert!(matches!(error, ClientError::Group { .. }), "{error}");
        }
        for zero in [&[0; 192][..], group.modulus(), &[]] {
            let error = with_challenge(&Challenge { b_pub: WidePascal::cut(zero), ..honest });
            assert!(matches!(error, ClientError::Challenge(_)), "{error}");
        }
        let error = with_challenge(&honest);
        assert!(matches!(error, ClientError::WrongServerProof(_)), "{error}");
        assert_eq!(error.exit(), Exit::Peer);
    }
}
