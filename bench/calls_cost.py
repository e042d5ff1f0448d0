"""What the collector `calls` costs: one event, all events, and a program under default settings."""

import random
import statistics
import sys

import outside
import recording
from recording import FULL
from statistics_of import flat, interval
from table import UNDECIDED, Table, at_most
from workload import Workload

PROGRAMS = ("fib", "nqueens", "richards", "deltablue", "generators", "builtins")
PAIRS = {"python-pair": "PY_START, PY_RETURN", "c-pair": "CALL, C_RETURN"}
CALLS_A_PIECE = 1000  # of a pair's programs
EVENT_NS = 15
TURN_SECONDS = 0.02
PROCESSES = 8 if FULL else 4
SECONDS = 20 if FULL else 4  # of the books
TURNS = 60 if FULL else 25
ALWAYS = {"MONPROF_COLLECT": "calls", "MONPROF_CALLS_RATE": "100%"}
DEFAULT = {"MONPROF_COLLECT": "cpu,sites,calls"}


def workload(name, label="calls", hz=0, **variables):
    return Workload(name, label, hz=hz, program="calls", **variables)


@outside.one_cpu()
def events():
    table = Table(
        "one event: our callbacks at 100 % over callbacks that do nothing (bench/event.c); a pair's time / 2",
        f"<= {EVENT_NS} ns",
        f"bench/programs/calls.py NAME, {PROCESSES} x {TURNS} turns of {TURN_SECONDS} s for each",
    )
    for name, what in PAIRS.items():
        ours, dispatch = [], []
        for _ in range(PROCESSES):
            running = {
                "none": workload(name),
                "empty": workload(f"{name} empty {recording.tool('event.so')}"),
                "ours": workload(name, hz=100, **ALWAYS),
            }
            slices = turns(running)
            for workload_ in running.values():
                workload_.end()
            ours.append([(a - b) / 2 for a, b in zip(slices["ours"], slices["empty"])])
            dispatch.append([(a - b) / 2 for a, b in zip(slices["empty"], slices["none"])])
        low, high = interval(ours)
        middle = statistics.median(flat(ours))
        table.line(
            f"{what:<20} ours {middle:6.1f} ns [{low:.1f}, {high:.1f}]  over CPython's dispatch of"
            f" {statistics.median(flat(dispatch)):.1f} ns",
            at_most(EVENT_NS, low, middle),
        )
    return table


def turns(running):
    """By variant: ns a call, by CPU time, in each turn."""
    chance = random.Random(1)
    times = running["ours"].calibrate(TURN_SECONDS)
    slices = {variant: [] for variant in running}
    for turn in range(TURNS + 1):
        for variant in chance.sample(list(running), len(running)):
            cpu_ns = running[variant].work(times)[1]
            if turn:
                slices[variant].append(cpu_ns / times / CALLS_A_PIECE)
    return slices


def always():
    """cProfile's and profiling.tracing's own figures are those of their users: enabled once, from inside."""
    start = {
        "base": workload,
        "ours": lambda name: workload(name, hz=100, **ALWAYS),
        "cProfile": lambda name: workload(f"{name} cprofile"),
    }
    if sys.version_info >= (3, 15):
        start["tracing"] = lambda name: workload(f"{name} tracing")
    table = Table(
        "slowdown at MONPROF_CALLS_RATE=100%, beside those who count every call, too",
        "ahead of each of them",
        f"bench/programs/calls.py NAME, {outside.PROCESSES} x {outside.TURNS} turns for each",
    )
    for name in PROGRAMS:
        ratios = outside.take_turns(name, start, outside.Ratios())
        middle = {variant: statistics.median(flat(ratios.wall[variant])) for variant in start}
        for variant in list(start)[1:]:
            best = all(middle["ours"] < middle[other] for other in list(start)[2:])
            table.line(f"{name:<11}{variant:>9}  {ratios.text(variant)}", best if variant == "ours" else None)
    return table


def default():
    start = {"base": workload, "A/A": workload, "ours": lambda name: workload(name, hz=100, **DEFAULT)}
    table = Table(
        "slowdown of cpu at 100 Hz, sites, and calls at 1 %; A/A is nothing against nothing",
        "own accounting <= 1 % of CPU time; lower bound of wall time never above 1.02, or what A/A has",
        f"bench/programs/calls.py NAME, {outside.PROCESSES} x {outside.TURNS} turns for each",
    )
    for name in PROGRAMS:
        ratios = outside.take_turns(name, start, outside.Ratios())
        table.line(f"{name:<11}{'A/A':>9}  {ratios.text('A/A')}")
        low, bound = interval(ratios.wall["ours"])[0], interval(ratios.wall["A/A"])[1]
        table.line(
            f"{name:<11}{'ours':>9}  {ratios.text('ours')}",
            True if low <= 1.02 else UNDECIDED if low <= bound else False,
        )
        # By itself: a process that waits for its turn has the costs of the time that it waits.
        alone = workload(name, label="books", hz=100, **DEFAULT)
        alone.warm(SECONDS)
        taken, cpu_ns = alone.end()
        share = taken.own_ns() / cpu_ns
        table.line(
            f"{name:<11}{'books':>9}  {share:.2%} of CPU time: handlers {taken.note('own.handlers_ns') / cpu_ns:.2%},"
            f" kernel and events {taken.note('own.kernel_ns') / cpu_ns:.2%},"
            f" our thread {taken.note('own.thread_ns') / cpu_ns:.2%}",
            share <= 0.01,
        )
    return table
