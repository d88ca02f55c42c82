"""FastRLock: a re-entrant lock that a backend's module has."""

import threading

import pytest


@pytest.fixture
def lock(lupa):
    """A fresh lock."""
    return lupa.FastRLock()


def in_thread(function):
    """Run a function in another thread and return its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_acquire_and_release(lock):
    assert lock.acquire()
    assert lock._is_owned()
    lock.release()
    assert not lock._is_owned()


def test_reentry(lock):
    for _ in range(5):
        assert lock.acquire()
    for _ in range(4):
        lock.release()
        assert lock._is_owned()
    lock.release()
    assert not lock._is_owned()


def test_release_without_acquire(lock):
    with pytest.raises(RuntimeError, match="^cannot release un-acquired lock$"):
        lock.release()
    lock.acquire()
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_context_manager(lock):
    with lock:
        assert lock._is_owned()
        with lock:
            assert lock._is_owned()
        assert lock._is_owned()
    assert not lock._is_owned()
    with pytest.raises(KeyError), lock:
        raise KeyError
    assert not lock._is_owned()


def test_another_thread_does_not_get_it(lock):
    with lock:
        assert in_thread(lambda: lock.acquire(False)) is False
        assert in_thread(lambda: lock.acquire(blocking=False)) is False
        assert in_thread(lock._is_owned) is False
    assert in_thread(lambda: lock.acquire(False) and (lock.release() or True)) is True


def test_another_thread_cannot_release_it(lock):
    def release():
        try:
            lock.release()
        except RuntimeError:
            return "refused"
        return "released"

    with lock:
        assert in_thread(release) == "refused"
        assert lock._is_owned()


def test_a_waiting_thread_gets_it(lock):
    got = threading.Event()

    def wait():
        with lock:
            got.set()

    lock.acquire()
    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.is_set()
    lock.release()
    thread.join()
    assert got.is_set()
    assert lock.acquire(False)


def test_contention(lock):
    """Many threads, each increment under the lock, none lost."""
    total = 0

    def work():
        nonlocal total
        for _ in range(500):
            with lock, lock:
                before = total
                for _ in range(20):
                    pass
                total = before + 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total == 4000
    assert not lock._is_owned()


def test_a_lock_dropped_while_held(lupa):
    lock = lupa.FastRLock()
    lock.acquire()
    del lock
