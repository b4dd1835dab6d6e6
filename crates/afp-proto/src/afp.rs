//! AFP calls and replies: the payload of DSICommand and DSIWrite. Only the calls of a session without volumes are decoded
//! field by field; every other command is recognised by its number.
//!
//! A reply does not say which request it answers, so replies are decoded by type: the caller matches request IDs and knows.
//! FPLogout and FPDisconnectOldSession are answered by a result code alone.
//!
//! Sources: Apple "AFP Reference"; the specification (AFP SRP User Authentication Method); captures 01 to 09.

mod command;
mod login;
mod session;
mod users;

pub use command::Command;
pub use login::{FpLogin, FpLoginCont, FpLoginExt, FpLogout, LoginWants, Path};
pub use session::{
    FpDisconnectOldSession, FpGetSessionToken, FpGetSessionTokenReply, FpGetSrvrInfo, FpGetSrvrMsg, FpGetSrvrMsgReply,
    FpGetSrvrParms, FpGetSrvrParmsReply, FpZzzzz, FpZzzzzReply, MessageType, TokenType, Volume,
};
pub use users::{
    FpGetUserInfo, FpGetUserInfoReply, FpMapId, FpMapIdReply, FpMapName, FpMapNameReply, IdToName, NameToId, ObjectType,
};

use crate::error::DecodeError;

/// An AFP call from a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call<'a> {
    /// FPGetSrvrInfo (15), answered by [`crate::server_info::ServerInfo`].
    GetSrvrInfo(FpGetSrvrInfo),
    /// FPGetSrvrParms (16), answered by [`FpGetSrvrParmsReply`].
    GetSrvrParms(FpGetSrvrParms),
    /// FPLogin (18).
    Login(FpLogin<'a>),
    /// FPLoginCont (19).
    LoginCont(FpLoginCont<'a>),
    /// FPLogout (20).
    Logout(FpLogout),
    /// FPMapID (21), answered by [`FpMapIdReply`].
    MapId(FpMapId),
    /// FPMapName (22), answered by [`FpMapNameReply`].
    MapName(FpMapName<'a>),
    /// FPGetUserInfo (37), answered by [`FpGetUserInfoReply`].
    GetUserInfo(FpGetUserInfo),
    /// FPGetSrvrMsg (38), answered by [`FpGetSrvrMsgReply`].
    GetSrvrMsg(FpGetSrvrMsg),
    /// FPLoginExt (63).
    LoginExt(FpLoginExt<'a>),
    /// FPGetSessionToken (64), answered by [`FpGetSessionTokenReply`].
    GetSessionToken(FpGetSessionToken<'a>),
    /// FPDisconnectOldSession (65).
    DisconnectOldSession(FpDisconnectOldSession<'a>),
    /// FPZzzzz (122), answered by [`FpZzzzzReply`].
    Zzzzz(FpZzzzz),
    /// Any other command; its fields are not looked at.
    Other(Command),
}

impl<'a> Call<'a> {
    /// # Errors
    /// [`CallError`] if the payload is empty or is not the message that its first byte announces.
    pub fn decode(payload: &'a [u8]) -> Result<Self, CallError> {
        let Some(command) = payload.first().copied().map(Command) else {
            let kind = DecodeError::Truncated { field: crate::Field::Command, offset: 0 };
            return Err(CallError { command: None, kind });
        };
        let call = match command {
            Command::GET_SRVR_INFO => FpGetSrvrInfo::decode(payload).map(Self::GetSrvrInfo),
            Command::GET_SRVR_PARMS => FpGetSrvrParms::decode(payload).map(Self::GetSrvrParms),
            Command::LOGIN => FpLogin::decode(payload).map(Self::Login),
            Command::LOGIN_CONT => FpLoginCont::decode(payload).map(Self::LoginCont),
            Command::LOGOUT => FpLogout::decode(payload).map(Self::Logout),
            Command::MAP_ID => FpMapId::decode(payload).map(Self::MapId),
            Command::MAP_NAME => FpMapName::decode(payload).map(Self::MapName),
            Command::GET_USER_INFO => FpGetUserInfo::decode(payload).map(Self::GetUserInfo),
            Command::GET_SRVR_MSG => FpGetSrvrMsg::decode(payload).map(Self::GetSrvrMsg),
            Command::LOGIN_EXT => FpLoginExt::decode(payload).map(Self::LoginExt),
            Command::GET_SESSION_TOKEN => FpGetSessionToken::decode(payload).map(Self::GetSessionToken),
            Command::DISCONNECT_OLD_SESSION => FpDisconnectOldSession::decode(payload).map(Self::DisconnectOldSession),
            Command::ZZZZZ => FpZzzzz::decode(payload).map(Self::Zzzzz),
            other => Ok(Self::Other(other)),
        };
        call.map_err(|kind| CallError { command: Some(command), kind })
    }

    /// The call's number.
    #[must_use]
    pub const fn command(&self) -> Command {
        match self {
            Self::GetSrvrInfo(_) => Command::GET_SRVR_INFO,
            Self::GetSrvrParms(_) => Command::GET_SRVR_PARMS,
            Self::Login(_) => Command::LOGIN,
            Self::LoginCont(_) => Command::LOGIN_CONT,
            Self::Logout(_) => Command::LOGOUT,
            Self::MapId(_) => Command::MAP_ID,
            Self::MapName(_) => Command::MAP_NAME,
            Self::GetUserInfo(_) => Command::GET_USER_INFO,
            Self::GetSrvrMsg(_) => Command::GET_SRVR_MSG,
            Self::LoginExt(_) => Command::LOGIN_EXT,
            Self::GetSessionToken(_) => Command::GET_SESSION_TOKEN,
            Self::DisconnectOldSession(_) => Command::DISCONNECT_OLD_SESSION,
            Self::Zzzzz(_) => Command::ZZZZZ,
            Self::Other(command) => *command,
        }
    }

    /// The call's bytes; `None` for [`Call::Other`], whose fields were not read.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::GetSrvrInfo(call) => call.encode(),
            Self::GetSrvrParms(call) => call.encode(),
            Self::Login(call) => call.encode(),
            Self::LoginCont(call) => call.encode(),
            Self::Logout(call) => call.encode(),
            Self::MapId(call) => call.encode(),
            Self::MapName(call) => call.encode(),
            Self::GetUserInfo(call) => call.encode(),
            Self::GetSrvrMsg(call) => call.encode(),
            Self::LoginExt(call) => call.encode(),
            Self::GetSessionToken(call) => call.encode(),
            Self::DisconnectOldSession(call) => call.encode(),
            Self::Zzzzz(call) => call.encode(),
            Self::Other(_) => return None,
        })
    }
}

/// A call that cannot be read: which, as far as that is known, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallError {
    /// The first byte; `None` if there is none (frame rule 6: Command and Write may come with an empty payload).
    pub command: Option<Command>,
    /// What is wrong.
    pub kind: DecodeError,
}

impl core::fmt::Display for CallError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.command {
            Some(command) => write!(f, "{command}: {}", self.kind),
            None => write!(f, "AFP call without a command: {}", self.kind),
        }
    }
}

impl core::error::Error for CallError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.kind)
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::error::Field;

    /// Rule 6: the first byte of an empty payload is never read.
    #[test]
    fn rule_6_cve_2024_38439_empty_payload_has_no_command() {
        let error = Call::decode(&[]).unwrap_err();
        assert_eq!(error.command, None);
        assert_eq!(error.kind, DecodeError::Truncated { field: Field::Command, offset: 0 });
    }

    #[test]
    fn every_command_byte_alone() {
        for number in 0..=255 {
            match Call::decode(&[number]) {
                Ok(call) => assert_eq!(call.command(), Command(number)),
                Err(error) => assert_eq!(error.command, Some(Command(number))),
            }
        }
    }

    #[test]
    fn other_calls_keep_their_number() {
        // FPOpenVol of capture 02.
        let call = Call::decode(&hex!("18000927057465737431")).unwrap();
        assert_eq!(call, Call::Other(Command::OPEN_VOL));
        assert_eq!(call.encode(), None);
    }

    #[test]
    fn errors_name_the_call() {
        let error = Call::decode(&hex!("3f000000")).unwrap_err();
        assert_eq!(error.to_string(), "FPLoginExt: the message ends inside the AFP version, which begins at byte 4");
    }
}
