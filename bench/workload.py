"""A running bench/programs/workloads.py that does its piece of work on command.

Several of them, each under another preload, take short turns: the machine's own jumps hit all alike.
"""

import subprocess
import sys

import recording

WORKLOADS = ("call-heavy", "allocation-heavy", "json", "regex", "asyncio", "deepcopy", "8-threads")


class Workload:
    def __init__(self, name, label, hz=0, preload=None, program="workloads", **variables):
        """hz > 0: profiled; otherwise under `preload`, or none. name: with the program's other arguments."""
        self.label = f"{label}.{hz}" if hz else None
        self.slices = []  # (wall ns, CPU ns)
        self.process = subprocess.Popen(
            [sys.executable, recording.program(program), *name.split()],
            env=(
                recording.profiled(self.label, hz, **variables)
                if hz
                else recording.environment(preload, **variables)
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.answer("ready")

    def answer(self, expected=None):
        words = self.process.stdout.readline().split()
        if not words or (expected and words != [expected]):
            raise SystemExit(f"bench: {' '.join(self.process.args)} failed")
        return words

    def work(self, times):
        """The piece so many times: wall and CPU time in ns."""
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        wall_ns, cpu_ns = map(int, self.answer())
        self.slices.append((wall_ns, cpu_ns))
        return wall_ns, cpu_ns

    def calibrate(self, wall_seconds):
        """How many pieces take about so long."""
        times = 10
        while (wall := self.work(times)[0] / 1e9) < wall_seconds / 4:
            times *= 2
        return max(1, int(times * wall_seconds / wall))

    def warm(self, seconds):
        times = self.calibrate(0.1)
        while sum(wall for wall, _ in self.slices) < seconds * 1e9:
            self.work(times)

    def end(self):
        """The recording (None if there is none), and the CPU time of the whole process in ns."""
        self.process.stdin.close()
        cpu_ns = int(self.answer()[0])
        if self.process.wait() != 0:
            raise SystemExit(f"bench: {' '.join(self.process.args)} failed")
        return recording.load(self.label) if self.label else None, cpu_ns
