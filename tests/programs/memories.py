"""A program that makes and drops what a profiler looks at: memories.py KIND [COUNT]. Says what came of it."""

import gc
import sys
import tracemalloc
import types

from burn import burn, spin

COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def resident_kib():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])


def step(x):
    for i in range(20):
        x = (x * 31 + i) % 1000003
    return x


def kind_code():
    """Code objects come, run and go; in the second half the process must not grow."""
    x = 1
    for half in range(2):
        begun_kib = resident_kib()
        for i in range(COUNT // 2):
            code = step.__code__.replace(co_name=f"made{i}", co_qualname=f"made{i}")
            x = types.FunctionType(code, {"range": range})(x)
        grown_kib = resident_kib() - begun_kib
    burn(0.3)
    print("done", x, "grown" if grown_kib > 4096 else "flat")


def run_and_go(seconds):
    burn(seconds)


def kind_freed():
    """Each is sampled while it runs, and gone the moment that it returns."""
    for i in range(COUNT):
        code = run_and_go.__code__.replace(co_name=f"gone{i}", co_qualname="gone")
        types.FunctionType(code, {"burn": burn})(0.02)
    print("done")


def numbers(count):
    try:
        for i in range(count):
            spin()
            yield i
    finally:
        spin()


def outer(count):
    result = yield from numbers(count)
    return result


async def wait(count):
    for _ in range(count):
        spin()
        await Pause()


class Pause:
    def __await__(self):
        spin()
        yield


def kind_generators():
    """Never begun, under way, closed, thrown into, at their end, forgotten, in a cycle."""
    ends = []
    for i in range(COUNT):
        outer(3)
        for last in (lambda g: g.close(), lambda g: list(g), lambda g: g.throw(KeyError), lambda g: None):
            generator = outer(3)
            next(generator)
            try:
                ends.append(last(generator))
            except KeyError:
                ends.append("KeyError")
        cycle = [outer(3)]
        next(cycle[0])
        cycle.append(cycle)
        coroutine = wait(3)
        coroutine.send(None)
        (coroutine.close if i % 2 else lambda: list(coroutine.__await__()))()
    gc.collect()
    burn(0.2)
    print(len(ends), ends[:4])


def down(levels):
    if levels:
        return down(levels - 1) + 1
    burn(0.3)
    return 0


def kind_deep():
    """A stack of so many Python functions; then it is left, a return after the other, by an exception as well."""
    sys.setrecursionlimit(COUNT * 2)
    print(down(COUNT))
    try:
        down(COUNT * 3)
    except RecursionError as error:
        print(error)
    print(sum(down_and_up(COUNT // 100) for _ in range(100)))


def down_and_up(levels):
    return down_and_up(levels - 1) + 1 if levels else 0


def kind_traced():
    tracemalloc.start(5)
    kept = [[i] * 10 for i in range(2000)]
    burn(0.3)
    snapshot = tracemalloc.take_snapshot()
    files = {trace.traceback[0].filename.rsplit("/")[-1] for trace in snapshot.traces}
    print(len(kept), sorted(name for name in files if name == "memories.py"))
    del kept
    kind_code()


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
