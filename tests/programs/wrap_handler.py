"""Busy threads, and how often our handler was entered: wrap_handler.py LIBRARY THREADS SECONDS."""

import ctypes
import sys
import threading

from account import work

count, seconds = int(sys.argv[2]), float(sys.argv[3])
threads = [threading.Thread(target=work, args=(seconds / count,)) for _ in range(count)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(sys.argv[1]).wrap_end()
