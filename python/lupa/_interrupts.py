"""What makes Ctrl-C end a command even while Lua code runs that never comes back to Python."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

GRACE = 1.0  # seconds that Lua code has to come back to Python after an interrupt


@contextmanager
def interrupts_end(flush: Callable[[], object]) -> Iterator[None]:
    """End the process when Lua code leaves an interrupt pending.

    An interrupt becomes a KeyboardInterrupt when the main thread runs Python code.  If it does not
    within GRACE, another thread calls ``flush``, says so and ends the process with status 130.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the business of another one
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    last_handled = -GRACE * 3

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal last_handled
        last_handled = time.monotonic()
        raise KeyboardInterrupt

    def watch() -> None:
        while signal.SIGINT in reader.recv(4096):
            arrived = time.monotonic()
            time.sleep(GRACE)
            # The main thread may have been faster than this one to see it.
            if last_handled < arrived - GRACE:
                flush()
                print("lua: interrupted!", file=sys.stderr, flush=True)
                os._exit(130)

    threading.Thread(target=watch, name="lupa-interrupts", daemon=True).start()
    old_handler = signal.signal(signal.SIGINT, handle)
    old_wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(old_wakeup)
        signal.signal(signal.SIGINT, old_handler)
        writer.close()  # which ends the thread
