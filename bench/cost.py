"""What does it cost by its own books, and one sample by itself."""

import subprocess
import sys

import recording
from recording import FULL, tool
from table import Table
from workload import WORKLOADS, Workload

DEPTHS = (1, 10, 24, 100, 500)


def own():
    seconds = 20 if FULL else 4
    table = Table(
        "slowdown at 100 Hz by own accounting: (handlers + our thread + kernel per tick) / CPU time",
        "<= 0.5 % each",
        f"bench/programs/workloads.py NAME, {seconds} s of work",
    )
    for name in WORKLOADS:
        workload = Workload(name, "own", hz=100)
        workload.warm(seconds)
        taken, cpu_ns = workload.end()
        ticks = taken.note("own.handlers")
        share = taken.own_ns() / cpu_ns
        table.line(
            f"{name:<18} {share:7.3%}   handlers {taken.note('own.handlers_ns') / max(1, ticks) / 1000:6.2f} us"
            f" x {ticks}, kernel {taken.note('own.kernel_ns') / max(1, ticks) / 1000:5.2f} us a tick,"
            f" our thread {taken.note('own.thread_ns') / 1e6:6.2f} ms",
            share <= 0.005,
        )
    return table


def sample():
    words = [sys.executable, recording.program("sample"), tool("sample.so"), *map(str, DEPTHS)]
    table = Table(
        "one sample: walk and record, ns by depth (least and median of 60 batches, warm)",
        "linear; 24 frames under 500 ns; one system call in a handler",
        recording.shown(words),
    )
    output = subprocess.run(words, env=recording.environment(), check=True, capture_output=True, text=True)
    least = {}
    for row in output.stdout.splitlines():
        depth, *costs = map(float, row.split())
        least[depth] = costs[0]
        table.line(
            f"{depth:5.0f} frames   walk and record {costs[0]:7.1f} {costs[1]:7.1f} ns"
            f"   handler but for its system call {costs[2]:7.1f} {costs[3]:7.1f}, cold {costs[5]:7.1f} ns",
            costs[0] < 500 if depth == 24 else None,
        )
    steps = (least[100] - least[10]) / 90, (least[500] - least[100]) / 400
    table.line(
        f"ns a frame: {steps[0]:.2f} from 10 to 100, {steps[1]:.2f} from 100 to 500", max(steps) <= 2 * min(steps)
    )
    system_calls(table)
    return table


def system_calls(table):
    words = [tool("calls"), recording.LIBRARY, sys.executable, recording.program("accounted"), "busy", "1", "2"]
    variables = recording.profiled("calls", 100)
    variables.pop("LD_PRELOAD")
    output = subprocess.run(words, env=variables, check=True, capture_output=True, text=True).stdout
    recording.load("calls")
    handlers, calls, clock = map(int, output.split()[-3:])
    table.line(
        f"{calls} system calls in {handlers} handlers, {clock} of them clock_gettime ({recording.shown(words[:2])} ...)",
        0 < calls <= handlers and clock == calls,
    )
