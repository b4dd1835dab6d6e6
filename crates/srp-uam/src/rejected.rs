//! Why an exchange ended without a login, and the one function that says what the client is told.

use std::sync::Arc;

use afp_proto::{DecodeError, ResultCode};
use thiserror::Error;
use verifier_store::{StoreError, UnusableReason};

use crate::attempts::Refusal;

/// Why the exchange ended. The text is for the log: it names accounts, never secrets.
#[derive(Debug, Clone, Error)]
pub enum Rejected {
    /// Round 1's UserAuthInfo is not the SRP init marker.
    #[error("the client's first message does not begin an SRP exchange: {0}")]
    InitMalformed(DecodeError),
    /// No usable record, and unknown users are told so.
    #[error("{0}")]
    NoRecord(NoRecord),
    /// The operating system gave no random bytes.
    #[error("the system has no randomness to give")]
    Randomness,
    /// The computation failed inside the server: a bug.
    #[error("internal error")]
    Internal,
    /// Round 2's message cannot be read.
    #[error("the client's proof message is malformed: {0}")]
    ProofMalformed(DecodeError),
    /// Round 2's numbers cannot be used.
    #[error("{0}")]
    Refused(srp6a::Refused),
    /// M1 is not what the account's password gives.
    #[error("wrong password")]
    WrongProof {
        /// Whose password.
        account: String,
    },
    /// M1 was not compared: there were too many failures.
    #[error("{refusal}")]
    TooManyFailures {
        /// Whose password was asked for.
        account: String,
        /// Which limit, and for how long.
        refusal: Refusal,
    },
    /// A proof for a challenge that was made up.
    #[error("{0} (decoy)")]
    DecoyProof(NoRecord),
}

/// Why a login name leads to no record.
#[derive(Debug, Clone, Error)]
pub enum NoRecord {
    /// No account has this login name.
    #[error("unknown login name")]
    Unknown,
    /// The account is disabled.
    #[error("account {account:?} is disabled")]
    Disabled {
        /// Which account.
        account: String,
    },
    /// The account's record cannot be used.
    #[error("the record of account {account:?} cannot be used: {reason}")]
    Unusable {
        /// Which account.
        account: String,
        /// What is wrong with it.
        reason: UnusableReason,
    },
    /// The program around this one does not let the account in.
    #[error("{reason}")]
    Barred {
        /// Why not, in its words.
        reason: String,
    },
    /// The store cannot be read.
    #[error("the verifier store cannot be read: {0}")]
    Store(Arc<StoreError>),
}

impl Rejected {
    /// The result code and payload for the client. The connection is closed after it in every case.
    #[must_use]
    pub fn answer(&self) -> (ResultCode, &'static [u8]) {
        match self {
            Self::InitMalformed(_) => (ResultCode::PARAM_ERR, &[]),
            Self::NoRecord(
                NoRecord::Unknown
                | NoRecord::Disabled { .. }
                | NoRecord::Unusable { .. }
                | NoRecord::Barred { .. }
                | NoRecord::Store(_),
            ) => (ResultCode::USER_NOT_AUTH, &afp_proto::srp::INIT),
            Self::ProofMalformed(_) | Self::Refused(_) => (ResultCode::USER_NOT_AUTH, &[]),
            Self::WrongProof { .. } | Self::TooManyFailures { .. } | Self::DecoyProof(_) => {
                (ResultCode::SRP_PROOF_FAILED, &[])
            }
            Self::Randomness | Self::Internal => (ResultCode::MISC_ERR, &[]),
        }
    }
}
