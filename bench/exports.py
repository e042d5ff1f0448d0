"""What the command takes for a large recording, beside the tools that read the same data."""

import glob
import os
import shutil
import subprocess
import time

import recording
from recording import tool
from table import UNDECIDED, Table

STACKS, SAMPLES = 100_000, 10_000_000
TURNS = 5
BOUND_MB = 300
FLAMEGRAPH_PL = "/usr/share/perl5/Devel/NYTProf/flamegraph.pl"  # where Debian's libdevel-nytprof-perl has it


def measure(words, output=os.devnull):
    """Wall and CPU seconds and the largest resident set in MB of one process."""
    with open(output, "wb") as to:
        began = time.monotonic()
        child = subprocess.Popen(words, stdout=to, stderr=subprocess.DEVNULL, env=recording.environment())
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"bench: {recording.shown(words)} ended with {child.returncode}")
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def is_kept(bound, wall, cpu):
    """Where the machine is busy, only the CPU time says that a bound is missed."""
    return True if wall <= bound else False if cpu > bound else UNDECIDED


def line(table, name, runs, bound=None):
    wall, cpu, resident = (values(run[i] for run in runs) for i, values in enumerate((min, min, max)))
    good = bound and is_kept(bound, wall, cpu)
    text = f"{name:<32} {wall:6.2f} s   CPU {cpu:6.2f} s   {resident:5.0f} MB"
    table.line(text + (f"   < {bound:.2f} s" if bound else ""), good and resident < BOUND_MB and good)


def peers(pprof_file, collapsed_file):
    """(name, command) of those that are here."""
    pprof = shutil.which("pprof") or next(iter(glob.glob("/usr/lib/go-*/pkg/tool/linux_*/pprof")), None)
    pprof = pprof or (os.path.exists("build/tools/pprof") and "build/tools/pprof")
    if pprof:
        yield "pprof -proto", [pprof, "-proto", "-output", os.devnull, pprof_file]
    script = shutil.which("flamegraph.pl") or FLAMEGRAPH_PL
    if os.path.exists(script):
        yield "flamegraph.pl, of collapsed", ["perl", script, collapsed_file]


def exports():
    os.makedirs(recording.SCRATCH, exist_ok=True)
    big, made = (os.path.join(recording.SCRATCH, name) for name in ("big.monprof", "made"))
    synthesize = [tool("synthesize"), big, str(STACKS), str(SAMPLES)]
    export = [tool("monprof"), "export", big, "-o", "-", "-f"]
    report = [tool("monprof"), "report", big]
    subprocess.run(synthesize, check=True)
    megabytes = os.path.getsize(big) / 1e6
    table = Table(
        f"a recording of {megabytes:.0f} MB: {SAMPLES:,} samples, {STACKS:,} stacks; least of {TURNS} turns",
        f"pprof < 2 s, flamegraph < 3 s, report < 1 s per 100 MB, each < {BOUND_MB} MB",
        [recording.shown(words) for words in (synthesize, [*export, "pprof"], report)],
    )
    commands = {"pprof": (export + ["pprof"], 2), "flamegraph": (export + ["flamegraph"], 3)}
    commands |= {"collapsed": (export + ["collapsed"], None), "report": (report, megabytes / 100)}
    runs = {name: [] for name in commands}
    for _ in range(TURNS):
        for name, (words, _) in commands.items():
            runs[name].append(measure(words, f"{made}.{name}"))
    for name, (_, bound) in commands.items():
        line(table, name, runs[name], bound)
    for name, words in peers(made + ".pprof", made + ".collapsed"):
        line(table, name, [measure(words)])
    return table
