"""Calls in interpreters beside the main one: interpreter_calls.py KIND GIL.

GIL is own or shared.  Prints what each has called ("CALLER CALLEE COUNT").
"""

import sys
import threading
import time

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

CODE = """
def {name}_leaf():
    pass

def {name}_many(count):
    for _ in range(count):
        {name}_leaf()
        len("")

{name}_many({count})
"""

# What the program is shown says nothing: the original does, which is still there.
SEEN = """
import gc, sys
exec("")
functions = [f for f in gc.get_objects() if type(f) is type(len) and f.__name__ == "get_tool"]
assert "monprof" in [function(sys.monitoring.PROFILER_ID) for function in functions]
"""

TAKEN = """
import sys
for id in range(6):
    sys.monitoring.use_tool_id(id, "theirs")
"""

BUSY = """
import time

def {name}_leaf():
    pass

def {name}_many():
    count = 0
    end = time.monotonic() + {seconds}
    while time.monotonic() < end:
        for _ in range(50):
            {name}_leaf()
        count += 50
        for _ in range(500):
            pass
    print("{name}_many", "{name}_leaf", count, flush=True)

{name}_many()
"""


def create():
    is_own = sys.argv[2] == "own"
    if sys.version_info < (3, 13):
        return interpreters.create(isolated=is_own)
    return interpreters.create("isolated" if is_own else "legacy")


def is_seen(interpreter):
    try:
        return interpreters.run_string(interpreter, SEEN) is None
    except interpreters.RunFailedError:
        return False


def create_seen():
    """One that has been met: with the first one of a program, that takes a moment."""
    interpreter = create()
    for _ in range(20000):
        if is_seen(interpreter):
            return interpreter
        time.sleep(0.001)
    sys.exit("nobody has met it")


def run(interpreter, code, **words):
    failure = interpreters.run_string(interpreter, code.format(**words))
    assert failure is None, failure


def call(interpreter, name, count):
    run(interpreter, CODE, name=name, count=count)
    return name, count


def tell(*called):
    for name in {name for name, _ in called}:
        count = sum(more for other, more in called if other == name)
        print(f"{name}_many {name}_leaf {count}")
        print(f"{name}_many builtins.len {count}")


def main_leaf():
    pass


def main_many(count):
    for _ in range(count):
        main_leaf()
        len("")
    return "main", count


def kind_one():
    """It is come back to, and stays."""
    interpreter = create_seen()
    called = [main_many(300), call(interpreter, "sub", 1000)]
    called += [main_many(200), call(interpreter, "sub", 500)]
    tell(*called)


def kind_ends():
    """One ends, another one takes its place, a third one stays."""
    stays = create_seen()
    called = [main_many(300), call(stays, "stays", 700)]
    for name in "first", "second":
        interpreter = create_seen()
        called.append(call(interpreter, name, 900))
        interpreters.destroy(interpreter)
        called.append(main_many(100))
    called.append(call(stays, "stays", 50))
    tell(*called)


def kind_threads():
    """Several at the same time, each in a thread that comes back to the main one now and then."""
    called = []

    def work(name):
        interpreter = create_seen()
        for _ in range(5):
            called.append(call(interpreter, name, 2000))
            called.append(main_many(200))
        interpreters.destroy(interpreter)

    threads = [threading.Thread(target=work, args=(f"sub{i}",)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell(*called)


def kind_wanders():
    """One thread goes through more interpreters than it keeps in mind."""
    all = [create_seen() for _ in range(10)]
    called = []
    for _ in range(3):
        for i, interpreter in enumerate(all):
            called.append(call(interpreter, f"sub{i}", 10 + i))
            called.append(main_many(10))
    for interpreter in all[::2]:
        interpreters.destroy(interpreter)
    tell(*called)


def kind_taken():
    """The program takes all ids, in one only."""
    taken, other = create_seen(), create_seen()
    run(taken, TAKEN)
    interpreters.run_string(taken, CODE.format(name="taken", count=300))
    tell(call(other, "other", 400), main_many(300))


def kind_busy():
    """Long enough for many windows; one that calls nothing any more is left behind."""
    idle = create_seen()
    call(idle, "idle", 10)
    threads = []
    for name in "left", "right":
        interpreter = create_seen()
        words = {"name": name, "seconds": 2}
        threads.append(
            threading.Thread(target=run, args=(interpreter, BUSY), kwargs=words)
        )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def kind_late():
    """Each runs as soon as it is there, while the main one, which may have been asked for a window, waits."""
    create_seen()
    for i in range(10):
        run(create(), BUSY, name=f"late{i}", seconds=0.6)


def kind_churn():
    """They come and go in two threads while windows open and close."""

    def work():
        for i in range(25):
            interpreter = create()
            call(interpreter, "sub", 200)
            interpreters.destroy(interpreter)
            main_many(200)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
