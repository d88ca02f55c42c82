//! Elements of arrays as plain values: read from memory, and written to it.
//!
//! Memory need not be aligned, and may have the other byte order.
#![forbid(unsafe_code)]

use super::dtype::Kind;
use super::half;
use super::memory::Place;

/// The value of an element.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Bool(bool),
    Integer(i64),
    /// Beyond the largest `i64`.
    Large(u64),
    Float(f64),
    Complex(f64, f64),
}

/// Why a value cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It is no number where one is needed, or no boolean.
    Type,
    /// A fraction where an integer is needed.
    Fraction,
    /// Out of the range of the element's type.
    Range,
    /// A complex number where a real one is needed.
    Complex,
}

/// The bytes of an element from `offset` on, in the order of this machine.
#[inline(always)]
fn get<const N: usize>(at: Place<'_>, offset: usize) -> [u8; N] {
    let mut bytes = at.bytes(offset);
    if at.is_swapped() {
        bytes.reverse();
    }
    bytes
}

/// Writes these bytes.
#[inline(always)]
fn put<const N: usize>(at: Place<'_>, offset: usize, mut bytes: [u8; N]) {
    if at.is_swapped() {
        bytes.reverse();
    }
    at.set_bytes(offset, bytes);
}

/// Reads an element.
#[inline(always)]
pub(super) fn load(at: Place<'_>) -> Value {
    match at.kind() {
        Kind::F64 => Value::Float(f64::from_ne_bytes(get(at, 0))),
        Kind::F32 => Value::Float(f32::from_ne_bytes(get(at, 0)).into()),
        Kind::I32 => Value::Integer(i32::from_ne_bytes(get(at, 0)).into()),
        Kind::U8 => Value::Integer(u8::from_ne_bytes(get(at, 0)).into()),
        Kind::I64 => Value::Integer(i64::from_ne_bytes(get(at, 0))),
        Kind::U64 => {
            let number = u64::from_ne_bytes(get(at, 0));
            i64::try_from(number).map_or(Value::Large(number), Value::Integer)
        }
        Kind::Bool => Value::Bool(get::<1>(at, 0) != [0]),
        Kind::I8 => Value::Integer(i8::from_ne_bytes(get(at, 0)).into()),
        Kind::I16 => Value::Integer(i16::from_ne_bytes(get(at, 0)).into()),
        Kind::U16 => Value::Integer(u16::from_ne_bytes(get(at, 0)).into()),
        Kind::U32 => Value::Integer(u32::from_ne_bytes(get(at, 0)).into()),
        Kind::F16 => Value::Float(half::to_f64(u16::from_ne_bytes(get(at, 0)))),
        Kind::C64 => Value::Complex(
            f32::from_ne_bytes(get(at, 0)).into(),
            f32::from_ne_bytes(get(at, 4)).into(),
        ),
        Kind::C128 => {
            Value::Complex(f64::from_ne_bytes(get(at, 0)), f64::from_ne_bytes(get(at, 8)))
        }
    }
}

/// Writes a value to an element, which is not read-only, or says why it does not fit, and writes nothing.
#[inline(always)]
pub(super) fn store(at: Place<'_>, value: Value) -> Result<(), Misfit> {
    match at.kind() {
        Kind::F64 => put(at, 0, float(value)?.to_ne_bytes()),
        Kind::F32 => put(at, 0, (float(value)? as f32).to_ne_bytes()),
        Kind::I32 => put(at, 0, narrow::<i32>(value)?.to_ne_bytes()),
        Kind::U8 => put(at, 0, narrow::<u8>(value)?.to_ne_bytes()),
        Kind::I64 => put(at, 0, narrow::<i64>(value)?.to_ne_bytes()),
        Kind::U64 => put(at, 0, narrow::<u64>(value)?.to_ne_bytes()),
        Kind::Bool => match value {
            Value::Bool(truth) => put(at, 0, [truth.into()]),
            _ => return Err(Misfit::Type),
        },
        Kind::I8 => put(at, 0, narrow::<i8>(value)?.to_ne_bytes()),
        Kind::I16 => put(at, 0, narrow::<i16>(value)?.to_ne_bytes()),
        Kind::U16 => put(at, 0, narrow::<u16>(value)?.to_ne_bytes()),
        Kind::U32 => put(at, 0, narrow::<u32>(value)?.to_ne_bytes()),
        Kind::F16 => put(at, 0, half::from_f64(float(value)?).to_ne_bytes()),
        Kind::C64 => {
            let (re, im) = complex(value)?;
            put(at, 0, (re as f32).to_ne_bytes());
            put(at, 4, (im as f32).to_ne_bytes());
        }
        Kind::C128 => {
            let (re, im) = complex(value)?;
            put(at, 0, re.to_ne_bytes());
            put(at, 8, im.to_ne_bytes());
        }
    }
    Ok(())
}

/// Copies an element to another one of the same kind, which is not read-only.
#[inline]
pub(super) fn copy(from: Place<'_>, to: Place<'_>) {
    // As bits, so that a NaN stays as it is.
    let kind = from.kind();
    let (size, parts) = kind.part().map_or((kind.size(), 1), |part| (part.size(), 2));
    for offset in (0..parts).map(|part| part * size) {
        match size {
            1 => put(to, offset, get::<1>(from, offset)),
            2 => put(to, offset, get::<2>(from, offset)),
            4 => put(to, offset, get::<4>(from, offset)),
            _ => put(to, offset, get::<8>(from, offset)),
        }
    }
}

#[inline(always)]
fn float(value: Value) -> Result<f64, Misfit> {
    match value {
        Value::Float(number) => Ok(number),
        Value::Integer(number) => Ok(number as f64),
        Value::Large(number) => Ok(number as f64),
        Value::Bool(_) => Err(Misfit::Type),
        Value::Complex(..) => Err(Misfit::Complex),
    }
}

#[inline(always)]
fn narrow<T: TryFrom<i64> + TryFrom<u64>>(value: Value) -> Result<T, Misfit> {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Integer(number) => T::try_from(number).map_err(|_| Misfit::Range),
        Value::Large(number) => T::try_from(number).map_err(|_| Misfit::Range),
        Value::Float(number) if number.trunc() != number || number.is_infinite() => {
            Err(if number.is_infinite() { Misfit::Range } else { Misfit::Fraction })
        }
        Value::Float(number) if (-TWO_TO_63..TWO_TO_63).contains(&number) => {
            T::try_from(number as i64).map_err(|_| Misfit::Range)
        }
        Value::Float(number) if (0.0..TWO_TO_63 * 2.0).contains(&number) => {
            T::try_from(number as u64).map_err(|_| Misfit::Range)
        }
        Value::Float(_) => Err(Misfit::Range),
        Value::Bool(_) => Err(Misfit::Type),
        Value::Complex(..) => Err(Misfit::Complex),
    }
}

fn complex(value: Value) -> Result<(f64, f64), Misfit> {
    match value {
        Value::Complex(re, im) => Ok((re, im)),
        real => Ok((float(real)?, 0.0)),
    }
}

impl Misfit {
    /// The text of the error message.
    pub(crate) fn message(self, kind: Kind) -> String {
        let name = kind.name();
        match self {
            Misfit::Type if kind == Kind::Bool => "a bool array holds true and false only".into(),
            Misfit::Type if kind.is_complex() => {
                format!("a {name} array holds numbers, and tables with the fields re and im")
            }
            Misfit::Type => format!("a {name} array holds numbers only"),
            Misfit::Fraction => format!("number has no integer representation for {name}"),
            Misfit::Range => format!("number out of range for {name}"),
            Misfit::Complex => format!("a complex number does not fit into {name}"),
        }
    }
}
