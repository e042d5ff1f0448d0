"""Compares libmonprof's raw stack walk, lines and names with what Python itself says.

usage: LD_PRELOAD=FRAMES_CHECK.so python frames_check.py FRAMES_CHECK.so [all]
Run by each real Python; prints one line a check and exits 0, or a traceback and 1.  The library is
preloaded because it has static thread-local storage, which dlopen may have no room for.  "all"
compares the lines of the whole standard library's top level.
"""

import asyncio
import ctypes
import functools
import gc
import os
import sys
import threading
import types

lib = ctypes.PyDLL(sys.argv[1])
unlocked = ctypes.CDLL(sys.argv[1])  # the same library; calls are made without the GIL

OK, CUT, NONE, UNSURE = range(4)
DEPTH = 64


class Frame(ctypes.Structure):
    _fields_ = [("code", ctypes.c_size_t), ("instruction", ctypes.c_size_t)]


class Sample(ctypes.Structure):
    _fields_ = [("result", ctypes.c_uint32), ("count", ctypes.c_uint32),
                ("time_ns", ctypes.c_uint64), ("frames", Frame * DEPTH)]


class Symbol(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("file", ctypes.c_char_p),
                ("name_bytes", ctypes.c_uint32), ("file_bytes", ctypes.c_uint32),
                ("first_line", ctypes.c_uint32), ("serial", ctypes.c_uint32)]


def declare(name, result, *arguments):
    for of in lib, unlocked:
        getattr(of, name).restype = result
        getattr(of, name).argtypes = arguments


declare("check_start", ctypes.c_char_p)
declare("check_wrong", ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int)
declare("walk_now", ctypes.c_int, ctypes.c_size_t)
declare("walk_count", ctypes.c_size_t)
declare("walk_code", ctypes.c_size_t, ctypes.c_size_t)
declare("walk_offset", ctypes.c_int64, ctypes.c_size_t)
declare("walk_cost_ns", ctypes.c_double, ctypes.c_size_t, ctypes.c_size_t)
declare("lines_differ", ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
declare("sampling_start", None, ctypes.c_long)
declare("sampling_stop", ctypes.c_uint32)
declare("sampling_get", ctypes.POINTER(Sample), ctypes.c_uint32)
declare("mark", None, ctypes.c_size_t)
declare("now_ns", ctypes.c_uint64)
declare("watch", ctypes.c_char_p)
declare("unwatch", None)
declare("find", ctypes.POINTER(Symbol), ctypes.c_size_t, ctypes.c_uint64)
declare("line", ctypes.c_uint32, ctypes.POINTER(Symbol), ctypes.c_int)
declare("drained", None, ctypes.c_uint64)

compared = 0


def compare(limit=20000, library=lib):
    """The stack as we walk it is the stack as Python shows it; this function's frame aside."""
    global compared
    result = library.walk_now(limit)
    ours = [(lib.walk_code(i), lib.walk_offset(i)) for i in range(lib.walk_count())]
    frame, theirs = sys._getframe(), []
    while frame is not None:
        theirs.append((id(frame.f_code), frame.f_lasti))
        frame = frame.f_back
    expected = CUT if len(theirs) > limit else OK
    assert result == expected, (result, expected)
    theirs = theirs[:limit]
    assert ours[0][0] == theirs[0][0]
    assert ours[1:] == theirs[1:], (len(ours), len(theirs), ours[:8], theirs[:8])
    compared += 1
    return True


# --- the self-check ---


def check_wrong_offsets():
    """An offset that is not right is noticed, without a crash; but for those that are not used."""
    unused = {8, 9} if sys.version_info < (3, 13) else {2, 3, 8, 9}  # tlbc; cframe
    member = 0
    while lib.check_wrong(member, 0) is None:
        for by in -8, -4, 4, 8:
            said = lib.check_wrong(member, by)
            assert (said is not None) or member in unused, (member, by)
        member += 1
    assert member > 20, member
    assert lib.check_start() is None
    print("self-check:", member, "members wrong, all noticed")


# --- stacks of every shape ---


def recursion(depth, then):
    return recursion(depth - 1, then) if depth else then()


def generator(n):
    for i in range(n):
        compare()
        yield i


def delegating(n):
    yield from generator(n)


async def coroutine(n):
    await asyncio.sleep(0)
    compare()
    async for _ in async_generator(n):
        compare()
    return [x async for x in async_generator(n)]


async def async_generator(n):
    for i in range(n):
        compare()
        yield i
        await asyncio.sleep(0)


async def tasks():
    await asyncio.gather(*(asyncio.create_task(coroutine(2)) for _ in range(3)))


class Ordered:
    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        compare()
        return self.value < other.value


class Base:
    def __init__(self):
        compare()


class Derived(Base):
    def __init__(self):
        super().__init__()
        self.inner = Base()

    @property
    def shown(self):
        return compare()

    def __getattr__(self, name):
        return compare()

    def __del__(self):
        compare()


def closing():
    try:
        yield 1
    finally:
        compare()


def shapes():
    compare()
    recursion(50, compare)
    list(generator(3))
    list(delegating(3))
    sorted([1, 2, 3], key=lambda x: compare())
    sorted([Ordered(3), Ordered(2), Ordered(1)])
    list(map(lambda x: sorted([x], key=lambda y: compare()), [1, 2]))
    functools.reduce(lambda a, b: compare(), [1, 2, 3])
    [compare() for _ in range(2)]
    {compare(): next(generator(1)) for _ in range(2)}
    for _ in range(100):  # warm, so that the interpreter's own frame for __init__ is used
        derived = Derived()
    assert derived.shown and derived.missing
    del derived
    exec("compare()\nclass Body:\n    compare()\n", {"compare": compare})
    suspended = closing()
    next(suspended)
    suspended.close()
    thrown = closing()
    next(thrown)
    try:
        thrown.throw(ValueError)
    except ValueError:
        compare()
    asyncio.run(tasks())


def check_shapes():
    shapes()
    threads = [threading.Thread(target=compare), threading.Thread(target=shapes)]
    for thread in threads:  # one at a time: there is one table for a walk
        thread.start()
        thread.join()
    recursion(20, functools.partial(compare, library=unlocked))
    for depth in range(90, 110):
        recursion(depth, functools.partial(compare, limit=100))
    sys.setrecursionlimit(11000)
    # -X perf: every call takes C stack too, of which CPython allows less
    deep = 500 if sys.is_stack_trampoline_active() else 10000
    recursion(deep, compare)
    recursion(deep, functools.partial(compare, limit=400))
    sys.setrecursionlimit(1000)
    print("stacks:", compared, "compared")


# --- lines ---


def codes_of(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_of(constant)


def check_lines():
    count = 0
    folder = os.path.dirname(os.__file__)
    for name in sorted(os.listdir(folder))[:: 1 if len(sys.argv) > 2 else 3]:
        if not name.endswith(".py"):
            continue
        with open(os.path.join(folder, name), "rb") as file:
            module = compile(file.read(), name, "exec")
        for code in codes_of(module):
            differs = lib.lines_differ(id(code), len(code.co_code))
            assert differs == -1, (name, code, differs)
            count += 1
    odd = compile("a = (\n\n\n\n1 +\n" + "\n" * 5000 + "b)\n" * 1, "odd", "exec")
    assert lib.lines_differ(id(odd), len(odd.co_code)) == -1
    assert count > 1000, count
    print("lines:", count, "code objects equal")


# --- samples out of a handler ---


def leaf(n):
    return sum(i * i for i in range(n))


class Key:
    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return self.value < other.value


def sorting():
    sorted(Key(i * 7919 % 1009) for i in range(300))


def counting(n):
    while n:
        yield n
        n -= 1


def summing():
    return sum(counting(500)) + leaf(200)


def work():
    for _ in range(120):
        sorting()
        summing()


def check_samples():
    lib.sampling_start(200)
    rounds = 0
    while rounds < 40:
        work()
        rounds += 1
    count = lib.sampling_stop()
    here = sys._getframe().f_code
    inside = {id(code): code.co_qualname for function in
              (leaf, Key.__init__, Key.__lt__, sorting, counting, summing, work)
              for code in codes_of(function.__code__)}
    inside[id(here)] = "check_samples"
    parents = {"leaf.<locals>.<genexpr>": {"leaf"}, "leaf": {"summing"}, "Key.__lt__": {"sorting"},
               "Key.__init__": {"sorting.<locals>.<genexpr>"},
               "sorting.<locals>.<genexpr>": {"sorting"}, "sorting": {"work"},
               "counting": {"summing"}, "summing": {"work"}, "work": {"check_samples"}}
    root = sys._getframe()
    while root.f_back:
        root = root.f_back
    root = root.f_code
    unsure = 0
    for i in range(count):
        sample = lib.sampling_get(i).contents
        assert sample.result in (OK, UNSURE), sample.result
        if sample.result == UNSURE:
            unsure += 1
            continue
        assert sample.frames[sample.count - 1].code == id(root), "a piece of a stack"
        names = [inside.get(sample.frames[j].code) for j in range(sample.count)]
        if "work" not in names:
            continue
        names = names[:names.index("check_samples") + 1]
        for child, parent in zip(names, names[1:]):
            assert parent in parents[child], names
        for j, name in enumerate(names):
            symbol = lib.find(sample.frames[j].code, sample.time_ns)
            assert symbol and symbol.contents.name.decode() == name, (i, name)
    assert count > 200, count
    assert unsure <= count // 5, (unsure, count)
    print("samples:", count, "of them not sure:", unsure)


# --- names that outlive their code ---


def make(name, file):
    code = compile("def f():\n    return 1\n", "f.py", "exec").co_consts[0]
    return code.replace(co_name=name, co_qualname=name, co_filename=file)


class Text(str):
    pass


def wtf8(text):
    return text.encode("utf-8", "surrogatepass")


def check_names():
    assert lib.watch() is None
    assert lib.watch() is None
    names = ["ascii", "caf\xe9", "\u03a9mega", "\U0001d4ab\u03a9", "lone\udcff", "",
             "x" * 70000, "\U0001d4ab" * 20000, Text("of a subclass"), Text("\u03a9 of one")]
    for name in names:
        code = make(name, "/tmp/" + name)
        lib.mark(id(code))  # as a handler does first
        symbol = lib.find(id(code), lib.now_ns())
        kept = symbol.contents.name
        assert wtf8(name).startswith(kept), name
        assert kept == wtf8(name) or len(kept) > 60000, (len(kept), len(name))
        assert symbol.contents.name_bytes == len(kept)
        assert symbol.contents.file[:5] == b"/tmp/"
        assert symbol.contents.first_line == 1
        for offset in range(0, len(code.co_code), 2):
            lines = [line for begin, end, line in code.co_lines() if begin <= offset < end]
            assert lib.line(symbol, offset) == (lines[0] or 0)
        del code
    assert not lib.find(id(names), lib.now_ns()), "a list has been taken for a code object"
    check_reuse()
    print("names:", len(names), "kinds of text, addresses used again:", reused)


reused = 0


def check_reuse():
    """The same address, again and again another function: each sample gets the name of its time."""
    global reused
    seen, samples = set(), []
    for i in range(3000):
        code = make(f"function_{i}", f"file_{i % 7}.py")
        address = id(code)
        reused += address in seen
        seen.add(address)
        if i % 3 != 2:  # the others die without ever having been sampled
            lib.mark(address)
            samples.append((address, lib.now_ns(), i))
        if i % 5 == 0:
            lib.find(address, lib.now_ns())  # named while alive
        del code
    gc.collect()
    for address, time_ns, i in samples:
        symbol = lib.find(address, time_ns)
        assert symbol, i
        assert symbol.contents.name == b"function_%d" % i
        assert symbol.contents.file == b"file_%d.py" % (i % 7)
        assert lib.line(symbol, 0) == 1
    assert reused > 100, reused
    half = samples[len(samples) // 2]
    lib.drained(half[1])
    assert lib.find(*half[:2]).contents.name == b"function_%d" % half[2]
    assert lib.find(*samples[-1][:2])
    lib.drained(lib.now_ns())
    alive = make("alive", "alive.py")
    lib.mark(id(alive))
    before = lib.now_ns()
    first = lib.find(id(alive), before).contents.serial
    assert lib.find(id(alive), lib.now_ns()).contents.serial == first
    lib.unwatch()
    assert lib.find(id(alive), before).contents.serial == first
    after = lib.find(id(alive), lib.now_ns()).contents
    assert after.name == b"alive" and after.serial != first
    assert not lib.find(id(make("late", "late.py")), before)


def main():
    error = lib.check_start()
    assert error is None, error
    assert lib.check_start() is None
    check_wrong_offsets()
    check_shapes()
    check_lines()
    assert lib.watch() is None
    check_samples()
    check_names()
    cost = recursion(20, lambda: lib.walk_cost_ns(100, 200))
    print(f"cost of a walk of {lib.walk_count()} frames: {cost:.0f} ns")


if __name__ == "__main__":
    main()
