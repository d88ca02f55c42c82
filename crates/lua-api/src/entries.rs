//! [`TableEntry`]: the entries of a table, many at a time, as a bundled Lua reads them
//! ([`crate::Raising::read_entries`]).
//!
//! The C half is `lua-build/c/entries.h`, where the details are.
#![forbid(unsafe_code)]

use core::ffi::c_int;

/// A key or a value.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Item {
    /// The type of the value; see [`Item::read`].
    kind: c_int,
    bits: u64,
}

/// The value of an [`Item`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Read {
    /// On the stack: the next one there.
    Pushed,
    /// An integer.
    Integer(i64),
    /// A float.
    Float(f64),
    /// Nobody wanted it.
    Unwanted,
}

impl Item {
    /// A value that is on the stack.
    pub const PUSHED: Item = Item { kind: 0, bits: 0 };

    /// An integer.
    pub const fn integer(number: i64) -> Self {
        Item { kind: 1, bits: number as u64 }
    }

    /// A float.
    pub const fn float(number: f64) -> Self {
        Item { kind: 2, bits: number.to_bits() }
    }

    /// The value.
    #[inline(always)]
    pub fn read(self) -> Read {
        match self.kind {
            0 => Read::Pushed,
            1 => Read::Integer(self.bits as i64),
            2 => Read::Float(f64::from_bits(self.bits)),
            _ => Read::Unwanted,
        }
    }
}

/// An entry of a table.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct TableEntry {
    /// Its key.
    pub key: Item,
    /// Its value.
    pub value: Item,
    /// The place behind it; see [`Place::at`].
    pub next: usize,
}

impl TableEntry {
    /// Room for an entry: all zeros, which costs least to write.
    pub const EMPTY: TableEntry = TableEntry { key: Item::PUSHED, value: Item::PUSHED, next: 0 };
}

/// A place in a table.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Place {
    // Counts the table's slots.
    next: usize,
    // How large its parts are, and where.
    array: usize,
    nodes: usize,
    // An address: only compared.
    node: usize,
}

impl Default for Place {
    /// Before the first entry.
    fn default() -> Self {
        Place { next: 0, array: 0, nodes: 0, node: 0 }
    }
}

impl Place {
    /// Another place of the same table: a [`TableEntry::next`].
    pub fn at(self, next: usize) -> Self {
        Place { next, ..self }
    }
}

/// Keys are wanted.
pub const WANTS_KEYS: c_int = 1;
/// Values are wanted.
pub const WANTS_VALUES: c_int = 2;
