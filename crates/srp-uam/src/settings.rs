//! `[attempts]` of a settings file, for the programs that let people in: the daemon and the Netatalk module. They read the same table, so
//! that those who count together go by the same rules. What the numbers do is said in [`crate::attempts`].
//!
//! [`check`] has what values of settings must be, as far as this table needs it; the programs' own tables use it too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::attempts::AttemptPolicy;

/// Where the daemon keeps its state unless told otherwise, and where the tally therefore is for everybody.
pub const DEFAULT_STATE: &str = "/var/lib/afpd-rs";

/// `[attempts]`: how often a password may be tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttemptsSection {
    /// The directory failures are counted in; `None` (written `""`): see [`AttemptsSection::path`].
    #[serde(with = "check::path")]
    pub path: Option<PathBuf>,
    /// See [`AttemptPolicy::failures`]: 1 to 1000.
    #[serde(deserialize_with = "number::failures")]
    pub failures: u32,
    /// See [`AttemptPolicy::refuse_first`].
    #[serde(with = "whole_seconds")]
    pub refuse_first: Duration,
    /// See [`AttemptPolicy::refuse_longest`].
    #[serde(with = "whole_seconds")]
    pub refuse_longest: Duration,
    /// See [`AttemptPolicy::forget_after`].
    #[serde(with = "whole_seconds")]
    pub forget_after: Duration,
    /// See [`AttemptPolicy::answer_within`].
    #[serde(with = "whole_seconds")]
    pub answer_within: Duration,
    /// See [`AttemptPolicy::open_challenges`]: 1 to 1 000 000.
    #[serde(deserialize_with = "number::open_challenges")]
    pub open_challenges: u32,
    /// See [`AttemptPolicy::account_failures`]: 0 to 60 000.
    #[serde(deserialize_with = "number::account_failures")]
    pub account_failures: u32,
    /// See [`AttemptPolicy::account_period`].
    #[serde(with = "whole_seconds")]
    pub account_period: Duration,
    /// See [`AttemptPolicy::known_for`].
    #[serde(with = "whole_seconds")]
    pub known_for: Duration,
    /// See [`AttemptPolicy::hard_limit`]: 0 to 1 000 000.
    #[serde(deserialize_with = "number::hard_limit")]
    pub hard_limit: u32,
    /// See [`AttemptPolicy::exempt`].
    #[serde(deserialize_with = "check::networks")]
    pub exempt: Vec<IpNet>,
}

impl AttemptsSection {
    /// Where failures are counted: the path set; else `tally` in the state directory.
    #[must_use]
    pub fn path(&self, state: &Path) -> PathBuf {
        self.path.clone().unwrap_or_else(|| state.join("tally"))
    }

    /// The numbers, as those who keep to them take them.
    #[must_use]
    pub fn policy(&self) -> AttemptPolicy {
        AttemptPolicy {
            failures: self.failures,
            refuse_first: self.refuse_first,
            refuse_longest: self.refuse_longest,
            forget_after: self.forget_after,
            answer_within: self.answer_within,
            open_challenges: self.open_challenges,
            account_failures: self.account_failures,
            account_period: self.account_period,
            known_for: self.known_for,
            hard_limit: self.hard_limit,
            exempt: self.exempt.clone(),
        }
    }

    /// What is allowed but probably not meant. `login`: how long a login may take.
    #[must_use]
    pub fn doubts(&self, login: Duration) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.answer_within < login {
            doubts.push(
                "attempts.answer_within is shorter than timers.login: a slow login is taken for an abandoned one first"
                    .to_owned(),
            );
        }
        if self.refuse_longest < self.refuse_first {
            doubts
                .push("attempts.refuse_longest is shorter than attempts.refuse_first, which it cuts short".to_owned());
        }
        if self.hard_limit > 0 {
            doubts.push(
                "attempts.hard_limit is set: anybody who knows a login name can lock its owner out until `user unlock`"
                    .to_owned(),
            );
        }
        doubts
    }
}

impl Default for AttemptsSection {
    fn default() -> Self {
        let AttemptPolicy {
            failures,
            refuse_first,
            refuse_longest,
            forget_after,
            answer_within,
            open_challenges,
            account_failures,
            account_period,
            known_for,
            hard_limit,
            exempt,
        } = AttemptPolicy::default();
        Self {
            path: None,
            failures,
            refuse_first,
            refuse_longest,
            forget_after,
            answer_within,
            open_challenges,
            account_failures,
            account_period,
            known_for,
            hard_limit,
            exempt,
        }
    }
}

/// Numbers within bounds.
mod number {
    use serde::de::Deserializer;

    use super::check::between;

    pub(super) fn failures<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 1, 1000)
    }

    pub(super) fn open_challenges<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 1, 1_000_000)
    }

    pub(super) fn account_failures<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 0, 60_000)
    }

    pub(super) fn hard_limit<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        between(from, 0, 1_000_000)
    }
}

/// Whole seconds, 1 to a year.
mod whole_seconds {
    use std::time::Duration;

    use serde::de::Deserializer;
    use serde::ser::Serializer;

    use super::check::between;

    pub(super) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(time.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Ok(Duration::from_secs(between(from, 1, 365 * 86_400)?.into()))
    }
}

/// What a value must be. Each function reads one and says what would be right if it is wrong.
#[expect(missing_docs, clippy::missing_errors_doc, reason = "what serde calls: the error is that of the value")]
pub mod check {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use serde::de::{Deserialize, Deserializer, Error};

    pub fn network<'de, D: Deserializer<'de>>(from: D) -> Result<IpNet, D::Error> {
        checked_network(&String::deserialize(from)?).map_err(D::Error::custom)
    }

    pub fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| checked_network(text).map_err(D::Error::custom)).collect()
    }

    fn checked_network(text: &str) -> Result<IpNet, String> {
        let Ok(network) = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) else {
            return Err(format!("{text:?} is no network; write \"192.168.0.0/16\" or \"2001:db8::/32\""));
        };
        if network != network.trunc() {
            return Err(format!("{text:?} has bits beyond its length; write \"{}\"", network.trunc()));
        }
        Ok(network)
    }

    pub fn between<'de, D: Deserializer<'de>>(from: D, least: u32, most: u32) -> Result<u32, D::Error> {
        let number = i64::deserialize(from)?;
        u32::try_from(number)
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| D::Error::custom(format!("must be from {least} to {most}, not {number}")))
    }

    /// An absolute path; empty means none was set.
    pub mod path {
        use std::path::PathBuf;

        use serde::de::{Deserialize, Deserializer, Error};
        use serde::ser::Serializer;

        pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
            to.serialize_str(&path.as_deref().map(|path| path.to_string_lossy()).unwrap_or_default())
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
            let text = String::deserialize(from)?;
            if text.is_empty() {
                return Ok(None);
            }
            let path = PathBuf::from(&text);
            if path.is_absolute() {
                return Ok(Some(path));
            }
            Err(D::Error::custom(format!(
                "{text:?} is relative, and to what depends on who starts us; write it from /"
            )))
        }
    }
}
