//! Which user id a name has: needed by the Netatalk directory alone, which names its files by user id.

use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Answers which user id a system user has. The default is [`PasswdFile`]; a program that knows more (a directory
/// service, or the C library's `getpwnam` in the Netatalk module) brings its own.
pub trait Users: Send + Sync + fmt::Debug {
    /// The user id of `name`, compared byte for byte, or `None` when there is no such user.
    ///
    /// # Errors
    /// When the list of users cannot be read.
    fn uid(&self, name: &[u8]) -> io::Result<Option<u32>>;
}

/// The users of an `/etc/passwd`: lines of `name:password:uid:…`, the first line of a name decides. It is read at each
/// question, so a new user is known at once. Users that only a directory service knows are not found here.
#[derive(Clone, Debug)]
pub struct PasswdFile {
    path: PathBuf,
}

impl PasswdFile {
    /// The users listed in the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> PasswdFile {
        PasswdFile { path: path.into() }
    }
}

impl Default for PasswdFile {
    /// `/etc/passwd`.
    fn default() -> PasswdFile {
        PasswdFile::new("/etc/passwd")
    }
}

impl Users for PasswdFile {
    fn uid(&self, name: &[u8]) -> io::Result<Option<u32>> {
        Ok(find(&fs::read(&self.path)?, name))
    }
}

fn find(passwd: &[u8], name: &[u8]) -> Option<u32> {
    let line = passwd.split(|b| *b == b'\n').find(|line| line.split(|b| *b == b':').next() == Some(name))?;
    std::str::from_utf8(line.split(|b| *b == b':').nth(2)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_a_name_decides() {
        let passwd =
            b"root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/:/\nalice:x:7:7::/:/\nbroken\nbob:x:many:\n\xff:x:5:";
        assert_eq!(find(passwd, b"root"), Some(0));
        assert_eq!(find(passwd, b"alice"), Some(1000));
        assert_eq!(find(passwd, b"\xff"), Some(5));
        for unknown in [&b"bob"[..], b"broken", b"Alice", b"ali", b"alice:x", b"nobody"] {
            assert_eq!(find(passwd, unknown), None);
        }
        assert_eq!(find(b"", b"root"), None);
        assert_eq!(find(b"\n\n", b""), None);
    }
}
