"""All that a program can see of its process and that must be as it was: prints it, line by line."""

import faulthandler
import gc
import os
import resource
import signal
import sys
import threading
import warnings

from burn import burn


def shown(name, value):
    print(f"{name}: {value!r}")


def show_all(when):
    print("==", when)
    descriptors = sorted(int(name) for name in os.listdir("/proc/self/fd"))
    shown("descriptors", descriptors)
    for number in sorted(signal.valid_signals()):
        try:
            shown(f"signal {int(number)}", signal.getsignal(number))
        except ValueError:
            pass
    shown("mask", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    shown("pending", signal.sigpending())
    shown("itimers", [signal.getitimer(which) for which in range(3)])
    shown("threads", [thread.name for thread in threading.enumerate()])
    shown("frames", len(sys._current_frames()))
    shown("modules", sorted(sys.modules))
    shown("path", sys.path)
    shown("flags", sys.flags)
    shown("warnings", warnings.filters)
    shown("trace", (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()))
    shown("tools", [(sys.monitoring.get_tool(i), sys.monitoring.get_events(i)) for i in range(6)])
    shown("switch interval", sys.getswitchinterval())
    shown("recursion limit", sys.getrecursionlimit())
    shown("fault handler", faulthandler.is_enabled())
    shown("collector", (gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.callbacks))
    shown("umask", os.umask(0o22))
    shown("directory is where it was", os.getcwd() == os.environ.get("PWD_BEFORE", os.getcwd()))
    shown("limits", [resource.getrlimit(i) for i in range(16)])
    shown("groups", (os.getpgrp() == os.getpid(), os.getsid(0) != os.getpid()))
    shown("priority", os.getpriority(os.PRIO_PROCESS, 0))
    shown("affinity", os.sched_getaffinity(0))
    names = sorted(name for name in os.environ if not name.startswith(("MONPROF", "LD_PRELOAD")))
    shown("environment", [(name, os.environ[name]) for name in names])
    shown("hooks", (sys.excepthook.__name__, sys.displayhook.__name__, sys.unraisablehook.__name__))


if __name__ == "__main__":
    show_all("at the start")
    burn(0.2)
    show_all("after work")
    thread = threading.Thread(target=show_all, args=("in a thread",))
    thread.start()
    thread.join()
