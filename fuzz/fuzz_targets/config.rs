//! Any bytes as the settings file.
//!
//! - What is wrong is told with the file's name, and a place that is in the file.
//! - What is right is the same again after it was shown (`check-config` shows it), and doubts about it can be told.
//! - The module for Netatalk, which reads the same file, takes what the daemon takes, and the same from it.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use afpd_rs::config::{Config, UnknownUsers};
use libfuzzer_sys::fuzz_target;

// The module is a library for C alone, so its source is compiled in here.
#[path = "../../crates/uams-srp/src/settings.rs"]
#[allow(dead_code, reason = "only its reading is looked at")]
mod module_settings;

static FILE: LazyLock<PathBuf> =
    LazyLock::new(|| tempfile::tempdir().expect("a temporary directory").keep().join("afpd-rs.toml"));

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let daemon = Config::parse(&FILE, text);
    std::fs::write(&*FILE, text).expect("a file");
    let module = module_settings::Settings::read(Some(FILE.clone()), None);
    if let Err(error) = &module {
        let error = error.to_string();
        assert!(error.starts_with(&*FILE.to_string_lossy()) && error.lines().count() == 1, "{error}");
    }
    match daemon {
        Err(error) => {
            assert!(error.to_string().starts_with(&*FILE.to_string_lossy()) && !error.problem.is_empty());
            if let Some((line, column)) = error.position {
                // An end inside a line is one column behind it.
                let columns = text.split('\n').nth(line - 1).map(|line| line.chars().count());
                assert!(columns.is_some_and(|columns| column <= columns + 1), "{error}");
            }
        }
        Ok(config) => {
            let shown = config.to_toml();
            let again = Config::parse(Path::new("shown"), &shown);
            assert_eq!(again.as_ref().ok(), Some(&config), "{again:?} from {shown}");
            let _ = (config.doubts(), config.server.name(), config.store.path(Path::new("/state")));
            let decoy = module.expect("the module takes what the daemon takes").decoy.is_some();
            assert_eq!(decoy, config.login.unknown_users == UnknownUsers::Decoy);
        }
    }
});
