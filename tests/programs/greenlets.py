"""greenlets.py SECONDS LOOPS: greenlets which leave each other in the middle, from Python and out of callbacks from C.

Each round is the same, whatever thread it is in: LOOPS says how long anyone goes on before the next is switched to.
"""

import functools
import sys
import threading
import time

import greenlet

STEPS = 10
LOOPS = int(sys.argv[2])


def spin():
    for _ in range(LOOPS):
        pass


def leave(value):
    """To whoever went on with this one: it comes back with what that one had to say."""
    return greenlet.getcurrent().parent.switch(value)


def a_leaf():
    total = 0
    for step in range(STEPS):
        spin()
        total += leave(step)
    return total


def a_down(levels):
    return a_down(levels - 1) if levels else a_leaf()


def a_root(number):
    """Out of a deep stack."""
    return a_down(20) + number


def b_key(number):
    spin()
    return -leave(number)


def b_root(number):
    """Out of C, which is called anew each time."""
    return sum(sorted(range(STEPS), key=b_key)) + number


def c_turn(total, step):
    spin()
    other = greenlet.getcurrent().other
    return total + (other.switch(step) if other else leave(step))


def c_produce():
    for step in range(STEPS):
        spin()
        yield leave(step)


def c_root(number):
    """Out of C that stays, and out of a generator below C; from one of a pair to the other, which is no child of it."""
    total = functools.reduce(c_turn, range(STEPS), number)
    greenlet.getcurrent().other = None
    return total + sum(c_produce())


def d_root(number):
    """It does not come to its end by itself."""
    try:
        while True:
            spin()
            number += leave(number)
    finally:
        spin()
        leave(number)


ROOTS = (a_root, b_root, c_root, d_root)


def begin():
    children = [greenlet.greenlet(ROOTS[number % 4]) for number in range(16)]
    for child, other in zip(children[2::4], children[6::4] + children[2:3]):
        child.other = other
    return children


def rest_go_on(children, levels, value):
    """Each goes on from another depth than the one before."""
    if levels:
        return rest_go_on(children, levels - 1, value)
    return [child.switch(value + child.number) for child in children if not child.dead]


def round_of_all():
    children = begin()
    total = turns = 0
    for number, child in enumerate(children):
        child.number = number
    while turns < 40:
        total += sum(rest_go_on(children, turns % 7, turns))
        turns += 1
    for child in children[3::4]:
        total += child.throw(greenlet.GreenletExit)
    return total


def run(seconds, totals):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        totals.append(round_of_all())


found = []
threads = [threading.Thread(target=run, args=(float(sys.argv[1]) / 2, found)) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(set(found))
