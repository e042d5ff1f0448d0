"""2,000 threads too short to be sampled, one after the other: starts.py KIND."""

import _thread
import ctypes
import functools
import sys
import threading
import time

from burn import burn


def work(seconds=0.0002):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def run(thread):
    thread.start()
    thread.join()


class Worker(threading.Thread):
    def run(self):
        work()


class Shy(threading.Thread):
    """Says what its target is to nobody but itself."""

    asked = 0

    @property
    def _target(self):
        if threading.current_thread() is not self:
            Shy.asked += 1
            raise RuntimeError
        return work

    @_target.setter
    def _target(self, target):
        pass

    @_target.deleter
    def _target(self):
        pass


def kind_target():
    run(threading.Thread(target=work))


def kind_subclass():
    run(Worker())


def kind_partial():
    run(threading.Thread(target=functools.partial(work, 0.0002)))


def kind_lambda():
    run(threading.Thread(target=lambda: work()))


def kind_shy():
    run(Shy())
    assert not Shy.asked


def kind_raw():
    done = _thread.allocate_lock()
    done.acquire()

    def work_and_tell():
        work()
        done.release()

    _thread.start_new_thread(work_and_tell, ())
    done.acquire()


def kind_odd():
    """Threads of C, created with the GIL, whose argument is nothing that can be understood."""
    c = ctypes.PyDLL(None)
    words = (ctypes.c_size_t * 8)()
    at = ctypes.addressof(words)
    routine = ctypes.cast(c.labs, ctypes.c_void_p)
    thread = ctypes.c_ulong()
    words[4], words[5] = id(words), id(kind_odd)
    for second in 0, 1, at + 32, at + 33, id(c), 2**64 - 1:
        words[0], words[1] = id(kind_odd), second
        for argument in 0, 1, 8, at, at + 1, at + 60, id(kind_odd), 2**47, 2**64 - 1, 2**64 - 8:
            assert c.pthread_create(ctypes.byref(thread), None, routine, ctypes.c_void_p(argument)) == 0
            assert c.pthread_join(thread, None) == 0


if __name__ == "__main__":
    kind = globals()["kind_" + sys.argv[1]]
    for _ in range(20 if kind is kind_odd else 2000):
        kind()
        if kind is kind_odd:
            kind_target()
    burn(0.1)
