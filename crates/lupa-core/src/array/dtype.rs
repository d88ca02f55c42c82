//! [`Kind`]: the types that an array's elements can have, and the names for them.
#![forbid(unsafe_code)]

use std::ffi::CStr;

/// The type of an element, in native byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
    C64,
    C128,
}

/// The names of a kind: NumPy's name, the letter and size of NumPy's type strings, the
/// code of the buffer protocol, the type in C (for float16, the integer type of its bits), and other
/// names that a script may use.
struct Names {
    kind: Kind,
    name: &'static str,
    letter: char,
    size: usize,
    code: &'static CStr,
    swapped_code: &'static CStr,
    c_type: &'static str,
    also: &'static [&'static str],
}

macro_rules! kinds {
    ($($kind:ident $name:literal $letter:literal $size:literal $code:literal $c_type:literal $also:expr;)*) => {
        const KINDS: &[Names] = &[$(Names {
            kind: Kind::$kind,
            name: $name,
            letter: $letter,
            size: $size,
            code: c_string(concat!($code, "\0")),
            swapped_code: c_string(if cfg!(target_endian = "little") {
                concat!(">", $code, "\0")
            } else {
                concat!("<", $code, "\0")
            }),
            c_type: $c_type,
            also: $also,
        }),*];
    };
}

const fn c_string(text: &'static str) -> &'static CStr {
    match CStr::from_bytes_with_nul(text.as_bytes()) {
        Ok(text) => text,
        Err(_) => panic!("not a C string"),
    }
}

// In the order of the enum.
kinds! {
    Bool "bool" 'b' 1 "?" "bool" &["boolean", "_Bool"];
    I8 "int8" 'i' 1 "b" "int8_t" &["signed char"];
    I16 "int16" 'i' 2 "h" "int16_t" &["short"];
    I32 "int32" 'i' 4 "i" "int32_t" &[];
    I64 "int64" 'i' 8 "q" "int64_t" &["long long"];
    U8 "uint8" 'u' 1 "B" "uint8_t" &["unsigned char", "byte"];
    U16 "uint16" 'u' 2 "H" "uint16_t" &["unsigned short"];
    U32 "uint32" 'u' 4 "I" "uint32_t" &["unsigned int"];
    U64 "uint64" 'u' 8 "Q" "uint64_t" &["unsigned long long"];
    F16 "float16" 'f' 2 "e" "uint16_t" &["half"];
    F32 "float32" 'f' 4 "f" "float" &["single"];
    F64 "float64" 'f' 8 "d" "double" &[];
    C64 "complex64" 'c' 8 "Zf" "complex float" &[];
    C128 "complex128" 'c' 16 "Zd" "complex" &["complex double"];
}

impl Kind {
    #[inline(always)]
    fn names(self) -> &'static Names {
        &KINDS[self as usize]
    }

    /// The size of an element in bytes.
    #[inline(always)]
    pub(crate) fn size(self) -> usize {
        self.names().size
    }

    /// The alignment that C asks for.
    pub(crate) fn alignment(self) -> usize {
        match self {
            Kind::C64 => 4,
            Kind::C128 => 8,
            other => other.size(),
        }
    }

    pub(crate) fn is_complex(self) -> bool {
        matches!(self, Kind::C64 | Kind::C128)
    }

    /// The kind of the parts of a complex number.
    pub(crate) fn part(self) -> Option<Kind> {
        match self {
            Kind::C64 => Some(Kind::F32),
            Kind::C128 => Some(Kind::F64),
            _ => None,
        }
    }

    /// NumPy's name, `float64`.
    pub(crate) fn name(self) -> &'static str {
        self.names().name
    }

    /// The type in C, as LuaJIT's ffi spells it.
    pub(crate) fn c_type(self) -> &'static str {
        self.names().c_type
    }

    /// The format of the buffer protocol.
    pub(crate) fn format(self, swapped: bool) -> &'static CStr {
        if swapped { self.names().swapped_code } else { self.names().code }
    }

    /// NumPy's type string, `<f8`.
    pub(crate) fn type_string(self, swapped: bool) -> String {
        let order = match (self.size(), cfg!(target_endian = "little") != swapped) {
            (1, _) => '|',
            (_, true) => '<',
            (_, false) => '>',
        };
        format!("{order}{}{}", self.names().letter, self.size())
    }

    /// The kind that a script names: as NumPy does, as C does, or by a type string.
    ///
    /// # Errors
    /// A message for names that are unknown, or mean one thing in C and another in NumPy.
    pub(crate) fn from_name(name: &str) -> Result<Kind, String> {
        let bare = name.trim();
        match bare {
            "double" => return Ok(Kind::F64),
            "complex" => return Ok(Kind::C128),
            "float" => return Err(ambiguous(bare, "float32", "float64")),
            "int" | "long" => return Err(ambiguous(bare, "int32", "int64")),
            _ => {}
        }
        let native = bare.trim_start_matches(['=', '|', '@']);
        let native = native.strip_prefix(if cfg!(target_endian = "little") { '<' } else { '>' });
        let short = native.unwrap_or(bare.trim_start_matches(['=', '|', '@']));
        KINDS
            .iter()
            .find(|names| {
                names.name == bare
                    || (names.c_type == bare && names.kind != Kind::F16)
                    || names.also.contains(&bare)
                    || short == format!("{}{}", names.letter, names.size)
            })
            .map(|names| names.kind)
            .ok_or_else(|| {
                let all: Vec<_> = KINDS.iter().map(|names| names.name).collect();
                format!("unknown dtype '{bare}'; there are {}", all.join(", "))
            })
    }

    /// The kind that LuaJIT's ffi calls so; `None` for what no array can hold.
    pub(crate) fn from_ffi_name(name: &str) -> Option<Kind> {
        Some(match name {
            "char" if core::ffi::c_char::MIN as i32 == 0 => Kind::U8,
            "char" => Kind::I8,
            "int" => Kind::I32,
            "float" => Kind::F32,
            other => KINDS
                .iter()
                .find(|names| {
                    names.kind != Kind::F16
                        && (names.c_type == other || names.also.contains(&other))
                })
                .map(|names| names.kind)?,
        })
    }

    /// The kind that a format of the buffer protocol describes, and whether its byte order is the
    /// other one; `None` for what has no kind.
    pub(crate) fn from_format(format: &[u8], size: usize) -> Option<(Kind, bool)> {
        let (order, code) = match format {
            [b'@' | b'=' | b'^', rest @ ..] => (None, rest),
            [b'<', rest @ ..] => (Some(false), rest),
            [b'>' | b'!', rest @ ..] => (Some(true), rest),
            rest => (None, rest),
        };
        // How large `l` and its like are depends on the order mark; the exporter tells the size.
        let letter = match code {
            b"?" => 'b',
            b"b" | b"h" | b"i" | b"l" | b"q" | b"n" => 'i',
            b"B" | b"H" | b"I" | b"L" | b"Q" | b"N" | b"c" => 'u',
            b"e" | b"f" | b"d" => 'f',
            b"Zf" | b"Zd" | b"F" | b"D" => 'c',
            _ => return None,
        };
        let kind = KINDS.iter().find(|names| names.letter == letter && names.size == size)?.kind;
        let big = cfg!(target_endian = "big");
        Some((kind, size > 1 && order.is_some_and(|order| order != big)))
    }
}

fn ambiguous(name: &str, small: &str, large: &str) -> String {
    format!("'{name}' is not the same in C and in NumPy: say '{small}' or '{large}'")
}
