"""Programs that use what a call profiler uses, each as if alone: citizen.py KIND. What is printed is the same
with a profiler and without."""

import cProfile
import io
import pstats
import sys
import threading
import time

monitoring = sys.monitoring
events = monitoring.events


def leaf():
    return 1


def work(count):
    for _ in range(count):
        leaf()
    return sorted([3, 1, 2], key=abs)


def deep(depth):
    return depth and deep(depth - 1)


def run_cprofile():
    profile = cProfile.Profile()
    profile.enable()
    print("during", monitoring.get_tool(2))
    work(500)
    deep(20)
    profile.disable()
    print("after", monitoring.get_tool(2) in (None, "monprof"))
    rows = pstats.Stats(profile, stream=io.StringIO()).stats
    for (file, line, name), row in sorted(rows.items()):
        if name in ("leaf", "work", "deep") or "sorted" in name or "abs" in name:
            print(name, row[0], row[1])
    work(500)


def run_frees():
    if monitoring.get_tool(2) is not None:
        monitoring.free_tool_id(2)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        work(500)
    print(monitoring.get_tool(2))


def run_callbacks():
    """Its own callback on the id that is not its own."""
    seen = []

    if monitoring.get_tool(2) is None:
        monitoring.use_tool_id(2, "theirs")
    monitoring.register_callback(2, events.PY_START, lambda code, offset: seen.append(code.co_name))
    monitoring.set_events(2, events.PY_START)
    work(10)
    monitoring.set_events(2, 0)
    print(seen.count("leaf"), seen.count("work"))
    work(500)


def run_setprofile():
    seen = []
    sys.setprofile(lambda frame, event, argument: seen.append((event, frame.f_code.co_name)))
    work(50)
    deep(10)
    sys.setprofile(None)
    # Whether the call that began it is seen to end depends on who else looks at calls.
    for row in sorted(set(seen) - {("c_return", "run_setprofile")}):
        print(*row, seen.count(row))


def run_settrace():
    seen = []

    def trace(frame, event, argument):
        seen.append((event, frame.f_code.co_name))
        return trace

    sys.settrace(trace)
    work(50)
    deep(10)
    sys.settrace(None)
    for row in sorted(set(seen)):
        print(*row, seen.count(row))


def branches(value):
    if value > 2:
        value += 1
    else:
        value -= 1
    return value


def run_coverage():
    """Lines, each reported once."""
    lines = []

    def on_line(code, line):
        lines.append((code.co_name, line - code.co_firstlineno))
        return monitoring.DISABLE

    monitoring.use_tool_id(1, "coverage")
    monitoring.register_callback(1, events.LINE, on_line)
    monitoring.set_events(1, events.LINE)
    for value in range(5):
        branches(value)
        work(20)
    print(*sorted(row for row in lines if row[0] in ("branches", "work")))
    monitoring.restart_events()
    lines.clear()
    branches(1)
    monitoring.set_events(1, 0)
    monitoring.free_tool_id(1)
    print(*sorted(row for row in lines if row[0] in ("branches", "work")))


def run_restarts():
    ends = threading.Event()

    def restart():
        while not ends.wait(0.0001):
            monitoring.restart_events()

    thread = threading.Thread(target=restart)
    thread.start()
    for _ in range(100):
        work(200)
        monitoring.restart_events()
    ends.set()
    thread.join()
    print("restarted")


def run_all_ids():
    for tool in range(6):
        if tool != 2 and monitoring.get_tool(tool) is None:
            monitoring.use_tool_id(tool, "theirs")
    work(100)
    monitoring.use_tool_id(2, "theirs")
    work(100)
    print(*(monitoring.get_tool(tool) for tool in range(6)))


def run_plain():
    print(work(2000), deep(500))


def linger():
    """Long enough to be seen by who looks at half of the time, 2 ms at once."""
    end = time.process_time() + 0.15
    while time.process_time() < end:
        work(100)


if __name__ == "__main__":
    globals()["run_" + sys.argv[1]]()
    linger()
    sys.exit(3)
