//! A reader of bytes, and the encoding of LEB128 varints of 64 bits, in which only the shortest form is valid.

pub(in crate::cursor) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// The unread rest of a payload. Each method returns `None` if bytes are missing, and allocates no memory.
pub(in crate::cursor) struct ByteReader<'a>(pub(in crate::cursor) &'a [u8]);

impl<'a> ByteReader<'a> {
    pub(in crate::cursor) fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    /// Reads a varint. Returns `None` for a varint of more than 64 bits, and for a varint with a superfluous final byte
    /// of 0.
    pub(in crate::cursor) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let low = u64::from(byte & 0x7f);
            // The shift loses bits beyond the 64th, and a final 0 is superfluous. Test: `varints_are_minimal`.
            if low << shift >> shift != low || (byte == 0 && shift > 0) {
                return None;
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// Reads a varint. Returns `None` for a varint of more than 32 bits.
    pub(in crate::cursor) fn number(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    pub(super) fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}
