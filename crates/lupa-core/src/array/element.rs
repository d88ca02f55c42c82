//! Elements of arrays as plain values: read from memory, and written to it.
//!
//! Memory need not be aligned, and may have the other byte order.

use super::dtype::Kind;
use super::half;

/// What an element holds.
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

/// Reads so many bytes, turned around if they are in the other order.
///
/// # Safety
/// They are there to read.
#[inline(always)]
unsafe fn get<const N: usize>(at: *const u8, swapped: bool) -> [u8; N] {
    // SAFETY: as the caller promises.
    let mut bytes = unsafe { at.cast::<[u8; N]>().read_unaligned() };
    if swapped {
        bytes.reverse();
    }
    bytes
}

/// Writes so many bytes, turned around if they are to be in the other order.
///
/// # Safety
/// They are there to write.
#[inline(always)]
unsafe fn put<const N: usize>(at: *mut u8, mut bytes: [u8; N], swapped: bool) {
    if swapped {
        bytes.reverse();
    }
    // SAFETY: as the caller promises.
    unsafe { at.cast::<[u8; N]>().write_unaligned(bytes) }
}

/// Reads the element at `at`.
///
/// # Safety
/// An element of this kind is there.
#[inline(always)]
pub(crate) unsafe fn load(kind: Kind, swapped: bool, at: *const u8) -> Value {
    // SAFETY: as the caller promises; the parts of a complex number follow one another.
    unsafe {
        match kind {
            Kind::F64 => Value::Float(f64::from_ne_bytes(get(at, swapped))),
            Kind::F32 => Value::Float(f32::from_ne_bytes(get(at, swapped)).into()),
            Kind::I32 => Value::Integer(i32::from_ne_bytes(get(at, swapped)).into()),
            Kind::U8 => Value::Integer((*at).into()),
            Kind::I64 => Value::Integer(i64::from_ne_bytes(get(at, swapped))),
            Kind::U64 => {
                let number = u64::from_ne_bytes(get(at, swapped));
                i64::try_from(number).map_or(Value::Large(number), Value::Integer)
            }
            Kind::Bool => Value::Bool(*at != 0),
            Kind::I8 => Value::Integer(at.cast::<i8>().read().into()),
            Kind::I16 => Value::Integer(i16::from_ne_bytes(get(at, swapped)).into()),
            Kind::U16 => Value::Integer(u16::from_ne_bytes(get(at, swapped)).into()),
            Kind::U32 => Value::Integer(u32::from_ne_bytes(get(at, swapped)).into()),
            Kind::F16 => Value::Float(half::to_f64(u16::from_ne_bytes(get(at, swapped)))),
            Kind::C64 => Value::Complex(
                f32::from_ne_bytes(get(at, swapped)).into(),
                f32::from_ne_bytes(get(at.add(4), swapped)).into(),
            ),
            Kind::C128 => Value::Complex(
                f64::from_ne_bytes(get(at, swapped)),
                f64::from_ne_bytes(get(at.add(8), swapped)),
            ),
        }
    }
}

/// Writes a value to the element at `at`, or says why it does not fit, and writes nothing.
///
/// # Safety
/// An element of this kind is there, and may be written.
#[inline(always)]
pub(crate) unsafe fn store(
    kind: Kind,
    swapped: bool,
    at: *mut u8,
    value: Value,
) -> Result<(), Misfit> {
    // SAFETY: as the caller promises; the parts of a complex number follow one another.
    unsafe {
        match kind {
            Kind::F64 => put(at, float(value)?.to_ne_bytes(), swapped),
            Kind::F32 => put(at, (float(value)? as f32).to_ne_bytes(), swapped),
            Kind::I32 => put(at, narrow::<i32>(value)?.to_ne_bytes(), swapped),
            Kind::U8 => *at = narrow(value)?,
            Kind::I64 => put(at, narrow::<i64>(value)?.to_ne_bytes(), swapped),
            Kind::U64 => put(at, narrow::<u64>(value)?.to_ne_bytes(), swapped),
            Kind::Bool => match value {
                Value::Bool(truth) => *at = truth.into(),
                _ => return Err(Misfit::Type),
            },
            Kind::I8 => at.cast::<i8>().write(narrow(value)?),
            Kind::I16 => put(at, narrow::<i16>(value)?.to_ne_bytes(), swapped),
            Kind::U16 => put(at, narrow::<u16>(value)?.to_ne_bytes(), swapped),
            Kind::U32 => put(at, narrow::<u32>(value)?.to_ne_bytes(), swapped),
            Kind::F16 => put(at, half::from_f64(float(value)?).to_ne_bytes(), swapped),
            Kind::C64 => {
                let (re, im) = complex(value)?;
                put(at, (re as f32).to_ne_bytes(), swapped);
                put(at.add(4), (im as f32).to_ne_bytes(), swapped);
            }
            Kind::C128 => {
                let (re, im) = complex(value)?;
                put(at, re.to_ne_bytes(), swapped);
                put(at.add(8), im.to_ne_bytes(), swapped);
            }
        }
    }
    Ok(())
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
    /// What is wrong, for a message.
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
