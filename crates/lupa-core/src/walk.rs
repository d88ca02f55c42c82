//! [`Walk`]: going over the entries of a table with Lua's `next`, some at a time.
//!
//! A walk remembers every key that it has given, so that one may go on from any of the last ones:
//! numbers as numbers, others in a Lua table of its own.

use lua_api::{LuaBackend, Ref, State, value};

use crate::error::{Error, Result, raised};
use crate::runtime::{Entry, Runtime};

/// The most entries that are read at a time: more do not stay in the nearest cache until they are used.
pub(crate) const MOST: usize = 32;

/// A key that was read.
#[derive(Clone, Copy)]
pub(crate) enum Noted {
    Integer(i64),
    Float(f64),
    /// In the table of kept keys, at this place and one.
    Kept,
}

/// How far a walk has come.
#[derive(Default)]
pub(crate) struct Walk {
    noted: Vec<Noted>,
    kept: Option<Ref>,
}

impl Walk {
    /// Reads up to `most` entries: those after the first `given` of the last time, or from the start.
    ///
    /// Gives their number. The keys and values are on the stack then, in turn, from
    /// [`Walk::FIRST`] above its top of before.
    ///
    /// # Errors
    /// What Lua raises; nothing is on the stack then.
    pub(crate) fn read<B: LuaBackend>(
        &mut self,
        entry: &Entry<'_, B>,
        table: Ref,
        given: usize,
        most: usize,
    ) -> Result<usize> {
        let state = entry.state();
        let base = state.top();
        let most = most.min(MOST);
        if self.noted.capacity() < MOST && self.noted.try_reserve_exact(MOST).is_err() {
            return Err(Error::Memory);
        }
        let kept = self.kept;
        let notes = self.noted.as_mut_ptr();
        let last = given.checked_sub(1).and_then(|last| self.noted.get(last).copied());
        let read = state.protect_above(|raising| {
            raising.push_ref(table);
            raising.expect_table(1);
            match kept {
                Some(kept) => {
                    raising.push_ref(kept);
                    raising.expect_table(2);
                }
                None => raising.push_nil(),
            }
            raising.reserve(2 * MOST as i32 + lua_api::MIN_ROOM);
            match last {
                None => raising.push_nil(),
                Some(Noted::Integer(number)) => raising.push_integer(number),
                Some(Noted::Float(number)) => raising.push_number(number),
                Some(Noted::Kept) => raising.raw_geti(2, given as i64),
            }
            let mut count = 0;
            while count < most && raising.next(1) {
                let note = noted(raising.state(), -2);
                // SAFETY: there is room for as many, and nobody else uses them meanwhile.
                unsafe { notes.add(count).write(note) };
                count += 1;
                if matches!(note, Noted::Kept) {
                    if raising.type_of(2) == value::NIL {
                        raising.new_table(MOST as i32, 0);
                        raising.insert(2);
                        raising.remove(3);
                    }
                    raising.push_value(-2);
                    raising.raw_seti(2, count as i64);
                }
                if count < most {
                    raising.push_value(-2);
                }
            }
            1 + 2 * count as i32
        });
        let count = match read {
            Ok(count) => (count as usize - 1) / 2,
            Err(failure) => {
                // One may try again from where it was.
                if let Some(last) = last {
                    self.noted[given - 1] = last;
                }
                let error = raised(entry, state, failure);
                state.set_top(base);
                return Err(error);
            }
        };
        // SAFETY: so many have been written.
        unsafe { self.noted.set_len(count) };
        if self.kept.is_none() && state.type_of(base + 2) == value::TABLE {
            state.push_value(base + 2);
            match entry.instance.take_ref(state) {
                Ok(kept) => self.kept = Some(kept),
                Err(_) => {
                    state.set_top(base);
                    return Err(Error::Memory);
                }
            }
        }
        Ok(count)
    }

    /// One of the keys that were read the last time.
    #[inline(always)]
    pub(crate) fn key(&self, index: usize) -> Option<Noted> {
        self.noted.get(index).copied()
    }

    /// Where the first key is, above the top of the stack before [`Walk::read`].
    pub(crate) const FIRST: i32 = 3;

    /// Gives back what the walk holds in Lua. Never waits.
    pub(crate) fn end<B: LuaBackend>(&mut self, runtime: &Runtime<B>) {
        if let Some(kept) = self.kept.take() {
            runtime.drop_ref(kept);
        }
    }
}

#[inline(always)]
fn noted<B: LuaBackend>(state: State<B>, index: i32) -> Noted {
    match state.to_integer(index) {
        Some(integer) => Noted::Integer(integer),
        None if state.type_of(index) == value::NUMBER => Noted::Float(state.to_number(index)),
        None => Noted::Kept,
    }
}
