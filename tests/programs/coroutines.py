"""coroutines.py LIBRARY SECONDS: coroutines on C and Python stacks of their own, which leave each other in the middle."""

import ctypes
import sys
import time

LIBRARY = ctypes.PyDLL(sys.argv[1])
LIBRARY.coroutine_go_on.argtypes = [ctypes.c_int, ctypes.py_object]
STEPS = 20


def spin():
    for _ in range(2000):
        pass


def a_leaf(steps):
    for _ in range(steps):
        spin()
        LIBRARY.coroutine_leave()


def a_down(levels):
    if levels:
        a_down(levels - 1)
    else:
        a_leaf(STEPS)


def a_root():
    a_down(20)


def b_leaf():
    spin()
    LIBRARY.coroutine_leave()


def b_root():
    """It comes back to nearly its own root each time, through C."""
    for _ in range(STEPS):
        max([1, 2], key=lambda number: b_leaf() or number)


def rest_go_on(numbers, levels):
    """Each goes on from another depth than the one before."""
    if levels:
        return rest_go_on(numbers, levels - 1)
    return [(number, LIBRARY.coroutine_go_on(number, b_root if number % 2 else a_root)) for number in numbers]


def run(seconds):
    end = time.thread_time() + seconds
    ended = rounds = 0
    while time.thread_time() < end:
        numbers = list(range(16))
        while numbers:
            done = rest_go_on(numbers, rounds % 30)
            assert all(outcome in (0, 1) for _, outcome in done), done
            numbers = [number for number, outcome in done if outcome == 0]
            ended += len(done) - len(numbers)
            rounds += 1
    assert ended and ended % 16 == 0, ended


for is_wanted in (0, 1, 0):
    print("alternate stack", is_wanted, LIBRARY.alternate_stack(is_wanted))
    run(float(sys.argv[2]) / 3)
print("done")
