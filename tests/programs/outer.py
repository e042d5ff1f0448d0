"""outer.py LIBRARY: it loads one itself, and fails to load another."""

import ctypes
import os
import sys

from burn import burn

library = ctypes.CDLL(sys.argv[1])
print(library.outer(os.RTLD_NOW), library.outer(os.RTLD_LAZY))
try:
    ctypes.CDLL("libinner.so")
except OSError as error:
    print(error)
burn(0.3)
