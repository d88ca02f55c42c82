//! [`Walk`]: going over the entries of a table with Lua's `next`, some at a time.
//!
//! A walk remembers every key that it has given, so that one may go on from any of the last ones:
//! numbers as numbers, others in a Lua table of its own.

use lua_api::{LuaBackend, Ref, State, value};

use crate::error::{Error, Result, raised};
use crate::runtime::{Entry, Runtime};

/// The most entries that are read at a time.
pub(crate) const MOST: usize = 64;

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
                count += 1;
                if raising.type_of(-2) != value::NUMBER {
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
                let error = raised(entry, state, failure);
                state.set_top(base);
                return Err(error);
            }
        };
        self.noted.clear();
        for index in 0..count as i32 {
            self.noted.push(noted(state, base + Self::FIRST + 2 * index));
        }
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
    if state.type_of(index) != value::NUMBER {
        return Noted::Kept;
    }
    match state.to_integer(index) {
        Some(integer) => Noted::Integer(integer),
        None => Noted::Float(state.to_number(index)),
    }
}
