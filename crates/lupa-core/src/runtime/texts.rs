//! The texts of chunks that the host has run, for tracebacks: which source line a Lua function is at.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use lua_api::NotedFrame;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::runtime::chunks::{DEFAULT_NAME, GivenCode};

/// How many texts are kept, and how long all of them are together.
const MOST: usize = 64;
const LONGEST: usize = 1 << 20;

/// Code that the host has run, and the name that it has given to it.
struct Text {
    name: Option<Py<PyAny>>,
    code: Py<PyAny>,
}

/// A text that is kept.
struct Kept {
    text: Text,
    length: usize,
    /// Functions may be defined in it.
    has_functions: bool,
}

/// What is run by `eval` or `execute` at this moment.
pub(crate) struct Running {
    text: Text,
    // How often the runtime has been entered.
    depth: u32,
}

/// Texts of chunks. Lua knows the name of a chunk, and no more; chunks that have one name are told apart by what is at the
/// lines where a function begins and ends. Where that leaves more than one, no text is shown, rather than a wrong one.
#[derive(Default)]
pub(crate) struct Texts {
    recent: RefCell<VecDeque<Kept>>,
    /// Others were there that are not kept; and some in which functions may be defined.
    has_lost: Cell<bool>,
    has_lost_functions: Cell<bool>,
    /// A number that is another one after each text.
    generation: Cell<u64>,
    running: Cell<Option<Running>>,
}

impl Text {
    /// `None` for objects that may have more than their text, which Python's collector would have to see.
    fn of(source: &GivenCode<'_, '_>) -> Option<Self> {
        let is_plain = |object: &Bound<'_, PyAny>| {
            object.is_exact_instance_of::<PyString>() || object.is_exact_instance_of::<PyBytes>()
        };
        if !is_plain(source.code) || !source.name.is_none_or(is_plain) {
            return None;
        }
        Some(Text {
            name: source.name.map(|name| name.clone().unbind()),
            code: source.code.clone().unbind(),
        })
    }

    fn is_of(&self, source: &GivenCode<'_, '_>) -> bool {
        let same_name = match (&self.name, source.name) {
            (None, None) => true,
            (Some(name), Some(other)) => name.is(other),
            _ => false,
        };
        same_name && self.code.is(source.code)
    }

    /// Whether the name of a chunk is that of this.
    fn is_named(&self, py: Python<'_>, name: &[u8]) -> bool {
        match &self.name {
            None => name == DEFAULT_NAME.to_bytes(),
            Some(own) => text_of(own.bind(py)).is_some_and(|own| own.as_bytes() == name),
        }
    }
}

impl Kept {
    fn of(source: &GivenCode<'_, '_>) -> Option<Self> {
        let text = Text::of(source)?;
        let length = source.code.len().ok().filter(|length| *length <= LONGEST)?;
        let has_functions = text_of(source.code)?.contains("function");
        Some(Kept { text, length, has_functions })
    }
}

/// The text of a `str` or of bytes.
fn text_of(object: &Bound<'_, PyAny>) -> Option<String> {
    if let Ok(text) = object.cast::<PyString>() {
        Some(text.to_string_lossy().into_owned())
    } else if let Ok(bytes) = object.cast::<PyBytes>() {
        Some(String::from_utf8_lossy(bytes.as_bytes()).into_owned())
    } else {
        None
    }
}

/// Whether a function of this place can be of a text.
fn fits(text: &str, frame: &NotedFrame) -> bool {
    let line = |number: i32| text.lines().nth(usize::try_from(number).ok()?.checked_sub(1)?);
    if line(frame.line).is_none() {
        return false;
    }
    frame.is_main
        || line(frame.line_defined).is_some_and(|line| line.contains("function"))
            && line(frame.last_line_defined).is_some_and(|line| line.contains("end"))
}

impl Texts {
    /// Notes a text that is compiled.
    pub(crate) fn note(&self, source: &GivenCode<'_, '_>) {
        let Ok(mut recent) = self.recent.try_borrow_mut() else { return };
        if recent.iter().any(|kept| kept.text.is_of(source)) {
            return;
        }
        self.generation.set(self.generation.get().wrapping_add(1));
        let Some(new) = Kept::of(source) else {
            self.has_lost.set(true);
            self.has_lost_functions.set(true);
            return;
        };
        let mut length: usize = recent.iter().map(|kept| kept.length).sum();
        // Dropped when nobody looks at the others any more.
        let mut oldest = Vec::new();
        while recent.len() >= MOST || length + new.length > LONGEST {
            // Those first of which no function can be.
            let place = recent.iter().rposition(|kept| !kept.has_functions);
            let place = place.or(recent.len().checked_sub(1));
            let Some(kept) = place.and_then(|place| recent.remove(place)) else { break };
            length -= kept.length;
            self.has_lost.set(true);
            self.has_lost_functions.set(self.has_lost_functions.get() || kept.has_functions);
            oldest.push(kept);
        }
        if recent.try_reserve(1).is_ok() {
            recent.push_front(new);
        }
        drop(recent);
    }

    /// Notes what begins to run at a depth of entries; gives what ran before.
    #[inline]
    pub(crate) fn begin(&self, source: &GivenCode<'_, '_>, depth: u32) -> Option<Running> {
        self.running.replace(Text::of(source).map(|text| Running { text, depth }))
    }

    /// It has ended.
    #[inline]
    pub(crate) fn end(&self, before: Option<Running>) {
        self.running.set(before);
    }

    /// Forgets all texts, at the end of the runtime.
    pub(crate) fn clear(&self) {
        let recent = self.recent.try_borrow_mut().map(|mut recent| std::mem::take(&mut *recent));
        drop(recent);
    }

    /// Gives `work` the text that runs, if a frame is of its main function; `depth` is that of the entry that has raised.
    fn with_running<R>(
        &self,
        frame: &NotedFrame,
        depth: u32,
        work: impl FnOnce(&Text) -> R,
    ) -> Option<R> {
        let running = self.running.take();
        let is_its = |running: &&Running| frame.is_main && running.depth == depth;
        let result = running.as_ref().filter(is_its).map(|running| work(&running.text));
        self.running.set(running);
        result
    }

    /// A number that is the same as long as [`Texts::find`] gives the same for a frame.
    pub(crate) fn state(&self, py: Python<'_>, frame: &NotedFrame, depth: u32) -> (u64, isize) {
        // Python keeps the hash of a text with it.
        let hash = |text: &Text| text.code.bind(py).hash().unwrap_or(0);
        (self.generation.get(), self.with_running(frame, depth, hash).unwrap_or(0))
    }

    /// The text of the chunk that a frame is of, if it is known, without what `eval` puts before it; `depth` is that of the
    /// entry that has raised.
    pub(crate) fn find(&self, py: Python<'_>, frame: &NotedFrame, depth: u32) -> Option<String> {
        let is_named = |text: &Text| text.is_named(py, &frame.chunk_name);
        let running = self
            .with_running(frame, depth, |text| is_named(text).then(|| text_of(text.code.bind(py))));
        if let Some(Some(found)) = running {
            return found;
        }
        let lost = if frame.is_main { &self.has_lost } else { &self.has_lost_functions };
        if lost.get() {
            return None;
        }
        let recent = self.recent.try_borrow().ok()?;
        let named = recent.iter().map(|kept| &kept.text).filter(|text| is_named(text));
        let mut fitting =
            named.filter_map(|text| text_of(text.code.bind(py))).filter(|text| fits(text, frame));
        let found = fitting.next()?;
        fitting.all(|other| other == found).then_some(found)
    }
}
