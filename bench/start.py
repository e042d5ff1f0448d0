"""What it costs to be there at all: start, end, memory."""

import os
import statistics
import subprocess
import sys

import recording
from recording import FULL, tool
from statistics_of import interval
from table import Table, at_most


def spawn(pairs, preloads, words, variables):
    """Rows of (wall ns of A, of B, largest resident KiB of A, of B), and what the programs printed."""
    command = [tool("spawn"), str(pairs), *preloads, *words]
    done = subprocess.run(command, env=variables, check=True, capture_output=True, text=True)
    rows = [list(map(int, row.split())) for row in done.stderr.splitlines()]
    if len(rows) != pairs or any(len(row) != 4 for row in rows):
        raise SystemExit(f"bench: {recording.shown(command)} said: {done.stderr[:300]}")
    return rows, done.stdout


def difference(table, rows, bound_ms):
    differences = [(row[1] - row[0]) / 1e6 for row in rows]
    middle = statistics.median(differences)
    low, high = interval([differences])
    one, other = (statistics.median(row[i] for row in rows) / 1e6 for i in (0, 1))
    least = (min(row[1] for row in rows) - min(row[0] for row in rows)) / 1e6
    table.line(
        f"{one:.3f} -> {other:.3f} ms   median of differences {middle:+.3f} ms [{low:+.3f}, {high:+.3f}]"
        f"   minima {least:+.3f} ms",
        at_most(bound_ms, low, middle),
    )


def true():
    pairs = 500
    preloads = [tool("empty.so"), recording.LIBRARY]
    table = Table(
        "/bin/true under the preload, against an empty preloaded library",
        "<= +0.15 ms, median",
        recording.shown([tool("spawn"), str(pairs), *preloads, "/bin/true"]),
    )
    rows, _ = spawn(pairs, preloads, ["/bin/true"], recording.environment())
    difference(table, rows, 0.15)
    return table


def python_pass():
    pairs = 300 if FULL else 100
    words = [sys.executable, "-c", "pass"]
    os.makedirs(recording.SCRATCH, exist_ok=True)
    table = Table(
        "python -c pass under the preload, against no preload, with everything at its default",
        "<= +3 ms, median",
        recording.shown([tool("spawn"), str(pairs), "-", recording.LIBRARY, *words]),
    )
    variables = recording.environment(MONPROF_OUTPUT=os.path.join(recording.SCRATCH, "pass.%p"))
    rows, _ = spawn(pairs, ["-", recording.LIBRARY], words, variables)
    difference(table, rows, 3)
    return table


def memory():
    seconds = 60 if FULL else 20
    words = [sys.executable, recording.program("memory"), str(seconds)]
    os.makedirs(recording.SCRATCH, exist_ok=True)
    table = Table(
        f"memory: extra resident set of a program of {seconds} s with 4 threads, 1000 Hz",
        "<= 8 MB",
        recording.shown([tool("spawn"), "1", "-", recording.LIBRARY, *words]),
    )
    variables = recording.environment(
        MONPROF_CPU_HZ="1000", MONPROF_OUTPUT=os.path.join(recording.SCRATCH, "memory.%p")
    )
    rows, output = spawn(1, ["-", recording.LIBRARY], words, variables)
    before, after = (list(map(int, row.split())) for row in output.splitlines())
    names = "at the end of the work", "largest until then", "largest with the export"
    for name, one, other in zip(names, [*before, rows[0][2]], [*after, rows[0][3]]):
        extra = (other - one) / 1024
        table.line(f"{name:<24} {one / 1024:6.2f} -> {other / 1024:6.2f} MiB   {extra:+.2f} MiB", extra * 1.048576 <= 8)
    return table
