//! The server information block: what a server says about itself to anyone who asks (DSIGetStatus, FPGetSrvrInfo).
//!
//! ```text
//!   0  offset of the machine type          ┐
//!   2  offset of the AFP version list      │ two bytes each, counted from the
//!   4  offset of the UAM list              │ first byte of the block
//!   6  offset of the volume icon, or 0     ┘
//!   8  flags
//!  10  server name, one-byte count; then a zero byte if needed to come to an even offset
//!   s  offset of the server signature      ┐
//! s+2  offset of the network addresses     │ 0: there is none
//! s+4  offset of the directory names       │
//! s+6  offset of the UTF-8 server name     ┘ this one only if the flags say so
//!   …  the items, anywhere
//! ```
//!
//! Lists are a one-byte count and their entries. Old servers have no fields at `s`; they are taken to be missing when the
//! first item begins before their end.
//!
//! Sources: Apple "AFP Reference", FPGetSrvrInfo; the 415-byte block in captures 01 to 09.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use bytes::BufMut;

use crate::error::{DecodeError, EncodeError, Field};
use crate::read::Reader;
use crate::strings::{Pascal, WidePascal};

/// Bytes of an icon: a bitmap of 32 by 32 and its mask.
pub const ICON_LEN: usize = 256;

/// What a server says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// At most 16 bytes by the protocol, such as `TimeCapsule8,119`.
    pub machine_type: Vec<u8>,
    /// Such as `AFP3.4`; Apple's servers list the newest first.
    pub versions: Vec<Vec<u8>>,
    /// Such as `SRP`.
    pub uams: Vec<Vec<u8>>,
    /// What the server can do.
    pub flags: ServerFlags,
    /// In a Mac character set, at most [`ServerInfo::SERVER_NAME_MAX`] bytes by the protocol.
    pub server_name: Vec<u8>,
    /// In decomposed UTF-8. Present only if the flags have [`ServerFlags::UTF8_SERVER_NAME`].
    pub utf8_server_name: Option<Vec<u8>>,
    /// Always the same for one server, so that a client knows it by all its addresses.
    pub signature: Option<[u8; 16]>,
    /// Where else the server can be reached.
    pub addresses: Vec<NetworkAddress>,
    /// Kerberos principals.
    pub directory_names: Vec<Vec<u8>>,
    /// Shown for the server's volumes by old systems.
    pub icon: Option<Box<[u8; ICON_LEN]>>,
}

impl ServerInfo {
    /// The longest server name the protocol allows, in bytes; the decoder takes any, for other people's servers.
    pub const SERVER_NAME_MAX: usize = 31;

    /// # Errors
    /// [`DecodeError`] if a field or an item runs past the end of the block, or there is no machine type, version list or
    /// UAM list. Bytes that no offset leads to are not looked at.
    pub fn decode(block: &[u8]) -> Result<Self, DecodeError> {
        let mut header = Reader::new(block);
        let machine_type_at = Self::item_offset(&mut header, Field::MachineTypeOffset)?;
        let versions_at = Self::item_offset(&mut header, Field::VersionsOffset)?;
        let uams_at = Self::item_offset(&mut header, Field::UamsOffset)?;
        let icon_at = usize::from(header.u16(Field::IconOffset)?);
        let flags = ServerFlags(header.u16(Field::ServerFlags)?);
        let server_name = header.pascal(Field::ServerName)?.to_vec();

        let items_at = [machine_type_at, versions_at, uams_at, icon_at].into_iter().filter(|at| *at != 0).min();
        let items_at = items_at.unwrap_or(block.len());
        if !header.offset().is_multiple_of(2) && header.offset() < items_at {
            header.u8(Field::Pad)?;
        }
        let mut optional_offset = |field| {
            let end = header.offset().saturating_add(2);
            if end <= items_at { header.u16(field).map(usize::from) } else { Ok(0) }
        };
        let signature_at = optional_offset(Field::SignatureOffset)?;
        let addresses_at = optional_offset(Field::AddressesOffset)?;
        let directory_names_at = optional_offset(Field::DirectoryNamesOffset)?;
        let utf8_name_at = if flags.contains(ServerFlags::UTF8_SERVER_NAME) {
            optional_offset(Field::Utf8ServerNameOffset)?
        } else {
            0
        };

        let names = |reader: &mut Reader<'_>, field| list(reader, field, |reader| Ok(reader.pascal(field)?.to_vec()));
        Ok(Self {
            machine_type: Reader::at(block, machine_type_at, Field::MachineType)?.pascal(Field::MachineType)?.to_vec(),
            versions: names(&mut Reader::at(block, versions_at, Field::Versions)?, Field::Versions)?,
            uams: names(&mut Reader::at(block, uams_at, Field::Uams)?, Field::Uams)?,
            flags,
            server_name,
            utf8_server_name: item(block, utf8_name_at, Field::Utf8ServerName, |reader| {
                Ok(reader.wide_pascal(Field::Utf8ServerName)?.to_vec())
            })?,
            signature: item(block, signature_at, Field::Signature, |reader| reader.array(Field::Signature))?,
            addresses: item(block, addresses_at, Field::Addresses, |reader| {
                list(reader, Field::Addresses, NetworkAddress::decode)
            })?
            .unwrap_or_default(),
            directory_names: item(block, directory_names_at, Field::DirectoryNames, |reader| {
                names(reader, Field::DirectoryNames)
            })?
            .unwrap_or_default(),
            icon: item(block, icon_at, Field::Icon, |reader| reader.array(Field::Icon).map(Box::new))?,
        })
    }

    fn item_offset(header: &mut Reader<'_>, field: Field) -> Result<usize, DecodeError> {
        let offset = header.offset();
        match header.u16(field)? {
            0 => Err(DecodeError::Value { field, offset, value: 0 }),
            at => Ok(at.into()),
        }
    }

    /// The block, with its items in the order in which Netatalk 4.5.1 has them: machine type, versions, UAMs, icon,
    /// signature, addresses, directory names, UTF-8 name (on an even offset).
    ///
    /// Clients want less than 1400 bytes or so; every server with a handful of addresses stays below a third of that.
    ///
    /// # Errors
    /// [`EncodeError`] if something cannot be written down: a string over 255 bytes, a list of over 255, a block over 64 KiB,
    /// a UTF-8 name without its flag.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let has_utf8_field = self.flags.contains(ServerFlags::UTF8_SERVER_NAME);
        if self.utf8_server_name.is_some() && !has_utf8_field {
            return Err(EncodeError::Utf8NameWithoutFlag);
        }
        let mut name = Vec::new();
        put_string(&mut name, Field::ServerName, &self.server_name)?;
        if !name.len().is_multiple_of(2) {
            name.put_u8(0);
        }
        let optional_fields: usize = if has_utf8_field { 8 } else { 6 };
        let mut items =
            Items { at: 10_usize.saturating_add(name.len()).saturating_add(optional_fields), bytes: Vec::new() };

        let machine_type_at = items.here()?;
        put_string(&mut items.bytes, Field::MachineType, &self.machine_type)?;
        let versions_at = items.here()?;
        put_strings(&mut items.bytes, Field::Versions, &self.versions)?;
        let uams_at = items.here()?;
        put_strings(&mut items.bytes, Field::Uams, &self.uams)?;
        let icon_at = items.maybe(self.icon.as_deref().map(<[u8; ICON_LEN]>::as_slice))?;
        let signature_at = items.maybe(self.signature.as_ref().map(<[u8; 16]>::as_slice))?;
        let addresses_at = items.here()?;
        put_count(&mut items.bytes, Field::Addresses, self.addresses.len())?;
        for address in &self.addresses {
            address.encode_into(&mut items.bytes)?;
        }
        let directory_names_at = items.here()?;
        put_strings(&mut items.bytes, Field::DirectoryNames, &self.directory_names)?;
        let mut utf8_name_at = 0;
        if let Some(name) = &self.utf8_server_name {
            if !items.here()?.is_multiple_of(2) {
                items.bytes.put_u8(0);
            }
            utf8_name_at = items.here()?;
            let long =
                |_| EncodeError::TooLong { field: Field::Utf8ServerName, length: name.len(), max: WidePascal::MAX };
            WidePascal::new(name).map_err(long)?.encode_into(&mut items.bytes);
        }
        items.here()?;

        let mut out = Vec::new();
        for word in [machine_type_at, versions_at, uams_at, icon_at, self.flags.0] {
            out.put_u16(word);
        }
        out.extend_from_slice(&name);
        for word in [signature_at, addresses_at, directory_names_at] {
            out.put_u16(word);
        }
        if has_utf8_field {
            out.put_u16(utf8_name_at);
        }
        out.extend_from_slice(&items.bytes);
        Ok(out)
    }
}

/// What a server can do, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ServerFlags(pub u16);

impl ServerFlags {
    /// FPCopyFile.
    pub const COPY_FILE: Self = Self(0x0001);
    /// FPChangePassword.
    pub const CHANGE_PASSWORD: Self = Self(0x0002);
    /// Clients shall not offer to remember passwords.
    pub const DONT_SAVE_PASSWORD: Self = Self(0x0004);
    /// FPGetSrvrMsg.
    pub const SERVER_MESSAGES: Self = Self(0x0008);
    /// There is a signature.
    pub const SERVER_SIGNATURE: Self = Self(0x0010);
    /// Reachable over TCP/IP.
    pub const TCP_IP: Self = Self(0x0020);
    /// Sends attentions when a volume changes.
    pub const SERVER_NOTIFICATIONS: Self = Self(0x0040);
    /// Clients may reconnect: Recon1, session tokens.
    pub const RECONNECT: Self = Self(0x0080);
    /// Directory services.
    pub const DIRECTORY_SERVICES: Self = Self(0x0100);
    /// There is a field for the UTF-8 server name.
    pub const UTF8_SERVER_NAME: Self = Self(0x0200);
    /// Users and groups have UUIDs.
    pub const UUIDS: Self = Self(0x0400);
    /// FPZzzzz with flags.
    pub const EXTENDED_SLEEP: Self = Self(0x0800);
    /// Obsolete; Netatalk sets it.
    pub const SUPER_CLIENT: Self = Self(0x8000);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Every bit that is set, with its name if it has one, lowest first.
    pub fn names(self) -> impl Iterator<Item = (u16, Option<&'static str>)> {
        const NAMES: &[(ServerFlags, &str)] = &[
            (ServerFlags::COPY_FILE, "FPCopyFile"),
            (ServerFlags::CHANGE_PASSWORD, "FPChangePassword"),
            (ServerFlags::DONT_SAVE_PASSWORD, "password must not be saved"),
            (ServerFlags::SERVER_MESSAGES, "server messages"),
            (ServerFlags::SERVER_SIGNATURE, "server signature"),
            (ServerFlags::TCP_IP, "TCP/IP"),
            (ServerFlags::SERVER_NOTIFICATIONS, "server notifications"),
            (ServerFlags::RECONNECT, "reconnect"),
            (ServerFlags::DIRECTORY_SERVICES, "directory services"),
            (ServerFlags::UTF8_SERVER_NAME, "UTF-8 server name"),
            (ServerFlags::UUIDS, "UUIDs"),
            (ServerFlags::EXTENDED_SLEEP, "extended sleep"),
            (ServerFlags::SUPER_CLIENT, "super client"),
        ];
        (0..16).map(|bit| 1 << bit).filter(move |bit| self.0 & bit != 0).map(|bit| {
            let name = NAMES.iter().find(|(flag, _)| flag.0 == bit);
            (bit, name.map(|(_, name)| *name))
        })
    }
}

impl fmt::Debug for ServerFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerFlags({:#06x})", self.0)
    }
}

/// An address of the server: `length u8 (of all three) | tag u8 | data`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NetworkAddress {
    /// Tag 1.
    Ipv4(Ipv4Addr),
    /// Tag 2.
    Ipv4Port(SocketAddrV4),
    /// Tag 3: AppleTalk.
    Ddp {
        /// Network number.
        network: u16,
        /// Node number.
        node: u8,
        /// Socket number.
        socket: u8,
    },
    /// Tag 4, at most 253 bytes.
    Dns(Vec<u8>),
    /// Tag 5: for a tunnel through ssh; deprecated.
    Ssh(SocketAddrV4),
    /// Tag 6.
    Ipv6(Ipv6Addr),
    /// Tag 7.
    Ipv6Port(Ipv6Addr, u16),
    /// A tag without a meaning, or data of the wrong length for it (Netatalk may put a host name under tag 5). Clients
    /// ignore these. Data that would fit the tag decode as that tag's variant.
    Other {
        /// The tag.
        tag: u8,
        /// At most 253 bytes.
        data: Vec<u8>,
    },
}

impl NetworkAddress {
    /// The second byte of the record.
    #[must_use]
    pub const fn tag(&self) -> u8 {
        match self {
            Self::Ipv4(_) => 1,
            Self::Ipv4Port(_) => 2,
            Self::Ddp { .. } => 3,
            Self::Dns(_) => 4,
            Self::Ssh(_) => 5,
            Self::Ipv6(_) => 6,
            Self::Ipv6Port(..) => 7,
            Self::Other { tag, .. } => *tag,
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        let length = reader.u8(Field::Addresses)?;
        let Some(data_length) = length.checked_sub(2) else {
            return Err(DecodeError::Value { field: Field::Addresses, offset, value: length.into() });
        };
        let tag = reader.u8(Field::Addresses)?;
        let data = reader.bytes(Field::Addresses, data_length.into())?;
        Ok(match (tag, data) {
            (1, [a, b, c, d]) => Self::Ipv4(Ipv4Addr::new(*a, *b, *c, *d)),
            (2, [a, b, c, d, high, low]) => Self::Ipv4Port(socket_address([*a, *b, *c, *d], [*high, *low])),
            (3, [high, low, node, socket]) => {
                Self::Ddp { network: u16::from_be_bytes([*high, *low]), node: *node, socket: *socket }
            }
            (4, name) => Self::Dns(name.to_vec()),
            (5, [a, b, c, d, high, low]) => Self::Ssh(socket_address([*a, *b, *c, *d], [*high, *low])),
            (6, data) if data.len() == 16 => Self::Ipv6(ipv6(data)),
            (7, [data @ .., high, low]) if data.len() == 16 => {
                Self::Ipv6Port(ipv6(data), u16::from_be_bytes([*high, *low]))
            }
            (tag, data) => Self::Other { tag, data: data.to_vec() },
        })
    }

    fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut data = Vec::new();
        match self {
            Self::Ipv4(address) => data.extend_from_slice(&address.octets()),
            Self::Ipv4Port(address) | Self::Ssh(address) => {
                data.extend_from_slice(&address.ip().octets());
                data.put_u16(address.port());
            }
            Self::Ddp { network, node, socket } => {
                data.put_u16(*network);
                data.put_u8(*node);
                data.put_u8(*socket);
            }
            Self::Dns(bytes) | Self::Other { data: bytes, .. } => data.extend_from_slice(bytes),
            Self::Ipv6(address) => data.extend_from_slice(&address.octets()),
            Self::Ipv6Port(address, port) => {
                data.extend_from_slice(&address.octets());
                data.put_u16(*port);
            }
        }
        let too_long = EncodeError::TooLong { field: Field::Addresses, length: data.len(), max: 253 };
        let length = u8::try_from(data.len()).ok().and_then(|length| length.checked_add(2)).ok_or(too_long)?;
        out.put_u8(length);
        out.put_u8(self.tag());
        out.extend_from_slice(&data);
        Ok(())
    }
}

fn socket_address(octets: [u8; 4], port: [u8; 2]) -> SocketAddrV4 {
    SocketAddrV4::new(octets.into(), u16::from_be_bytes(port))
}

/// `data` has 16 bytes.
fn ipv6(data: &[u8]) -> Ipv6Addr {
    data.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte)).into()
}

/// What is at an offset of the header, if that offset is not 0.
fn item<'a, T>(
    block: &'a [u8],
    at: usize,
    field: Field,
    decode: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    if at == 0 {
        return Ok(None);
    }
    decode(&mut Reader::at(block, at, field)?).map(Some)
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    field: Field,
    mut entry: impl FnMut(&mut Reader<'a>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.u8(field)?;
    (0..count).map(|_| entry(reader)).collect()
}

/// The items behind the header, and where the first of them stands in the block.
struct Items {
    at: usize,
    bytes: Vec<u8>,
}

impl Items {
    /// The offset of the next item.
    fn here(&self) -> Result<u16, EncodeError> {
        let length = self.at.saturating_add(self.bytes.len());
        u16::try_from(length).map_err(|_| EncodeError::BlockTooLong { length })
    }

    /// The offset of an item that may be missing: 0 if it is.
    fn maybe(&mut self, item: Option<&[u8]>) -> Result<u16, EncodeError> {
        let Some(item) = item else { return Ok(0) };
        let here = self.here()?;
        self.bytes.extend_from_slice(item);
        Ok(here)
    }
}

fn put_string(out: &mut Vec<u8>, field: Field, bytes: &[u8]) -> Result<(), EncodeError> {
    let too_long = |_| EncodeError::TooLong { field, length: bytes.len(), max: Pascal::MAX };
    Pascal::new(bytes).map_err(too_long)?.encode_into(out);
    Ok(())
}

fn put_count(out: &mut Vec<u8>, field: Field, count: usize) -> Result<(), EncodeError> {
    out.put_u8(u8::try_from(count).map_err(|_| EncodeError::TooMany { field, count, max: u8::MAX.into() })?);
    Ok(())
}

fn put_strings(out: &mut Vec<u8>, field: Field, strings: &[Vec<u8>]) -> Result<(), EncodeError> {
    put_count(out, field, strings.len())?;
    strings.iter().try_for_each(|string| put_string(out, field, string))
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A small server's block, written by hand from Apple's figure.
    const GOLDEN: [u8; 95] = hex!(
        "0016 0020 003d 0000 0b39 03 6e6173 0042 0052 0059 005a"
        "09 416670537270312c30"
        "04 06 414650332e34 06 414650332e33 06 414650332e32 06 414650332e31"
        "01 03 535250"
        "000102030405060708090a0b0c0d0e0f"
        "01 06 01 c000020a"
        "00"
        "0003 6e6173"
    );

    fn golden() -> ServerInfo {
        ServerInfo {
            machine_type: b"AfpSrp1,0".to_vec(),
            versions: [b"AFP3.4", b"AFP3.3", b"AFP3.2", b"AFP3.1"].map(|version| version.to_vec()).to_vec(),
            uams: vec![b"SRP".to_vec()],
            flags: ServerFlags(0x0b39),
            server_name: b"nas".to_vec(),
            utf8_server_name: Some(b"nas".to_vec()),
            signature: Some(hex!("000102030405060708090a0b0c0d0e0f")),
            addresses: vec![NetworkAddress::Ipv4(Ipv4Addr::new(192, 0, 2, 10))],
            directory_names: Vec::new(),
            icon: None,
        }
    }

    #[test]
    fn golden_block() {
        assert_eq!(ServerInfo::decode(&GOLDEN), Ok(golden()));
        assert_eq!(golden().encode().unwrap(), GOLDEN);
    }

    /// The last item ends with the block, so every cut goes through something; what follows belongs to nothing.
    #[test]
    fn golden_block_cut_at_every_length_and_one_byte_too_many() {
        for length in 0..GOLDEN.len() {
            let error = ServerInfo::decode(&GOLDEN[..length]).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { .. }), "{length}: {error}");
        }
        assert_eq!(ServerInfo::decode(&[&GOLDEN[..], &[0]].concat()), Ok(golden()));
    }

    /// The icon of Netatalk 4.5.1.
    const ICON: [u8; ICON_LEN] = hex!(
        "0000000000000000000001c0001f82200010c7fc00fca4020086ee0207e5310204373fe23f29201221b970122149881e"
        "21c9ff102049009020490090204f00f02049008020790080204100803fc1ff80000000007ffffffe200000041ffffff8"
        "00044000000440000003800000044000aff93ff500028000affc7ff5000000000000000000000000000001c0001f83e0"
        "001fc7fc00ffe7fe00ffeffe07fffffe07fffffe3ffffffe3ffffffe3ffffffe3ffffff03ffffff03ffffff03ffffff0"
        "3ff9ff803ff9ff803fc1ff803fc1ff80000000007ffffffe3ffffffc1ffffff80007c0000007c000000380000007c000"
        "fffffffffffefffffffc7fff00000000"
    );

    /// Captures 01 to 09: the 415 bytes of Netatalk 4.5.1.
    #[test]
    fn block_of_capture_01() {
        let block = [
            &hex!("001a 0028 0053 007e 8f79 07 70656572343531 017e 018e 0195 0196")[..],
            b"\x0dNetatalk4.5.1",
            b"\x06\x06AFP2.2\x06AFPX03\x06AFP3.1\x06AFP3.2\x06AFP3.3\x06AFP3.4",
            b"\x04\x0fNo User Authent\x10Cleartxt Passwrd\x04DHX2\x03SRP",
            &ICON,
            &hex!("cef943964c233d219359833dee3108d0 01 06 01 7f000001 00 0007 70656572343531"),
        ]
        .concat();
        assert_eq!(block.len(), 415);
        let info = ServerInfo::decode(&block).unwrap();
        assert_eq!(info.machine_type, b"Netatalk4.5.1");
        assert_eq!(info.versions, [b"AFP2.2", b"AFPX03", b"AFP3.1", b"AFP3.2", b"AFP3.3", b"AFP3.4"]);
        let uams: Vec<_> = info.uams.iter().map(|uam| String::from_utf8_lossy(uam)).collect();
        assert_eq!(uams, ["No User Authent", "Cleartxt Passwrd", "DHX2", "SRP"]);
        assert_eq!(
            (info.server_name.as_slice(), info.utf8_server_name.as_deref()),
            (&b"peer451"[..], Some(&b"peer451"[..]))
        );
        assert_eq!(info.signature, Some(hex!("cef943964c233d219359833dee3108d0")));
        assert_eq!(info.addresses, [NetworkAddress::Ipv4(Ipv4Addr::LOCALHOST)]);
        assert_eq!(info.icon.as_deref(), Some(&ICON));
        assert!(info.directory_names.is_empty());
        assert!(!info.flags.contains(ServerFlags::RECONNECT) && info.flags.contains(ServerFlags::SUPER_CLIENT));
        assert_eq!(info.encode().unwrap(), block);
    }

    /// A server before AFP 2.2 has nothing behind its name.
    #[test]
    fn block_without_the_optional_fields() {
        let wire = hex!("000f 0011 0013 0000 0001 03 6f6c64 00 01 4d 01 00 00");
        let info = ServerInfo::decode(&wire[..]).unwrap();
        assert_eq!((info.server_name.as_slice(), info.machine_type.as_slice()), (&b"old"[..], &b"M"[..]));
        assert_eq!((info.signature, info.addresses.len(), info.utf8_server_name), (None, 0, None));
    }

    #[test]
    fn offsets_that_lead_nowhere() {
        let mut block = GOLDEN;
        block[1] = 0;
        let wanted = DecodeError::Value { field: Field::MachineTypeOffset, offset: 0, value: 0 };
        assert_eq!(ServerInfo::decode(&block), Err(wanted));
        // Every offset in turn past the end.
        for (at, field) in [
            (0, Field::MachineType),
            (2, Field::Versions),
            (4, Field::Uams),
            (6, Field::Icon),
            (14, Field::Signature),
            (16, Field::Addresses),
            (18, Field::DirectoryNames),
            (20, Field::Utf8ServerName),
        ] {
            let mut block = GOLDEN;
            block[at..at + 2].copy_from_slice(&[0xFF, 0xFF]);
            assert_eq!(ServerInfo::decode(&block), Err(DecodeError::Truncated { field, offset: 0xFFFF }));
        }
    }

    #[test]
    fn name_of_even_length_is_padded() {
        let info = ServerInfo { server_name: b"even".to_vec(), ..golden() };
        let block = info.encode().unwrap();
        assert_eq!(block[10..18], hex!("04 6576656e 00 0044"));
        assert_eq!(ServerInfo::decode(&block), Ok(info));
    }

    #[test]
    fn addresses_of_every_tag() {
        let v6: Ipv6Addr = "2001:db8::a".parse().unwrap();
        let v4 = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 548);
        for (wire, address) in [
            (&hex!("06 01 c0000201")[..], NetworkAddress::Ipv4(*v4.ip())),
            (&hex!("08 02 c0000201 0224"), NetworkAddress::Ipv4Port(v4)),
            (&hex!("06 03 0102 03 04"), NetworkAddress::Ddp { network: 0x0102, node: 3, socket: 4 }),
            (&hex!("05 04 6e6173"), NetworkAddress::Dns(b"nas".to_vec())),
            (&hex!("08 05 c0000201 0224"), NetworkAddress::Ssh(v4)),
            (&hex!("05 05 6e6173"), NetworkAddress::Other { tag: 5, data: b"nas".to_vec() }),
            (&hex!("12 06 20010db800000000000000000000000a"), NetworkAddress::Ipv6(v6)),
            (&hex!("14 07 20010db800000000000000000000000a 0224"), NetworkAddress::Ipv6Port(v6, 548)),
            (&hex!("02 09"), NetworkAddress::Other { tag: 9, data: Vec::new() }),
        ] {
            let mut reader = Reader::new(wire);
            assert_eq!(NetworkAddress::decode(&mut reader), Ok(address.clone()));
            assert!(reader.peek().is_empty());
            let mut out = Vec::new();
            address.encode_into(&mut out).unwrap();
            assert_eq!(out, wire);
        }
        for length in [0, 1] {
            let wanted = DecodeError::Value { field: Field::Addresses, offset: 0, value: length };
            assert_eq!(NetworkAddress::decode(&mut Reader::new(&[length.to_be_bytes()[3], 1])), Err(wanted));
        }
        let long = NetworkAddress::Dns(vec![b'x'; 254]);
        let wanted = EncodeError::TooLong { field: Field::Addresses, length: 254, max: 253 };
        assert_eq!(long.encode_into(&mut Vec::new()), Err(wanted));
    }

    #[test]
    fn what_cannot_be_written() {
        let long = |field| Err(EncodeError::TooLong { field, length: 256, max: 255 });
        assert_eq!(ServerInfo { server_name: vec![0; 256], ..golden() }.encode(), long(Field::ServerName));
        assert_eq!(ServerInfo { machine_type: vec![0; 256], ..golden() }.encode(), long(Field::MachineType));
        assert_eq!(ServerInfo { uams: vec![vec![0; 256]], ..golden() }.encode(), long(Field::Uams));
        let many = EncodeError::TooMany { field: Field::Versions, count: 256, max: 255 };
        assert_eq!(ServerInfo { versions: vec![Vec::new(); 256], ..golden() }.encode(), Err(many));
        let huge = ServerInfo { versions: vec![vec![0; 255]; 255], uams: vec![vec![0; 255]; 255], ..golden() };
        assert!(matches!(huge.encode(), Err(EncodeError::BlockTooLong { .. })));
        let flagless = ServerInfo { flags: ServerFlags(0), ..golden() };
        assert_eq!(flagless.encode(), Err(EncodeError::Utf8NameWithoutFlag));
    }

    #[test]
    fn flags_have_names() {
        let names: Vec<_> = ServerFlags(0x1009).names().collect();
        assert_eq!(names, [(1, Some("FPCopyFile")), (8, Some("server messages")), (0x1000, None)]);
    }

    fn address() -> impl Strategy<Value = NetworkAddress> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|ip| NetworkAddress::Ipv4(ip.into())),
            any::<([u8; 4], u16)>().prop_map(|(ip, port)| NetworkAddress::Ipv4Port(SocketAddrV4::new(ip.into(), port))),
            any::<(u16, u8, u8)>().prop_map(|(network, node, socket)| NetworkAddress::Ddp { network, node, socket }),
            vec(any::<u8>(), 0..=253).prop_map(NetworkAddress::Dns),
            any::<([u8; 4], u16)>().prop_map(|(ip, port)| NetworkAddress::Ssh(SocketAddrV4::new(ip.into(), port))),
            any::<[u8; 16]>().prop_map(|ip| NetworkAddress::Ipv6(ip.into())),
            any::<([u8; 16], u16)>().prop_map(|(ip, port)| NetworkAddress::Ipv6Port(ip.into(), port)),
            (8..=255_u8, vec(any::<u8>(), 0..20)).prop_map(|(tag, data)| NetworkAddress::Other { tag, data }),
        ]
    }

    prop_compose! {
        fn server_info()(
            machine_type in vec(any::<u8>(), 0..=255), versions in vec(vec(any::<u8>(), 0..20), 0..8),
            uams in vec(vec(any::<u8>(), 0..20), 0..8), flags: u16, server_name in vec(any::<u8>(), 0..=255),
            utf8 in prop::option::of(vec(any::<u8>(), 0..80)), signature: Option<[u8; 16]>, addresses in vec(address(), 0..6),
            directory_names in vec(vec(any::<u8>(), 0..20), 0..3), icon in prop::option::of(any::<u8>()),
        ) -> ServerInfo {
            let flags = ServerFlags(flags);
            let flags = if utf8.is_some() { flags.with(ServerFlags::UTF8_SERVER_NAME) } else { flags };
            let icon = icon.map(|byte| Box::new([byte; ICON_LEN]));
            ServerInfo { machine_type, versions, uams, flags, server_name, utf8_server_name: utf8, signature, addresses, directory_names, icon }
        }
    }

    proptest! {
        #[test]
        fn round_trip(info in server_info()) {
            prop_assert_eq!(ServerInfo::decode(&info.encode().unwrap()), Ok(info));
        }

        #[test]
        fn any_bytes_give_an_answer(block in vec(any::<u8>(), 0..200)) {
            // What comes out goes in again; overlapping items may make it longer, even too long.
            if let Ok(info) = ServerInfo::decode(&block)
                && let Ok(encoded) = info.encode()
            {
                prop_assert_eq!(ServerInfo::decode(&encoded), Ok(info));
            }
        }
    }
}
