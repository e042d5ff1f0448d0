"""CPU time in C functions: sites.py KIND.

Each kind prints its CPU time by function, a line each: NAME milliseconds.
"""

import functools
import json
import math
import operator
import re
import sys
import threading
import time
import zlib

DATA = [(i * 7919) % 10007 for i in range(20000)]
BLOB = bytes(range(256)) * 400
TEXT = json.dumps([{"a": i, "b": [1, 2, 3]} for i in range(2000)])
PATTERN = re.compile(r"(a+)+b")
NUMBERS = list(range(50000))
PICK = operator.itemgetter(*range(2000))
SHORT = [1000] * 100  # as much work for min as for max
used = {}


def call(name, seconds, work):
    """Call it again and again until it has had so much CPU time."""
    spent = 0.0
    while spent < seconds:
        begun = time.thread_time()
        work()
        spent += time.thread_time() - begun
    used[name] = used.get(name, 0) + spent


def use_sorted():
    return sorted(DATA)


def use_compress():
    return zlib.compress(BLOB, 6)


def use_loads():
    return json.loads(TEXT)


def use_match():
    return PATTERN.match("a" * 16)


def use_sort(rows):
    rows.sort()


def use_sum():
    return sum(NUMBERS)


def use_dot(vector):
    for _ in range(20):
        numpy.dot(vector, vector)


def share(name, seconds, work, prepare=None):
    """As call, without the time that arguments and results take to come and go."""
    spent = 0.0
    while spent < seconds:
        arguments = prepare() if prepare else ()
        begun = time.thread_time()
        result = work(*arguments)
        spent += time.thread_time() - begun
        del arguments, result
    used[name] = used.get(name, 0) + spent


def shares():
    has_numpy = can_import_numpy()
    for _ in range(4):
        share("sorted", 0.225, use_sorted)
        share("compress", 0.15, use_compress)
        share("loads", 0.075, use_loads)
        share("match", 0.15, use_match)
        share("sort", 0.075, use_sort, lambda: (DATA[:],))
        share("sum", 0.075, use_sum)
        if has_numpy:
            # Whole numbers: of others BLAS would have threads of its own.
            share("dot", 0.075, use_dot, lambda: (numpy.arange(20000),))


def can_import_numpy():
    global numpy
    try:
        import numpy
    except ImportError:
        return False
    return True


def either(function, argument):
    return function(argument)


def use_either():
    for i in range(1000):
        either(math.cosh if i % 10 < 3 else math.lgamma, 2.5)


def teach():
    """Both, before anything is looked at."""
    for i in range(50):
        either(math.cosh if i % 2 else math.lgamma, 2.5)


def several():
    teach()
    call("either", 0.8, use_either)


def by_data():
    """Like work by either, 30:70; one of them comes when the site has long told enough."""
    for _ in range(50):
        either(min, SHORT)
    spent = time.thread_time() + 1.2
    while time.thread_time() < spent:
        for i in range(100):
            either(min if i % 10 < 3 else max, SHORT)


def by_time():
    """One call of the one takes as long as many of the other."""
    end = time.thread_time() + 1.2
    used["sorted"] = used["max"] = 0
    while time.thread_time() < end:
        begun = time.thread_time()
        for _ in range(5):
            either(sorted, DATA[:1000])
        between = time.thread_time()
        for _ in range(100):
            either(max, SHORT)
        used["sorted"] += between - begun
        used["max"] += time.thread_time() - between


def key(number):
    total = 0
    for i in range(20):
        total += i
    return -number


def add(a, b):
    total = 0
    for i in range(20):
        total += i
    return total


class Made:
    def __init__(self):
        self.sum = add(1, 2)


def generate():
    for number in range(20000):
        yield add(number, 1)


def use_key():
    sorted(DATA, key=key)


def use_reduce():
    functools.reduce(add, NUMBERS)


def use_generator():
    sum(generate())


def back():
    call("key", 0.4, use_key)
    call("reduce", 0.4, use_reduce)
    call("generator", 0.4, use_generator)


def use_constructors():
    for _ in range(100):
        dict.fromkeys(NUMBERS[:1000])
        frozenset(NUMBERS[:1000])
        bytearray(1000000)


def constructors():
    call("constructors", 0.6, use_constructors)


class Rows(list):
    @classmethod
    def numbered(cls):
        return cls.pack(range(20000))

    @staticmethod
    def pack(rows):
        return tuple(rows)

    def sort(self):
        super().sort()


def use_made():
    for _ in range(100):
        Made()


def use_bound():
    index = NUMBERS.index
    index(40000)


def use_super():
    Rows(DATA).sort()


def use_class_method():
    Rows.numbered()


def use_partial():
    functools.partial(sorted, DATA)()


def use_called():
    PICK(NUMBERS)


def use_slot():
    NUMBERS.__add__(NUMBERS)


def use_starred():
    max(*NUMBERS[:5000])


def use_type():
    type("Typed", (Rows,), {})


def named():
    for work in (use_made, use_bound, use_super, use_class_method, use_partial, use_called, use_slot, use_starred,
                 use_type):
        call("named", 0.15, work)


def use_vector_dot():
    VECTOR.dot(VECTOR)


def use_ufunc():
    numpy.add(VECTOR, VECTOR)


def use_reduce_ufunc():
    VECTOR.sum()


def arrays():
    """With numpy, where it is."""
    global VECTOR
    if not can_import_numpy():
        print("none 1")
        return
    VECTOR = numpy.arange(20000.0)
    for work in use_vector_dot, use_ufunc, use_reduce_ufunc:
        call("arrays", 0.2, work)


def in_thread():
    thread = threading.Thread(target=call, args=("thread", 0.4, use_sorted))
    thread.start()
    thread.join()


def in_child():
    """What the parent has learnt, the child knows."""
    import os

    call("parent", 0.2, use_compress)
    pid = os.fork()
    if pid == 0:
        call("child", 0.4, use_compress)
        sys.exit(0)
    os.waitpid(pid, 0)


def count_down(n):
    return n and count_down(*(n - 1,))


def depth():
    """How deep recursion through f(*args) gets."""
    sys.setrecursionlimit(40000)
    low = 0
    for step in (20000, 10000, 5000, 2000, 1000):
        try:
            count_down(low + step)
            low += step
        except RecursionError:
            pass
    return low


class Raises:
    def __call__(self):
        raise KeyError("no")


def attempt(function, *arguments):
    """What comes of so many calls, and who holds references then."""
    for _ in range(40):
        try:
            result = function(*arguments)
        except (KeyError, TypeError, ValueError) as error:
            result = repr(error), error.__context__
    return type(result), sys.getrefcount(function), [sys.getrefcount(a) for a in arguments]


def state():
    """Things that a program can see; no CPU time to speak of."""
    thing = object()
    print("depth", depth())
    print(attempt(id, thing), attempt(thing.__hash__), attempt(functools.partial(id, thing)))
    print(attempt(int, "x"), attempt(Raises()), attempt([].remove, thing), attempt(len))
    scope = {}
    exec("def f(x):\n    return len(x), super", scope)
    print(attempt(scope["f"], [thing]), scope["f"].__code__.co_code.hex())


def asked():
    """Somebody asks for each id that we may have, restarts events, and is served."""
    call("before", 0.2, use_sorted)
    for tool in 4, 3, 5:
        sys.monitoring.use_tool_id(tool, "other")
        sys.monitoring.restart_events()
        call("during", 0.2, use_sum if tool == 4 else use_sorted)
        print(tool, sys.monitoring.get_tool(tool))


def storm():
    """Somebody switches all on again, all the time."""
    while time.thread_time() < 5:
        len(abs(-1).__str__())
        sys.monitoring.restart_events()
    call("after", 0.2, use_sum)


def resident_kb():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4


def codes():
    """Code objects that come and go, each with a call of a C function, and some work besides: what calls
    cost must not matter."""
    template = compile("len(x)\nwhile y < 50: y += 1", "<made>", "exec")
    kept = []
    for count in range(300000):
        code = template.replace(co_firstlineno=count % 1000 + 1)
        exec(code, {"x": "", "y": 1})
        kept.append(code)
        if len(kept) == 100:
            kept.clear()
        if count == 100000:
            early = resident_kb()
    call("compress", 0.3, use_compress)
    print("grown", max(0, resident_kb() - early))


globals()[sys.argv[1]]()
for function_name, seconds_used in used.items():
    print(function_name, round(seconds_used * 1000))
