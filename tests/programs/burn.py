"""Use the CPU for a while: burn.py [seconds]. The simplest program worth a profile."""

import sys
import time


def spin():
    for _ in range(20000):
        pass


def burn(seconds):
    """Until this thread has used so much CPU time more."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        spin()


if __name__ == "__main__":
    burn(float(sys.argv[1]) if len(sys.argv) > 1 else 0.3)
    print("done")
