//! A [`Host`] for tests: users from a table, log lines kept.

use std::cell::{Cell, RefCell};
use std::ffi::CString;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use verifier_store::Users;

use crate::module::{Host, Level, SystemUser};

/// A line of an `/etc/passwd`, as far as it matters here.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) full_name: &'static str,
    pub(crate) uid: u32,
    pub(crate) has_shell: bool,
}

/// What the tests can set and see.
#[derive(Debug, Default)]
pub(crate) struct ScriptedHost {
    pub(crate) path: Option<PathBuf>,
    pub(crate) client_address: Cell<Option<IpAddr>>,
    pub(crate) users: RefCell<Vec<Line>>,
    pub(crate) user_name: RefCell<Vec<u8>>,
    pub(crate) lines: RefCell<Vec<(Level, String)>>,
    /// The next question about a user panics.
    pub(crate) panics: Cell<bool>,
}

impl ScriptedHost {
    /// The lines since the last call.
    pub(crate) fn log_lines(&self) -> String {
        let lines: Vec<_> = self.lines.take().iter().map(|(level, line)| format!("{level:?}: {line}")).collect();
        lines.join("\n")
    }
}

impl Host for ScriptedHost {
    type User = u32;

    fn verifier_path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    fn client_address(&self) -> Option<IpAddr> {
        self.client_address.get()
    }

    /// By exact name first, then as afpd does.
    fn find_user(&self, name: &CString) -> Option<SystemUser<u32>> {
        assert!(!self.panics.take(), "scripted");
        let users = self.users.borrow();
        let name = name.to_str().ok()?;
        let found = users.iter().find(|user| user.name == name).or_else(|| {
            users.iter().find(|user| user.name.eq_ignore_ascii_case(name) || user.full_name.eq_ignore_ascii_case(name))
        });
        found.map(|user| SystemUser {
            handle: user.uid,
            name: user.name.into(),
            uid: user.uid,
            has_shell: user.has_shell,
        })
    }

    fn users(&self) -> Arc<dyn Users> {
        Arc::new(Exactly(self.users.borrow().clone()))
    }

    fn set_user_name(&self, name: &[u8]) {
        *self.user_name.borrow_mut() = name.to_vec();
    }

    fn log(&self, level: Level, line: &str) {
        self.lines.borrow_mut().push((level, line.to_owned()));
    }
}

#[derive(Debug)]
struct Exactly(Vec<Line>);

impl Users for Exactly {
    fn uid(&self, name: &[u8]) -> io::Result<Option<u32>> {
        Ok(self.0.iter().find(|user| user.name.as_bytes() == name).map(|user| user.uid))
    }
}
