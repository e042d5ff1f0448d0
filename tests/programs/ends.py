"""Every way in which a program ends: ends.py WAY [argument]. Each first uses 0.3 s of CPU."""

import os
import signal
import sys
import threading
import time

from burn import burn, spin


def before():
    burn(0.3)


def after():
    burn(0.3)


def end_exit():
    sys.exit(3)


def end_message():
    sys.exit("bye")


def end_raise():
    raise ValueError("on purpose")


def end_forever():
    """Until somebody kills it."""
    print("ready", flush=True)
    while True:
        spin()


def end_sleep():
    """A signal that comes just before the system call is heard after it: Python looks between calls."""
    print("ready", flush=True)
    while True:
        time.sleep(0.1)


def end_handler():
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))
    end_forever()


def end__exit():
    os._exit(4)


def end__exit_thread():
    threading.Thread(target=os._exit, args=(5,)).start()
    while True:
        spin()


def end__exit_handler():
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(8))
    end_forever()


def end_exec():
    os.execv(sys.executable, [sys.executable, sys.argv[2]])


def end_exec_missing():
    try:
        os.execv("/nowhere/python", ["python"])
    except FileNotFoundError:
        pass
    try:
        os.execvp("no-such-program", ["no-such-program"])
    except FileNotFoundError:
        pass
    after()


def end_abort():
    os.abort()


def end_libc():
    """The C library's own ways: exit, _Exit, quick_exit."""
    import ctypes

    getattr(ctypes.CDLL(None), sys.argv[2])(6)


def end_normal():
    pass


if __name__ == "__main__":
    before()
    globals()["end_" + sys.argv[1]]()
