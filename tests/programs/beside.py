"""A program beside other libraries and other kinds of programs: beside.py KIND [argument]."""

import subprocess
import sys
import time

from limits import burn


def kind_clocks():
    """What is told of the clocks may be anything, and is asked for all the time."""
    begin = time.time()

    def spin():
        for _ in range(200):
            time.time()
            time.monotonic()

    def work(seconds):
        import resource
        end = resource.getrusage(resource.RUSAGE_THREAD).ru_utime + seconds
        while resource.getrusage(resource.RUSAGE_THREAD).ru_utime < end:
            spin()

    work(0.3)
    time.sleep(0.01)
    print(time.gmtime(begin).tm_year, time.time() == begin)


def kind_child():
    """beside.py child PROGRAM: another program, of any kind."""
    burn(0.1)
    child = subprocess.run(sys.argv[2:], capture_output=True, text=True)
    print(child.returncode, child.stdout, child.stderr)
    burn(0.1)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
