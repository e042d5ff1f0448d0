"""The cost of one sample: sample.py SAMPLE.SO DEPTH... Prints for each depth: the depth as recorded, ns to walk and
record (least and median of many batches), the same for a whole handler without its system call, and for
that with cold caches.

All at module level, which is the frame of depth 1. The library is called with the GIL held, as it calls Python."""

import ctypes
import statistics
import sys

BATCHES = 20
REPEATS = 60


def at_depth(n, call):
    return at_depth(n - 1, call) if n > 1 else [call(BATCHES) for _ in range(REPEATS)]


def depth_at(n):
    return depth_at(n - 1) if n > 1 else library.sample_depth()


library = ctypes.PyDLL(sys.argv[1])
library.sample_start.restype = ctypes.c_char_p
library.sample_record_ns.restype = ctypes.c_double
library.sample_handler_ns.restype = ctypes.c_double
library.sample_cold_ns.restype = ctypes.c_double
sys.setrecursionlimit(2000)
error = library.sample_start()
if error:
    raise SystemExit(error.decode())
for depth in map(int, sys.argv[2:]):
    row = [depth_at(depth - 1) if depth > 1 else library.sample_depth()]
    for call in library.sample_record_ns, library.sample_handler_ns, library.sample_cold_ns:
        if depth > 1:
            costs = at_depth(depth - 1, call)
        else:
            costs = [call(BATCHES) for _ in range(REPEATS)]
        if min(costs) < 0:
            raise SystemExit("a sample could not be taken")
        row += min(costs), statistics.median(costs)
    print(*row)
