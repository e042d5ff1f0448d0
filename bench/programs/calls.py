"""Programs that call a lot: calls.py NAME [cprofile | tracing | empty LIBRARY].

The protocol of workloads.py. The second argument: what observes the calls, from inside; `empty` has callbacks of
LIBRARY (bench/event.c) that do nothing.
"""

import ctypes
import importlib
import sys
import time


def nothing():
    pass


def python_pair():
    for _ in range(1000):
        nothing()


def c_pair():
    call = abs
    for _ in range(1000):
        call(0)


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def fib_piece():
    fib(14)


class Board:
    def __init__(self, size):
        self.size = size
        self.columns, self.sums, self.differences = set(), set(), set()

    def is_free(self, row, column):
        return (
            column not in self.columns
            and row + column not in self.sums
            and row - column not in self.differences
        )

    def put(self, row, column):
        self.columns.add(column)
        self.sums.add(row + column)
        self.differences.add(row - column)

    def take(self, row, column):
        self.columns.remove(column)
        self.sums.remove(row + column)
        self.differences.remove(row - column)

    def count(self, row=0):
        if row == self.size:
            return 1
        found = 0
        for column in range(self.size):
            if self.is_free(row, column):
                self.put(row, column)
                found += self.count(row + 1)
                self.take(row, column)
        return found


def nqueens():
    return Board(5).count()


class Packet:
    def __init__(self, goes_to, work):
        self.goes_to, self.work = goes_to, work


class Task:
    """Each runs when it has a packet, as processes of a small kernel do."""

    def __init__(self, kernel, name):
        self.kernel, self.name, self.waiting, self.done = kernel, name, [], 0
        kernel.add(self)

    def is_ready(self):
        return bool(self.waiting)

    def take(self):
        return self.waiting.pop(0)

    def run(self):
        packet = self.take()
        self.done += 1
        if self.is_last(packet):
            return
        self.handle(packet)
        self.kernel.send(packet)

    def is_last(self, packet):
        packet.work -= 1
        return packet.work <= 0


class Device(Task):
    def handle(self, packet):
        packet.goes_to = (self.name + 1) % self.kernel.size()


class Worker(Task):
    def handle(self, packet):
        packet.goes_to = self.choose(packet.work)

    def choose(self, number):
        return (self.name * 3 + number) % self.kernel.size()


class Kernel:
    def __init__(self):
        self.tasks = []

    def add(self, task):
        self.tasks.append(task)

    def size(self):
        return len(self.tasks)

    def send(self, packet):
        self.tasks[packet.goes_to].waiting.append(packet)

    def schedule(self):
        is_busy = True
        while is_busy:
            is_busy = False
            for task in self.tasks:
                if task.is_ready():
                    is_busy = True
                    task.run()


def richards():
    kernel = Kernel()
    for name in range(6):
        (Worker if name % 2 else Device)(kernel, name)
    for number in range(6):
        kernel.send(Packet(number, 20))
    kernel.schedule()


class Variable:
    def __init__(self, value):
        self.value, self.constraints = value, []

    def add(self, constraint):
        self.constraints.append(constraint)


class Constraint:
    """One-way, from input to output; planned by walking from variable to variable."""

    def __init__(self, source, target):
        self.source, self.target, self.mark = source, target, 0
        source.add(self)

    def is_satisfied(self, mark):
        return self.mark == mark

    def output(self):
        return self.target

    def execute(self):
        self.target.value = self.result(self.source.value)


class Equal(Constraint):
    def result(self, value):
        return value


class Scaled(Constraint):
    def result(self, value):
        return value * 3 % 1000 + self.offset()

    def offset(self):
        return 1


class Planner:
    def __init__(self):
        self.mark = 0

    def plan(self, variable):
        self.mark += 1
        found, waiting = [], list(variable.constraints)
        while waiting:
            constraint = waiting.pop()
            if not constraint.is_satisfied(self.mark):
                constraint.mark = self.mark
                found.append(constraint)
                waiting.extend(constraint.output().constraints)
        return found

    def change(self, variable, value):
        variable.value = value
        for constraint in self.plan(variable):
            constraint.execute()


CHAIN = [Variable(0) for _ in range(60)]
PLANNER = Planner()
for at in range(59):
    (Equal if at % 3 else Scaled)(CHAIN[at], CHAIN[at + 1])


def deltablue():
    for value in range(5):
        PLANNER.change(CHAIN[0], value)


def leaves(depth):
    if depth == 0:
        yield 1
    else:
        yield from leaves(depth - 1)
        yield from leaves(depth - 1)


def evens(items):
    for number, item in enumerate(items):
        if number % 2 == 0:
            yield item


def generators():
    return sum(evens(item + 1 for item in leaves(7)))


def builtins_piece():
    items = []
    for number in range(300):
        items.append(abs(number - 150))
        len(items)
        isinstance(number, int)
        ord(chr(number))
    return max(items), sum(items)


PIECES = {
    "python-pair": python_pair,
    "c-pair": c_pair,
    "fib": fib_piece,
    "nqueens": nqueens,
    "richards": richards,
    "deltablue": deltablue,
    "generators": generators,
    "builtins": builtins_piece,
}


def observe(tool):
    """What must live on."""
    if tool == "empty":
        library = ctypes.PyDLL(sys.argv[3])
        library.event_start.restype = ctypes.c_char_p
        error = library.event_start()
        if error:
            raise SystemExit(error.decode())
        return library
    profiler = importlib.import_module("cProfile" if tool == "cprofile" else "profiling.tracing").Profile()
    profiler.enable()
    return profiler


def repeat(piece, times):
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(times):
        piece()
    return time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns


def main():
    piece = PIECES[sys.argv[1]]
    kept = observe(sys.argv[2]) if len(sys.argv) > 2 else None
    repeat(piece, 20)
    print("ready", flush=True)
    for line in sys.stdin:
        print(*repeat(piece, int(line)), flush=True)
    print(time.process_time_ns(), flush=True)
    return kept


if __name__ == "__main__":
    main()
