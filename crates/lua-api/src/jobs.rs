//! [`Jobs`]: what protected calls have to do, while it waits for the function that they enter by.
//!
//! Between the protected call and the entry function a hook of a script may run, and anything in it:
//! other protected calls, errors, and calls of the entry function by the script. So a job is found by its
//! ticket only, once, as long as the [`crate::State::protect`] that it belongs to has not ended, and on its own
//! coroutine only: what calls the entry function there is above that on the system's stack. (With greenlets, jobs of
//! other coroutines may be on a part of the stack that is put away.)
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};
use core::ptr::null_mut;

use crate::raw::lua_State;

/// A job that waits for its entry function.
struct Listed<J> {
    // By which the entry function knows it: no other job ever has it.
    ticket: u64,
    // The coroutine that the entry function is called on.
    on: *mut lua_State,
    job: *mut J,
}

/// The jobs that wait for their entry function, the last first.
pub(crate) struct Jobs<J> {
    list: RefCell<Vec<Listed<J>>>,
    tickets: Cell<u64>,
}

impl<J> Default for Jobs<J> {
    fn default() -> Self {
        Jobs { list: RefCell::default(), tickets: Cell::new(0) }
    }
}

impl<J> Jobs<J> {
    /// Puts a job on the list, for as long as what this gives is there; `None` where there is no memory.
    #[inline]
    pub(crate) fn put(&self, on: *mut lua_State, job: *mut J) -> Option<Waiting<'_, J>> {
        let ticket = self.tickets.get() + 1;
        self.tickets.set(ticket);
        let mut list = self.list.borrow_mut();
        if list.len() == list.capacity() {
            list.try_reserve(8).ok()?;
        }
        list.push(Listed { ticket, on, job });
        Some(Waiting { jobs: self, ticket, on })
    }

    /// Takes the job with this ticket off the list; null if there is none.
    #[inline]
    pub(crate) fn take(&self, ticket: u64, on: *mut lua_State) -> *mut J {
        let mut list = self.list.borrow_mut();
        let found = list.iter().rposition(|job| job.ticket == ticket && job.on == on);
        found.map_or(null_mut(), |index| list.swap_remove(index).job)
    }
}

/// A job in the list; dropping this takes it off.
pub(crate) struct Waiting<'a, J> {
    jobs: &'a Jobs<J>,
    ticket: u64,
    on: *mut lua_State,
}

impl<J> Waiting<'_, J> {
    #[inline(always)]
    pub(crate) fn ticket(&self) -> u64 {
        self.ticket
    }
}

impl<J> Drop for Waiting<'_, J> {
    #[inline(always)]
    fn drop(&mut self) {
        // It is still there if the entry function has not come to run.
        self.jobs.take(self.ticket, self.on);
    }
}

#[cfg(test)]
mod tests {
    use core::ptr::{null_mut, without_provenance_mut};

    use super::Jobs;

    #[test]
    fn a_job_is_taken_once_on_its_coroutine_while_it_waits() {
        let jobs = Jobs::default();
        let [mut first, mut second] = [1, 2];
        let (here, there) = (null_mut(), without_provenance_mut(8));
        let waiting = jobs.put(here, &raw mut first).unwrap();
        let other = jobs.put(there, &raw mut second).unwrap();
        let (ticket, other_ticket) = (waiting.ticket(), other.ticket());
        assert!(jobs.take(ticket, there).is_null() && jobs.take(0, here).is_null());
        assert_eq!(jobs.take(ticket, here), &raw mut first);
        assert!(jobs.take(ticket, here).is_null());
        drop((waiting, other));
        assert!(jobs.take(other_ticket, there).is_null());
    }
}
