"""Run a program under the library and read its recording."""

import collections
import dataclasses
import glob
import os
import subprocess
import sys

PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(PROJECT, "build", "bench")
LIBRARY = os.path.join(BUILD, "libmonprof.so")
PROGRAMS = os.path.join(PROJECT, "bench", "programs")
FULL = bool(os.environ.get("FULL"))
SCRATCH = os.path.join(BUILD, f"scratch.{os.getpid()}")

Frame = collections.namedtuple("Frame", "name file first_line line")
Sample = collections.namedtuple("Sample", "thread count value stack duration", defaults=(0,))


@dataclasses.dataclass
class Recording:
    notes: dict = dataclasses.field(default_factory=dict)
    losses: dict = dataclasses.field(default_factory=dict)
    threads: dict = dataclasses.field(default_factory=dict)
    samples: list = dataclasses.field(default_factory=list)  # of cpu
    calls: list = dataclasses.field(default_factory=list)
    call_times: list = dataclasses.field(default_factory=list)
    call_errors: dict = dataclasses.field(default_factory=dict)  # standard errors by name

    def note(self, key):
        return int(self.notes[key])

    def count(self):
        return sum(sample.count for sample in self.samples)

    def value(self):
        return sum(sample.value for sample in self.samples)

    def own_ns(self):
        """Handlers, our thread, and the kernel's share of each tick."""
        return sum(self.note(f"own.{part}_ns") for part in ("handlers", "kernel", "thread"))


def tool(name):
    return os.path.join(BUILD, name)


def program(name):
    return os.path.join(PROGRAMS, name + ".py")


def shown(words):
    return " ".join(word.replace(PROJECT + "/", "") for word in words)


def environment(preload=None, **variables):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("MONPROF")}
    kept.pop("LD_PRELOAD", None)
    kept["PYTHONHASHSEED"] = "0"
    if preload:
        kept["LD_PRELOAD"] = preload
    return kept | variables


def profiled(name, hz, **variables):
    """The environment of a profiled program whose recording is to be read by load(name)."""
    os.makedirs(SCRATCH, exist_ok=True)
    return environment(
        LIBRARY,
        MONPROF_KEEP="yes",
        MONPROF_EXPORT="none",
        MONPROF_CPU_HZ=str(hz),
        MONPROF_OUTPUT=os.path.join(SCRATCH, name),
        **{"MONPROF_COLLECT": "cpu"} | variables,
    )


def read_frame(text):
    name, file, first_line, line = text.split("\x1f")
    return Frame(name, file, int(first_line), int(line))


def load(name, is_optional=False):
    """The recording, which is removed; None if there is none and that may be."""
    base = glob.escape(os.path.join(SCRATCH, name))
    paths = glob.glob(base + ".monprof") + glob.glob(base + ".*.monprof")
    if is_optional and not paths:
        return None
    if len(paths) != 1:
        raise SystemExit(f"bench: {len(paths)} recordings of {name}, not one")
    text = subprocess.run([tool("dump"), paths[0]], check=True, capture_output=True).stdout
    os.unlink(paths[0])
    recording = Recording()
    for row in text.decode("utf-8", "replace").rstrip("\n").split("\n"):
        kind, *fields = row.split("\t")
        if kind == "note":
            recording.notes[fields[0]] = fields[1]
        elif kind == "loss":
            recording.losses[fields[0]] = int(fields[1])
        elif kind == "thread":
            recording.threads[int(fields[0])] = fields[2]
        elif kind == "error":
            if fields[0] == "calls.calls":
                recording.call_errors[fields[1]] = float(fields[2])
        else:
            metric, duration, thread, count, value, *stack = fields
            samples = {"cpu.cpu": recording.samples, "calls.calls": recording.calls}.get(metric, recording.call_times)
            frames = tuple(map(read_frame, stack))
            samples.append(Sample(int(thread), int(count), int(value), frames, int(duration)))
    return recording


def run(name, *arguments, hz):
    """What the program printed, as words, and its recording."""
    words = [sys.executable, program(name), *map(str, arguments)]
    output = subprocess.run(words, env=profiled(name, hz), check=True, stdout=subprocess.PIPE, text=True)
    return output.stdout.split(), load(name)
