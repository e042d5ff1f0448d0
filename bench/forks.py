"""What a fork costs: os.fork and wait, in a process that has nothing else to do, with and without the library."""

import os
import statistics
import subprocess
import sys

import recording
from recording import FULL
from statistics_of import flat, interval
from table import Table, at_most

FORKS = 20  # in one turn
PROCESSES = 4
TURNS = 125 if FULL else 25


class Forker:
    def __init__(self, preload):
        os.makedirs(recording.SCRATCH, exist_ok=True)
        variables = recording.environment(preload, MONPROF_OUTPUT=os.path.join(recording.SCRATCH, "fork.%p"))
        words = [sys.executable, "-W", "error", recording.program("forker")]
        self.process = subprocess.Popen(
            words, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def turn(self):
        """Nanoseconds of each."""
        self.process.stdin.write(f"{FORKS}\n")
        self.process.stdin.flush()
        return list(map(int, self.process.stdout.readline().split()))

    def end(self):
        self.process.stdin.close()
        return self.process.wait()


def fork():
    table = Table(
        "os.fork + wait of a child that ends at once, everything at its default, against no preload, in turns; -W error",
        "<= +0.4 ms each, median; no warning",
        f"python -W error bench/programs/forker.py, {PROCESSES} x {TURNS} turns of {FORKS} forks for each",
    )
    differences, times, failed = [], {False: [], True: []}, 0
    for _ in range(PROCESSES):
        forkers = {False: Forker(None), True: Forker(recording.LIBRARY)}
        group = []
        for turn in range(TURNS + 1):
            taken = {is_ours: forkers[is_ours].turn() for is_ours in (turn % 2 == 0, turn % 2 == 1)}
            failed += sum(len(forks) != FORKS for forks in taken.values())
            if turn and not failed:
                group.append((statistics.median(taken[True]) - statistics.median(taken[False])) / 1e6)
                for is_ours, forks in taken.items():
                    times[is_ours] += forks
        differences.append(group)
        failed += sum(forker.end() != 0 for forker in forkers.values())
    middle = statistics.median(flat(differences))
    low, high = interval(differences)
    one, other = (statistics.median(times[is_ours]) / 1e6 for is_ours in (False, True))
    least = (min(times[True]) - min(times[False])) / 1e6
    table.line(
        f"{one:.3f} -> {other:.3f} ms   median of differences {middle:+.3f} ms [{low:+.3f}, {high:+.3f}]"
        f"   minima {least:+.3f} ms",
        at_most(0.4, low, middle),
    )
    table.line(f"{len(times[True])} forks, turns that failed: {failed}", not failed)
    return table
