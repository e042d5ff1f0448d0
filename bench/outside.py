"""Slowdown seen from outside: processes of the same program under different preloads take turns.

All of them, and our threads in them, on one CPU: two of a machine's CPUs are rarely equally fast, and what our
thread takes is then taken from the program.
"""

import contextlib
import os
import random
import statistics

import recording
from recording import FULL
from statistics_of import flat, interval
from table import UNDECIDED, Table, at_most
from workload import WORKLOADS, Workload

SLICE_SECONDS = 0.05
PROCESSES = 6 if FULL else 2  # fresh ones, as a process keeps its luck with addresses
TURNS = 40 if FULL else 16


class Ratios:
    """By variant: for each group of processes, the ratios to the base of the same turn."""

    def __init__(self):
        self.wall, self.cpu, self.least = {}, {}, {}
        self.own = {}  # variant -> [own ns, CPU ns] by its own books
        self.ticks = {}  # variant -> [ticks, CPU ns]

    def add(self, running, slices):
        for variant in running:
            pairs = list(zip(slices[variant], slices["base"]))
            self.wall.setdefault(variant, []).append([a[0] / b[0] for a, b in pairs])
            self.cpu.setdefault(variant, []).append([a[1] / b[1] for a, b in pairs])
            least = min(a[0] for a, _ in pairs) / min(b[0] for _, b in pairs)
            self.least.setdefault(variant, []).append(least)

    def count(self, variant, ticks, own_ns, cpu_ns):
        for table, amount in (self.own, own_ns), (self.ticks, ticks):
            sums = table.setdefault(variant, [0, 0])
            sums[0] += amount
            sums[1] += cpu_ns

    def merge(self, other):
        for mine, theirs in (self.wall, other.wall), (self.cpu, other.cpu), (self.least, other.least):
            for variant, groups in theirs.items():
                mine.setdefault(variant, []).extend(groups)
        for mine, theirs in (self.own, other.own), (self.ticks, other.ticks):
            for variant, sums in theirs.items():
                own = mine.setdefault(variant, [0, 0])
                own[0] += sums[0]
                own[1] += sums[1]

    def text(self, variant):
        low, high = interval(self.wall[variant])
        middle = statistics.median(flat(self.wall[variant]))
        least = statistics.median(self.least[variant])
        cpu = statistics.median(flat(self.cpu[variant]))
        return f"wall median {middle:.4f} [{low:.4f}, {high:.4f}]  minima {least:.4f}  CPU {cpu:.4f}"

    def share(self, variant):
        return self.own[variant][0] / self.own[variant][1]


@contextlib.contextmanager
def one_cpu():
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@one_cpu()
def take_turns(name, start, ratios):
    """start: variant -> function that starts its process."""
    chance = random.Random(1)
    for _ in range(PROCESSES):
        running = {variant: begin(name) for variant, begin in start.items()}
        times = running["base"].calibrate(SLICE_SECONDS)
        slices = {variant: [] for variant in running}
        for turn in range(TURNS + 1):
            for variant in chance.sample(list(running), len(running)):
                slice_ns = running[variant].work(times)
                if turn:
                    slices[variant].append(slice_ns)
        ratios.add(running, slices)
        for variant, workload in running.items():
            taken, cpu_ns = workload.end()
            if taken:
                ratios.count(variant, taken.note("own.handlers"), taken.own_ns(), cpu_ns)
            elif variant == "floor":
                with open(ticks_path()) as file:
                    ratios.count(variant, int(file.read()), 0, cpu_ns)
    return ratios


def ours(hz):
    return lambda name: Workload(name, "turns", hz=hz)


def plain(name):
    return Workload(name, "turns")


def outside():
    start = {"base": plain, "A/A": plain} | {f"{hz} Hz": ours(hz) for hz in (100, 250, 1000, 5000)}
    table = Table(
        "slowdown seen from outside: wall time / the same without preload, in turns; A/A is nothing against nothing",
        "lower bound of the interval (95 %) never above 1.02 at 100 Hz; at 5 kHz the books are not below what is seen",
        f"bench/programs/workloads.py NAME, {PROCESSES} x {TURNS} turns of {SLICE_SECONDS} s for each",
    )
    together = Ratios()
    for name in WORKLOADS:
        ratios = take_turns(name, start, Ratios())
        for variant in start:
            if variant == "base":
                continue
            good = verdict(ratios) if variant == "100 Hz" else None
            table.line(f"{name:<17}{variant:>8}  {ratios.text(variant)}", good)
        together.merge(ratios)
    for variant in start:
        if variant != "base":
            table.line(f"{'all':<17}{variant:>8}  {together.text(variant)}")
    for variant in start:
        if variant in together.own:
            compare_books(table, together, variant)
    return table


def verdict(ratios):
    """Where nothing against nothing comes out as high, it is the machine."""
    low = interval(ratios.wall["100 Hz"])[0]
    return True if low <= 1.02 else UNDECIDED if low <= interval(ratios.wall["A/A"])[1] else False


def compare_books(table, ratios, variant):
    """Own cost / CPU time, as the books have it, and as the CPU time of the process has grown. What the ticks push
    out of the program's caches is not in the books."""
    share = ratios.share(variant)
    low, high = (1 - 1 / bound for bound in interval(ratios.cpu[variant]))
    seen = 1 - 1 / statistics.median(flat(ratios.cpu[variant]))
    ticks = ratios.ticks[variant][0] / ratios.ticks[variant][1] * 1e9
    table.line(
        f"books{'':<12}{variant:>8}  accounted {share:6.2%} of CPU time; seen {seen:6.2%} [{low:6.2%}, {high:6.2%}]"
        f"; {ticks:.0f} ticks a CPU second",
        share >= low if variant == "5000 Hz" else None,
    )


def ticks_path():
    return os.path.join(recording.SCRATCH, "ticks")


def floor_ticks(name):
    return Workload(
        name,
        "turns",
        preload=recording.tool("floor.so"),
        FLOOR_TIMER_NS="1000000",
        FLOOR_PERF_NS="1000000",
        FLOOR_TICKS=ticks_path(),
    )


def floor():
    table = Table(
        "distance to the floor, 1000 Hz: the same ticks with an empty handler, without Python (bench/floor.c)",
        "ours / floor <= 1.02: CPU time of the process, median of all programs; wall time has others' work in it",
        f"bench/programs/workloads.py NAME, {PROCESSES} x {TURNS} turns of {SLICE_SECONDS} s for each",
    )
    start = {"base": plain, "floor": floor_ticks, "ours": ours(1000)}
    together = Ratios()
    for name in WORKLOADS:
        ratios = take_turns(name, start, Ratios())
        table.line(f"{name:<17} floor/none {ratios.text('floor')}")
        table.line(f"{name:<17}  ours/none {ratios.text('ours')}")
        table.line(f"{name:<17} ours/floor {distance(ratios)[0]}")
        together.merge(ratios)
    table.line(f"{'all':<17} floor/none {together.text('floor')}")
    table.line(f"{'all':<17}  ours/none {together.text('ours')}")
    text, low, middle = distance(together)
    table.line(f"{'all':<17} ours/floor {text}", at_most(1.02, low, middle))
    ticks = {variant: sums[0] / sums[1] * 1e9 for variant, sums in together.ticks.items()}
    table.line(f"ticks a CPU second: ours {ticks['ours']:.0f}, floor {ticks['floor']:.0f}")
    return table


def distance(ratios):
    """ours / floor, turn by turn: as text; lower bound and median for CPU time."""
    texts = []
    for name, groups in ("wall", ratios.wall), ("CPU", ratios.cpu):
        quotients = [[a / b for a, b in zip(*pair)] for pair in zip(groups["ours"], groups["floor"])]
        low, high = interval(quotients)
        middle = statistics.median(flat(quotients))
        texts.append(f"{name} median {middle:.4f} [{low:.4f}, {high:.4f}]")
    return "  ".join(texts), low, middle
