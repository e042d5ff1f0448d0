"""Is what the collector `calls` says true? Counts in windows, how far off they say they are, lengths of calls."""

import statistics
import subprocess
import sys

import recording
from recording import FULL
from table import Table

KINDS = ("1us", "5us", "20us", "phases", "idle", "c")
SECONDS = 10
SHORT_RUNS, SHORT_SECONDS = (200, 2) if FULL else (20, 2)
RUNS, RUN_SECONDS = (20, 4) if FULL else (7, 1)  # of known lengths
OFTEN_PER_S = 20_000
OFTEN_ERROR = 0.05
COVERED = 1.96  # standard errors, 95 %


def run(program, label, rate, *arguments):
    """What the program printed, by name, and its recording; None if no window saw anything of it."""
    words = [sys.executable, recording.program(program), *map(str, arguments)]
    variables = recording.profiled(label, 100, MONPROF_COLLECT="calls", MONPROF_CALLS_RATE=rate)
    output = subprocess.run(words, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout
    truth = {name: float(value) for name, value in (row.split() for row in output.splitlines())}
    return truth, recording.load(label, is_optional=True)


def counts_of(program, taken):
    counts, errors = {}, {}
    for sample in taken.calls:
        module, _, name = sample.stack[0].name.rpartition(".")
        if module.endswith(program):
            counts[name] = counts.get(name, 0) + sample.value
            errors[name] = taken.call_errors.get(sample.stack[0].name, 0)
    return counts, errors


def counts():
    table = Table(
        f"counts of calls at 1 %, {SECONDS} s, against the program's own",
        f"functions with {OFTEN_PER_S} calls/s and more within {OFTEN_ERROR:.0%}; all within their reported error"
        f" (95 %), 90 to 99 % of short runs",
        "bench/programs/counts.py KIND SECONDS",
    )
    for kind in KINDS:
        truth, taken = run("counts", "counts", "1%", kind, SECONDS)
        found, errors = counts_of("counts", taken)
        for name, count in truth.items():
            off = found.get(name, 0) / count - 1
            margin = COVERED * errors.get(name, 0) / count
            per_s = count / SECONDS
            table.line(
                f"{kind:<7}{name:<6} {per_s:9.0f} calls/s  error {off:+7.2%}  reported +-{margin:6.2%}"
                f"{'  covered' if abs(off) <= margin else '  NOT covered'}"
                f"   {taken.note('windows.calls')} windows",
                abs(off) <= OFTEN_ERROR if per_s >= OFTEN_PER_S else None,
            )
    for kind in ("5us", "phases") if FULL else ("5us",):
        covered(table, kind)
    return table


def covered(table, kind):
    within, offs, unseen = {}, {}, 0
    for _ in range(SHORT_RUNS):
        truth, taken = run("counts", "counts", "1%", kind, SHORT_SECONDS)
        if not taken:
            unseen += 1
            continue
        found, errors = counts_of("counts", taken)
        for name, count in truth.items():
            off = found.get(name, 0) / count - 1
            offs.setdefault(name, []).append(off)
            within[name] = within.get(name, 0) + (abs(off) <= COVERED * errors.get(name, 0) / count)
    for name, number in within.items():
        share = number / len(offs[name])
        mean = sum(offs[name]) / len(offs[name])
        table.line(
            f"{kind:<7}{name:<6} {SHORT_RUNS} runs of {SHORT_SECONDS} s, {unseen} without a window: {share:.1%} covered, mean error {mean:+.2%},"
            f" largest {max(map(abs, offs[name])):.2%}",
            0.9 <= share <= 0.99 if FULL else None,
        )


def durations():
    table = Table(
        "mean length of calls at 100 %, against an empty loop of the same length; median of runs",
        "within 10 %",
        f"bench/programs/durations.py {RUN_SECONDS}, {RUNS} times",
    )
    lengths, off = {}, {}
    for _ in range(RUNS):
        truth, taken = run("durations", "durations", "100%", RUN_SECONDS)
        calls, _ = counts_of("durations", taken)
        spent = dict.fromkeys(truth, 0)
        for sample in taken.call_times:
            name = sample.stack[0].name.rpartition(".")[2]
            if name in spent:
                spent[name] += sample.value
        for name, length_ns in truth.items():
            lengths.setdefault(name, []).append(length_ns)
            off.setdefault(name, []).append(spent[name] / calls[name] / length_ns - 1)
    for name, ratios in off.items():
        middle = statistics.median(ratios)
        table.line(
            f"{name:<6} truth {statistics.median(lengths[name]):9.1f} ns  mean off by {middle:+7.2%}"
            f"  [{min(ratios):+.2%}, {max(ratios):+.2%}]",
            abs(middle) <= 0.1,
        )
    return table
