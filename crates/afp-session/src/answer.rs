//! The one place that decides what a client is told whose login is refused.

use afp_proto::{DecodeError, ResultCode};
use srp_uam::Rejected;

/// Why an AFP call was refused before login, or a login call after it.
#[derive(Debug, thiserror::Error)]
pub enum LoginRefusal {
    /// FPLogin or FPLoginExt ends before or within the AFP version.
    #[error("the AFP version cannot be read: {0}")]
    VersionUnreadable(DecodeError),
    /// The client speaks another version than those offered.
    #[error("the AFP version is not one of those offered")]
    UnknownVersion,
    /// FPLogin or FPLoginExt ends before or within the UAM name.
    #[error("the UAM name cannot be read: {0}")]
    UamUnreadable(DecodeError),
    /// The client asks for another UAM than those offered.
    #[error("the UAM is not one of those offered")]
    UnknownUam,
    /// The rest of the message breaks its layout.
    #[error("the login call is malformed: {0}")]
    Malformed(DecodeError),
    /// FPLoginCont without a challenge to answer.
    #[error("a proof came without a challenge before it")]
    ProofBeforeChallenge,
    /// There is no room for the login, or not now.
    #[error("{0}")]
    Busy(Busy),
    /// The UAM refused.
    #[error("{0}")]
    Rejected(#[from] Rejected),
    /// Another call before login.
    #[error("the call needs a login first")]
    BeforeLogin,
    /// A login call after login.
    #[error("a session logs in once")]
    AlreadySignedIn,
}

/// What there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// As many logins wait to be computed as may.
    #[error("too many logins are waiting to be computed")]
    Queue,
    /// The client's address has asked for as many challenges as it may in this time.
    #[error("too many logins from this address")]
    Rate,
    /// As many users are signed in as may.
    #[error("too many sessions")]
    Sessions,
}

/// What the client is told, and what becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The AFP result code in the DSI header.
    pub result: ResultCode,
    /// The payload behind it.
    pub payload: &'static [u8],
    /// What becomes of the connection.
    pub then: Then,
}

/// What becomes of a connection after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It stays open.
    Keep,
    /// Attention 0x8000, DSICloseSession, and an orderly end.
    Close,
}

impl LoginRefusal {
    /// What the client is told.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let (result, payload, then): (_, &'static [u8], _) = match self {
            Self::VersionUnreadable(_) | Self::UnknownVersion => (ResultCode::BAD_VERSION, &[], Then::Close),
            Self::UamUnreadable(_) | Self::UnknownUam => (ResultCode::BAD_UAM, &[], Then::Close),
            Self::Malformed(_) => (ResultCode::PARAM_ERR, &[], Then::Close),
            Self::ProofBeforeChallenge => (ResultCode::USER_NOT_AUTH, &[], Then::Close),
            Self::Busy(_) => (ResultCode::NO_MORE_SESSIONS, &[], Then::Close),
            Self::BeforeLogin | Self::AlreadySignedIn => (ResultCode::CALL_NOT_SUPPORTED, &[], Then::Keep),
            Self::Rejected(rejected) => {
                let (result, payload) = rejected.answer();
                (result, payload, Then::Close)
            }
        };
        Answer { result, payload, then }
    }
}
