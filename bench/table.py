"""How a row of the figures is printed."""

import sys


UNDECIDED = "undecided"
VERDICTS = {None: "", True: "  ok", False: "  MISSED", UNDECIDED: "  UNDECIDED"}


def at_most(bound, low, middle):
    """Does a measured value keep its bound? Where only noise says that it does not, nobody knows."""
    return True if middle <= bound else False if low > bound else UNDECIDED


class Table:
    def __init__(self, what, must, commands):
        self.missed = False
        print(f"\n== {what}\n   must: {must}")
        for command in [commands] if isinstance(commands, str) else commands:
            print(f"   $ {command}")

    def line(self, text, good=None):
        """good: whether it holds what it must; None: only reported; UNDECIDED: too noisy to say."""
        self.missed |= good is False
        print(f"   {text:<92}{VERDICTS[good]}")
        sys.stdout.flush()
