"""A program whose every possible stack is known: impossible.py SECONDS. bench/stacks.py reads this source:

    call()    #> names    the functions that may be above this line's frame ("foreign": code of other files)
    def f():  #< foreign  may be called from code of other files

A function whose name ends in _a, _b, ... belongs to that family, and no stack holds two of them. Numbers
in made-up names (outer_17) must agree all along a stack. Each call stands on a line of its own.
"""

import asyncio  #> foreign
import sys  #> foreign
import threading  #> foreign
import time  #> foreign


def work(n):
    total = 0
    for i in range(n):
        total += i * i
    return total


# Two call trees in turns: the same depth, the same helper, other functions.


def shared(call, n):
    work(20)  #> work
    call(n)  #> leaf_a leaf_b leaf_c leaf_d
    work(10)  #> work


def leaf_a(n):
    work(n)  #> work


def twig_a(n):
    leaf_a(n)  #> leaf_a
    shared(leaf_a, n)  #> shared


def branch_a(n):
    twig_a(n)  #> twig_a
    sorted([3, 1, 2], key=key_a)  #> key_a


def key_a(item):
    return work(5) + item  #> work


def tree_a(n):
    branch_a(n)  #> branch_a
    twig_a(n)  #> twig_a


def leaf_b(n):
    work(n)  #> work


def twig_b(n):
    shared(leaf_b, n)  #> shared
    leaf_b(n)  #> leaf_b


def branch_b(n):
    max([3, 1, 2], key=key_b)  #> key_b
    twig_b(n)  #> twig_b


def key_b(item):
    return work(5) - item  #> work


def tree_b(n):
    twig_b(n)  #> twig_b
    branch_b(n)  #> branch_b


def trees(until):
    while time.monotonic() < until:
        for n in range(10, 60):
            tree_a(n)  #> tree_a
            tree_b(n)  #> tree_b


# Generators: driven by a loop, by yield from, closed early, thrown into.


def inner_a(n):
    for i in range(n):
        yield work(5) + i  #> work


def middle_a(n):
    yield from inner_a(n)  #> inner_a
    for item in inner_a(n):  #> inner_a
        yield item


def outer_a(n):
    yield from middle_a(n)  #> middle_a


def drive_a(n):
    for item in outer_a(n):  #> outer_a
        work(item % 7)  #> work


def inner_b(n):
    try:
        for i in range(n):
            yield work(5) + i  #> work
    except KeyError:
        work(10)  #> work
    finally:
        leaf_b(3)  #> leaf_b


def drive_b(n):
    generator = inner_b(n)
    for _ in range(n // 2):
        next(generator)  #> inner_b
    generator.close()  #> inner_b
    generator = inner_b(n)
    next(generator)  #> inner_b
    try:
        generator.throw(KeyError)  #> inner_b
    except StopIteration:
        expression = (work(i) for i in range(n))  #> work
        return sum(expression)  #> <genexpr>


def generators(until):
    while time.monotonic() < until:
        for n in range(4, 30):
            drive_a(n)  #> drive_a
            drive_b(n)  #> drive_b


# Coroutines, by hand and by asyncio.


class Switch:  #> Switch
    def __await__(self):
        yield work(3)  #> work


async def sip_a(n):
    await Switch()  #> __await__
    return work(n)  #> work


async def drink_a(n):
    for _ in range(3):
        await sip_a(n)  #> sip_a


async def sip_b(n):
    work(n)  #> work
    await Switch()  #> __await__


async def drink_b(n):
    await sip_b(n)  #> sip_b
    await sip_b(n)  #> sip_b


def by_hand(n):
    first, second = drink_a(n), drink_b(n)
    done = 0
    while done < 2:
        done = 0
        for coroutine in (first, second):
            try:
                coroutine.send(None)  #> drink_a drink_b
            except (StopIteration, RuntimeError):
                done += 1


async def task_a(n):  #< foreign
    await asyncio.sleep(0)  #> foreign
    work(n)  #> work
    await nested_a(n)  #> nested_a


async def nested_a(n):
    await asyncio.sleep(0)  #> foreign
    leaf_a(n)  #> leaf_a


async def task_b(n):  #< foreign
    leaf_b(n)  #> leaf_b
    await asyncio.sleep(0)  #> foreign
    work(n)  #> work


async def tasks(until):  #< foreign
    while time.monotonic() < until:
        await asyncio.gather(task_a(20), task_b(20), task_a(30), task_b(30))  #> foreign
        by_hand(20)  #> by_hand


def coroutines(until):
    asyncio.run(tasks(until))  #> foreign


# Recursion in a fixed order: one, two, three, one, ... deeper than is kept, too.


def one(n):
    return two(n - 1) + 1 if n else work(50)  #> two work


def two(n):
    return three(n - 1) + 1 if n else work(50)  #> three work


def three(n):
    return one(n - 1) + 1 if n else work(50)  #> one work


def recursion(until):
    while time.monotonic() < until:
        for depth in (3, 10, 100, 400, 700):
            one(depth)  #> one


# Code objects that come and go, at the same addresses, under other names.

MADE = "{gap}def inner_{k}(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t\ndef outer_{k}(n):\n    return inner_{k}(n)\n"


def make(k):
    namespace = {}
    code = compile(MADE.format(gap="\n" * (k % 50), k=k), f"<made {k}>", "exec")
    exec(code, namespace)  #> <module>
    return namespace[f"outer_{k}"]


def made(until):
    k = 0
    while time.monotonic() < until:
        k += 1
        function = make(k)  #> make
        function(150)  #> outer
        del function


# Threads: each has a family of its own.


def leaf_c(n):
    work(n)  #> work


def thread_c(until):  #< foreign
    while time.monotonic() < until:
        shared(leaf_c, 30)  #> shared


def leaf_d(n):
    work(n)  #> work


def thread_d(until):  #< foreign
    while time.monotonic() < until:
        leaf_d(20)  #> leaf_d
        shared(leaf_d, 20)  #> shared


def threads(until):
    running = [threading.Thread(target=target, args=(until,)) for target in (thread_c, thread_d) * 2]  #> foreign
    for thread in running:
        thread.start()  #> foreign
    for thread in running:
        thread.join()  #> foreign


if __name__ == "__main__":
    sys.setrecursionlimit(3000)
    parts = (trees, generators, coroutines, recursion, made, threads)
    for part in parts:
        part(time.monotonic() + float(sys.argv[1]) / len(parts))  #> trees generators coroutines recursion made threads
