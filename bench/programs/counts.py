"""A program that knows how often it calls: counts.py KIND SECONDS. Prints each function and its exact number of calls.

    1us 5us 20us   a call every so often, all along
    phases         20 ms with a call every 1 us, 20 ms with one every 100 us, in turns
    idle           asleep but for 500 calls every 20 ms
    c              C calls of about 3 ms, and 50 calls in between
"""

import sys
import time

calls = {"often": 0, "rare": 0}


def often():
    pass


def rare():
    pass


def loops_of(ns):
    """Rounds of an empty loop that take so long."""
    best, rounds = 1e9, bytes(10000)  # whose numbers exist already
    for _ in range(20):
        begin = time.perf_counter_ns()
        for _ in rounds:
            pass
        best = min(best, time.perf_counter_ns() - begin)
    return bytes(max(1, int(ns * 10000 / best)))


def steadily(call, name, gap_ns, until):
    gap = loops_of(gap_ns)
    batch = range(max(1, int(2_000_000 / gap_ns)))
    while time.monotonic() < until:
        for _ in batch:
            call()
            for _ in gap:
                pass
        calls[name] += len(batch)


def phases(until):
    gaps = loops_of(1000), loops_of(100_000)
    while time.monotonic() < until:
        for _ in range(20_000):
            often()
            for _ in gaps[0]:
                pass
        for _ in range(200):
            rare()
            for _ in gaps[1]:
                pass
        calls["often"] += 20_000
        calls["rare"] += 200


def idle(until):
    while time.monotonic() < until:
        time.sleep(0.02)
        for _ in range(500):
            often()
        calls["often"] += 500


def c_calls(until):
    numbers = range(150_000)
    while time.monotonic() < until:
        sum(numbers)
        for _ in range(50):
            often()
        calls["often"] += 50


def main(kind, seconds):
    until = time.monotonic() + seconds
    if kind.endswith("us"):
        steadily(often, "often", int(kind[:-2]) * 1000, until)
    else:
        {"phases": phases, "idle": idle, "c": c_calls}[kind](until)
    for name, count in calls.items():
        if count:
            print(name, count)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
