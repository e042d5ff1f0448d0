"""Threads of every kind: threads.py KIND [argument]. Prints what the CPU time of its threads was."""

import sys
import threading
import time

from burn import burn, spin

used = []


def worker(seconds):
    start = time.thread_time()
    burn(seconds)
    used.append(time.thread_time() - start)


def run(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(used))


def kind_busy():
    run([threading.Thread(target=worker, args=(0.15,), name=f"worker-{i}") for i in range(8)])


def kind_short():
    """1 to 15 ms each, one after the other and in pairs."""
    for _ in range(4):
        for ms in range(1, 16):
            pair = [threading.Thread(target=worker, args=(ms / 1000,)) for _ in range(2)]
            for thread in pair:
                thread.start()
            for thread in pair:
                thread.join()
    print(sum(used))


def kind_daemon():
    """Still running when the interpreter ends."""
    for _ in range(3):
        threading.Thread(target=burn, args=(1000,), daemon=True).start()
    burn(0.3)


def kind_unjoined():
    """Not a daemon: the interpreter waits for it, after main has ended."""
    threading.Thread(target=worker, args=(0.3,)).start()


def kind_native():
    """A library's own threads, without any Python: threads.py native LIBRARY FUNCTION."""
    import ctypes

    library = ctypes.CDLL(sys.argv[2])
    assert getattr(library, sys.argv[3])(ctypes.c_double(0.3)) == 0


def kind_native_call():
    """A library's own thread that calls into Python."""
    import ctypes

    library = ctypes.CDLL(sys.argv[2])
    callback = ctypes.CFUNCTYPE(None)(lambda: worker(0.3))
    assert library.thread_calls(callback) == 0
    print(sum(used))


def kind_raw():
    """Without the threading module."""
    import _thread

    done = _thread.allocate_lock()
    done.acquire()

    def work():
        worker(0.3)
        done.release()

    _thread.start_new_thread(work, ())
    done.acquire()
    print(sum(used))


def kind_many():
    """More than there are tables for, soon."""
    threads = [threading.Thread(target=spin) for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    burn(0.3)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
