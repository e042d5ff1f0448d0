"""Native frames: what they cost, how many are found, and whether perf and py-spy see the same."""

import collections
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys

import outside
import recording
import start
from recording import FULL, tool
from statistics_of import flat, interval
from table import Table, at_most
from workload import Workload

PROGRAM = "bench/programs/natives.py NAME"
PROGRAMS = ("json", "re", "zlib", "hashlib", "sqlite3", "pickle", "decimal", "ssl", "numpy-dot", "numpy-sort")
PROGRAMS += ("callbacks", "threads", "deep")
COSTS = ("json", "re", "sqlite3", "pickle")  # what a step of work is short enough for
MODES = ("no", "leaf", "yes")
INTERPRETER = "_PyEval_EvalFrameDefault"


def natives(name, label, hz, mode, **variables):
    """A Workload of programs/natives.py under the library, or, where hz is 0, under none."""
    library = tool("native.so")
    if not hz:
        return Workload(f"{name} {library}", label, program="natives")
    variables["MONPROF_NATIVE"] = mode
    return Workload(f"{name} {library}", f"{label}.{mode}", hz=hz, program="natives", **variables)


def programs():
    """numpy's only where it is."""
    has_numpy = subprocess.run([sys.executable, "-c", "import numpy"], stderr=subprocess.DEVNULL).returncode == 0
    return [name for name in PROGRAMS if has_numpy or not name.startswith("numpy")]


@outside.one_cpu()
def in_turns(begin, turns):
    """Processes of all variants do their work in turns: variant -> (recording, CPU ns)."""
    chance = random.Random(1)
    running = {variant: start_one() for variant, start_one in begin.items()}
    times = next(iter(running.values())).calibrate(outside.SLICE_SECONDS)
    for _ in range(turns):
        for workload in chance.sample(list(running.values()), len(running)):
            workload.work(times)
    return {variant: workload.end() for variant, workload in running.items()}


def handler():
    processes, turns = (8, 100) if FULL else (4, 30)
    table = Table(
        "one handler with native frames, beyond one without: us, 1000 Hz, processes in turns, median of differences",
        "<= 0.6 us leaf, <= 1.2 us yes",
        f"{PROGRAM}, {processes} x {turns} turns of {outside.SLICE_SECONDS} s for each",
    )
    together = {}
    for name in COSTS:
        costs = {mode: [] for mode in MODES}
        for _ in range(processes):
            begin = {mode: lambda mode=mode: natives(name, "handler", 1000, mode) for mode in MODES}
            for mode, (taken, _) in in_turns(begin, turns).items():
                costs[mode].append(taken.note("own.handlers_ns") / taken.note("own.handlers") / 1000)
        handler_lines(table, name, costs, None)
        for mode in MODES:
            together.setdefault(mode, []).extend(costs[mode])
    handler_lines(table, "all", together, {"leaf": 0.6, "yes": 1.2})
    return table


def handler_lines(table, name, costs, bounds):
    for mode in MODES[1:]:
        beyond = [more - plain for more, plain in zip(costs[mode], costs["no"])]
        low, high = interval([[value] for value in beyond])
        middle, least = statistics.median(beyond), min(costs[mode]) - min(costs["no"])
        table.line(
            f"{name:<8} {mode:<4} {statistics.median(costs['no']):6.2f} -> {statistics.median(costs[mode]):6.2f} us"
            f"   beyond {middle:+6.2f} [{low:+6.2f}, {high:+6.2f}]   minima {least:+6.2f}",
            at_most(bounds[mode], low, middle) if bounds else None,
        )


def slowdown():
    table = Table(
        "slowdown with MONPROF_NATIVE=leaf against no preload, wall time in turns; beside =no, and A/A (nothing)",
        "median <= 1.005 at 100 Hz, <= 1.03 at 1 kHz (95 % interval); the books beside it",
        f"{PROGRAM}, {outside.PROCESSES} x {outside.TURNS} turns of {outside.SLICE_SECONDS} s for each",
    )
    bounds = {"A/A": None, "100 Hz no": None, "100 Hz": 1.005, "1000 Hz no": None, "1000 Hz": 1.03}
    begin = {
        "base": lambda name: warmed(name, 0, "no"),
        "A/A": lambda name: warmed(name, 0, "no"),
        "100 Hz no": lambda name: warmed(name, 100, "no"),
        "100 Hz": lambda name: warmed(name, 100, "leaf"),
        "1000 Hz no": lambda name: warmed(name, 1000, "no"),
        "1000 Hz": lambda name: warmed(name, 1000, "leaf"),
    }
    together = outside.Ratios()
    for name in COSTS:
        ratios = outside.take_turns(name, begin, outside.Ratios())
        for variant in bounds:
            table.line(f"{name:<8}{variant:>11}  {ratios.text(variant)}")
        together.merge(ratios)
    for variant, bound in bounds.items():
        low = interval(together.wall[variant])[0]
        middle = statistics.median(flat(together.wall[variant]))
        table.line(f"{'all':<8}{variant:>11}  {together.text(variant)}", bound and at_most(bound, low, middle))
        if variant in together.own:
            table.line(f"{'books':<8}{variant:>11}  {together.share(variant):.3%} of CPU time, start-up in it")
    return table


def warmed(name, hz, mode):
    """Its code has been met: start-up is another row's."""
    workload = natives(name, "slowdown", hz, mode)
    workload.warm(1)
    return workload


def thread():
    pairs, short, long = (4, 10, 20) if FULL else (2, 3, 6)
    table = Table(
        "our thread, us per sample in the steady state, 1000 Hz: difference of two lengths of one program",
        "<= 3 us leaf, <= 8 us yes",
        f"{PROGRAM}, {pairs} x ({long} s - {short} s)",
    )
    bounds = {"no": None, "leaf": 3, "yes": 8}
    together = {mode: [] for mode in MODES}
    for name in COSTS:
        costs = {mode: [] for mode in MODES}
        for _ in range(pairs):
            for mode in MODES:
                costs[mode].append(thread_us(name, mode, short, long))
        for mode in MODES:
            thread_line(table, name, mode, costs[mode], None)
            together[mode] += costs[mode]
    for mode in MODES:
        thread_line(table, "all", mode, together[mode], bounds[mode])
    return table


@outside.one_cpu()
def thread_us(name, mode, short, long):
    spent = []
    for seconds in short, long:
        workload = natives(name, "thread", 1000, mode)
        workload.warm(seconds)
        taken, _ = workload.end()
        spent.append((taken.note("own.thread_ns"), taken.count()))
    return (spent[1][0] - spent[0][0]) / (spent[1][1] - spent[0][1]) / 1000


def thread_line(table, name, mode, costs, bound):
    low, high = interval([[cost] for cost in costs])
    middle = statistics.median(costs)
    table.line(
        f"{name:<8} {mode:<4} median {middle:6.2f} us [{low:6.2f}, {high:6.2f}]   least {min(costs):6.2f}",
        bound and at_most(bound, low, middle),
    )


def located():
    wanted, hz = 100_000, 8000
    table = Table(
        "native stacks that are whole: interpreter's place found, bottom (leaf: innermost activation) reached",
        f">= 99.9 % of {wanted} samples and more of all programs together; the rest counted",
        f"{PROGRAM}, {hz} Hz",
    )
    names = programs()
    for mode in MODES[1:]:
        samples, lost = 0, collections.Counter()
        for name in names:
            count, losses = 0, collections.Counter()
            while count < wanted / len(names):
                workload = natives(name, "located", hz, mode, MONPROF_CPU_CLOCK="perf", MONPROF_RING="8M")
                workload.warm(max(1, (wanted / len(names) - count) / hz * 1.1))
                taken, _ = workload.end()
                count += taken.count()
                losses.update(taken.losses)
            located_line(table, f"{mode:<4} {name}", count, losses, False)
            samples += count
            lost.update(losses)
        located_line(table, f"{mode:<4} all", samples, lost, True)
    return table


def located_line(table, what, samples, losses, is_judged):
    named = {reason: count for reason, count in losses.items() if count}
    # A frame that has no name is no stack that ends early.
    of_stacks = {reason for reason in named if reason.startswith("native_")} - {"native_code"}
    broken = sum(named[reason] for reason in of_stacks)
    others = ", ".join(f"{reason} {count}" for reason, count in named.items())
    share = 1 - broken / samples
    table.line(
        f"{what:<16} {share:9.3%} of {samples} whole; {others or 'nothing lost'}",
        share >= 0.999 if is_judged else None,
    )


# ---- beside others ----

SHARES = ("json", "re", "zlib", "sqlite3", "pickle", "decimal")


def perf():
    """Ticks of the kernel only: a perf task clock beside them leaves the kernel's time to whatever comes next."""
    seconds, hz = (40 if FULL else 15), 250
    table = Table(
        "shares of native leaf functions against perf record -e cpu-clock --call-graph dwarf, both on, one run",
        "within 2 points for every function above 5 %; what only one of them has a name for is [its library]",
        f"perf record -e cpu-clock --call-graph dwarf -- {PROGRAM}, {seconds} s, {hz} Hz",
    )
    if not shutil.which("perf"):
        table.line("not measured: there is no perf here (Debian's linux-perf)")
        return table
    for name in SHARES:
        ours, theirs, problem = perf_beside(name, seconds, hz)
        if problem:
            table.line(f"not measured: {problem}")
            return table
        compare(table, name, ours, theirs, 0.02)
    return table


def perf_beside(name, seconds, hz):
    data = os.path.join(recording.SCRATCH, "perf.data")
    workload = natives(name, "perf", hz, "leaf", MONPROF_NATIVE_HIDE="no", MONPROF_CPU_CLOCK="tick")
    command = ["perf", "record", "-q", "-o", data, "-e", "cpu-clock", "-c", str(997_000), "--call-graph", "dwarf"]
    recorder = subprocess.Popen([*command, "-p", str(workload.process.pid)], stderr=subprocess.PIPE, text=True)
    workload.warm(seconds)
    recorder.send_signal(signal.SIGINT)
    _, problem = recorder.communicate()
    taken, _ = workload.end()
    if not os.path.exists(data):
        return None, None, problem.strip()
    return leaves(taken.samples), perf_leaves(data), None


def leaves(samples, is_left_out=lambda frame: False):
    """(function, library) -> value; what Python's own code takes is the interpreter's loop."""
    values = collections.Counter()
    for sample in samples:
        leaf = next((frame for frame in sample.stack if not is_left_out(frame)), sample.stack[-1])
        library = os.path.basename(leaf.file)
        values[(INTERPRETER, "") if leaf.first_line else (leaf.name, library)] += sample.value
    return values


def perf_leaves(data):
    """Of the program's threads the innermost function outside the kernel."""
    command = ["perf", "script", "-i", data, "--no-inline", "-F", "comm,ip,sym,dso"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    os.unlink(data)
    values = collections.Counter()
    for sample in output.split("\n\n"):
        comm, *frames = sample.strip("\n").split("\n")
        if comm.strip().startswith("monprof"):
            continue
        for frame in frames:
            address, _, rest = frame.strip().partition(" ")
            name, _, library = rest.rstrip(")").rpartition(" (")
            if len(address) < 16:  # not the kernel's
                values[name.partition("@")[0], "" if name == INTERPRETER else os.path.basename(library)] += 1
                break
    return values


def shared_names(ours, theirs):
    """Both as name -> value. One has names that the other lacks: such functions are one, by their library."""
    known = {name for name, _ in ours} & {name for name, _ in theirs} - {"[unknown]"}
    renamed = []
    for values in ours, theirs:
        sums = collections.Counter()
        for (name, library), value in values.items():
            sums[name if name in known else f"[{library}]"] += value
        renamed.append(sums)
    return renamed


def compare(table, name, ours, theirs, bound=None):
    """A line for each function above 5 % of either."""
    ours, theirs = shared_names(ours, theirs)
    sums = sum(ours.values()), sum(theirs.values())
    shares = {function: (ours[function] / sums[0], theirs[function] / sums[1]) for function in ours.keys() | theirs}
    shown = sorted((max(pair), function) for function, pair in shares.items() if max(pair) > 0.05)
    for _, function in reversed(shown):
        one, other = shares[function]
        table.line(
            f"{name:<8} {function:<44} {one:7.2%} here  {other:7.2%} there  {100 * (one - other):+5.2f} points",
            abs(one - other) <= bound if bound else None,
        )


PYSPY = os.environ.get("BENCH_PYSPY")


class Spied(Workload):
    """A program that py-spy record --native looks at while it works."""

    def __init__(self, name, hz):
        super().__init__(f"{name} {tool('native.so')}", "spied", program="natives")
        os.makedirs(recording.SCRATCH, exist_ok=True)
        self.path = os.path.join(recording.SCRATCH, "spied")
        command = [PYSPY, "record", "--native", "-f", "raw", "-d", "unlimited", "-r", str(hz), "-o", self.path]
        self.spy = subprocess.Popen(
            [*command, "-p", str(self.process.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def end(self):
        """None for a recording; its stacks and py-spy's own CPU time are kept."""
        self.spy.send_signal(signal.SIGINT)
        _, _, used = os.wait4(self.spy.pid, 0)
        self.spy.returncode = 0
        self.spy_seconds = used.ru_utime + used.ru_stime
        self.leaves = collections.Counter()
        with open(self.path) as file:
            for row in file:
                stack, _, count = row.rpartition(" ")
                name, _, file = stack.rpartition(";")[2].rstrip(")").rpartition(" (")
                is_python = ".py:" in file or file.startswith("<") or name == INTERPRETER
                self.leaves[(INTERPRETER, "") if is_python else (name, file.partition(":")[0])] += int(count)
        os.unlink(self.path)
        return super().end()


def pyspy():
    seconds = 20 if FULL else 6
    table = Table(
        "beside py-spy record --native, 100 Hz each: slowdown (wall time in turns), and shares of leaf functions",
        "reported only",
        f"BENCH_PYSPY=.../py-spy; {PROGRAM}, {outside.PROCESSES} x {outside.TURNS} turns of {outside.SLICE_SECONDS} s",
    )
    if not PYSPY:
        table.line("not measured: BENCH_PYSPY does not name py-spy (pip install --target DIRECTORY py-spy)")
        return table
    begin = {
        "base": lambda name: natives(name, "beside", 0, "no"),
        "ours": lambda name: natives(name, "beside", 100, "leaf"),
        "py-spy": lambda name: Spied(name, 100),
    }
    together = outside.Ratios()
    for name in COSTS:
        ratios = outside.take_turns(name, begin, outside.Ratios())
        for variant in ("ours", "py-spy"):
            table.line(f"{name:<8}{variant:>8}  {ratios.text(variant)}")
        together.merge(ratios)
    for variant in ("ours", "py-spy"):
        table.line(f"{'all':<8}{variant:>8}  {together.text(variant)}")
    for name in COSTS:
        agreement(table, name, seconds)
    return table


def agreement(table, name, seconds):
    workload, spied = natives(name, "beside", 100, "leaf", MONPROF_NATIVE_HIDE="no"), Spied(name, 100)
    workload.warm(seconds)
    spied.warm(seconds)
    taken, _ = workload.end()
    spied.end()
    table.line(f"{name:<8} own CPU time: {taken.own_ns() / 1e6:.1f} ms here, {spied.spy_seconds * 1e3:.0f} ms py-spy")
    compare(table, name, leaves(taken.samples, is_of_python), spied.leaves)


def is_of_python(frame):
    """py-spy shows no function of the interpreter's library or executable."""
    return frame.file.startswith("/") and os.path.basename(frame.file).startswith(("libpython", "python"))


def started():
    rounds, pairs = (15, 20) if FULL else (8, 10)
    words = [sys.executable, "-c", "pass"]
    os.makedirs(recording.SCRATCH, exist_ok=True)
    table = Table(
        "python -c pass with MONPROF_NATIVE=leaf and =no, each against no preload, everything else at its default",
        "reported",
        recording.shown([tool("spawn"), str(pairs), "-", recording.LIBRARY, *words]),
    )
    rows = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            output = os.path.join(recording.SCRATCH, "pass.%p")
            variables = recording.environment(MONPROF_OUTPUT=output, MONPROF_NATIVE=mode)
            rows[mode].append(start.spawn(pairs, ["-", recording.LIBRARY], words, variables)[0])
    for mode in MODES:
        groups = [[(row[1] - row[0]) / 1e6 for row in group] for group in rows[mode]]
        low, high = interval(groups)
        least = min(row[1] for row in flat(rows[mode])) - min(row[0] for row in flat(rows[mode]))
        middle = statistics.median(flat(groups))
        table.line(f"{mode:<4} {middle:+.3f} ms [{low:+.3f}, {high:+.3f}]   minima {least / 1e6:+.3f} ms")
    return table
