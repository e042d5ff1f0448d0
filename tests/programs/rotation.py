"""Work that outlasts recordings: rotation.py KIND SECONDS [FILE]. Prints what it has called, as counts.py does:
"CALLER CALLEE COUNT". Where there is a FILE it ends when that is there."""

import os
import sys
import threading
import time

DIGITS = int(os.environ.get("ROTATION_DIGITS", "3"))
PATHS = 4**DIGITS


def one(path, digits):
    if digits:
        STEPS[path & 3](path >> 2, digits - 1)


def two(path, digits):
    if digits:
        STEPS[path & 3](path >> 2, digits - 1)


def three(path, digits):
    if digits:
        STEPS[path & 3](path >> 2, digits - 1)


def four(path, digits):
    if digits:
        STEPS[path & 3](path >> 2, digits - 1)


STEPS = (one, two, three, four)


def sweep():
    for path in range(PATHS):
        STEPS[path & 3](path >> 2, DIGITS - 1)


def walk(seconds, sweeps):
    """Every way of so many steps, each step as often as the others, until the time is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sweep()
        sweeps.append(1)


def told(sweeps):
    for step in STEPS:
        print("walk", step.__name__, len(sweeps) * PATHS * DIGITS // len(STEPS), flush=True)


def await_file():
    while not os.path.exists(sys.argv[3]):
        time.sleep(0.01)


def kind_walk(seconds):
    sweeps = []
    walk(seconds, sweeps)
    told(sweeps)


def kind_threads(seconds):
    sweeps = []
    threads = [threading.Thread(target=walk, args=(seconds, sweeps)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told(sweeps)


def kind_sleep(seconds):
    time.sleep(seconds)


def kind_forks(seconds):
    """A child after each walk, which makes one of its own."""
    sweeps = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        walk(0.1, sweeps)
        child = os.fork()
        if child == 0:
            walk(0, [])
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    told(sweeps)


def kind_thread_forks(seconds):
    """Another thread works meanwhile."""
    sweeps = []
    thread = threading.Thread(target=walk, args=(seconds, sweeps))
    thread.start()
    while thread.is_alive():
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        time.sleep(0.1)
    thread.join()
    told(sweeps)


def kind_child_goes_on(seconds):
    """It rotates, too, at the same times."""
    child = os.fork()
    sweeps = []
    walk(seconds, sweeps)
    told(sweeps)
    if child:
        assert os.waitpid(child, 0)[1] == 0


def kind_os_exit(seconds):
    kind_walk(seconds)
    os._exit(0)


def kind_exec(seconds):
    kind_walk(seconds)
    os.execv(sys.executable, [sys.executable, __file__, "walk", str(seconds)])


def kind_no_directory(seconds):
    """It is gone after the first part, and stays away for some."""
    walk(seconds, [])
    os.rename(os.getcwd(), os.getcwd() + ".moved")
    walk(2 * seconds, [])


def kind_waits(seconds):
    """Not at work any more."""
    kind_walk(seconds)
    print("ready", flush=True)
    await_file()


def kind_busy(seconds):
    os.chdir("/")
    print("ready", flush=True)
    while not os.path.exists(sys.argv[3]):
        walk(seconds, [])


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]](float(sys.argv[2]))
