"""Which stacks of bench/programs/impossible.py can exist: read from the marks in its source."""

import ast
import re

MADE = re.compile(r"(outer|inner)_(\d+)$")
FAMILY = re.compile(r"_([a-d])$")
# Weak references call these wherever their object dies.
ANYWHERE = ("_weakrefset.", "weakref.")


def short(frame):
    """inner name without module and class; the number of a made-up one goes."""
    return MADE.sub(r"\1", frame.name.rpartition(".")[2])


def of_program(sample, path):
    return any(frame.file == path for frame in sample.stack)


class Checker:
    def __init__(self, path):
        self.path = path
        with open(path) as file:
            source = file.read()
        self.above = {}  # line -> names that may be called from it
        self.extent = {}  # (name, first line) -> last line
        self.entries = set()  # first lines of functions that foreign code may call
        for number, text in enumerate(source.split("\n"), 1):
            _, mark, names = text.partition("#> ")
            if mark:
                self.above[number] = set(names.split())
            if "#< foreign" in text:
                self.entries.add(number)
        self.extent["<module>", 0] = self.extent["<module>", 1] = source.count("\n") + 1
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                self.extent[node.name, node.lineno] = node.end_lineno
            elif isinstance(node, ast.GeneratorExp):
                self.extent["<genexpr>", node.lineno] = node.end_lineno
            elif isinstance(node, ast.ClassDef):
                self.extent[node.name, node.lineno] = node.end_lineno

    def problem(self, sample):
        """Why this stack cannot have been, or None. Leaf first."""
        frames = sample.stack
        families = {found[1] for frame in frames if (found := FAMILY.search(short(frame)))}
        if len(families) > 1 and any(frame.file == self.path for frame in frames):
            return "two families"
        numbers = {found[2] for frame in frames if (found := MADE.search(frame.name))}
        if len(numbers) > 1:
            return "two made-up functions"
        for at, frame in enumerate(frames):
            # Python has code without a line: what it adds around a generator's body, say.
            if wrong := (at or frame.line) and self.frame_problem(frame):
                return wrong
        for child, parent in zip(frames, frames[1:]):
            wrong = child.file and parent.file and self.edge_problem(parent, child)  # not for markers
            if wrong:
                return wrong
        return self.root_problem(sample.stack)

    def frame_problem(self, frame):
        if frame.file.startswith("<made "):
            number = int(frame.file[6:-1])
            found = MADE.search(frame.name)
            first = {"inner": 1, "outer": 6}.get(short(frame), 0) + number % 50
            if short(frame) == "<module>":
                return None
            if not found or int(found[2]) != number or frame.first_line != first:
                return "a made-up function that was never made"
            return None if first <= frame.line <= first + 4 else "a line outside its function"
        if frame.file != self.path:
            return None
        last = self.extent.get((short(frame), frame.first_line))
        if last is None:
            return "no such function"
        return None if frame.first_line <= frame.line <= last else "a line outside its function"

    def edge_problem(self, parent, child):
        known = parent.file == self.path, child.file == self.path or child.file.startswith("<made ")
        if parent.file.startswith("<made "):
            return None if (short(parent), short(child)) == ("outer", "inner") else "a call that is not there"
        if known == (False, True):
            return None if child.first_line in self.entries else "called from foreign code"
        if known[0]:
            name = short(child) if known[1] else "foreign"
            if child.name.startswith(ANYWHERE) or name in self.above.get(parent.line, ()):
                return None
            return "a call that is not there"
        return None

    def root_problem(self, stack):
        root = stack[-1]
        if not root.file or not any(frame.file == self.path for frame in stack):
            return None
        if root.file == self.path:
            return None if short(root) == "<module>" else "a root that nobody calls"
        return None if root.name.startswith("threading.") else "a root that nobody calls"

    def mixed_threads(self, taken):
        """Samples of threads in which both thread_c and thread_d ran."""
        families, counts = {}, {}
        for sample in taken.samples:
            counts[sample.thread] = counts.get(sample.thread, 0) + sample.count
            found = {short(frame)[-1] for frame in sample.stack if short(frame) in ("thread_c", "thread_d")}
            families.setdefault(sample.thread, set()).update(found)
        return sum(counts[thread] for thread, found in families.items() if len(found) > 1)
