//! Networks in CIDR notation.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A network: an address and how many of its leading bits count. Written `192.168.0.0/16`, `2001:db8::/32`, or an address alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// What is wrong with the text of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Not ADDRESS or ADDRESS/BITS.
    #[error("is not a network; write ADDRESS/BITS, as in \"192.168.0.0/16\" or \"2001:db8::/32\"")]
    Form,
    /// More bits than an address has.
    #[error("has more bits than the {most} of such an address")]
    Bits {
        /// 32 or 128.
        most: u8,
    },
    /// Bits are set that do not count: one of the two numbers is a slip.
    #[error("has bits set behind the first {bits}; write the network's first address, {first}")]
    HostBits {
        /// How many bits count.
        bits: u8,
        /// The address with the others zero.
        first: IpAddr,
    },
}

impl Cidr {
    /// Whether `address` is in it. An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`) counts as the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && first_of(address, self.bits) == self.address
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Form)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) && (1..=3).contains(&bits.len()) => {
                bits.parse().ok().filter(|bits| *bits <= most).ok_or(CidrError::Bits { most })?
            }
            Some(_) => return Err(CidrError::Form),
        };
        let first = first_of(address, bits);
        if first == address { Ok(Self { address, bits }) } else { Err(CidrError::HostBits { bits, first }) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The first address of the network of `bits` bits that `address` is in.
fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_and_what_is_not() {
        for (cidr, within, without) in [
            ("192.168.0.0/16", "192.168.255.255", "192.169.0.0"),
            ("192.168.0.0/16", "::ffff:192.168.1.1", "::192.168.1.1"),
            ("0.0.0.0/0", "255.0.0.1", "::1"),
            ("::/0", "2001:db8::1", "192.0.2.1"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
        ] {
            let network: Cidr = cidr.parse().unwrap();
            assert!(network.contains(within.parse().unwrap()), "{cidr} {within}");
            assert!(!network.contains(without.parse().unwrap()), "{cidr} {without}");
            assert_eq!(network.to_string().parse(), Ok(network));
        }
    }

    #[test]
    fn slips_are_named() {
        for wrong in [
            "",
            "/",
            "192.168/16",
            "192.168.0.0/",
            "192.168.0.0/+8",
            "192.168.0.0/1000",
            "nas",
            "::1%eth0",
            "[::1]/128",
        ] {
            assert_eq!(wrong.parse::<Cidr>(), Err(CidrError::Form), "{wrong}");
        }
        assert_eq!("192.168.0.0/33".parse::<Cidr>(), Err(CidrError::Bits { most: 32 }));
        assert_eq!("::/129".parse::<Cidr>(), Err(CidrError::Bits { most: 128 }));
        let slip = "192.168.1.7/16".parse::<Cidr>().unwrap_err().to_string();
        assert!(slip.ends_with("192.168.0.0"), "{slip}");
    }
}
