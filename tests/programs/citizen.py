"""Programs that use what a call profiler uses, each as if alone: citizen.py KIND [ARGUMENT]. What is printed is
the same with a profiler and without."""

import cProfile
import ctypes
import io
import os
import pstats
import sys
import threading
import time
import warnings

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
    print("after", monitoring.get_tool(2))
    rows = pstats.Stats(profile, stream=io.StringIO()).stats
    for (file, line, name), row in sorted(rows.items()):
        if name in ("leaf", "work", "deep") or "sorted" in name or "abs" in name:
            print(name, row[0], row[1])
    work(500)


def run_tracing():
    """What cProfile is from 3.15 on."""
    from profiling import tracing

    profile = tracing.Profile()
    profile.enable()
    print("during", monitoring.get_tool(2))
    work(500)
    deep(20)
    profile.disable()
    stats = {name: row[:2] for (_, _, name), row in pstats.Stats(profile).stats.items()}
    print(stats["leaf"], stats["work"], stats["deep"])
    work(500)


def keep_at_work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        work(500)


def run_frees(tool="2"):
    tool = int(tool)
    monitoring.free_tool_id(tool)
    # Long enough for who looks once a second.
    for _ in range(150):
        time.sleep(0.01)
    print(monitoring.get_tool(tool), monitoring.get_events(tool))


def run_clears(tool):
    tool = int(tool)
    monitoring.clear_tool_id(tool)
    work(500)
    print(monitoring.get_events(tool))


def run_callbacks(tool):
    """Its own callbacks on an id that a profiler may have, the first before it asks for it."""
    tool = int(tool)
    seen = []

    monitoring.register_callback(
        tool, events.PY_START, lambda code, offset: seen.append(code.co_name)
    )
    monitoring.use_tool_id(tool, "theirs")
    monitoring.register_callback(
        tool, events.CALL, lambda code, offset, callee, first: seen.append(callee)
    )
    monitoring.set_events(tool, events.PY_START | events.CALL)
    for _ in range(100):
        work(100)
    monitoring.set_events(tool, 0)
    print(seen.count("leaf"), seen.count("work"), seen.count(leaf), seen.count(sorted))
    keep_at_work(0.05)
    print(seen.count("leaf"), seen.count("work"), seen.count(leaf), seen.count(sorted))


def run_audit():
    """Hears of what is done with callbacks, and does not like it."""
    seen = []

    def hook(event, arguments):
        if event.startswith("sys.monitoring"):
            seen.append(arguments)
            raise PermissionError(event)

    sys.addaudithook(hook)
    for _ in range(120):
        time.sleep(0.01)
    work(100)
    print(seen)


def run_setprofile():
    seen = []
    sys.setprofile(lambda frame, event, argument: seen.append((event, frame.f_code.co_name)))
    work(50)
    deep(10)
    sys.setprofile(None)
    for row in sorted(set(seen)):
        print(*row, seen.count(row))


def run_setprofile_often():
    """Each time it hears of the calls from the first after sys.setprofile() to the one that ends it."""
    seen = []

    def profile(frame, event, argument):
        seen.append((event, frame.f_code.co_name, getattr(argument, "__name__", argument)))

    def begin_in_thread():
        threading.setprofile(profile)
        thread = threading.Thread(target=leaf)
        thread.start()
        thread.join()
        threading.setprofile(None)

    for _ in range(12):
        sys.setprofile(profile)
        leaf()
        sys.setprofile(None)
        print(seen)
        seen.clear()
        list(map(sys.setprofile, [profile]))
        leaf()
        sys.setprofile(*[None])
        seen.clear()
        begin_in_thread()
        print(seen[:2])
        seen.clear()
    for wrong in ((), (profile, profile)):
        try:
            sys.setprofile(*wrong)
        except TypeError as error:
            print(error)


def run_profile():
    """Python's own profiler, which is strict with the events that it gets."""
    warnings.simplefilter("ignore")
    import profile

    for _ in range(3):
        profiler = profile.Profile()
        profiler.runcall(work, 300)
        stats = {name: row[:2] for (_, _, name), row in profiler.timings.items()}
        print(stats["leaf"], stats["work"], stats["sorted"])


def run_calls():
    """A tool of its own that wants to hear of calls, and asks for that in a call."""
    seen = []

    def local():
        monitoring.set_local_events(5, local.__code__, events.CALL)
        leaf()
        abs(1)
        monitoring.set_local_events(5, local.__code__, 0)

    monitoring.use_tool_id(5, "theirs")
    for event, name in ((events.CALL, "call"), (events.C_RETURN, "return")):
        monitoring.register_callback(
            5, event, lambda code, at, callee, first, name=name: seen.append((name, callee.__name__))
        )
    for _ in range(12):
        monitoring.set_events(5, events.CALL)
        leaf()
        monitoring.set_events(5, 0)
        local()
        print(seen)
        seen.clear()
    monitoring.free_tool_id(5)


def run_looks():
    """At what is there: nothing that is not its own."""
    for tool in range(-1, 7):
        for question in (monitoring.get_tool, monitoring.get_events, monitoring.free_tool_id):
            try:
                print(tool, question.__name__, question(tool))
            except ValueError as error:
                print(tool, error)
        for question in (
            lambda tool: monitoring.set_events(tool, events.LINE),
            lambda tool: monitoring.set_local_events(tool, leaf.__code__, events.LINE),
        ):
            try:
                print(tool, question(tool))
            except ValueError as error:
                print(tool, error)
    if hasattr(monitoring, "_all_events"):
        print(monitoring._all_events())
    for function in (sys.setprofile, monitoring.get_tool, monitoring.use_tool_id):
        print(function, function.__doc__, function.__text_signature__, function.__self__)
        print(function.__module__, function.__qualname__)


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


def start_lines(tool, lines):
    """As coverage.py: the lines of each code object that is met, from its first start on."""

    def on_start(code, offset):
        if code.co_filename == __file__:
            monitoring.set_local_events(tool, code, events.PY_RETURN | events.LINE)
        return monitoring.DISABLE

    def on_line(code, line):
        lines.add((code.co_name, line - code.co_firstlineno))
        return monitoring.DISABLE

    def on_return(code, offset, value):
        lines.add((code.co_name, -1))
        return monitoring.DISABLE

    monitoring.use_tool_id(tool, "coverage")
    monitoring.register_callback(tool, events.PY_START, on_start)
    monitoring.register_callback(tool, events.LINE, on_line)
    monitoring.register_callback(tool, events.PY_RETURN, on_return)
    monitoring.set_events(tool, events.PY_START)
    monitoring.restart_events()


def stop_lines(tool):
    monitoring.set_events(tool, 0)
    for event in (events.PY_START, events.LINE, events.PY_RETURN):
        monitoring.register_callback(tool, event, None)
    monitoring.free_tool_id(tool)
    monitoring.restart_events()


def measure_lines(tool):
    lines = set()
    start_lines(tool, lines)
    thread = threading.Thread(target=work, args=(100,))
    thread.start()
    for value in range(5):
        branches(value)
        keep_at_work(0.02)
        deep(30)
    thread.join()
    stop_lines(tool)
    return sorted(row for row in lines if row[0] in ("branches", "work", "leaf", "deep"))


def run_sysmon():
    for _ in range(3):
        print(*measure_lines(1))


def run_sysmon_within():
    """Measures what measures; the inner one wants an id that a profiler may have."""
    lines = set()
    start_lines(1, lines)
    print(*measure_lines(4))
    print(*measure_lines(2))
    stop_lines(1)
    print(*sorted(lines))


def run_evaluator(path):
    """A frame evaluator of its own, PEP 523, as torch has one."""
    evaluator = ctypes.PyDLL(path)
    evaluator.evaluator_put()
    keep_at_work(0.1)
    before = evaluator.evaluator_count()
    print(work(100), deep(50))
    print(evaluator.evaluator_count() - before)
    evaluator.evaluator_take()
    work(100)


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
        monitoring.use_tool_id(tool, "theirs")
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
    globals()["run_" + sys.argv[1]](*sys.argv[2:])
    linger()
    if "perf" in sys._xoptions:
        os.unlink(f"/tmp/perf-{os.getpid()}.map")
    sys.exit(3)
