"""A program made up from a seed, which counts its own calls: random_calls.py SEED [cprofile].

Functions of many kinds call each other at random; each adds to its counter as its first act and, where it is
a generator or a coroutine, again whenever it goes on. Prints "run NAME COUNT" for each; with cprofile, what
cProfile has counted in its place, and that of functions of C."""

import cProfile
import functools
import io
import pstats
import random
import re
import sys
import threading

SEED = int(sys.argv[1])
FUNCTIONS = 24
THREADS = 3
choice = random.Random(SEED)
local = threading.local()
counters = []


def counts():
    """A thread's own, so that no two add to one."""
    if not hasattr(local, "counts"):
        local.counts = {}
        counters.append(local.counts)
    return local.counts


class Stop(Exception):
    pass


# Each is a body for f<number>(budget), which calls call(callee, budget). `add` counts an activation of it.
PLAIN = """
def {name}(budget):
    {add}
    for callee, share in {callees}:
        call(callee, budget * share)
"""
RAISES = """
def {name}(budget):
    {add}
    for callee, share in {callees}:
        call(callee, budget * share)
    raise Stop
"""
PASSES_ON = """
def {name}(budget):
    {add}
    try:
        call({first}, budget * 0.4)
        raise KeyError
    except KeyError:
        call({second}, budget * 0.4)
    finally:
        len("abc")
"""
DEEP = """
def {name}(budget, depth=None):
    {add}
    depth = {depth} if depth is None else depth
    if depth:
        {name}(0, depth - 1)
    elif {raises}:
        raise Stop
    if budget:
        call({first}, budget * 0.5)
"""
GENERATOR = """
def {name}_generator(budget):
    {add_generator}
    for callee, share in {callees}:
        try:
            yield callee
        except KeyError:
            pass
        finally:
            {add_generator}
        call(callee, budget * share)
def {name}(budget):
    {add}
    generator = {name}_generator(budget)
    for number, _ in enumerate(generator):
        if number == {stops_at}:
            break
    else:
        return
    if {throws}:
        try:
            generator.throw(KeyError)
        except StopIteration:
            pass
"""
DELEGATES = """
def {name}_inner(budget):
    {add_inner}
    for callee, share in {callees}:
        yield callee
        {add_inner}
        call(callee, budget * share)
def {name}_outer(budget):
    {add_outer}
    yield 1
    {add_outer}
    for value in {name}_inner(budget):
        yield value
        {add_outer}
def {name}(budget):
    {add}
    sum(1 for _ in {name}_outer(budget))
"""
COROUTINE = """
async def {name}_step(budget):
    {add_step}
    call({first}, budget * 0.4)
    await pause()
    {add_step}
async def {name}_items(budget):
    {add_items}
    for number in range({items}):
        await pause()
        {add_items}
        yield number
        {add_items}
async def {name}_main(budget):
    await {name}_step(budget)
    async for number in {name}_items(budget):
        call({second}, budget * 0.3 / {items})
    await {name}_step(0)
def {name}(budget):
    {add}
    drive({name}_main(budget), "{name}_main")
"""
CALLBACK = """
def {name}_key(value):
    {add_key}
    return -value
def {name}_two(left, right):
    {add_two}
    return left + right
class {name}_Thing:
    def __init__(self, value):
        count("{name}_Thing.__init__")
        self.value = value
    def __lt__(self, other):
        count("{name}_Thing.__lt__")
        return self.value < other.value
    def __call__(self, value):
        count("{name}_Thing.__call__")
        return value
def {name}(budget):
    {add}
    values = [7, 3, 9, 1][:{items}]
    sorted(values, key={name}_key)
    list(map({name}_key, values))
    functools.reduce({name}_two, values)
    things = [{name}_Thing(value) for value in values]
    things.sort()
    list(map(things[0], values))
    things[0](*values[:1])
    call(*({first}, budget * 0.5))
"""
KINDS = [PLAIN, PLAIN, RAISES, PASSES_ON, DEEP, GENERATOR, DELEGATES, COROUTINE, CALLBACK]
MADE_UP = "random_functions.py"


class Pause:
    """Awaited, goes on at once, from the outside."""

    def __await__(self):
        return iter((None,))


def drive(coroutine, name):
    """It goes on whenever anything does that it awaits."""
    try:
        while True:
            count(name)
            coroutine.send(None)
    except StopIteration:
        pass


def call(callee, budget):
    """Calls down to a budget, whatever they raise."""
    count("call")
    if budget < 1:
        return
    try:
        functions[callee](budget)
    except (Stop, KeyError):
        pass


def write_function(number):
    name = f"f{number}"
    callees = [(choice.randrange(FUNCTIONS), choice.uniform(0.1, 0.9)) for _ in range(choice.randrange(4))]
    text = choice.choice(KINDS).replace("count(", "COUNT(")
    text = text.format(
        name=name,
        callees=callees,
        first=choice.randrange(FUNCTIONS),
        second=choice.randrange(FUNCTIONS),
        depth=choice.choice((0, 3, 20, 60)),
        raises=choice.random() < 0.5,
        stops_at=choice.randrange(4),
        throws=choice.random() < 0.5,
        items=choice.randrange(1, 5),
        add=f'COUNT("{name}")',
        **{
            f"add_{part}": f'COUNT("{name}_{part}")'
            for part in ("generator", "inner", "outer", "step", "items", "key", "two")
        },
    )
    return text.replace("pause()", "Pause()")


def expand(text):
    """COUNT("name") in the function itself, so that it calls nothing."""
    lines = []
    for line in text.split("\n"):
        at = line.find('COUNT("')
        if at < 0:
            lines.append(line)
            continue
        name = line[at + 7 : line.index('")', at)]
        lines.append(f'{line[:at]}own = local.counts; own["{name}"] = own.get("{name}", 0) + 1')
    return "\n".join(lines)


def count(name):
    own = local.counts
    own[name] = own.get(name, 0) + 1


def run(start):
    counts()
    call(start, 300)
    call((start + 1) % FUNCTIONS, 300)


text = expand("\n".join(write_function(number) for number in range(FUNCTIONS)))
space = dict(
    call=call, drive=drive, Pause=Pause, Stop=Stop, functools=functools, local=local, count=count
)
sys.setrecursionlimit(20000)
threading.stack_size(64 << 20)
exec(compile(text, MADE_UP, "exec"), space)
functions = [space[f"f{number}"] for number in range(FUNCTIONS)]


def total():
    sums = {}
    for own in counters:
        for name, calls in own.items():
            sums[name] = sums.get(name, 0) + calls
    return sums


def with_cprofile():
    profile = cProfile.Profile()
    profile.enable()
    run(0)
    profile.disable()
    sums = {}
    for (file, _, name), row in pstats.Stats(profile, stream=io.StringIO()).stats.items():
        method = re.fullmatch("<method '(.*)' of '(.*)' objects>", name)
        builtin = re.fullmatch("<built-in method (.*)>", name)
        if method:
            name = method[2] + "." + method[1]
        elif builtin:
            name = builtin[1]
        elif file not in (MADE_UP, __file__) or name == "run":
            continue
        if "_lsprof" not in name and " " not in name:
            sums[name] = sums.get(name, 0) + row[1]
    return sums


def with_threads():
    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    run(0)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[2] == "cprofile":
        rows = with_cprofile()
    else:
        with_threads()
        rows = total()
    for name, calls in sorted(rows.items()):
        print("run", name, calls)
