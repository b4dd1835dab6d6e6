//! Packets out of a capture file: pcap (both byte orders, micro- and nanoseconds) and pcapng.
//!
//! Written here because it is short, must not fall over on any file, and must take captures whose packets were cut
//! (`tcpdump -s`). Sources: the pcap and pcapng file format descriptions (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).

use std::time::Duration;

use thiserror::Error;

/// One captured packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    /// Since 1970, or zero where the file does not say.
    pub(super) time: Duration,
    /// The kind of its first header, a LINKTYPE number.
    pub(super) link: u32,
    /// Its bytes, possibly cut.
    pub(super) bytes: &'a [u8],
}

/// What is no capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum CaptureError {
    /// Neither magic number.
    #[error("this is neither a pcap nor a pcapng file")]
    Unknown,
    /// The file's own header is cut.
    #[error("the file ends inside its header")]
    Header,
}

/// All packets of a file, and whether it ends inside one (a capture program that was killed).
pub(super) fn packets(file: &[u8]) -> Result<(Vec<Packet<'_>>, bool), CaptureError> {
    match file.first_chunk::<4>() {
        Some([0x0a, 0x0d, 0x0d, 0x0a]) => Ok(pcapng(file)),
        Some(magic) => {
            let (order, ticks) = match u32::from_be_bytes(*magic) {
                0xa1b2_c3d4 => (Order::Big, 1_000_000),
                0xa1b2_3c4d => (Order::Big, 1_000_000_000),
                0xd4c3_b2a1 => (Order::Little, 1_000_000),
                0x4d3c_b2a1 => (Order::Little, 1_000_000_000),
                _ => return Err(CaptureError::Unknown),
            };
            pcap(file, order, ticks)
        }
        None => Err(CaptureError::Unknown),
    }
}

#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let bytes = *bytes.get(at..)?.first_chunk()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        })
    }

    fn size(self, bytes: &[u8], at: usize) -> Option<usize> {
        usize::try_from(self.u32(bytes, at)?).ok()
    }
}

fn pcap(file: &[u8], order: Order, ticks: u64) -> Result<(Vec<Packet<'_>>, bool), CaptureError> {
    // The upper four bits tell of a frame check sequence.
    let link = order.u32(file, 20).ok_or(CaptureError::Header)? & 0x0fff_ffff;
    let mut rest = file.get(24..).unwrap_or_default();
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let Some((packet, behind)) = pcap_record(rest, order, ticks, link) else { return Ok((packets, true)) };
        packets.push(packet);
        rest = behind;
    }
    Ok((packets, false))
}

/// Seconds, fraction, bytes kept, bytes there were; then the bytes kept.
fn pcap_record(rest: &[u8], order: Order, ticks: u64, link: u32) -> Option<(Packet<'_>, &[u8])> {
    let (seconds, fraction) = (order.u32(rest, 0)?, order.u32(rest, 4)?);
    let (bytes, behind) = rest.get(16..)?.split_at_checked(order.size(rest, 8)?)?;
    let time = time_of(u64::from(seconds).checked_mul(ticks)?.checked_add(fraction.into())?, ticks);
    Some((Packet { time, link, bytes }, behind))
}

/// Sections of blocks; a section has its own byte order and its own list of interfaces.
fn pcapng(file: &[u8]) -> (Vec<Packet<'_>>, bool) {
    let mut packets = Vec::new();
    let mut order = Order::Little;
    let mut interfaces = Vec::new();
    let mut rest = file;
    while !rest.is_empty() {
        if rest.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            order = if rest.get(8..12) == Some(&[0x1a, 0x2b, 0x3c, 0x4d]) { Order::Big } else { Order::Little };
            interfaces.clear();
        }
        let Some((kind, body, behind)) = pcapng_block(rest, order) else { return (packets, true) };
        match kind {
            1 => interfaces.push(Interface::of(body, order)),
            3 | 6 => packets.extend(pcapng_packet(kind, body, order, &interfaces)),
            _ => {}
        }
        rest = behind;
    }
    (packets, false)
}

/// Type, length of the whole, body, length again.
fn pcapng_block(rest: &[u8], order: Order) -> Option<(u32, &[u8], &[u8])> {
    let (whole, behind) = rest.split_at_checked(order.size(rest, 4)?)?;
    let body = whole.get(8..whole.len().checked_sub(4)?)?;
    Some((order.u32(whole, 0)?, body, behind))
}

/// An Enhanced Packet Block (6) or a Simple one (3), which has neither time nor interface number.
fn pcapng_packet<'a>(kind: u32, body: &'a [u8], order: Order, interfaces: &[Interface]) -> Option<Packet<'a>> {
    if kind == 3 {
        let interface = interfaces.first()?;
        let data = body.get(4..)?;
        let bytes = data.get(..order.size(body, 0)?.min(interface.snap)).unwrap_or(data);
        return Some(Packet { time: Duration::ZERO, link: interface.link, bytes });
    }
    let interface = interfaces.get(order.size(body, 0)?)?;
    let time = u64::from(order.u32(body, 4)?) << 32 | u64::from(order.u32(body, 8)?);
    let bytes = body.get(20..)?.get(..order.size(body, 12)?)?;
    Some(Packet { time: time_of(time, interface.ticks), link: interface.link, bytes })
}

struct Interface {
    link: u32,
    snap: usize,
    /// Units of time per second.
    ticks: u64,
}

impl Interface {
    fn of(body: &[u8], order: Order) -> Self {
        let mut ticks = 1_000_000;
        let mut options = body.get(8..).unwrap_or_default();
        while let (Some(code), Some(length)) = (order.u16(options, 0), order.u16(options, 2)) {
            // if_tsresol: a power of ten, or of two with the upper bit set.
            if let (9, Some(power)) = (code, options.get(4)) {
                let base: u64 = if power & 0x80 == 0 { 10 } else { 2 };
                ticks = base.checked_pow((power & 0x7f).into()).unwrap_or(ticks);
            }
            let whole = usize::from(length).next_multiple_of(4).saturating_add(4);
            options = options.get(whole..).unwrap_or_default();
        }
        let snap = order.size(body, 4).filter(|snap| *snap > 0).unwrap_or(usize::MAX);
        Self { link: order.u16(body, 0).unwrap_or_default().into(), snap, ticks }
    }
}

fn time_of(units: u64, ticks: u64) -> Duration {
    let seconds = units.checked_div(ticks).unwrap_or_default();
    let fraction = u128::from(units.checked_rem(ticks).unwrap_or_default()).saturating_mul(1_000_000_000);
    let nanoseconds = fraction.checked_div(ticks.into()).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcap_file(big: bool, nanoseconds: bool) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let magic = if nanoseconds { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
        let fraction = if nanoseconds { 500_000_000 } else { 500_000 };
        // The second packet was cut from 9000 bytes to 3, beyond the snap length of 4.
        let words = [magic, 0x0002_0004, 0, 0, 4, 0x1000_0001, 7, fraction, 4, 4];
        let mut file: Vec<u8> = words.iter().flat_map(|value| word(*value)).collect();
        file.extend(b"abcd");
        file.extend([8, 0, 3, 9000].iter().flat_map(|value| word(*value)));
        file.extend(b"efg");
        file
    }

    fn pcapng_file(big: bool) -> Vec<u8> {
        let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let half = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let block = |kind: u32, body: &[u8]| {
            let length = word(u32::try_from(body.len()).unwrap() + 12);
            [&word(kind)[..], &length, body, &length].concat()
        };
        let section = [&word(0x1a2b_3c4d)[..], &half(1), &half(0), &[0xff; 8]].concat();
        // Nanoseconds, behind a name option of odd length.
        let options =
            [&half(2)[..], &half(3), b"lo0\0", &half(9), &half(1), &[9, 0, 0, 0], &half(0), &half(0)].concat();
        let interface = [&half(113)[..], &half(0), &word(0), &options].concat();
        let time = 7_500_000_000_u64;
        let high = u32::try_from(time >> 32).unwrap();
        let low = u32::try_from(time & 0xffff_ffff).unwrap();
        let packet = [&word(0)[..], &word(high), &word(low), &word(3), &word(3), b"abc\0"].concat();
        let simple = [&word(2)[..], b"de\0\0"].concat();
        [block(0x0a0d_0d0a, &section), block(1, &interface), block(5, b"abcd"), block(6, &packet), block(3, &simple)]
            .concat()
    }

    #[test]
    fn pcap_in_all_its_forms() {
        for (big, nanoseconds) in [(false, false), (false, true), (true, false), (true, true)] {
            let file = pcap_file(big, nanoseconds);
            let first = Packet { time: Duration::from_millis(7500), link: 1, bytes: b"abcd" };
            let second = Packet { time: Duration::from_secs(8), link: 1, bytes: b"efg" };
            assert_eq!(packets(&file), Ok((vec![first, second], false)));
        }
    }

    #[test]
    fn pcapng_in_both_byte_orders() {
        for big in [false, true] {
            let file = pcapng_file(big);
            let first = Packet { time: Duration::from_millis(7500), link: 113, bytes: b"abc" };
            let second = Packet { time: Duration::ZERO, link: 113, bytes: b"de" };
            assert_eq!(packets(&file), Ok((vec![first, second], false)));
        }
    }

    #[test]
    fn cut_anywhere_it_gives_what_is_whole() {
        for file in [pcap_file(false, false), pcapng_file(true)] {
            let whole = packets(&file).unwrap().0;
            for length in 0..file.len() {
                match packets(&file[..length]) {
                    Ok((some, _)) => assert!(whole.starts_with(&some) && some.len() < whole.len(), "{length}"),
                    Err(CaptureError::Unknown) => assert!(length < 4),
                    Err(CaptureError::Header) => assert!(length < 24),
                }
            }
        }
    }

    #[test]
    fn other_files_are_named_as_such() {
        assert_eq!(packets(b"GET / HTTP/1.1"), Err(CaptureError::Unknown));
        assert_eq!(packets(b""), Err(CaptureError::Unknown));
    }

    #[test]
    fn wild_numbers_do_no_harm() {
        for length in [0, 1, 8, 11, 0x7fff_ffff, u32::MAX] {
            let mut file = pcapng_file(false);
            file[4..8].copy_from_slice(&length.to_le_bytes());
            assert!(packets(&file).unwrap().1, "{length}");
        }
        let interface = Interface::of(&[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0xff, 0, 0, 0], Order::Little);
        assert_eq!(interface.ticks, 1_000_000, "2^127 units per second cannot be");
        assert_eq!(time_of(u64::MAX, 1), Duration::from_secs(u64::MAX));
        assert_eq!(time_of(1, u64::MAX), Duration::ZERO);
    }
}
