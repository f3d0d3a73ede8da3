//! Counts what a change chunk claims to contain, without unpacking any of it.
//!
//! Automerge stores the operations of a change as columns of run lengths. A few bytes can claim a run of 2^60 rows, or
//! a name of 10^9 bytes for which its decoder allocates before it looks whether the bytes are there: a change of 119
//! bytes costs half a gigabyte. This scan walks the run lengths with arithmetic only, so that automerge is never given
//! a change that expands beyond the bounds. Layout: <https://automerge.org/automerge-binary-format-spec/>, change
//! chunks and column types, as read by automerge 0.12.

use super::{CHANGE_BYTES_MAX, CHANGE_OPS_MAX, DocumentError};

const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
/// Magic, checksum and chunk type.
const FIXED_HEADER: usize = 9;
const CHUNK_CHANGE: u8 = 1;
const CHUNK_COMPRESSED: u8 = 2;
/// Most predecessors in one change. An operation has one, or as many as there were concurrent values.
const PREDECESSORS_MAX: u64 = 2 * CHANGE_OPS_MAX as u64;
/// Most bytes of names after their runs are expanded. Otherwise one name of 60 KiB times 20,000 rows is 1.2 GB.
const EXPANDED_NAMES_BYTES_MAX: u64 = 512 * 1024;

/// What a column holds, and with that how it is read.
#[derive(Clone, Copy)]
enum Column {
    /// Runs of unsigned integers, one per operation.
    Unsigned,
    /// Runs of differences, one per operation.
    Signed,
    /// Runs of names, one per operation.
    Name,
    /// Alternating counts of false and true.
    Boolean,
    /// Runs of (length << 4 | type) of the values.
    ValueMeta,
    /// The bytes of the values.
    ValueBytes,
    /// Runs of the number of predecessors.
    PredecessorCount,
    /// Runs of unsigned integers, one per predecessor.
    PredecessorUnsigned,
    /// Runs of differences, one per predecessor.
    PredecessorSigned,
}

impl Column {
    /// The columns of a change as automerge 0.12 writes them. Bit 3 would say that a column is deflated: those are
    /// unknown here like all others.
    const fn of_specification(specification: u64) -> Option<Self> {
        Some(match specification {
            1 | 2 | 17 | 66 => Self::Unsigned,
            19 => Self::Signed,
            21 | 165 => Self::Name,
            52 | 148 => Self::Boolean,
            86 => Self::ValueMeta,
            87 => Self::ValueBytes,
            112 => Self::PredecessorCount,
            113 => Self::PredecessorUnsigned,
            115 => Self::PredecessorSigned,
            _ => return None,
        })
    }
}

/// Checks the outer form of a change and everything that it claims about its own size.
///
/// # Errors
/// [`DocumentError::ChangeTooLarge`], [`DocumentError::Compressed`], [`DocumentError::Malformed`] or
/// [`DocumentError::TooManyOperations`].
pub(super) fn scan(change: &[u8]) -> Result<(), DocumentError> {
    if change.len() > CHANGE_BYTES_MAX {
        return Err(DocumentError::ChangeTooLarge);
    }
    let header = change.get(..FIXED_HEADER).ok_or(malformed("too short"))?;
    if header[..4] != MAGIC {
        return Err(malformed("magic bytes"));
    }
    match header[8] {
        CHUNK_CHANGE => {}
        CHUNK_COMPRESSED => return Err(DocumentError::Compressed),
        _ => return Err(malformed("chunk type")),
    }
    let mut cursor = Cursor(&change[FIXED_HEADER..]);
    if cursor.unsigned()? != cursor.0.len() as u64 {
        return Err(malformed("length of the chunk"));
    }
    scan_body(cursor)
}

/// What a change says besides who makes it: the bytes before and after its actor. Empty for bytes that [`scan`] refuses.
pub(super) fn around_actor(change: &[u8]) -> (&[u8], &[u8]) {
    let split = || -> Result<_, DocumentError> {
        let mut cursor = Cursor(change.get(FIXED_HEADER..).ok_or(malformed("too short"))?);
        cursor.unsigned()?;
        let body = cursor.0;
        for _ in 0..cursor.unsigned()? {
            cursor.take(32)?;
        }
        let before = &body[..body.len() - cursor.0.len()];
        cursor.length_prefixed()?;
        Ok((before, cursor.0))
    };
    split().unwrap_or((&[], &[]))
}

fn scan_body(mut cursor: Cursor<'_>) -> Result<(), DocumentError> {
    for _ in 0..cursor.unsigned()? {
        cursor.take(32)?;
    }
    cursor.length_prefixed()?;
    cursor.unsigned()?;
    cursor.unsigned()?;
    cursor.signed()?;
    cursor.length_prefixed()?;
    for _ in 0..cursor.unsigned()? {
        cursor.length_prefixed()?;
    }
    let mut columns = Vec::new();
    let mut previous = None;
    for _ in 0..cursor.unsigned()? {
        let specification = cursor.unsigned()?;
        let column = Column::of_specification(specification).ok_or(malformed("unknown column"))?;
        if previous.is_some_and(|previous| previous >= specification) {
            return Err(malformed("order of columns"));
        }
        previous = Some(specification);
        columns.push((column, cursor.unsigned()?));
    }
    let mut values = None;
    for (column, len) in columns {
        let data = Cursor(cursor.take(len)?);
        match column {
            Column::ValueMeta => values = Some(value_bytes(data)?),
            Column::ValueBytes => {
                if values.take() != Some(len) {
                    return Err(malformed("length of the values"));
                }
            }
            Column::Unsigned => rows(data, CHANGE_OPS_MAX as u64, |c| c.unsigned().map(|_| 0))?,
            Column::Signed => rows(data, CHANGE_OPS_MAX as u64, |c| c.signed().map(|_| 0))?,
            Column::Name => names(data)?,
            Column::Boolean => booleans(data)?,
            Column::PredecessorCount => predecessors(data)?,
            Column::PredecessorUnsigned => rows(data, PREDECESSORS_MAX, |c| c.unsigned().map(|_| 0))?,
            Column::PredecessorSigned => rows(data, PREDECESSORS_MAX, |c| c.signed().map(|_| 0))?,
        }
    }
    // A column of values may be absent only where all values are empty.
    if values.is_some_and(|bytes| bytes > 0) {
        return Err(malformed("length of the values"));
    }
    if cursor.0.is_empty() { Ok(()) } else { Err(malformed("trailing bytes")) }
}

fn names(data: Cursor<'_>) -> Result<(), DocumentError> {
    let expanded = weigh(data, CHANGE_OPS_MAX as u64, |c| c.length_prefixed())?;
    if expanded > EXPANDED_NAMES_BYTES_MAX { Err(DocumentError::TooManyOperations) } else { Ok(()) }
}

fn value_bytes(data: Cursor<'_>) -> Result<u64, DocumentError> {
    weigh(data, CHANGE_OPS_MAX as u64, |c| c.unsigned().map(|meta| meta >> 4))
}

fn predecessors(data: Cursor<'_>) -> Result<(), DocumentError> {
    let total = weigh(data, CHANGE_OPS_MAX as u64, |c| c.unsigned())?;
    if total > PREDECESSORS_MAX { Err(DocumentError::TooManyOperations) } else { Ok(()) }
}

fn rows(
    data: Cursor<'_>,
    rows_max: u64,
    value: impl FnMut(&mut Cursor<'_>) -> Result<u64, DocumentError>,
) -> Result<(), DocumentError> {
    weigh(data, rows_max, value).map(|_| ())
}

fn booleans(mut data: Cursor<'_>) -> Result<(), DocumentError> {
    let mut total = 0;
    while !data.0.is_empty() {
        let count = data.unsigned()?;
        add_rows(&mut total, count, CHANGE_OPS_MAX as u64)?;
    }
    Ok(())
}

/// Walks a run-length column and adds up the weights that `value` gives, each times its run. Refuses more rows than
/// `rows_max` as soon as a run claims them.
fn weigh(
    mut data: Cursor<'_>,
    rows_max: u64,
    mut value: impl FnMut(&mut Cursor<'_>) -> Result<u64, DocumentError>,
) -> Result<u64, DocumentError> {
    let (mut total_rows, mut weight) = (0u64, 0u64);
    while !data.0.is_empty() {
        let count = data.signed()?;
        if count == 0 {
            let nulls = data.unsigned()?;
            add_rows(&mut total_rows, nulls, rows_max)?;
            continue;
        }
        add_rows(&mut total_rows, count.unsigned_abs(), rows_max)?;
        if count > 0 {
            let one = value(&mut data)?;
            weight = weight.saturating_add(one.saturating_mul(count.unsigned_abs()));
        } else {
            for _ in 0..count.unsigned_abs() {
                weight = weight.saturating_add(value(&mut data)?);
            }
        }
    }
    Ok(weight)
}

fn add_rows(total: &mut u64, rows: u64, rows_max: u64) -> Result<(), DocumentError> {
    *total = total.saturating_add(rows);
    if *total > rows_max { Err(DocumentError::TooManyOperations) } else { Ok(()) }
}

const fn malformed(what: &'static str) -> DocumentError {
    DocumentError::Malformed(what)
}

/// What is left to read. Every read shortens it, so loops over claimed counts end with the bytes.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], DocumentError> {
        let len = usize::try_from(len).ok().filter(|len| *len <= self.0.len()).ok_or(malformed("too short"))?;
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        Ok(taken)
    }

    /// Skips a length and as many bytes; gives the length.
    fn length_prefixed(&mut self) -> Result<u64, DocumentError> {
        let len = self.unsigned()?;
        self.take(len)?;
        Ok(len)
    }

    /// LEB128. At most ten bytes, and no bits beyond the 64th.
    fn unsigned(&mut self) -> Result<u64, DocumentError> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                return Err(malformed("integer"));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("integer"))
    }

    fn signed(&mut self) -> Result<i64, DocumentError> {
        let mut value = 0i64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte != 0 && byte != 0x7f {
                return Err(malformed("integer"));
            }
            value |= i64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                let sign_bits = shift + 7;
                return Ok(if sign_bits < 64 && byte & 0x40 != 0 { value | (-1 << sign_bits) } else { value });
            }
        }
        Err(malformed("integer"))
    }
}
