"""Call trees whose truth is known: stack.py KIND [seconds]. Prints facts for the test to compare."""

import asyncio
import functools
import sys
import threading
import time

SECONDS = float(sys.argv[2]) if len(sys.argv) > 2 else 0.3


def spin():
    for _ in range(2000):
        pass


def until(seconds):
    """Yields while the CPU time is not used up."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        yield


class Tree:
    def left(self):
        spin()

    @classmethod
    def right(cls):
        spin()

    @staticmethod
    def middle():
        def inner():
            spin()

        inner()

    class Branch:
        @property
        def leaf(self):
            spin()
            return 1


twig = lambda: spin()  # noqa: E731


def kind_tree():
    tree, branch = Tree(), Tree.Branch()
    for _ in until(SECONDS):
        tree.left()
        Tree.right()
        Tree.middle()
        twig()
        assert branch.leaf
        sum(spin() is None for _ in range(1))
        functools.reduce(lambda a, b: spin(), (1, 2))
    for code in (spin, kind_tree, Tree.left, Tree.right, Tree.middle, twig, Tree.Branch.leaf.fget):
        print(code.__qualname__, code.__code__.co_firstlineno)


def hot_line():
    a = 0
    for _ in until(SECONDS):
        a += sum(range(100000))  # hot
        a += 1
    return a


def kind_line():
    hot_line()
    with open(__file__, encoding="utf-8") as source:
        for number, text in enumerate(source, 1):
            if text.endswith("# hot\n"):
                print(number)


def deep(levels):
    if levels:
        deep(levels - 1)
        return
    for _ in until(SECONDS):
        spin()


def kind_deep():
    sys.setrecursionlimit(20000)
    deep(3000)


def produce():
    while True:
        spin()
        yield 1


def relay():
    yield from produce()


def consume():
    for _ in zip(until(SECONDS), relay()):
        pass


def kind_generator():
    consume()


async def leaf_task():
    spin()
    await asyncio.sleep(0)


async def branch_task():
    for _ in until(SECONDS):
        await leaf_task()


async def root_task():
    await asyncio.gather(*(branch_task() for _ in range(3)))


def kind_coroutine():
    asyncio.run(root_task())


def kind_threads():
    """The same trees in four threads."""
    threads = [threading.Thread(target=kind_tree) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


SOURCE = """
def inner_{0}():
    for _ in range({1}):
        pass

def outer_{0}():
    inner_{0}()

outer_{0}()
"""


def kind_churn():
    """Code that is made, run and freed: the next takes its memory. Each is a file of its own."""
    number = 0
    for _ in until(SECONDS):
        source = SOURCE.format(number, 2000 + number % 7 * 3000)
        exec(compile(source, f"<made-{number}>", "exec"), {})
        number += 1
    print(number)


def kind_churn_threads():
    threads = [threading.Thread(target=kind_churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def a_root():
    a_one()


def a_one():
    a_two()
    a_leaf()


def a_two():
    a_leaf()


def a_leaf():
    for _ in range(30):
        pass


def b_root():
    b_one()


def b_one():
    b_two()


def b_two():
    b_three()
    b_leaf()


def b_three():
    b_leaf()


def b_leaf():
    for _ in range(40):
        pass


def kind_alternate():
    """Two trees by turns, quickly."""
    for _ in until(SECONDS):
        for _ in range(20):
            a_root()
            b_root()


def kind_alternate_threads():
    threads = [threading.Thread(target=kind_alternate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Ordered:
    """Compared in Python out of C: each comparison is an activation of the interpreter."""

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return self.value < other.value


def kind_sort():
    items = [Ordered(i * 7919 % 1000) for i in range(1000)]
    for _ in until(SECONDS):
        sorted(items)


def kind_raise():
    def thrower(levels):
        if levels:
            thrower(levels - 1)
        raise KeyError(levels)

    for _ in until(SECONDS):
        try:
            thrower(20)
        except KeyError:
            pass


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
