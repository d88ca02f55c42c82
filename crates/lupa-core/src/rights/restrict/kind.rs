//! The kinds of restricted functions, by what a call of one does.
#![forbid(unsafe_code)]

/// The behaviour of a restricted function when Lua code calls it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Set,
    Delete,
    Has,
    Vars,
    Dir,
    /// `str.format` and `str.format_map`, which know attributes: `'{0.__class__}'`.
    Format,
    /// `print`, which reads `file.write`.
    Print,
    /// An `operator.attrgetter`.
    AttributeGetter,
    /// An `operator.methodcaller`.
    MethodCaller,
    /// Calls functions that it gets as arguments: each of them is judged.
    Calls,
    /// A `__call__` of a class of Python's, which calls its first argument.
    CallSlot,
    /// `isinstance` and `issubclass`, which only look at their arguments.
    Compares,
    /// `type`: gives the class of an object, but makes none.
    Type,
    /// A class that `type` gave.
    Class,
    /// Is not called at all.
    Refused,
    /// Any of these in a sandbox.
    Never,
}

impl Kind {
    /// Whether this reads or writes attributes as a filter or handlers say, and does nothing else.
    pub(crate) fn is_about_attributes(self) -> bool {
        matches!(
            self,
            Kind::Get
                | Kind::Set
                | Kind::Delete
                | Kind::Has
                | Kind::Vars
                | Kind::Dir
                | Kind::Format
                | Kind::Print
        )
    }
}

/// A kind with its reason, which completes "it ...".
#[derive(Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) kind: Kind,
    pub(crate) why: &'static str,
}

impl Verdict {
    pub(crate) const fn new(kind: Kind, why: &'static str) -> Self {
        Verdict { kind, why }
    }

    pub(crate) const fn refused(why: &'static str) -> Self {
        Verdict { kind: Kind::Refused, why }
    }
}
