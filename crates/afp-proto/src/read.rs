//! The one way bytes are read in this crate: a cursor that runs nom parsers one field at a time and remembers where it is.
//!
//! nom does the reading and the bounds; the cursor turns "it failed" into "this field, at this byte". Nothing here leaves
//! the crate.

use nom::Parser;
use nom::bytes::complete::take;
use nom::combinator::rest;
use nom::error::Error;
use nom::multi::length_data;
use nom::number::complete::{be_i32, be_u8, be_u16, be_u32};

use crate::error::{DecodeError, Field};
use crate::strings::{Pascal, WidePascal};

#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { whole: bytes, rest: bytes }
    }

    /// A reader that counts its offsets from the start of `whole` but reads from `offset`; the offsets of the server
    /// information block are followed with it.
    pub(crate) fn at(whole: &'a [u8], offset: usize, field: Field) -> Result<Self, DecodeError> {
        match whole.get(offset..) {
            Some(rest) => Ok(Self { whole, rest }),
            None => Err(DecodeError::Truncated { field, offset }),
        }
    }

    pub(crate) fn read<O>(
        &mut self,
        field: Field,
        mut parser: impl Parser<&'a [u8], Output = O, Error = Error<&'a [u8]>>,
    ) -> Result<O, DecodeError> {
        match parser.parse(self.rest) {
            Ok((rest, value)) => {
                self.rest = rest;
                Ok(value)
            }
            // Only parsers that fail for want of bytes are used; values are checked by the callers, who know the rule.
            Err(_) => Err(DecodeError::Truncated { field, offset: self.offset() }),
        }
    }

    pub(crate) fn u8(&mut self, field: Field) -> Result<u8, DecodeError> {
        self.read(field, be_u8)
    }

    pub(crate) fn u16(&mut self, field: Field) -> Result<u16, DecodeError> {
        self.read(field, be_u16)
    }

    pub(crate) fn u32(&mut self, field: Field) -> Result<u32, DecodeError> {
        self.read(field, be_u32)
    }

    pub(crate) fn i32(&mut self, field: Field) -> Result<i32, DecodeError> {
        self.read(field, be_i32)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: Field) -> Result<[u8; N], DecodeError> {
        self.read(field, take(N).map_res(|bytes: &[u8]| bytes.try_into()))
    }

    pub(crate) fn pascal(&mut self, field: Field) -> Result<Pascal<'a>, DecodeError> {
        self.read(field, length_data(be_u8).map_res(Pascal::new))
    }

    pub(crate) fn wide_pascal(&mut self, field: Field) -> Result<WidePascal<'a>, DecodeError> {
        self.read(field, length_data(be_u16).map_res(WidePascal::new))
    }

    /// `length` bytes.
    pub(crate) fn bytes(&mut self, field: Field, length: u32) -> Result<&'a [u8], DecodeError> {
        self.read(field, take(length))
    }

    /// A number that can have one value only, such as a message's own command.
    pub(crate) fn exactly_u8(&mut self, field: Field, wanted: u8) -> Result<(), DecodeError> {
        let offset = self.offset();
        match self.u8(field)? {
            value if value == wanted => Ok(()),
            value => Err(DecodeError::Value { field, offset, value: value.into() }),
        }
    }

    /// As [`Reader::exactly_u8`], for the two-byte step markers of the SRP messages.
    pub(crate) fn exactly_u16(&mut self, field: Field, wanted: u16) -> Result<(), DecodeError> {
        let offset = self.offset();
        match self.u16(field)? {
            value if value == wanted => Ok(()),
            value => Err(DecodeError::Value { field, offset, value: value.into() }),
        }
    }

    /// Everything that is left; never fails.
    pub(crate) fn remainder(&mut self) -> &'a [u8] {
        self.read(Field::UserAuthInfo, rest).unwrap_or_default()
    }

    pub(crate) const fn peek(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) const fn offset(&self) -> usize {
        self.whole.len().saturating_sub(self.rest.len())
    }

    /// The message must end here.
    pub(crate) const fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing { offset: self.offset(), extra: self.rest.len() })
        }
    }

    /// A command's optional pad byte: `10` and `10 00` are both FPGetSrvrParms (captures 01 and 02 have the short form).
    pub(crate) fn optional_pad(&mut self) -> bool {
        match self.rest.split_first() {
            Some((_, rest)) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}
