"""A life of Python in a program that has several: what the library has a part in, used once more."""

import cProfile
import os
import signal
import sys
import threading

from burn import burn, spin


class Kept:
    def __del__(self, write=os.write):
        write(1, b"deleted\n")


def signals():
    seen = []
    before = signal.signal(signal.SIGURG, lambda number, frame: seen.append(number))
    os.kill(os.getpid(), signal.SIGURG)
    burn(0.01)
    signal.signal(signal.SIGURG, before)
    print(seen, before)


def children():
    child = os.fork()
    if child == 0:
        burn(0.05)
        os._exit(3)
    print(os.waitpid(child, 0)[1])


def threads():
    running = [threading.Thread(target=burn, args=(0.05,)) for _ in range(3)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()


def profiles():
    profiler = cProfile.Profile()
    profiler.enable()
    spin()
    profiler.disable()
    print(len(profiler.getstats()))


def tools():
    for tool in (sys.monitoring.DEBUGGER_ID, sys.monitoring.COVERAGE_ID):
        sys.monitoring.use_tool_id(tool, "theirs")
        sys.monitoring.free_tool_id(tool)


kept = Kept()
burn(0.3)
for part in (signals, children, threads, profiles, tools):
    part()
print("life is over", flush=True)
