//! Half-precision floats (IEEE 754 binary16), to and from double precision.
#![forbid(unsafe_code)]

/// The value of a half-precision float.
pub(crate) fn to_f64(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from((bits >> 10) & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    match exponent {
        0 => sign * fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => sign * f64::INFINITY,
        31 => f64::NAN.copysign(sign),
        _ => sign * (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// The nearest half-precision float; of two, the even one. A number that is too large becomes infinity.
pub(crate) fn from_f64(number: f64) -> u16 {
    let sign = if number.is_sign_negative() { 0x8000 } else { 0 };
    let size = number.abs();
    if number.is_nan() {
        return sign | 0x7e00;
    }
    // Halfway between the largest half (65504) and what would be the next one.
    if size >= 65520.0 {
        return sign | 0x7c00;
    }
    // The distance of neighbours: 2^-24 for the smallest, else by the exponent.
    let exponent = ((size.to_bits() >> 52) as i32 - 1023).max(-14);
    let steps = (size / 2f64.powi(exponent - 10)).round_ties_even();
    // A step too far carries into the exponent, which is what it should do.
    sign | (((exponent + 14) as u16) << 10).wrapping_add(steps as u16)
}
