"""CPU time in C, and in Python that C calls: native.py LIBRARY KIND SECONDS.

Prints the CPU time of the whole, in milliseconds.
"""

import ctypes
import functools
import hashlib
import json
import re
import sys
import threading
import time
import zlib

library = ctypes.CDLL(sys.argv[1])
seconds = float(sys.argv[3])
callback = ctypes.CFUNCTYPE(None)
for name in ("outer", "sort", "thread", "thrd", "context", "alternate"):
    getattr(library, "native_" + name).argtypes = [ctypes.c_double]
DATA = [(i * 7919) % 10007 for i in range(20000)]
TEXT = json.dumps([{"a": i, "b": [1, 2, 3]} for i in range(2000)])
BLOB = bytes(range(256)) * 400
PATTERN = re.compile(r"(a+)+b")


def call(kind, argument):
    getattr(library, "native_" + kind)(argument)


def burn(span):
    end = time.thread_time() + span
    while time.thread_time() < end:
        sum(range(1000))


def again(work):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        work()


def outer():
    call("outer", seconds)


def sort():
    call("sort", seconds)


def thread():
    call("thread", seconds)


def thrd():
    call("thrd", seconds)


def context():
    call("context", seconds)


def alternate():
    call("alternate", seconds)


def called_back():
    call("outer", seconds)


def between():
    """Python, C, Python, C."""
    library.native_call(callback(called_back))


def deep():
    library.native_deep(2000, callback(called_back))


def recurse(depth):
    if depth:
        recurse(depth - 1)
    else:
        call("outer", seconds)


def recursion():
    sys.setrecursionlimit(5000)
    recurse(1000)


def turns(depth):
    """Python and C in turns."""
    if depth:
        library.native_call(callback(functools.partial(turns, depth - 1)))
    else:
        call("outer", seconds)


def in_turns():
    turns(10)


def key(value):
    return -value


def use_sorted():
    again(lambda: sorted(DATA))


def use_keys():
    again(lambda: sorted(DATA, key=key))


def use_json():
    again(lambda: json.loads(TEXT))


def use_zlib():
    again(lambda: zlib.compress(BLOB, 6))


def use_hash():
    again(lambda: hashlib.sha256(BLOB).digest())


def use_re():
    again(lambda: PATTERN.match("a" * 16))


def use_python():
    again(lambda: burn(0.01))


def mixed():
    for work in (use_sorted, use_keys, use_json, use_zlib, use_hash, use_re, use_python, between, sort):
        work()


def threads():
    running = [threading.Thread(target=work) for work in (use_json, use_re, outer, between)]
    for one in running:
        one.start()
    for one in running:
        one.join()


globals()[sys.argv[2]]()
print(round(time.process_time() * 1000))
