"""Everything for which the library takes a lock in a thread of the program's."""

import sys
import threading

from burn import burn

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

SOURCE = """
def made(times):
    for _ in range(times):
        sorted(range(30), key=abs)
        len(str(times))
"""


def code_comes_and_goes():
    for _ in range(20):
        names = {}
        exec(SOURCE, names)
        names["made"](1000)
        del names


def interpreter_comes_and_goes():
    interpreter = interpreters.create()
    interpreters.run_string(interpreter, SOURCE + "made(10000)")
    interpreters.destroy(interpreter)


if __name__ == "__main__":
    burn(0.05)
    code_comes_and_goes()
    interpreter_comes_and_goes()
    thread = threading.Thread(target=code_comes_and_goes)
    thread.start()
    thread.join()
    interpreter_comes_and_goes()
    print("done")
