"""Is it true? CPU time accounted, shares, stacks that cannot exist."""

import math
import random

import recording
import stacks as possible
from recording import FULL, run
from table import Table

SPLITS = (5, 25, 50, 75, 95)


def accounted():
    table = Table(
        "CPU time accounted: sum of cpu values / CPU time of the process in the same span, less that of our thread",
        "within 1 %; share of [thread exit] is reported",
        ["bench/programs/accounted.py busy THREADS 2", "bench/programs/accounted.py short MILLISECONDS 2"],
    )
    cases = [("busy", 1), ("busy", 4), *(("short", ms) for ms in (1, 5, 15, 50))]
    for hz in (100, 1000):
        for kind, number in cases:
            output, taken = run("accounted", kind, number, 2, hz=hz)
            # The process's clock counts our thread too, and that is not the program's. The program's own
            # figure is of the work only, without the interpreter's start and end.
            truth = taken.note("process.cpu_ns") - taken.note("own.thread_ns")
            ratio = taken.value() / truth
            by_program = taken.value() / (int(output[0]) - taken.note("own.thread_ns"))
            exits = sum(s.value for s in taken.samples if s.stack[0].name == "[thread exit]")
            what = f"{number} threads" if kind == "busy" else f"threads of {number} ms"
            table.line(
                f"{hz:>5} Hz  {what:<18} {ratio:7.4f} (of the work alone {by_program:.4f})"
                f"   [thread exit] {exits / taken.value():5.1%} of {taken.count()} samples",
                abs(ratio - 1) <= 0.01,
            )
    return table


def shares():
    seconds = 12 if FULL else 4
    table = Table(
        "shares of two functions, 1000 Hz, truth from thread_time in the program",
        "within 1 point and 3 standard deviations",
        f"bench/programs/shares.py PERCENT {seconds}",
    )
    for percent in SPLITS:
        output, taken = run("shares", percent, seconds, hz=1000)
        used = list(map(int, output))
        truth = used[0] / sum(used)
        values = {"first": 0, "second": 0}
        count = 0
        for sample in taken.samples:
            for frame in sample.stack:
                name = frame.name.rpartition(".")[2]
                if name in values:
                    values[name] += sample.value
                    count += sample.count
        share = values["first"] / sum(values.values())
        sigma = math.sqrt(truth * (1 - truth) / count)
        error = share - truth
        table.line(
            f"truth {truth:7.3%}  profile {share:7.3%}  error {100 * error:+6.3f} points"
            f"  {error / sigma:+5.2f} sigma of {count} samples",
            abs(error) <= 0.01 and abs(error) <= 3 * sigma,
        )
    return table


def stacks():
    wanted = 200_000 if FULL else 12_000
    table = Table(
        "stacks that cannot exist",
        "0" + ("" if FULL else f" (of {wanted} and more here; FULL=1: of 200,000)"),
        "bench/programs/impossible.py SECONDS",
    )
    checker = possible.Checker(recording.program("impossible"))
    for hz in (1000, 5000):
        checked = wrong = seen = 0
        losses = {}
        examples, distinct = [], set()
        while checked < wanted / 2:
            seconds = min(30, max(3, (wanted / 2 - checked) / hz))
            _, taken = run("impossible", seconds, hz=hz)
            for sample in taken.samples:
                seen += sample.count
                problem = checker.problem(sample)
                checked += sample.count if possible.of_program(sample, checker.path) else 0
                distinct.add(sample.stack)
                if problem:
                    wrong += sample.count
                    examples.append((problem, sample.stack))
            wrong += (mixed := checker.mixed_threads(taken))
            examples += [("a thread of two families", ())] * bool(mixed)
            for reason, count in taken.losses.items():
                losses[reason] = losses.get(reason, 0) + count
        lost = ", ".join(f"{reason} {count}" for reason, count in losses.items() if count)
        table.line(f"{hz:>5} Hz  {wrong} of {checked} stacks ({len(distinct)} distinct)", wrong == 0)
        table.line(f"          {seen - checked} more without a frame of the program; losses: {lost or 'none'}")
        for problem, stack in examples[:3]:
            table.line(f"          {problem}: " + " < ".join(f"{f.name}:{f.line}" for f in stack[:12]))
        table.line(f"          the check refuses {refused(checker, distinct):.0%} of stacks with one frame exchanged")
    return table


def refused(checker, distinct):
    """A check of the check: exchange one frame of each stack for another's."""
    chance = random.Random(1)
    frames = sorted({frame for stack in distinct for frame in stack if frame.file == checker.path})
    tried = caught = 0
    for stack in sorted(distinct):
        at = chance.randrange(len(stack))
        other = chance.choice(frames)
        if stack[at].file != checker.path or other.name == stack[at].name or len(stack) < 2:
            continue
        tried += 1
        changed = stack[:at] + (other,) + stack[at + 1 :]
        caught += checker.problem(recording.Sample(0, 1, 1, changed)) is not None
    return caught / max(1, tried)
