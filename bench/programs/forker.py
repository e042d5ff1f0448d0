"""Forks as often as each line of its input says, and prints how many nanoseconds each fork took, to the child's end."""

import os
import sys
import time


def fork():
    begun_ns = time.perf_counter_ns()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return time.perf_counter_ns() - begun_ns


if __name__ == "__main__":
    for line in sys.stdin:
        print(*[fork() for _ in range(int(line))], flush=True)
