"""Measure libmonprof under the Python that runs this: bench.py [ROW...]. bench/run builds what it needs."""

import platform
import shutil
import sys

import accuracy
import calls_cost
import calls_truth
import cost
import exports
import forks
import native
import outside
import recording
import start

ROWS = {
    "accounted": accuracy.accounted,
    "shares": accuracy.shares,
    "stacks": accuracy.stacks,
    "event": calls_cost.events,
    "always": calls_cost.always,
    "default": calls_cost.default,
    "counts": calls_truth.counts,
    "durations": calls_truth.durations,
    "own": cost.own,
    "outside": outside.outside,
    "floor": outside.floor,
    "sample": cost.sample,
    "true": start.true,
    "pass": start.python_pass,
    "fork": forks.fork,
    "memory": start.memory,
    "exports": exports.exports,
    "native-handler": native.handler,
    "native-slowdown": native.slowdown,
    "native-thread": native.thread,
    "native-located": native.located,
    "native-perf": native.perf,
    "native-pyspy": native.pyspy,
    "native-start": native.started,
}


def rows_of(name):
    """A name stands for its row, or for all rows that it begins: "native" for native-handler and the others."""
    return [row for row in ROWS if row == name or row.startswith(name + "-")]


def main(names):
    unknown = [name for name in names if not rows_of(name)]
    if unknown:
        print(f"bench: no row {', '.join(unknown)}; rows: {' '.join(ROWS)}", file=sys.stderr)
        return 2
    with open("/proc/self/maps") as maps:
        linked = "shared" if "libpython" in maps.read() else "static"
    print(f"\n==== CPython {platform.python_version()}, {linked}, Linux {platform.release()}")
    missed = []
    try:
        for name in [row for name in names for row in rows_of(name)] or ROWS:
            if ROWS[name]().missed:
                missed.append(name)
    finally:
        shutil.rmtree(recording.SCRATCH, ignore_errors=True)
    print("\nMISSED: " + " ".join(missed) if missed else "\nall ok")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
