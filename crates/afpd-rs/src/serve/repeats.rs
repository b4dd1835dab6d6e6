//! Log lines that repeat: the first ones are written, the others counted, so that whoever floods the server does not fill the disk.
//!
//! Counted is by kind of line and address, minute by minute; so many lines of each are written, and of one kind about all addresses
//! together [`ADDRESSES`] times as many. What was not written is summed up in a line when the minute is over. Plain data: what is
//! written, and when a minute is over, is said by the caller.

use std::collections::HashMap;

use super::door::Address;

/// Of one kind, so many times the lines that one address may cause.
const ADDRESSES: u32 = 20;

/// Addresses that are counted one by one; what others do is summed up for all of them. Also how many are named when a minute is over.
const COUNTED: usize = 4096;
const NAMED: usize = 10;

/// A kind of line.
pub(super) type Kind = &'static str;

/// What one minute brought.
#[derive(Debug)]
pub(super) struct Repeats {
    per_address: u32,
    written: HashMap<Kind, u32>,
    counts: HashMap<(Kind, Address), Count>,
    /// By addresses beyond those that are counted.
    others: HashMap<Kind, u64>,
}

#[derive(Debug, Default)]
struct Count {
    written: u32,
    unwritten: u64,
}

/// So many lines of this kind about this address were not written; about all other addresses if it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct More {
    pub(super) kind: Kind,
    pub(super) address: Option<Address>,
    pub(super) lines: u64,
}

impl Repeats {
    pub(super) fn new(per_address: u32) -> Self {
        Self { per_address, written: HashMap::new(), counts: HashMap::new(), others: HashMap::new() }
    }

    pub(super) fn set_per_address(&mut self, per_address: u32) {
        self.per_address = per_address;
    }

    /// Whether one more line of this kind about this address is written; if not, it is counted.
    pub(super) fn writes(&mut self, kind: Kind, address: Address) -> bool {
        let all = self.written.entry(kind).or_default();
        let room = *all < self.per_address.saturating_mul(ADDRESSES);
        if self.counts.len() >= COUNTED && !self.counts.contains_key(&(kind, address)) {
            let others = self.others.entry(kind).or_default();
            *others = others.saturating_add(1);
            return false;
        }
        let count = self.counts.entry((kind, address)).or_default();
        if room && count.written < self.per_address {
            count.written = count.written.saturating_add(1);
            *all = all.saturating_add(1);
            return true;
        }
        count.unwritten = count.unwritten.saturating_add(1);
        false
    }

    /// The minute is over: what was not written in it, most first.
    pub(super) fn next_minute(&mut self) -> Vec<More> {
        self.written = HashMap::new();
        let mut named: Vec<More> = std::mem::take(&mut self.counts)
            .into_iter()
            .filter(|(_, count)| count.unwritten > 0)
            .map(|((kind, address), count)| More { kind, address: Some(address), lines: count.unwritten })
            .collect();
        named.sort_by(|one, other| other.lines.cmp(&one.lines).then(one.address.cmp(&other.address)));
        let mut others = std::mem::take(&mut self.others);
        for more in named.split_off(named.len().min(NAMED)) {
            let sum = others.entry(more.kind).or_default();
            *sum = sum.saturating_add(more.lines);
        }
        let mut others: Vec<_> = others.into_iter().map(|(kind, lines)| More { kind, address: None, lines }).collect();
        others.sort_by_key(|more| more.kind);
        named.extend(others);
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> Address {
        Address::V4(number.to_be_bytes())
    }

    #[test]
    fn the_first_are_written_and_the_others_counted() {
        let mut repeats = Repeats::new(2);
        let written = (0..5).filter(|_| repeats.writes("refused", address(1))).count();
        assert_eq!(written, 2);
        assert!(repeats.writes("refused", address(2)) && repeats.writes("dropped", address(1)));
        let more = |kind, number, lines| More { kind, address: Some(address(number)), lines };
        assert_eq!(repeats.next_minute(), [more("refused", 1, 3)]);
        assert_eq!(repeats.next_minute(), []);
        assert!(repeats.writes("refused", address(1)), "a new minute");
        repeats.set_per_address(1);
        assert!(!repeats.writes("refused", address(1)));
        assert_eq!(repeats.next_minute(), [more("refused", 1, 1)]);
    }

    /// A flood from everywhere: lines written, summaries and memory stay bounded, and no line is lost from the count.
    #[test]
    fn many_addresses_are_bounded_too() {
        let mut repeats = Repeats::new(30);
        let written = (0..100_000).filter(|number| repeats.writes("refused", address(*number))).count();
        assert_eq!(written, 600);
        assert!(repeats.counts.len() <= COUNTED);
        assert!(repeats.writes("dropped", address(1)) || !repeats.others.is_empty());
        let more = repeats.next_minute();
        assert!(more.len() <= NAMED + 2, "{more:?}");
        let refused: u64 = more.iter().filter(|more| more.kind == "refused").map(|more| more.lines).sum();
        assert_eq!(refused, 100_000 - 600);
    }
}
