//! [`Layout`]: where the elements of an array are in memory; views are layouts made from layouts.
#![forbid(unsafe_code)]

use super::dtype::Kind;

/// The most dimensions that an array can have.
pub(crate) const MAX_DIMS: usize = 32;

/// One dimension.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub(crate) struct Dim {
    /// How many there are.
    pub(crate) len: isize,
    /// From one to the next, in bytes.
    pub(crate) stride: isize,
}

/// The part of a layout that all dimensions share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub(crate) struct Header {
    /// The first element.
    pub(crate) data: *mut u8,
    pub(crate) kind: Kind,
    /// The byte order is not this machine's.
    pub(crate) swapped: bool,
    pub(crate) readonly: bool,
    /// The array is just what its owner is, so it goes back as that very object.
    pub(crate) whole: bool,
    pub(crate) ndim: u32,
}

/// The layout of an array.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) header: Header,
    dims: [Dim; MAX_DIMS],
}

/// A part of a dimension: positions from 0 on; `step` is not 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) first: isize,
    pub(crate) count: isize,
    pub(crate) step: isize,
}

/// One dimension of a view: its start, length and step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    /// These positions.
    Range(Range),
    /// This one position: the view has one dimension less.
    One(isize),
}

impl Layout {
    /// A layout with these dimensions; `None` for too many, a negative length, or more bytes than memory
    /// can have.
    pub(crate) fn new(header: Header, dims: impl IntoIterator<Item = Dim>) -> Option<Self> {
        let mut layout = Layout { header, dims: [Dim::default(); MAX_DIMS] };
        let mut ndim = 0;
        let (mut bytes, mut empty) = (Some(header.kind.size() as isize), false);
        for dim in dims {
            *layout.dims.get_mut(ndim)? = dim;
            ndim += 1;
            if dim.len < 0 {
                return None;
            }
            empty |= dim.len == 0;
            bytes = bytes.and_then(|bytes| bytes.checked_mul(dim.len));
        }
        // With a zero among them, the others may be of any size.
        if bytes.is_none() && !empty {
            return None;
        }
        layout.header.ndim = ndim as u32;
        Some(layout)
    }

    /// The layout of fresh memory in C order; `None` if there are too many dimensions, or more
    /// bytes than memory can have.
    pub(crate) fn contiguous(kind: Kind, lens: &[isize]) -> Option<Self> {
        if lens.len() > MAX_DIMS {
            return None;
        }
        let header = Header {
            data: std::ptr::null_mut(),
            kind,
            swapped: false,
            readonly: false,
            whole: true,
            ndim: 0,
        };
        let mut dims = [Dim::default(); MAX_DIMS];
        let mut stride = kind.size() as isize;
        for (index, &len) in lens.iter().enumerate().rev() {
            dims[index] = Dim { len, stride };
            stride = stride.checked_mul(len.max(1))?;
        }
        Layout::new(header, dims[..lens.len()].iter().copied())
    }

    /// The dimensions.
    #[inline(always)]
    pub(crate) fn dims(&self) -> &[Dim] {
        &self.dims[..self.header.ndim as usize]
    }

    /// The number of elements.
    pub(crate) fn count(&self) -> usize {
        // With a zero among them, the others may be of any size.
        if self.dims().iter().any(|dim| dim.len == 0) {
            return 0;
        }
        // It fits: see `Layout::new`.
        self.dims().iter().map(|dim| dim.len as usize).product()
    }

    /// The number of bytes that the elements take.
    pub(crate) fn bytes(&self) -> usize {
        self.count() * self.header.kind.size()
    }

    /// Whether the elements follow one another in C order (the last index runs fastest).
    pub(crate) fn is_c_contiguous(&self) -> bool {
        self.follows(self.dims().iter().rev())
    }

    /// Whether the elements follow one another in Fortran order (the first index runs fastest).
    pub(crate) fn is_fortran_contiguous(&self) -> bool {
        self.follows(self.dims().iter())
    }

    fn follows<'a>(&self, mut fastest_first: impl Iterator<Item = &'a Dim>) -> bool {
        let mut expected = self.header.kind.size() as isize;
        // Where there is nothing, or only one, the stride has no meaning.
        self.count() == 0
            || fastest_first.all(|dim| {
                let fits = dim.len == 1 || dim.stride == expected;
                expected *= dim.len;
                fits
            })
    }

    /// Whether C could use the elements where they are.
    pub(crate) fn is_aligned(&self) -> bool {
        let alignment = self.header.kind.alignment();
        (self.header.data as usize).is_multiple_of(alignment)
            && self.dims().iter().all(|dim| dim.stride % alignment as isize == 0)
    }

    /// The address of an element; positions are from 0 on, and in range.
    fn at(&self, positions: &[isize]) -> *mut u8 {
        let offset: isize =
            self.dims().iter().zip(positions).map(|(dim, at)| dim.stride * at).sum();
        self.header.data.wrapping_offset(offset)
    }

    /// A view of a part of each of the first dimensions.
    pub(crate) fn view(&self, picks: &[Pick]) -> Self {
        let mut header = self.header;
        header.whole = false;
        let mut rest = Vec::with_capacity(self.dims().len());
        for (index, dim) in self.dims().iter().enumerate() {
            match picks.get(index) {
                None => rest.push(*dim),
                Some(Pick::One(position)) => {
                    header.data = header.data.wrapping_offset(dim.stride * position);
                }
                Some(Pick::Range(range)) => {
                    if range.count > 0 {
                        header.data = header.data.wrapping_offset(dim.stride * range.first);
                    }
                    rest.push(Dim {
                        len: range.count,
                        stride: dim.stride.wrapping_mul(range.step),
                    });
                }
            }
        }
        Layout::new(header, rest).unwrap_or(*self)
    }

    /// The view at one position of the first dimension.
    pub(crate) fn row(&self, position: isize) -> Self {
        let mut row = *self;
        row.header.whole = false;
        row.header.data = row.header.data.wrapping_offset(self.dims[0].stride * position);
        row.header.ndim -= 1;
        row.dims.copy_within(1..self.header.ndim as usize, 0);
        row
    }

    /// The view with the dimensions in reverse order.
    pub(crate) fn transposed(&self) -> Self {
        let mut view = *self;
        view.header.whole &= self.dims().len() < 2;
        view.dims[..self.header.ndim as usize].reverse();
        view
    }

    /// The view of the real (0) or imaginary (1) parts of complex elements.
    pub(crate) fn part(&self, number: isize) -> Option<Self> {
        let part = self.header.kind.part()?;
        let mut view = *self;
        view.header.whole = false;
        view.header.kind = part;
        view.header.data = view.header.data.wrapping_offset(number * part.size() as isize);
        Some(view)
    }

    /// The same elements with other dimensions, of the same number; needs C order.
    pub(crate) fn reshaped(&self, lens: &[isize]) -> Option<Self> {
        let mut view = Layout::contiguous(self.header.kind, lens)?;
        let dims = view.header.ndim;
        view.header = Header { ndim: dims, ..self.header };
        view.header.whole &= self.dims().len() == lens.len()
            && self.dims().iter().zip(lens).all(|(dim, len)| dim.len == *len);
        Some(view)
    }

    /// The addresses of the elements, the last index running fastest.
    pub(crate) fn addresses(&self) -> Addresses<'_> {
        let next = self.header.data;
        let (outer, last) = match self.dims().split_last() {
            _ if self.count() == 0 => (&[][..], Dim::default()),
            None => (&[][..], Dim { len: 1, stride: 0 }),
            Some((last, outer)) => (outer, *last),
        };
        Addresses { layout: self, outer, last, positions: [0; MAX_DIMS], next, left: last.len }
    }

    /// The addresses from the first byte of an element to behind the last one; `None` if there are no elements, or more
    /// than there are addresses.
    fn extent(&self) -> Option<(usize, usize)> {
        if self.count() == 0 {
            return None;
        }
        let (mut below, mut above) = (0_isize, self.header.kind.size() as isize);
        for dim in self.dims() {
            let distance = dim.stride.checked_mul(dim.len - 1)?;
            below = below.checked_add(distance.min(0))?;
            above = above.checked_add(distance.max(0))?;
        }
        let data = self.header.data.addr();
        Some((data.checked_add_signed(below)?, data.checked_add_signed(above)?))
    }

    /// A layout of some of the memory that this is of. It panics for other memory.
    pub(crate) fn narrowed(&self, mut layout: Layout) -> Layout {
        assert!(self.contains(&layout), "a view of other memory");
        layout.header.data = self.header.data.with_addr(layout.header.data.addr());
        layout.header.readonly |= self.header.readonly;
        layout
    }

    /// Whether all elements of another layout are between the first and the last one of this.
    fn contains(&self, other: &Layout) -> bool {
        match (self.extent(), other.extent()) {
            (Some((start, end)), Some((first, last))) => start <= first && last <= end,
            _ => other.count() == 0,
        }
    }
}

/// The addresses of the elements of a layout.
pub(crate) struct Addresses<'a> {
    layout: &'a Layout,
    outer: &'a [Dim],
    last: Dim,
    // In the outer dimensions.
    positions: [isize; MAX_DIMS],
    // In the last one.
    next: *mut u8,
    left: isize,
}

impl Iterator for Addresses<'_> {
    type Item = *mut u8;

    #[inline]
    fn next(&mut self) -> Option<*mut u8> {
        if self.left == 0 && !self.turn() {
            return None;
        }
        self.left -= 1;
        let at = self.next;
        self.next = at.wrapping_offset(self.last.stride);
        Some(at)
    }
}

impl Addresses<'_> {
    /// Goes on with the last dimension at the next position of the others, as an odometer counts.
    #[cold]
    fn turn(&mut self) -> bool {
        let outer = self.outer;
        let next = |&d: &usize| self.positions[d] + 1 < outer[d].len;
        let Some(turn) = (0..outer.len()).rev().find(next) else { return false };
        self.positions[turn] += 1;
        self.positions[turn + 1..].fill(0);
        self.next = self.layout.at(&self.positions[..outer.len()]);
        self.left = self.last.len;
        true
    }
}
