"""The disk hangs from some moment on, and the program ends, or goes on: hanging_disk.py KIND."""

import os
import sys
import threading
import time

from burn import burn

HANGS = os.environ["BETWEEN_DISK"]


def before():
    burn(0.3)


def meanwhile():
    burn(0.3)


def in_child():
    burn(0.3)


def await_recorded():
    """What has been measured so far is on disk."""
    size = 0
    for _ in range(2):
        while (now := sum(entry.stat().st_size for entry in os.scandir("."))) <= size:
            burn(0.01)
        size = now


def hang():
    """Until our thread is stuck: the recording grows no more."""
    open(HANGS, "w").close()
    while not os.path.exists(HANGS + ".stuck"):
        burn(0.01)


def kind_normal():
    pass


def kind_fast_exit():
    os._exit(4)


def kind_fast_exit_in_a_thread():
    threading.Thread(target=os._exit, args=(5,)).start()
    time.sleep(1000)


def kind_fast_exit_beside_the_end():
    """A signal comes while main waits, and its handler is the C library's _exit: status 14."""
    import ctypes
    import signal

    library = ctypes.CDLL(None)
    library.signal(signal.SIGALRM, library._exit)
    signal.setitimer(signal.ITIMER_REAL, 0.2)


def kind_exec():
    """Elsewhere it does not hang."""
    os.environ.pop("BETWEEN_DISK")
    os.execv(sys.executable, [sys.executable, os.path.join(os.path.dirname(__file__), "burn.py")])


def kind_forks():
    child = os.fork()
    if child == 0:
        os.unlink(HANGS)
        in_child()
        return
    print(child, flush=True)
    meanwhile()
    assert os.waitpid(child, 0)[1] == 0


if __name__ == "__main__":
    before()
    await_recorded()
    hang()
    globals()["kind_" + sys.argv[1]]()
