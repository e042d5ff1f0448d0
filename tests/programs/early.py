"""Beside busy Python threads, a C library waits in system calls: early.py LIBRARY THREADS CALLS WORK_NS.
Prints for each kind of call how many came back early."""

import ctypes
import os
import sys
import threading

from burn import burn

for _ in range(2):
    threading.Thread(target=burn, args=(10000,), daemon=True).start()
status = ctypes.CDLL(sys.argv[1]).early_run(*map(int, sys.argv[2:]))
os._exit(status)
