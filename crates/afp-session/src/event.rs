//! What a session reports for log and counters. No event carries a secret; login names are the client's own bytes and must be escaped.

use core::time::Duration;
use std::sync::Arc;

use afp_proto::dsi::FrameError;
use srp_uam::ProofForm;

use crate::answer::{Answer, LoginRefusal};

/// Something worth a log line or a counter.
#[derive(Debug)]
pub enum Event {
    /// The server information was asked for and sent (DSIGetStatus).
    StatusServed,
    /// The server information was asked for and refused.
    StatusRefused,
    /// A DSI session was opened.
    Opened,
    /// A login attempt came to its end.
    Login(LoginReport),
    /// The signed-in user logged out.
    LoggedOut {
        /// The account that was signed in.
        account: Arc<str>,
    },
    /// The session is over. The last event of every session.
    Ended(Ending),
}

/// One login attempt, from FPLogin or FPLoginExt to its end.
#[derive(Debug)]
pub struct LoginReport {
    /// The login name as sent: 1 to 255 bytes, any bytes; empty where the message could not be read so far.
    pub login_name: Vec<u8>,
    /// The UAM name as sent, at most 255 bytes; empty where the message could not be read so far.
    pub uam: Vec<u8>,
    /// From the first message's arrival to the last reply.
    pub took: Duration,
    /// How it ended.
    pub outcome: LoginOutcome,
}

/// How a login attempt ended.
#[derive(Debug)]
pub enum LoginOutcome {
    /// The proof was right.
    SignedIn {
        /// The account that is signed in now.
        account: Arc<str>,
        /// Which form of A the client hashed.
        form: ProofForm,
    },
    /// The client was refused.
    Refused {
        /// Why.
        why: LoginRefusal,
        /// What the client was told.
        answer: Answer,
    },
    /// The client was given a challenge and did not answer it: it left, started over, or ran out of time.
    Abandoned,
}

/// Why a session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The server information was sent; nothing more was to be said.
    StatusServed,
    /// The server information was refused: it is asked for too often.
    StatusRefused,
    /// The client closed the connection without having sent a byte: a port probe, no error.
    Silent,
    /// The client sent DSICloseSession.
    ClosedByClient,
    /// The client's side of the connection ended without DSICloseSession.
    HungUp,
    /// A login was refused.
    LoginRefused,
    /// The bytes received are no DSI frame that may be sent here.
    Frame(FrameError),
    /// A first frame that is neither DSIGetStatus nor DSIOpenSession.
    FirstFrame,
    /// DSIOpenSession with options that cannot be read.
    OpenSession,
    /// The first frame did not come in time.
    FirstFrameTimeout,
    /// The login was not finished in time.
    LoginTimeout,
    /// Nothing was received for too long.
    Dead,
    /// The client slept longer than allowed.
    SleptTooLong,
    /// The client logged out and did not close.
    LingeredAfterLogout,
    /// The server is going down.
    ShutDown,
    /// There is no room for another session.
    Busy,
    /// Nobody was signed in here, and the place was needed.
    Evicted,
}
