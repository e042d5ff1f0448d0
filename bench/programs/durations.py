"""Calls of known length: durations.py SECONDS. Prints for each function how long one call is, in ns: an empty loop,
timed where no call is, in turns with the calls."""

import sys
import time

LENGTHS_US = {"one": 1, "five": 5, "fifty": 50}


def loop_ns(times):
    begin = time.perf_counter_ns()
    for _ in times:
        pass
    return time.perf_counter_ns() - begin


# Over bytes: their numbers exist already.
ROUND_NS = min(loop_ns(bytes(10000)) for _ in range(20)) / 10000
TIMES = {name: bytes(int(us * 1000 / ROUND_NS)) for name, us in LENGTHS_US.items()}


def one(times=TIMES["one"]):
    for _ in times:
        pass


def five(times=TIMES["five"]):
    for _ in times:
        pass


def fifty(times=TIMES["fifty"]):
    for _ in times:
        pass


def main(seconds):
    until = time.monotonic() + seconds
    spent_ns = rounds = 0
    long = bytes(len(TIMES["fifty"]) * 2)
    while time.monotonic() < until:
        spent_ns += loop_ns(long)
        rounds += len(long)
        for _ in range(20):
            one()
            five()
            one()
            fifty()
    for name, times in TIMES.items():
        print(name, spent_ns / rounds * len(times))


if __name__ == "__main__":
    main(float(sys.argv[1]))
