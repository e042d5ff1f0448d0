"""Programs whose work is done in C: natives.py NAME [LIBRARY]. LIBRARY is the compiled tests/programs/native.c.

Says "ready"; then for each line with a number does its piece of work so many times and answers with the
wall and the CPU time of that in ns. Ends with its standard input.
"""

import ctypes
import decimal
import hashlib
import json
import pickle
import re
import sqlite3
import ssl
import sys
import threading
import time
import zlib

ROWS = [{"id": i, "name": f"name {i}", "tags": ["a", "b"], "value": i / 7} for i in range(200)]
TEXT = json.dumps(ROWS)
LOG = "\n".join(f"2026-01-{i % 28 + 1:02} host{i} worker[{i}]: GET /path/{i}?q={i} 200" for i in range(100))
PATTERN = re.compile(r"^(\d+)-(\d+)-(\d+) (\w+) (\w+)\[(\d+)\]: (\w+) (\S+) (\d+)$", re.MULTILINE)
BLOB = TEXT.encode()


def use_json():
    json.loads(TEXT)
    json.dumps(ROWS)


def use_re():
    PATTERN.findall(LOG)
    re.sub(r"host(\d+)", lambda match: match.group(1), LOG)


def use_zlib():
    zlib.decompress(zlib.compress(BLOB))


def use_hashlib():
    hashlib.sha256(BLOB).digest()
    hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 200)


def use_sqlite3():
    database = sqlite3.connect(":memory:")
    database.create_function("half", 1, lambda value: value / 2)
    database.execute("create table numbers (key integer primary key, value real)")
    database.executemany("insert into numbers values (?, ?)", ((i, i * 7919 % 101) for i in range(500)))
    database.execute("select value, count(*), sum(half(key)) from numbers group by value order by 3").fetchall()
    database.close()


def use_pickle():
    pickle.loads(pickle.dumps(ROWS))


def use_decimal():
    with decimal.localcontext(prec=200):
        sum(decimal.Decimal(i).sqrt() for i in range(1, 30))


def use_ssl():
    """A context, and half a handshake in memory."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        outgoing.read()


def use_numpy_dot():
    MATRIX.dot(MATRIX)


def use_numpy_sort():
    numpy.sort(NUMBERS)


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
def compare(one, other):
    return one[0] - other[0]


def use_callbacks():
    numbers = (ctypes.c_int * 200)(*(i * 7919 % 211 for i in range(200)))
    ctypes.CDLL(None).qsort(numbers, 200, ctypes.sizeof(ctypes.c_int), compare)


def use_threads():
    """Threads of C that no Python ever enters, and of Python that are in C, in a sort with a callback in C."""
    thread = threading.Thread(target=LIBRARY.native_sort, args=(0.002,))
    thread.start()
    for start in LIBRARY.native_thread, LIBRARY.native_thrd:
        start(0.01)
    thread.join()


def use_deep():
    """Python and C in turns."""
    descend(12)


def descend(depth):
    if depth:
        LIBRARY.native_call(CALLBACK(lambda: descend(depth - 1)))
    else:
        json.dumps(ROWS)


def repeat(piece, times):
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(times):
        piece()
    return time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns


def main():
    piece = globals()["use_" + sys.argv[1].replace("-", "_")]
    repeat(piece, 3)
    print("ready", flush=True)
    for line in sys.stdin:
        print(*repeat(piece, int(line)), flush=True)
    print(time.process_time_ns(), flush=True)


if __name__ == "__main__":
    if sys.argv[1].startswith("numpy"):
        import numpy

        MATRIX = numpy.ones((120, 120))
        NUMBERS = numpy.arange(20000) * 7919 % 20011
    if len(sys.argv) > 2:
        CALLBACK = ctypes.CFUNCTYPE(None)
        LIBRARY = ctypes.CDLL(sys.argv[2])
        for function in LIBRARY.native_sort, LIBRARY.native_thread, LIBRARY.native_thrd:
            function.argtypes = [ctypes.c_double]
    main()
