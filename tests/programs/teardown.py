"""What still runs while things end: teardown.py KIND [own|shared], the latter for kinds of sub-interpreters.
Prints what has come to pass."""

import atexit
import faulthandler
import os
import sys
import threading
import time
import weakref

from burn import burn

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

SUB = f"""
import atexit, os, sys, threading
sys.path.insert(0, {os.path.dirname(os.path.abspath(__file__))!r})
from burn import burn

def sub_at_exit():
    burn(0.1)
    print("exit function of the sub-interpreter", flush=True)

class SubKeeper:
    def __init__(self):
        self.burn, self.write = burn, os.write

    def __del__(self):
        self.burn(0.1)
        self.write(1, b"deleted in the sub-interpreter\\n")

def sub_before():
    burn(0.1)

sub_before()
"""


def create():
    is_own = sys.argv[2] == "own"
    if sys.version_info < (3, 13):
        return interpreters.create(isolated=is_own)
    return interpreters.create("isolated" if is_own else "legacy")


def run(interpreter, code):
    """How the code ended."""
    try:
        failure = interpreters.run_string(interpreter, SUB + code)
    except interpreters.RunFailedError as error:
        failure = error
    print("failed" if failure else "went well", flush=True)


def at_exit_work():
    burn(0.3)
    print("exit function", flush=True)


def finalized():
    burn(0.3)
    print("finalized", flush=True)


class Keeper:
    def __init__(self):
        self.burn = burn  # the module's names are gone by then
        self.write = os.write

    def __del__(self):
        self.burn(0.3)
        self.write(1, b"deleted\n")


def kind_work():
    global kept
    atexit.register(at_exit_work)
    kept = Keeper()
    sys.modules["kept by the interpreter"] = Keeper()
    weakref.finalize(kept.write, finalized)


def kind_exits_in_threads():
    """None of them is the program's end."""

    def leave(how, argument):
        burn(0.1)
        how(argument)

    def throw(argument):
        raise argument

    for how, argument in ((sys.exit, 3), (sys.exit, "said by nobody"), (throw, SystemExit(4))):
        thread = threading.Thread(target=leave, args=(how, argument))
        thread.start()
        thread.join()
        print("goes on", flush=True)
    threading.Thread(target=leave, args=(sys.exit, 5)).start()
    sys.exit(6)


def kind_daemons():
    """They run C and Python code, and wait, while all is taken down; and one starts others."""

    def churn():
        while True:
            [].append(object())
            sorted(range(100), key=lambda number: -number)

    def start():
        while True:
            threading.Thread(target=burn, args=(0.001,), daemon=True).start()

    for work in (churn, lambda: time.sleep(1000), start, lambda: burn(1000)):
        threading.Thread(target=work, daemon=True).start()
    at_exit_work()


def kind_watchdog():
    """A thread without any Python ends the process."""
    burn(0.3)
    # One line, whenever it comes.
    faulthandler.dump_traceback_later(0.01, exit=True), time.sleep(1000)


def kind_crash():
    import ctypes

    burn(0.3)
    ctypes.string_at(0)


def kind_exec():
    """teardown.py exec TIMES: itself, again and again."""
    burn(0.3)
    if sys.argv[2] != "0":
        os.execv(sys.executable, [sys.executable, *sys.argv[:2], str(int(sys.argv[2]) - 1)])


def kind_sub():
    """Each of its own ends is seen, and the program goes on."""
    for code in ("", "sys.exit(3)", "raise ValueError", "atexit.register(sub_at_exit)", "sys.kept = SubKeeper()"):
        interpreter = create()
        run(interpreter, code)
        interpreters.destroy(interpreter)
    burn(0.2)


def kind_sub_thread():
    """A thread of it that is waited for, at its end or before."""
    interpreter = create()
    run(interpreter, "threading.Thread(target=burn, args=(0.2,)).start()")
    interpreters.destroy(interpreter)
    burn(0.2)


def kind_sub_fast_exit():
    burn(0.2)
    run(create(), "burn(0.1); os._exit(7)")


def kind_sub_many():
    """They begin and end all the time, in several threads; some are never destroyed."""

    def work(count):
        for number in range(count):
            interpreter = create()
            interpreters.run_string(interpreter, "import sys; sorted(range(1000), key=abs)")
            if number % 4 or count > 4:
                interpreters.destroy(interpreter)

    threads = [threading.Thread(target=work, args=(4 + i % 2,)) for i in range(4)]
    for thread in threads:
        thread.start()
    burn(0.2)
    for thread in threads:
        thread.join()
    # At the end of an interpreter all names are read again: some of what came before has none.
    burn(0.2)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
