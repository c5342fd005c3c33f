//! Reads octets one after the other, and says in which field they ended.

use super::PduError;

pub(super) struct Octets<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Octets<'a> {
    pub fn new(octets: &'a [u8], field: &'static str) -> Octets<'a> {
        Octets { rest: octets, field }
    }

    /// What follows belongs to this field.
    pub fn field(&mut self, field: &'static str) -> &mut Octets<'a> {
        self.field = field;
        self
    }

    pub fn one(&mut self) -> Result<u8, PduError> {
        let (first, rest) = self.rest.split_first().ok_or(PduError::Short(self.field))?;
        self.rest = rest;
        Ok(*first)
    }

    pub fn many(&mut self, count: usize) -> Result<&'a [u8], PduError> {
        if self.rest.len() < count {
            return Err(PduError::Short(self.field));
        }
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], PduError> {
        self.many(N)?.try_into().map_err(|_| PduError::Short(self.field))
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}
