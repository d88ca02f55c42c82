//! The hook that Lua calls when somebody wants it to look whether it has to stop: see [`crate::runtime::stop`].
#![forbid(unsafe_code)]

use lua_api::{Hook, Instance, LuaBackend, State};

use crate::calls::callback::{Callback, Outcome, call_inner};
use crate::runtime::entry::Entry;
use crate::runtime::runtime::Runtime;

/// The debug hook that Lua calls.
pub(crate) struct StopHook;

impl<B: LuaBackend> Hook<B> for StopHook {
    fn wait(instance: &Instance<B>) {
        if let Some(runtime) = instance.host::<Runtime<B>>() {
            runtime.let_go();
        }
    }

    fn is_wanted(instance: &Instance<B>, may_run: bool) -> bool {
        let Some(runtime) = instance.host::<Runtime<B>>() else { return false };
        // The thread that asked for this call of the hook may wait for the GIL.
        runtime.let_go();
        // Callers that allow no code to run also rely on the stack staying where it is, unless Lua is left.
        may_run || runtime.has_to_stop()
    }

    fn run(state: State<B>, may_run: bool) -> bool {
        let runtime = state.instance().host::<Runtime<B>>();
        runtime.is_some_and(|runtime| is_to_stop(runtime, state, may_run))
    }
}

/// True when the error to raise is on top of the stack. Handlers of signals wait where none `may_run`.
#[inline(never)]
fn is_to_stop<B: LuaBackend>(runtime: &Runtime<B>, state: State<B>, may_run: bool) -> bool {
    let watch = runtime.instance.watch();
    if may_run && !runtime.is_stopping() {
        runtime.go_on_counting(state);
        if runtime.reason().is_none() {
            if !watch.is_counting() {
                state.put_back_hook();
            }
            return runtime.listens() && call_inner::<B, Signals>(runtime, state) < 0;
        }
        if state.puts_stop_off() {
            return false;
        }
    }
    call_inner::<B, Stop>(runtime, state) < 0
}

/// Runs the handlers of signals that have come meanwhile.
struct Signals;

impl<B: LuaBackend> Callback<B> for Signals {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        entry.handle_signals(state)?;
        Ok(0)
    }
}

/// Raises what Lua is stopped with.
struct Stop;

impl<B: LuaBackend> Callback<B> for Stop {
    fn run(entry: &Entry<'_, B>, state: State<B>) -> Outcome {
        Err(entry.stop(state).into())
    }
}
