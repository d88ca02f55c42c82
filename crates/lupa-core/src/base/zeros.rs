//! [`Zeros`]: blocks of memory for arrays.
#![forbid(unsafe_code)]

use memmap2::MmapMut;

/// From so many bytes on, a block is mapped: the system has it back as soon as it is freed. The C library may keep what
/// is freed, and cut it up, so that a script that makes and drops large arrays would take several times its limit.
const MAPPED: usize = 256 << 10;

/// The part of a small block that begins where vector instructions want it to.
#[derive(Clone)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "used by address")] [u8; Zeros::ALIGNMENT]);

/// What owns the memory.
enum Memory {
    Lines(#[expect(dead_code, reason = "owns the memory")] Vec<Line>),
    Mapped(#[expect(dead_code, reason = "owns the memory")] MmapMut),
}

/// A block of memory, of zeros at first.
pub(crate) struct Zeros {
    start: *mut u8,
    size: usize,
    _memory: Memory,
}

impl Zeros {
    /// The alignment of a block, for vector instructions; a page is aligned better.
    pub(crate) const ALIGNMENT: usize = 64;

    /// A block of so many bytes; `None` if there is no memory for it.
    pub(crate) fn new(bytes: usize) -> Option<Self> {
        let size = bytes.max(1);
        if size > isize::MAX as usize - Self::ALIGNMENT {
            return None;
        }
        if size >= MAPPED {
            let mut mapped = MmapMut::map_anon(size).ok()?;
            return Some(Zeros {
                start: mapped.as_mut_ptr(),
                size,
                _memory: Memory::Mapped(mapped),
            });
        }
        let count = size.div_ceil(Self::ALIGNMENT);
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).ok()?;
        lines.resize(count, Line([0; Self::ALIGNMENT]));
        Some(Zeros { start: lines.as_mut_ptr().cast(), size, _memory: Memory::Lines(lines) })
    }

    /// Where it begins.
    pub(crate) fn start(&self) -> *mut u8 {
        self.start
    }

    /// How much it is.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}
