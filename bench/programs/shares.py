"""Two functions that share the CPU: shares.py PERCENT SECONDS. Prints the CPU time of first() and of second() in
ns by the thread's own clock. Turns are of uneven length, so that no sampling rhythm can fit them."""

import random
import sys
import time


def spin(n):
    total = 0
    for i in range(n):
        total += i * i
    return total


def first(ns):
    end = time.thread_time_ns() + ns
    while time.thread_time_ns() < end:
        spin(200)


def second(ns):
    end = time.thread_time_ns() + ns
    while time.thread_time_ns() < end:
        spin(200)


def take_turns(share, seconds):
    clock = time.thread_time_ns
    used = [0, 0]
    stop = clock() + int(seconds * 1e9)
    while (begin := clock()) < stop:
        turn_ns = random.uniform(5e6, 35e6)
        first(share * turn_ns)
        middle = clock()
        second((1 - share) * turn_ns)
        used[0] += middle - begin
        used[1] += clock() - middle
    return used


if __name__ == "__main__":
    print(*take_turns(int(sys.argv[1]) / 100, float(sys.argv[2])))
