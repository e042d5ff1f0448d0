"""Burns CPU time in functions whose names and files are anything that a viewer may stumble over, each called by
another of them, in two threads; sys.argv[1] is how many seconds of CPU time each of the names gets."""

import json
import sys
import threading
import time

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 0.04
NAMES = [
    "<module>",
    "a;b 12",
    "\"quoted\" 'twice' \\",
    "new\nline\rand\ttab",
    "nul\0byte",
    "lone\ud800surrogate",
    "n" * 100000,
    "\u202e\u05e9\u05dc\u05d5\u05dd right to left",
    "",
    "</script><script>window.escaped = 1</script>",
    "<img src=x onerror='window.escaped = 2'><!--",
    "caf\u00e9 \U0001f40d",
]


def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def called(inner, seconds):
    spin(seconds)
    if inner:
        inner()


def named(name, inner):
    def function():
        called(inner, SECONDS)

    code = function.__code__.replace(co_name=name, co_qualname=name, co_filename="/srv/" + name + ".py")
    function.__code__ = code
    return function


def use_library():
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        json.dumps({"key": list(range(50))}, indent=1)


def main():
    inner = use_library
    for name in NAMES:
        inner = named(name, inner)
    thread = threading.Thread(target=inner, name="wor</script>ker")
    thread.start()
    inner()
    thread.join()


main()
