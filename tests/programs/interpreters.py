"""Interpreters beside the main one: interpreters.py KIND.

Each uses the CPU in sub_burn, the main one for 0.6 s in burn.
"""

import sys
import threading

from burn import burn

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

CODE = """
import time

def sub_spin():
    for _ in range(2000):
        pass

def sub_burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sub_spin()

sub_burn(%s)
"""


def run(seconds):
    interpreter = interpreters.create()
    failure = interpreters.run_string(interpreter, CODE % seconds)
    assert failure is None, failure
    interpreters.destroy(interpreter)


def kind_one():
    """Two, one after the other; the main interpreter works before and between."""
    burn(0.2)
    run(0.5)
    burn(0.4)
    run(0.7)


def kind_many():
    for _ in range(20):
        run(0.02)
    burn(0.6)


def kind_threads():
    threads = [threading.Thread(target=run, args=(0.3,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    burn(0.6)
    for thread in threads:
        thread.join()


def kind_left():
    """Never destroyed: the end of the runtime has to."""
    interpreters.run_string(interpreters.create(), CODE % 0.2)
    burn(0.6)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
