"""Calls of which one in so many is recorded: period.py CASE ROUNDS. Prints "CALLEE COUNT" for what it called,
all of it in functions of this file."""

import os
import sys
import threading


def told(**counts):
    for callee, count in counts.items():
        print(callee, count)


def leaf():
    pass


def often():
    leaf()
    leaf()


def seldom():
    pass


def steps(count):
    yield from range(count)


def of_c(values):
    len(values)
    abs(-1)
    abs(1)


def mix(rounds):
    """Seventeen calls a round, and another in ten."""
    values = [1, 2, 3]
    for number in range(rounds):
        often()
        often()
        of_c(values)
        for _ in steps(5):
            pass
        if number % 10 == 0:
            seldom()


def told_mix(rounds, mixes):
    told(often=2 * rounds, leaf=4 * rounds, steps=6 * rounds, of_c=rounds, len=rounds, abs=2 * rounds)
    told(seldom=rounds // 10, range=rounds + mixes)


def run_mix(rounds):
    mix(rounds)
    told_mix(rounds, 1)


def run_threads(rounds):
    threads = [threading.Thread(target=mix, args=(rounds,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told_mix(4 * rounds, 4)


def brief():
    for _ in range(10):
        often()


def run_short(rounds):
    """Threads that end before many a record."""
    for _ in range(rounds):
        thread = threading.Thread(target=brief)
        thread.start()
        thread.join()
    told(often=10 * rounds, leaf=20 * rounds)


def before(rounds):
    for _ in range(rounds):
        leaf()


def after(rounds):
    for _ in range(rounds):
        seldom()


def run_fork(rounds):
    """Each line has the pid before it."""
    before(rounds)
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        told(**{f"{os.getpid()} leaf": rounds, f"{os.getpid()} seldom": 0})
        return
    after(2 * rounds)
    told(**{f"{os.getpid()} leaf": 0, f"{os.getpid()} seldom": 2 * rounds})


def down(depth):
    leaf()
    leaf()
    if depth:
        down(depth - 1)


def run_deep(rounds):
    for _ in range(rounds):
        down(100)
    told(down=101 * rounds, leaf=202 * rounds)


if __name__ == "__main__":
    globals()["run_" + sys.argv[1]](int(sys.argv[2]))
