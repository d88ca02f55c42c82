//! Vectors that may have no memory.
#![forbid(unsafe_code)]

use smallvec::{Array, SmallVec};

use crate::base::error::{Error, Result};

/// An empty vector with room for so many.
pub(crate) fn with_room<T>(count: usize) -> Result<Vec<T>> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(count).map_err(|_| Error::Memory)?;
    Ok(vector)
}

/// The same, for what is mostly a few items, which need no memory of their own.
#[inline]
pub(crate) fn few<A: Array>(count: usize) -> Result<SmallVec<A>> {
    let mut vector = SmallVec::new();
    vector.try_reserve_exact(count).map_err(|_| Error::Memory)?;
    Ok(vector)
}

/// One item more at the end of a vector.
pub(crate) fn push<T>(vector: &mut Vec<T>, item: T) -> Result<()> {
    vector.try_reserve(1).map_err(|_| Error::Memory)?;
    vector.push(item);
    Ok(())
}

/// A copy of bytes.
pub(crate) fn copy(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = with_room(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
