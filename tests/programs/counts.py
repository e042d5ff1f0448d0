"""Calls that know how often they happen: counts.py CASE... prints a line for each count, "CALLER CALLEE
COUNT" for calls of CALLEE anywhere below CALLER. "CALLER * COUNT" are all calls there, of whatever.

Every start or resumption of a generator or coroutine is a call, as it is to cProfile."""

import asyncio
import functools
import os
import sys
import threading
import time


def told(caller, /, **counts):
    for callee, count in counts.items():
        print(caller, callee.replace("__dot__", "."), count)


def told_all(caller, /, **counts):
    told(caller, **counts)
    print(caller, "*", sum(counts.values()))


# ---- plain calls ----


def leaf():
    pass


def twice():
    leaf()
    leaf()


def plain():
    for _ in range(300):
        twice()
    leaf()


def run_plain():
    plain()
    told_all("plain", leaf=601, twice=300, range=1)


# ---- recursion ----


def down(depth):
    if depth:
        down(depth - 1)


def left(depth):
    if depth > 0:
        right(depth - 1)
        right(depth - 2)


def right(depth):
    if depth > 0:
        left(depth - 1)


def recursion():
    for _ in range(5):
        down(300)
    left(16)


def run_recursion():
    sys.setrecursionlimit(5000)
    recursion()
    lefts = rights = 0
    todo = [("left", 16)]
    while todo:
        kind, depth = todo.pop()
        if kind == "left":
            lefts += 1
            todo += [("right", depth - 1), ("right", depth - 2)] if depth > 0 else []
        else:
            rights += 1
            todo += [("left", depth - 1)] if depth > 0 else []
    told_all("recursion", down=5 * 301, left=lefts, right=rights, range=1)


# ---- exceptions ----


def fails():
    raise ValueError


def passes_on():
    fails()


def cleans_up():
    try:
        passes_on()
    finally:
        leaf()


def translates():
    try:
        cleans_up()
    except ValueError as error:
        raise KeyError from error


def exceptions():
    for _ in range(50):
        try:
            translates()
        except KeyError:
            pass
        try:
            int("no number")
        except ValueError:
            pass


def run_exceptions():
    exceptions()
    told_all("exceptions", fails=50, passes_on=50, cleans_up=50, translates=50, leaf=50, int=50, range=1)


# ---- generators ----


def ticks(count):
    for number in range(count):
        leaf()
        yield number


def delegates(count):
    yield from ticks(count)


def keeps_on():
    while True:
        try:
            yield
        except KeyError:
            leaf()


def generators():
    for _ in ticks(10):
        pass
    closed = ticks(10)
    next(closed)
    next(closed)
    closed.close()
    ticks(3).close()
    for _ in delegates(10):
        pass
    thrown = keeps_on()
    next(thrown)
    for _ in range(7):
        thrown.throw(KeyError)
    try:
        thrown.throw(ValueError)
    except ValueError:
        pass


def run_generators():
    generators()
    # Its end is a resumption. 3.13.0 closes without one, others throw.
    told("generators", leaf=10 + 2 + 10 + 7, delegates=11, keeps_on=1 + 7 + 1)
    told("delegates", ticks=11)


# ---- async ----


async def step():
    leaf()


async def sleeps():
    await step()
    await asyncio.sleep(0)
    await step()


async def numbers(count):
    for number in range(count):
        await asyncio.sleep(0)
        yield number


async def all_of_it():
    await asyncio.gather(*(sleeps() for _ in range(8)))
    async for _ in numbers(5):
        leaf()
    async for number in numbers(9):
        if number == 3:
            break


def run_async():
    asyncio.run(all_of_it())
    told("all_of_it", numbers=0 + 2 * 5 + 1 + 2 * 4, leaf=5)
    told("sleeps", step=16, leaf=16)
    told("run_async", sleeps=16)


# ---- ways to call ----


class Thing:
    def __init__(self, value=0):
        self.value = value

    def __lt__(self, other):
        leaf()
        return self.value < other.value

    def __call__(self, *values):
        leaf()

    @classmethod
    def made(cls):
        return cls()

    @staticmethod
    def stated():
        leaf()

    @property
    def doubled(self):
        return self.value * 2


class Derived(Thing):
    def __init__(self, value):
        super().__init__(value)


class Slotted:
    __slots__ = ("value",)

    def __new__(cls):
        return super().__new__(cls)


def takes(*values, **more):
    leaf()


def ways():
    values = (1, 2, 3)
    thing = Thing()
    bound = thing.__call__
    part = functools.partial(takes, 1)
    for _ in range(20):
        takes(*values)
        takes(*values, **{"more": 1})
        part(2)
        thing(*values)
        thing()
        bound()
        Thing.made()
        Thing.stated()
        thing.doubled
        Derived(1)
        Slotted()


def run_ways():
    ways()
    told("ways", takes=60, Thing__dot____call__=60, made=20, stated=20, doubled=20)
    told("ways", Derived__dot____init__=20, Thing__dot____init__=1 + 20 + 20)
    told("ways", Slotted__dot____new__=20)
    told("ways", leaf=60 + 60 + 20)


# ---- C that calls back ----


def key_of(value):
    return -value


def added(left_value, right_value):
    return left_value + right_value


def doubled_of(value):
    return leaf() or value * 2


def replaced(match):
    return "x"


def callbacks():
    import re

    sorted(range(100), key=key_of)
    [3, 1, 2].sort(key=key_of)
    list(map(doubled_of, range(50)))
    functools.reduce(added, range(30))
    min([5, 4, 6], key=key_of)
    sum(map(doubled_of, filter(key_of, range(1, 11))))
    re.sub("a", replaced, "banana")


def run_callbacks():
    import re

    re.sub("a", "", "b")
    callbacks()
    told("callbacks", key_of=100 + 3 + 3 + 10, doubled_of=60, added=29, leaf=60, replaced=3)
    told("callbacks", builtins__dot__sorted=1, list__dot__sort=1, _functools__dot__reduce=1)
    told("callbacks", builtins__dot__min=1)
    told("builtins.sorted", key_of=100)
    told("_functools.reduce", added=29)
    things = [Thing(-i) for i in range(40)]
    compared(things)
    told("compared", Thing__dot____lt__=39, leaf=39, builtins__dot__sorted=1)


def compared(things):
    return sorted(things)


# ---- C functions ----


def c_functions():
    values = []
    add = values.append
    for number in range(70):
        values.append(number)
        add(number)
        len(values)
        abs(-number)
        abs(*(number,))
        values.index(number)
    "a,b".split(",")
    max(1, 2)


def run_c():
    c_functions()
    told("c_functions", list__dot__append=140, builtins__dot__len=70, builtins__dot__abs=140, list__dot__index=70)
    told("c_functions", str__dot__split=1, builtins__dot__max=1)


# ---- threads ----


def work(count):
    for _ in range(count):
        twice()


def run_threads():
    threads = [threading.Thread(target=work, args=(1000 * (i + 1),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told_all("work", twice=10000, leaf=20000, range=4)


def brief(gate):
    gate.wait()
    for _ in range(10):
        twice()


def run_many():
    gate = threading.Event()
    threads = [threading.Thread(target=brief, args=(gate,)) for _ in range(100)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    told("brief", twice=1000, leaf=2000)
    told("run", brief=100)


def in_turn():
    leaf()


def run_short():
    for _ in range(300):
        thread = threading.Thread(target=in_turn)
        thread.start()
        thread.join()
    told("run", in_turn=300)


# ---- fork ----


def before():
    leaf()


def after():
    for _ in range(25):
        leaf()


def run_fork():
    """Parent's and child's lines have the pid before them."""
    for _ in range(11):
        before()
    child = os.fork()
    if child == 0:
        after()
        told(f"{os.getpid()} run_fork", after=1, before=0, leaf=25)
    else:
        after()
        after()
        os.waitpid(child, 0)
        told(f"{os.getpid()} run_fork", after=2, before=11, leaf=61)


def run_slowly():
    """Over several flushes: open calls move on to the next tree."""
    slowly(40, 30)
    told("slowly", waits=40, slowly=30, down=40 * 6)


def slowly(count, depth):
    if depth:
        return slowly(count, depth - 1)
    for _ in range(count):
        waits()


def waits():
    down(5)
    time.sleep(0.01)


# ---- for windows ----


def busy(rounds):
    for _ in range(rounds):
        pass


def often():
    busy(300)


def less_often():
    busy(900)


def steady(seconds):
    """How often each was called."""
    rounds = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(100):
            often()
            often()
            less_often()
        rounds += 100
    return rounds


def run_steady():
    rounds = steady(4)
    told("steady", often=2 * rounds, less_often=rounds, busy=3 * rounds)


def at_one_pace(seconds):
    count = 0
    end = time.process_time() + seconds
    while time.process_time() < end:
        for _ in range(100):
            busy(30)
        count += 100
    return count


def run_at_one_pace():
    told("at_one_pace", busy=at_one_pace(2.5))


def idle():
    for _ in range(1000):
        leaf()
        time.sleep(0.002)


def run_idle():
    idle()


# ---- for a stress ----


def mixed(rounds):
    for _ in range(rounds):
        twice()
        for _ in ticks(3):
            sorted((2, 1), key=key_of)
        try:
            cleans_up()
        except ValueError:
            pass


def stress(seconds, rounds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        mixed(100)
        rounds.append(100)


def run_stress():
    rounds = []
    seconds = float(os.environ["STRESS_SECONDS"])
    threads = [threading.Thread(target=stress, args=(seconds, rounds)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    many = sum(rounds)
    told("stress", twice=many, key_of=6 * many, cleans_up=many, passes_on=many, ticks=4 * many)


if __name__ == "__main__":
    for case in sys.argv[1:]:
        globals()["run_" + case]()
