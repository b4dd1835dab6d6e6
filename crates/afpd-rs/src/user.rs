//! `afpd-rs user …`: the accounts.

use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use getrandom::SysRng;
use serde::Serialize;
use srp_uam::AttemptPolicy;
use srp6a::Group;
use verifier_store::tally::{AccountTally, TallyError};
use verifier_store::{Account, Existing, LeftOutReason, LoginNameKind, NewAccount, Status, Store, Transfer};

use crate::cli::{Bits, PasswordFrom, User};
use crate::config::StoreFormat;
use crate::exit::{Exit, Failure, OrExit};
use crate::password;
use crate::place::{self, Place, failure};

/// Does what `command` says.
///
/// # Errors
/// It cannot be done; nothing was changed then.
pub fn run(command: User, place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    match command {
        User::Add { name, full_name, group, password } => {
            add(place, out, &name, full_name.as_deref(), group, password)?;
        }
        User::Passwd { name, password } => {
            let store = place.store()?;
            must_exist(&store, &name)?;
            let password = password::new(&name, password.password_stdin).or_exit(Exit::Failed)?;
            changed(store.set_password(&name, password.as_bytes(), &mut SysRng))?;
            writeln!(out, "password of {name:?} set")?;
        }
        User::Alias { name, login_name, password } => {
            let store = place.store()?;
            must_exist(&store, &name)?;
            let password = password::known(&name, password.password_stdin).or_exit(Exit::Failed)?;
            changed(store.add_alias(&name, &login_name, password.as_bytes(), &mut SysRng))?;
            writeln!(out, "{name:?} can now also sign in as {login_name:?}")?;
        }
        User::Enable { name } => {
            changed(place.store()?.enable(&name))?;
            writeln!(out, "{name:?} can sign in")?;
        }
        User::Disable { name } => {
            changed(place.store()?.disable(&name))?;
            writeln!(out, "{name:?} cannot sign in any more")?;
            if place.config.store.format != StoreFormat::Native {
                note(
                    "a Netatalk store keeps no password of a disabled account: enabling it again needs `user passwd`",
                )?;
            }
        }
        User::Remove { name } => {
            changed(place.store()?.remove(&name))?;
            writeln!(out, "{name:?} removed")?;
            // Whoever gets the name next begins with no failures. The account is gone, whether that succeeds or not.
            if let Err(error) = place.tally().forget(&name) {
                note(&format!("its failed logins could not be forgotten: {error}"))?;
            }
        }
        User::Unlock { name } => {
            must_exist(&place.store()?, &name)?;
            if place.tally().unlock(&name).map_err(|error| tally_failure(&error))? {
                writeln!(out, "{name:?} is forgiven its failed logins")?;
            } else {
                writeln!(out, "{name:?} has no failed logins")?;
            }
        }
        User::List { json } => list(place, out, json)?,
        User::Import { format, path, replace } => {
            let source = Store::open(format.into(), &path).map_err(|error| failure(&error))?;
            let transfer = changed(place.store_or_new()?.import_from(&source, existing(replace)))?;
            return told(&transfer, "taken over", out);
        }
        User::Export { format, path, replace } => {
            let source = place.store()?;
            let target = changed(place::open_or_create(format.into(), &path))?;
            let transfer = changed(target.import_from(&source, existing(replace)))?;
            return told(&transfer, "written", out);
        }
    }
    Ok(Exit::Done)
}

fn add(
    place: &Place,
    out: &mut dyn Write,
    name: &str,
    full_name: Option<&str>,
    group: Bits,
    from: PasswordFrom,
) -> Result<(), Failure> {
    let store = place.store_or_new()?;
    let password = password::new(name, from.password_stdin).or_exit(Exit::Failed)?;
    let new = NewAccount { name, full_name, group: group.into(), password: password.as_bytes() };
    changed(store.add(&new, &mut SysRng))?;
    writeln!(out, "account {name:?} made in {}", place.store_path().display())?;
    if group != Bits::B1536 {
        note("Apple clients have been seen with the 1536-bit group only: try yours before you rely on this account")?;
    }
    Ok(())
}

/// Asked before the password is, so that nobody types one in vain.
fn must_exist(store: &Store, name: &str) -> Result<(), Failure> {
    let accounts = store.accounts().map_err(|error| failure(&error))?;
    if accounts.iter().any(|account| account.name == name) {
        return Ok(());
    }
    Err(failure(&verifier_store::StoreError::NoSuchAccount { account: name.to_owned() }))
}

fn changed<T>(result: Result<T, verifier_store::StoreError>) -> Result<T, Failure> {
    result.map_err(|error| failure(&error))
}

fn existing(replace: bool) -> Existing {
    if replace { Existing::Replace } else { Existing::Keep }
}

fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "note: {text}")
}

/// Says what an import or export did. What could not be carried over makes it a failure, unless there was nothing to carry.
fn told(transfer: &Transfer, done: &str, out: &mut dyn Write) -> Result<Exit, Failure> {
    for account in &transfer.transferred {
        writeln!(out, "{account:?} {done}")?;
    }
    for left_out in &transfer.left_out {
        writeln!(out, "left out: {left_out}")?;
    }
    writeln!(out, "{} {done}, {} left out", transfer.transferred.len(), transfer.left_out.len())?;
    let lost = transfer.left_out.iter().any(|left_out| left_out.reason != LeftOutReason::Placeholder);
    Ok(if lost { Exit::Failed } else { Exit::Done })
}

fn list(place: &Place, out: &mut dyn Write, json: bool) -> Result<(), Failure> {
    let store = place.store()?;
    let accounts = store.accounts().map_err(|error| failure(&error))?;
    for warning in store.warnings().map_err(|error| failure(&error))? {
        writeln!(io::stderr(), "warning: {warning}")?;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs().max(1));
    let (tally, policy) = (place.tally(), place.config.attempts.policy());
    let mut attempts = Vec::new();
    for account in &accounts {
        let state = tally.state(&account.name).unwrap_or_else(|error| {
            // Nobody is there to read it when that fails.
            writeln!(io::stderr(), "warning: {error}").ok();
            None
        });
        attempts.push(state.map(|state| RowAttempts::of(state, &policy, now)));
    }
    if json {
        let rows: Vec<_> =
            accounts.iter().zip(attempts).map(|(account, attempts)| Row { attempts, ..Row::of(account) }).collect();
        serde_json::to_writer_pretty(&mut *out, &rows).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    let width = accounts.iter().map(|account| account.name.chars().count()).max().unwrap_or(0).max("ACCOUNT".len());
    writeln!(out, "{:width$}  {:8}  {:5}  LOGIN NAMES", "ACCOUNT", "STATE", "GROUP")?;
    for (account, attempts) in accounts.iter().zip(attempts) {
        let Row { name, status, login_names, .. } = Row::of(account);
        let group =
            login_names.iter().find_map(|login| login.group).map_or_else(|| "-".to_owned(), |bits| bits.to_string());
        // The other Unicode spellings look the same.
        let shown = login_names.iter().filter(|login| login.kind != "spelling");
        let names: Vec<_> = shown.map(|login| format!("{:?}", login.name)).collect();
        let name = name.escape_debug().to_string();
        writeln!(out, "{name:width$}  {status:8}  {group:5}  {}", names.join(", "))?;
        if let Status::Unusable(reason) = &account.status {
            writeln!(out, "{:width$}  cannot be used: {reason}", "")?;
        }
        for line in attempts.iter().flat_map(|attempts| attempts.lines(&account.name)) {
            writeln!(out, "{:width$}  {line}", "")?;
        }
    }
    Ok(())
}

/// An account as `user list --json` shows it.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    full_name: Option<&'a str>,
    status: &'static str,
    /// What is wrong with an unusable one.
    reason: Option<String>,
    login_names: Vec<RowLogin>,
    /// None when nobody has tried to sign in yet, or when the tally cannot be read.
    attempts: Option<RowAttempts>,
}

/// Failed logins, as far as they still count.
#[derive(Serialize)]
struct RowAttempts {
    /// Nobody can sign in until `user unlock`.
    locked: bool,
    /// Addresses that nobody signed in from lately are refused for so many seconds more; 0: they are not.
    strangers_refused_for: u64,
    /// Failures since the last success, from anywhere.
    failures_in_a_row: u32,
    /// Failures from anywhere within the last `attempts.account_period`.
    recent_failures: u32,
    networks: Vec<RowNetwork>,
}

#[derive(Serialize)]
struct RowNetwork {
    network: String,
    failures: u32,
    open_challenges: u32,
    /// Seconds more; 0: not refused.
    refused_for: u64,
    /// Attempts that came while it was refused.
    turned_away: u32,
    /// Unix seconds; none: never.
    signed_in_at: Option<u64>,
}

impl RowAttempts {
    fn of(mut tally: AccountTally, policy: &AttemptPolicy, now: u64) -> Self {
        tally.set_clock(now);
        let networks = tally.networks().iter().map(|entry| RowNetwork {
            network: entry.network.to_string(),
            failures: entry.failures,
            open_challenges: entry.open,
            refused_for: entry.refused_until(now),
            turned_away: entry.turned_away,
            signed_in_at: Some(entry.signed_in_at).filter(|at| *at > 0),
        });
        Self {
            locked: policy.is_locked(&tally),
            strangers_refused_for: policy.refuses_strangers_for(&tally, now),
            failures_in_a_row: tally.in_a_row,
            recent_failures: tally.failures_within(now, policy.account_period.as_secs()),
            networks: networks.collect(),
        }
    }

    /// What people are told: nothing when nothing has failed.
    fn lines(&self, account: &str) -> Vec<String> {
        let mut lines = Vec::new();
        if self.locked {
            let failures = self.failures_in_a_row;
            lines.push(format!(
                "locked after {failures} failures in a row; to lift it: afpd-rs user unlock {account:?}"
            ));
        }
        if self.strangers_refused_for > 0 {
            lines.push(format!(
                "{} failures lately: new addresses are refused for {} s more",
                self.recent_failures, self.strangers_refused_for
            ));
        }
        for RowNetwork { network, failures, refused_for, turned_away, .. } in &self.networks {
            if *refused_for > 0 {
                lines.push(format!(
                    "{failures} failures from {network}: refused for {refused_for} s more, {turned_away} attempts turned away"
                ));
            } else if *failures > 0 {
                lines.push(format!("{failures} failures from {network}"));
            }
        }
        lines
    }
}

fn tally_failure(error: &TallyError) -> Failure {
    Failure::of(Exit::Setup, error)
}

#[derive(Serialize)]
struct RowLogin {
    /// What is not UTF-8 is shown with replacement characters.
    name: String,
    kind: &'static str,
    /// Bits; none without a usable verifier.
    group: Option<usize>,
}

impl<'a> Row<'a> {
    fn of(account: &'a Account) -> Self {
        let (status, reason) = match &account.status {
            Status::Enabled => ("enabled", None),
            Status::Disabled => ("disabled", None),
            Status::Unusable(reason) => ("unusable", Some(reason.to_string())),
        };
        let login_names = account.login_names.iter().map(|login| RowLogin {
            name: String::from_utf8_lossy(&login.name).into_owned(),
            kind: match login.kind {
                LoginNameKind::Account => "account",
                LoginNameKind::FullName => "full-name",
                LoginNameKind::Alias => "alias",
                LoginNameKind::Spelling => "spelling",
            },
            group: login.group.map(Group::bits),
        });
        Row {
            name: &account.name,
            full_name: account.full_name.as_deref(),
            status,
            reason,
            login_names: login_names.collect(),
            attempts: None,
        }
    }
}

impl From<Bits> for Group {
    fn from(bits: Bits) -> Self {
        match bits {
            Bits::B1536 => Self::Bits1536,
            Bits::B2048 => Self::Bits2048,
            Bits::B3072 => Self::Bits3072,
        }
    }
}
