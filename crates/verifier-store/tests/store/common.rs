//! What the store's tests share.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use srp6a::{Group, Profile, Verifier};
use tempfile::TempDir;
use verifier_store::{Format, Lookup, NewAccount, Store, StoreError, UnusableReason, Users};

pub(crate) use getrandom::SysRng;

pub(crate) const FORMATS: [Format; 3] = [Format::Native, Format::NetatalkFile, Format::NetatalkDirectory];

/// The password of the records below.
pub(crate) const PASSWORD: &[u8] = b"oc34thA2";

/// A line of an `afppasswd.srp` that Netatalk 4.5.1's afppasswd wrote; the password is [`PASSWORD`].
pub(crate) const ATALK1: &str = "atalk1:735AF4429C13FA9978B791C36397220D:\
     4A5996D6EBC6D4D250DF6BEC745A66C178DA0A83595ED9E68A44418C9A6B93C436F7ABAF5DDEEF5849165F734B4EA0D6\
     4641CD479F23DEA3E69CB4C5BC7B9368C7CD79C00A816ACE36A2DB6B0C0B7C0DD62F3FE849A26558F9AA02AD0F027A76\
     CB4F9E929E4F934E9552D464EF6F14CA77915B44C9B12020942111F8A243457F5124C56C3E0A7434F7A4B22446439A98\
     E033534B3376CF26FE8E2C2D3FF412E832F759A9AD86607071DE4FD1EAF688E5030C6260235D2B8C75234B6D81F276F5";

/// A line of an `afppasswd.srp` that Netatalk 4.5.1's afppasswd wrote; the password is [`PASSWORD`].
pub(crate) const CAROL: &str = "carol:9986A364CACA42D88A8241158F798603:\
     908887E0004B073EF1F826281B7CA9EAF040C7F92114CF511A9201DEFEEC985A3EB5899DEF64CB48E9AF89249C3FF717\
     4AA671BE37491E760EC06D529C5C0330E827D6E24442B490307B597D4AB27E2E304C2A16EB25B8764438E393945B1CE9\
     B55140D2EB459D099A14C10B96AE573FB7134553F4F46FAEDCABFCFEE0B14E51D20FFAC93CDC3937AAF1E4CB398956BA\
     036071EF8B735B0F91E029768F5BCCC4FE66539F7EAEF37B1CB3DDA6BCB89D1B21685246DB7861D25BC0BCA075ED736B";

/// Thirty-two and 384 asterisks.
pub(crate) fn placeholder(name: &str) -> String {
    format!("{name}:{}:{}", "*".repeat(32), "*".repeat(384))
}

/// A temporary directory and the path of a store in it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) path: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        Place { folder, path }
    }

    /// An empty store in which every test user has a user id (the directory's files can be owned by it as root only).
    pub(crate) fn create(&self, format: Format) -> Store {
        Store::create_with_users(format, &self.path, Arc::new(TestUsers)).unwrap()
    }

    pub(crate) fn open(&self, format: Format) -> Result<Store, StoreError> {
        Store::open_with_users(format, &self.path, Arc::new(TestUsers))
    }

    /// A Netatalk file with this content.
    pub(crate) fn netatalk(&self, content: impl AsRef<[u8]>) -> Store {
        write(&self.path, content);
        self.open(Format::NetatalkFile).unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// Writes a file of mode 0600.
pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::write(path, content).unwrap();
    chmod(path, 0o600);
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn add(store: &Store, name: &str, password: &[u8]) {
    add_full(store, name, None, Group::Bits1536, password).unwrap();
}

pub(crate) fn add_full(
    store: &Store,
    name: &str,
    full_name: Option<&str>,
    group: Group,
    password: &[u8],
) -> Result<(), StoreError> {
    store.add(&NewAccount { name, full_name, group, password }, &mut SysRng)
}

/// Whether this login name and password open this account, checked by computing the verifier anew.
pub(crate) fn opens(store: &Store, login_name: &str, password: &[u8], account: &str) -> bool {
    let Lookup::Found(record) = store.lookup(login_name.as_bytes()).unwrap() else { return false };
    assert_eq!(record.login_name, login_name.as_bytes());
    let group = record.verifier.group();
    let v = Verifier::derive(&Profile::AFP, group, login_name.as_bytes(), password, &record.salt.0);
    record.account == account && v.as_be_bytes() == record.verifier.as_be_bytes()
}

/// The reason for which a login name cannot be used.
pub(crate) fn reason(store: &Store, login_name: &[u8]) -> UnusableReason {
    match store.lookup(login_name).unwrap() {
        Lookup::Unusable { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// For tests that give files to other users. Says so when it cannot be.
pub(crate) fn skip_unless_root(what: &str) -> bool {
    if !is_root() {
        eprintln!("skipped, because only root can give files away: {what}");
    }
    !is_root()
}

/// "me" is the user who runs the tests, "user1000" has the user id 1000 and so on; "root" is 0; nobody else exists.
#[derive(Debug)]
pub(crate) struct TestUsers;

impl Users for TestUsers {
    fn uid(&self, name: &[u8]) -> std::io::Result<Option<u32>> {
        let name = std::str::from_utf8(name).unwrap_or_default();
        Ok(match name {
            "me" => Some(rustix::process::geteuid().as_raw()),
            "root" => Some(0),
            _ => name.strip_prefix("user").and_then(|uid| uid.parse().ok()),
        })
    }
}

/// Two digits per byte, in capitals.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])).collect()
}
