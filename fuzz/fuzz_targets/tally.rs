//! Any bytes as the file of a tally, and what the policy of attempts does with what is in it.
//!
//! First come three changes of 32 bytes each and how the file is sealed, then the file. Nobody guesses a checksum, so it can be put right.
//!
//! - A file is read, or it is damaged and begun anew by the first change; never more than that.
//! - A change starts from what was read, and what it leaves is what another process reads.
#![no_main]

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::arbitrary::{self, Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use srp_uam::AttemptPolicy;
use verifier_store::for_test;
use verifier_store::tally::{AccountTally, Network, Subject, Tally, TallyError};

const SLOT: usize = 4096;

#[derive(Arbitrary, Debug)]
struct Plan {
    changes: [Change; 3],
    /// Bits 0 and 1: these slots get a right checksum. Bit 2: the file gets its right length.
    seal: u8,
}

// crates/afp-proto/examples/fuzz_seeds.rs writes these as bytes, all of the same length.
#[derive(Arbitrary, Debug)]
struct Change {
    kind: u8,
    /// 0 unknown, odd IPv4, even IPv6.
    family: u8,
    address: u128,
    /// Unix seconds; 0: the clock is not known.
    now: u64,
    limits: [u8; 6],
}

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| tempfile::tempdir().expect("a temporary directory").keep());

fuzz_target!(|input: &[u8]| {
    let mut rest = Unstructured::new(input);
    let Ok(plan) = Plan::arbitrary(&mut rest) else { return };
    let mut image = rest.take_rest().to_vec();
    image.truncate(2 * SLOT + 1);
    if plan.seal & 4 != 0 {
        image.resize(2 * SLOT, 0);
    }
    for (number, slot) in image.chunks_exact_mut(SLOT).enumerate() {
        if plan.seal & (1 << number) != 0 {
            for_test::seal_tally(slot);
        }
    }
    let path = DIRECTORY.join("alice.tally");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).expect("a file");
    file.write_all(&image).expect("written");
    drop(file);

    let tally = Tally::at(&DIRECTORY);
    for (number, change) in plan.changes.iter().enumerate() {
        let before = match tally.state("alice") {
            Ok(before) => Some(before.expect("it is there")),
            Err(TallyError::Damaged { .. }) => None,
            Err(other) => panic!("{other}"),
        };
        assert!(number == 0 || before.is_some(), "damaged by a change");
        let changed = tally.change(Subject::Account("alice"), change.now, |now| {
            match &before {
                Some(before) => {
                    let mut before = before.clone();
                    before.set_clock(change.now);
                    assert_eq!(*now, before);
                }
                None => assert!(now.damaged && now.networks().is_empty()),
            }
            change.act(now);
            now.clone()
        });
        assert_eq!(changed.damaged.is_some(), before.is_none());
        changed.saved.expect("written");
        let mut wanted = changed.value;
        wanted.damaged = false;
        let read = Tally::at(&DIRECTORY).state("alice").expect("whole").expect("there");
        assert_eq!(read, wanted, "what was changed is read otherwise");
    }
    assert!(tally.unlock("alice").expect("written"));
    let forgiven = tally.state("alice").expect("whole").expect("there");
    assert_eq!(forgiven.in_a_row, 0);
    assert!(forgiven.networks().iter().all(|network| network.failures == 0 && network.refused_for == 0));
});

impl Change {
    fn network(&self) -> Network {
        let address = Ipv6Addr::from_bits(self.address);
        match self.family {
            0 => Network::Unknown,
            odd if odd % 2 == 1 => {
                let [.., a, b, c, d] = address.octets();
                Network::of(Ipv4Addr::new(a, b, c, d).into())
            }
            _ => Network::of(address.into()),
        }
    }

    fn act(&self, tally: &mut AccountTally) {
        let [failures, open, account_failures, period, refuse, hard] = self.limits;
        // From a second to about ten thousand years.
        let time = |shift: u8| Duration::from_secs(1 << (shift % 39));
        let policy = AttemptPolicy {
            failures: u32::from(failures).max(1),
            refuse_first: time(refuse),
            refuse_longest: time(refuse / 8),
            forget_after: time(period / 8),
            answer_within: time(open / 8),
            open_challenges: u32::from(open).max(1),
            account_failures: account_failures.into(),
            account_period: time(period),
            known_for: time(hard / 8),
            hard_limit: hard.into(),
            exempt: Vec::new(),
        };
        let (network, now) = (self.network(), tally.last);
        match self.kind % 4 {
            0 => policy.open(tally, network, now),
            1 => drop(policy.spend(tally, network, now)),
            2 => policy.give_back(tally, network, now),
            // What `user list` asks.
            _ => {
                let _ = (policy.is_locked(tally), policy.refuses_strangers_for(tally, now));
                let _ = (
                    policy.knows(tally, network, now),
                    tally.networks().iter().map(|entry| entry.refused_until(now)).max(),
                );
            }
        }
    }
}
