//! [`Weight`]: the bytes that a box adds to Lua's memory account as long as the box exists.
#![forbid(unsafe_code)]

/// The memory that a box takes outside of Lua: its places in the lists of boxes, of free and of dead ones.
const BOX: usize = 64;

/// The bytes that a box adds to Lua's memory account.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Weight(u16);

impl Weight {
    const COARSE: u16 = 1 << 15;
    const FINE_UNIT: usize = 16;
    const COARSE_UNIT: usize = 16 << 10;

    /// So many bytes, or some more.
    pub(crate) fn of(bytes: usize) -> Self {
        let most = Self::COARSE - 1;
        match u16::try_from(bytes.div_ceil(Self::FINE_UNIT)) {
            Ok(units) if units <= most => Weight(units),
            _ => {
                let units = bytes.div_ceil(Self::COARSE_UNIT).min(usize::from(most));
                Weight(units as u16 | Self::COARSE)
            }
        }
    }

    /// Of a box whose object is somebody else's.
    pub(crate) fn of_box() -> Self {
        Self::of(BOX)
    }

    /// With what else is in the box.
    pub(crate) fn with_box(bytes: usize) -> Self {
        Self::of(bytes.saturating_add(BOX))
    }

    pub(crate) fn bytes(self) -> usize {
        let units = usize::from(self.0 & !Self::COARSE);
        units * if self.0 & Self::COARSE == 0 { Self::FINE_UNIT } else { Self::COARSE_UNIT }
    }
}

#[cfg(test)]
mod tests {
    use super::Weight;

    #[test]
    fn a_weight_is_never_less_than_what_it_is_of() {
        for bytes in [0, 1, 16, 17, 500_000, 524_272, 524_273, 1 << 20, 100_000_001] {
            let weight = Weight::of(bytes).bytes();
            assert!(weight >= bytes && weight <= bytes + (16 << 10), "{bytes} {weight}");
        }
        assert_eq!(Weight::of(usize::MAX).bytes(), 32767 * (16 << 10));
    }
}
