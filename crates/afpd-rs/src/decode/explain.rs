//! One TCP connection as DSI frames, each with its fields by name.
//!
//! What may be a password or lets somebody take a session over is counted, not shown: UserAuthInfo of other login methods and
//! session tokens. SRP's messages hold no secret and are shown whole.

use std::collections::HashMap;
use std::time::Duration;

use afp_proto::afp::{
    Call, Command as Afp, FpGetSessionTokenReply, FpGetSrvrMsgReply, FpGetSrvrParmsReply, FpGetUserInfoReply,
    FpLoginExt, FpMapIdReply, FpMapNameReply, FpZzzzzReply, IdToName,
};
use afp_proto::dsi::{Attention, Command, Frame, Framer, Header, Kind, OpenSessionOptions, OpenSessionReply};
use afp_proto::server_info::ServerInfo;
use afp_proto::srp::{Challenge, ClientProof, InitMarker, LoginInit, ServerProof, UnknownUser};
use afp_proto::{DecodeError, ResultCode};
use serde::Serialize;
use srp6a::Group;

use super::proofs::Exchange;
use super::tcp::{Connection, End, What};
use crate::client::{joined, mac_roman};
use crate::status::network_address;

/// No request or reply of AFP is longer, whatever quantum was agreed on.
const LONGEST_PAYLOAD: u32 = 1 << 30;

/// A name and what it has.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) value: String,
}

/// Something on the connection.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// Seconds since the capture's first packet.
    pub(super) seconds: f64,
    pub(super) from: &'static str,
    pub(super) what: String,
    pub(super) fields: Vec<Field>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem: Option<String>,
}

/// An SRP login as far as it went.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) exchange: Exchange,
    pub(super) outcome: String,
}

/// A connection explained.
#[derive(Debug, Default)]
pub(super) struct Explained {
    pub(super) lines: Vec<Line>,
    pub(super) logins: Vec<Login>,
}

/// Whether the first bytes a client sent are a DSI request.
pub(super) fn looks_like_dsi(connection: &Connection) -> bool {
    let mut first = connection.events.iter().filter(|event| event.from == End::Client);
    let bytes =
        first.find_map(|event| if let What::Bytes(bytes) = &event.what { bytes.first_chunk::<16>() } else { None });
    let Some(Ok(header)) = bytes.map(|bytes| Header::decode(bytes)) else { return false };
    header.kind == Kind::Request && header.command.name().is_some() && header.reserved == 0
}

/// Explains everything on the connection. `start` is the time of the capture's first packet.
pub(super) fn explain(connection: &Connection, start: Duration) -> Explained {
    let mut explainer = Explainer::default();
    for event in &connection.events {
        explainer.now = event.time.saturating_sub(start).as_secs_f64();
        explainer.event(event.from, &event.what);
    }
    explainer.end();
    explainer.explained
}

#[derive(Default)]
struct Explainer {
    explained: Explained,
    now: f64,
    client: Stream,
    server: Stream,
    /// Whether the login that is going on is one with SRP.
    srp: bool,
    login: Option<Exchange>,
}

/// One direction.
struct Stream {
    /// None once the direction cannot be followed any more.
    framer: Option<Framer>,
    /// What this end has asked and the other not answered yet, by request ID.
    asked: HashMap<u16, Asked>,
}

impl Default for Stream {
    fn default() -> Self {
        Self { framer: Some(Framer::new(LONGEST_PAYLOAD)), asked: HashMap::new() }
    }
}

/// What a reply needs to know about its request.
#[derive(Clone, Copy)]
struct Asked {
    command: Command,
    afp: Option<Afp>,
    /// The subfunction of FPMapID and FPMapName.
    subfunction: u8,
}

type Fields = Result<Vec<Field>, DecodeError>;

impl Explainer {
    fn event(&mut self, from: End, what: &What) {
        match what {
            What::Bytes(bytes) => self.bytes(from, bytes),
            What::Missing(bytes) => {
                self.line(
                    from,
                    format!("{bytes} bytes are not in the capture; this direction is not followed any further"),
                );
                self.stream(from).framer = None;
            }
            What::Finished => self.line(from, "closes its side of the connection".to_owned()),
            What::Reset => self.line(from, "breaks the connection off".to_owned()),
        }
    }

    fn bytes(&mut self, from: End, bytes: &[u8]) {
        let Some(mut framer) = self.stream(from).framer.take() else { return };
        framer.push(bytes);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => self.frame(from, &frame),
                Ok(None) => {
                    self.stream(from).framer = Some(framer);
                    return;
                }
                Err(error) => {
                    self.line(
                        from,
                        "bytes that are no DSI frame; this direction is not followed any further".to_owned(),
                    );
                    self.problem(error.to_string());
                    return;
                }
            }
        }
    }

    fn end(&mut self) {
        for from in [End::Client, End::Server] {
            let waiting = self.stream(from).framer.as_ref().map_or(0, Framer::buffered);
            if waiting > 0 {
                self.line(from, format!("{waiting} bytes of a frame whose rest is not in the capture"));
            }
        }
        self.login_over("not finished".to_owned());
    }

    fn frame(&mut self, from: End, frame: &Frame) {
        let Header { command, request_id, .. } = frame.header;
        let size = frame.payload.len();
        let (title, fields) = match frame.header.kind {
            Kind::Request => {
                let (asked, fields) = self.request(frame);
                if ![Command::TICKLE, Command::CLOSE_SESSION].contains(&command) {
                    self.stream(from).asked.insert(request_id, asked);
                }
                let call = asked.afp.map(|call| format!(" {call}")).unwrap_or_default();
                (format!("{command}{call}, request {request_id}, {size} bytes"), fields)
            }
            Kind::Reply => {
                let other = if from == End::Client { End::Server } else { End::Client };
                let asked = self.stream(other).asked.remove(&request_id);
                let call = asked.and_then(|asked| asked.afp).map(|call| format!(" {call}")).unwrap_or_default();
                let title = format!("{command}{call}, reply {request_id}, {size} bytes, {}", frame.result());
                match asked {
                    Some(asked) => (title, self.reply(asked, frame)),
                    None => (format!("{title}, to a request that is not in the capture"), Ok(Vec::new())),
                }
            }
        };
        self.line(from, title);
        match fields {
            Ok(fields) => {
                if let Some(line) = self.explained.lines.last_mut() {
                    line.fields = fields;
                }
            }
            Err(error) => self.problem(error.to_string()),
        }
    }

    fn request(&mut self, frame: &Frame) -> (Asked, Fields) {
        let command = frame.header.command;
        let mut asked = Asked { command, afp: None, subfunction: 0 };
        let fields = match command {
            Command::OPEN_SESSION => OpenSessionOptions::decode(&frame.payload)
                .map(|options| vec![field("attention quantum", or_none(options.attention_quantum))]),
            Command::ATTENTION => Attention::decode(&frame.payload).map(|attention| {
                vec![field("attention", format!("{:#06x} {}", attention.0, attention_name(attention)))]
            }),
            Command::COMMAND | Command::WRITE => {
                let (call, data) =
                    frame.call_and_data().unwrap_or_else(|_| (frame.payload.clone(), bytes::Bytes::new()));
                asked.afp = call.first().copied().map(Afp);
                match Call::decode(&call) {
                    Ok(call) => {
                        match &call {
                            Call::MapId(call) => asked.subfunction = call.subfunction(),
                            Call::MapName(call) => asked.subfunction = call.subfunction(),
                            _ => {}
                        }
                        self.call(&call).map(|mut fields| {
                            if command == Command::WRITE {
                                fields.push(field("data", format!("{} bytes", data.len())));
                            }
                            fields
                        })
                    }
                    Err(error) => Err(error.kind),
                }
            }
            _ => Ok(Vec::new()),
        };
        (asked, fields)
    }

    fn call(&mut self, call: &Call<'_>) -> Fields {
        Ok(match call {
            Call::Login(login) => {
                let mut fields = vec![field("AFP version", text(&login.version)), field("UAM", text(&login.uam))];
                self.login_begins(*login.uam == *b"SRP");
                if self.srp {
                    let init = LoginInit::decode(login.user_auth_info)?;
                    fields.push(field("user name", text(&init.user_name)));
                    fields.push(field("UserAuthInfo", marker_name(init.marker)));
                    self.login = Some(Exchange { login_name: init.user_name.to_vec(), ..Exchange::default() });
                } else {
                    fields.push(field("UserAuthInfo", hidden(login.user_auth_info)));
                }
                fields
            }
            Call::LoginExt(login) => self.login_ext(login)?,
            Call::LoginCont(cont) => {
                let mut fields = vec![field("ID", cont.id.to_string())];
                if self.srp {
                    let proof = ClientProof::decode(cont.user_auth_info)?;
                    fields.push(field("SRP step", "3: the client's proof"));
                    fields.push(field("A", number(&proof.a_pub)));
                    fields.push(field("M1", hex(&proof.m1)));
                    if let Some(login) = &mut self.login {
                        (login.a_pub, login.m1) = (proof.a_pub.to_vec(), proof.m1.to_vec());
                    }
                } else {
                    fields.push(field("UserAuthInfo", hidden(cont.user_auth_info)));
                }
                fields
            }
            Call::MapId(call) => {
                let of = match call.wanted {
                    IdToName::User(id) | IdToName::UserUtf8(id) => format!("user {id}"),
                    IdToName::Group(id) | IdToName::GroupUtf8(id) => format!("group {id}"),
                    IdToName::UserUuid(uuid) | IdToName::GroupUuid(uuid) => format!("UUID {}", hex(&uuid)),
                };
                vec![field("subfunction", call.subfunction().to_string()), field("ID", of)]
            }
            Call::MapName(call) => {
                vec![field("subfunction", call.subfunction().to_string()), field("name", text(call.wanted.name()))]
            }
            Call::GetUserInfo(call) => vec![
                field("flags", format!("{:#04x}", call.flags)),
                field("user ID", call.user_id.to_string()),
                field("bitmap", format!("{:#06x}", call.bitmap)),
            ],
            Call::GetSrvrMsg(call) => vec![
                field("message type", call.message_type.0.to_string()),
                field("bitmap", format!("{:#06x}", call.bitmap)),
            ],
            Call::GetSessionToken(call) => vec![
                field("token type", call.token_type.0.to_string()),
                field("timestamp", call.timestamp.to_string()),
                field("client ID", hidden(call.id)),
            ],
            Call::DisconnectOldSession(call) => {
                vec![field("token type", call.token_type.0.to_string()), field("token", hidden(call.token))]
            }
            Call::Zzzzz(call) => vec![field("flags", format!("{:#010x}", call.flags))],
            Call::GetSrvrInfo(_) | Call::GetSrvrParms(_) | Call::Logout(_) | Call::Other(_) => Vec::new(),
        })
    }

    fn login_ext(&mut self, login: &FpLoginExt<'_>) -> Fields {
        let mut fields = vec![
            field("flags", format!("{:#06x}", login.flags)),
            field("AFP version", text(&login.version)),
            field("UAM", text(&login.uam)),
            field("user name", text(&login.user_name)),
            field("path", format!("type {}, {}", login.path.path_type(), text(login.path.as_bytes()))),
            field("offset behind", if login.tail_is_odd() { "odd: a pad byte is wanted" } else { "even: no pad byte" }),
        ];
        self.login_begins(*login.uam == *b"SRP");
        if self.srp {
            self.login = Some(Exchange { login_name: login.user_name.to_vec(), ..Exchange::default() });
            fields.push(field("UserAuthInfo", marker_name(login.srp_init()?)));
        } else {
            fields.push(field("UserAuthInfo", hidden(login.user_auth_info())));
        }
        Ok(fields)
    }

    fn reply(&mut self, asked: Asked, frame: &Frame) -> Fields {
        let payload = &frame.payload;
        match (asked.command, asked.afp) {
            (Command::GET_STATUS, _) => server_info(payload),
            (Command::OPEN_SESSION, _) => OpenSessionReply::decode(payload).map(|reply| {
                vec![
                    field("request quantum", or_none(reply.request_quantum)),
                    field("replay cache", or_none(reply.replay_cache_size)),
                ]
            }),
            (_, Some(Afp::LOGIN | Afp::LOGIN_EXT | Afp::LOGIN_CONT)) if self.srp => self.srp_reply(frame),
            (_, Some(afp)) if frame.result() == ResultCode::NO_ERR => call_reply(afp, asked.subfunction, payload),
            _ if payload.is_empty() => Ok(Vec::new()),
            _ => Ok(vec![field("payload", hidden(payload))]),
        }
    }

    fn srp_reply(&mut self, frame: &Frame) -> Fields {
        match frame.result() {
            ResultCode::AUTH_CONTINUE => {
                let challenge = Challenge::decode(&frame.payload)?;
                if let Some(login) = &mut self.login {
                    login.modulus = challenge.modulus.to_vec();
                    login.generator = challenge.generator.to_vec();
                    login.salt = challenge.salt.to_vec();
                    login.b_pub = challenge.b_pub.to_vec();
                }
                Ok(challenge_fields(&challenge))
            }
            ResultCode::NO_ERR => {
                let proof = ServerProof::decode(&frame.payload)?;
                if let Some(login) = &mut self.login {
                    login.m2 = Some(proof.m2.to_vec());
                }
                self.login_over("signed in".to_owned());
                Ok(vec![field("SRP step", "4: the server's proof"), field("M2", hex(&proof.m2))])
            }
            code => {
                self.login_over(format!("refused with {code}"));
                if frame.payload.is_empty() {
                    return Ok(Vec::new());
                }
                UnknownUser::decode(&frame.payload)
                    .map(|_| vec![field("SRP init marker", "0001: no such login name, or none that can use SRP")])
            }
        }
    }

    fn login_begins(&mut self, srp: bool) {
        self.login_over("not finished, another login began".to_owned());
        self.srp = srp;
    }

    fn login_over(&mut self, outcome: String) {
        if let Some(exchange) = self.login.take() {
            self.explained.logins.push(Login { exchange, outcome });
        }
    }

    fn stream(&mut self, of: End) -> &mut Stream {
        if of == End::Client { &mut self.client } else { &mut self.server }
    }

    fn line(&mut self, from: End, what: String) {
        let from = if from == End::Client { "client" } else { "server" };
        self.explained.lines.push(Line { seconds: self.now, from, what, fields: Vec::new(), problem: None });
    }

    fn problem(&mut self, problem: String) {
        if let Some(line) = self.explained.lines.last_mut() {
            line.problem = Some(problem);
        }
    }
}

fn call_reply(afp: Afp, subfunction: u8, payload: &[u8]) -> Fields {
    Ok(match afp {
        Afp::GET_SRVR_INFO => server_info(payload)?,
        Afp::GET_SRVR_PARMS => {
            let reply = FpGetSrvrParmsReply::decode(payload)?;
            let volumes: Vec<_> = reply.volumes.iter().map(|volume| text(&volume.name)).collect();
            vec![
                field("server time", format!("{} s since 2000", reply.server_time)),
                field("volumes", format!("{}: {}", volumes.len(), volumes.join(", "))),
            ]
        }
        Afp::GET_USER_INFO => {
            let reply = FpGetUserInfoReply::decode(payload)?;
            let uuid = reply.uuid.map_or_else(|| "none".to_owned(), |uuid| hex(&uuid));
            vec![
                field("user ID", or_none(reply.user_id)),
                field("group ID", or_none(reply.group_id)),
                field("UUID", uuid),
            ]
        }
        Afp::GET_SRVR_MSG => {
            let reply = FpGetSrvrMsgReply::decode(payload)?;
            vec![field("message", text(&reply.message))]
        }
        Afp::GET_SESSION_TOKEN => vec![field("token", hidden(FpGetSessionTokenReply::decode(payload)?.token))],
        Afp::MAP_ID => match FpMapIdReply::decode(subfunction, payload)? {
            FpMapIdReply::Name(name) => vec![field("name", format!("{:?}", mac_roman(&name)))],
            FpMapIdReply::Utf8Name(name) => vec![field("name", text(&name))],
            FpMapIdReply::Object { object_type, id, name } => vec![
                field("object type", object_type.0.to_string()),
                field("ID", id.to_string()),
                field("name", text(&name)),
            ],
        },
        Afp::MAP_NAME => match FpMapNameReply::decode(subfunction, payload)? {
            FpMapNameReply::Id(id) => vec![field("ID", id.to_string())],
            FpMapNameReply::Uuid(uuid) => vec![field("UUID", hex(&uuid))],
        },
        Afp::ZZZZZ => vec![field("hours of sleep", or_none(FpZzzzzReply::decode(payload)?.max_sleep_hours))],
        _ if payload.is_empty() => Vec::new(),
        _ => vec![field("payload", hidden(payload))],
    })
}

fn server_info(payload: &[u8]) -> Fields {
    let info = ServerInfo::decode(payload)?;
    let list = |words: Vec<String>| if words.is_empty() { "none".to_owned() } else { words.join(", ") };
    let flags = info.flags.names().map(|(bit, name)| name.map_or_else(|| format!("{bit:#06x}"), ToOwned::to_owned));
    Ok(vec![
        field("machine type", text(&info.machine_type)),
        field("server name", format!("{:?}", mac_roman(&info.server_name))),
        field("UTF-8 name", info.utf8_server_name.as_deref().map_or_else(|| "none".to_owned(), text)),
        field("AFP versions", joined(&info.versions)),
        field("UAMs", joined(&info.uams)),
        field("flags", format!("{:#06x} {}", info.flags.0, list(flags.collect()))),
        field("signature", info.signature.map_or_else(|| "none".to_owned(), |signature| hex(&signature))),
        field("addresses", list(info.addresses.iter().map(network_address).collect())),
        field("directory names", list(info.directory_names.iter().map(|name| text(name)).collect())),
        field("icon", if info.icon.is_some() { "yes" } else { "no" }),
    ])
}

fn challenge_fields(challenge: &Challenge<'_>) -> Vec<Field> {
    let group = match Group::from_modulus(&challenge.modulus, &challenge.generator) {
        Some(group) => format!("the {}-bit group of RFC 5054", group.bits()),
        None => "N and g are no group of RFC 5054".to_owned(),
    };
    vec![
        field("context", challenge.context.to_string()),
        field("group index", format!("{}: {group}", challenge.group_index)),
        field("N", number(&challenge.modulus)),
        field("g", hex(&challenge.generator)),
        field("salt", hex(&challenge.salt)),
        field("B", number(&challenge.b_pub)),
    ]
}

fn marker_name(marker: InitMarker) -> &'static str {
    match marker {
        InitMarker::WithPad => "pad byte, then the SRP init marker 0001",
        InitMarker::WithoutPad => "the SRP init marker 0001",
        InitMarker::Empty => "empty",
    }
}

fn attention_name(attention: Attention) -> &'static str {
    match attention.with_minutes(0) {
        Attention::SHUTDOWN => "shutdown",
        Attention::SHUTDOWN_WITH_MESSAGE => "shutdown, with a message to fetch",
        Attention::DISCONNECT => "disconnect, and do not reconnect",
        Attention::DISCONNECT_WITH_MESSAGE => "disconnect, and do not reconnect, with a message to fetch",
        Attention::CRASH => "going down this moment",
        Attention::MESSAGE => "a message to fetch",
        other if other.0 == 0x3000 => "a volume has changed",
        _ => "not defined",
    }
}

fn field(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into() }
}

fn or_none(value: Option<u32>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// UTF-8 in quotes, everything unprintable escaped.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

/// A big number: its length counts, because leading zero bytes do.
fn number(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let zeros = if zeros == 0 { String::new() } else { format!(", {zeros} of them leading zeros") };
    format!("{} bytes{zeros}: {}", bytes.len(), hex(bytes))
}

fn hidden(bytes: &[u8]) -> String {
    format!("{} bytes", bytes.len())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}
