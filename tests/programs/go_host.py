"""Python with a Go library: go_host.py LIBRARY. Both go on with what they do."""

import ctypes
import sys

from burn import burn

library = ctypes.CDLL(sys.argv[1])
for step in ("go_preempts", "go_notified", "go_preempts"):
    print(step, getattr(library, step)(2), flush=True)
    burn(0.1)
