"""The programs whose slowdown is measured: workloads.py NAME.

Says "ready"; then for each line with a number does its piece of work so many times and answers with the
wall and the CPU time of that in ns. Ends with its standard input.
"""

import asyncio
import concurrent.futures
import copy
import json
import re
import sys
import time


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def call_heavy():
    fib(16)


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y


def allocation_heavy():
    points = [Point(i, str(i)) for i in range(1500)]
    table = {point.y: [point.x, (point.x, point)] for point in points}
    return len(table)


DOCUMENT = [
    {"id": i, "name": f"name {i}", "tags": ["a", "b", "c"], "value": i / 7, "none": None, "text": "x" * (i % 50)}
    for i in range(100)
]


def json_both_ways():
    text = json.dumps(DOCUMENT, indent=1)
    return json.loads(text)


LOG = "\n".join(f"2026-01-{i % 28 + 1:02} host{i} worker[{i}]: GET /path/{i}?q={i} 200 {i * 37} ms" for i in range(60))
PATTERN = re.compile(r"^(\d+)-(\d+)-(\d+) (\w+) (\w+)\[(\d+)\]: (\w+) (\S+) (\d+) (\d+) ms$", re.MULTILINE)


def regex():
    found = sum(int(match.group(10)) for match in PATTERN.finditer(LOG))
    return found, re.sub(r"host(\d+)", lambda match: match.group(1), LOG)


async def echo(queue, answers):
    while (item := await queue.get()) is not None:
        await asyncio.sleep(0)
        await answers.put(item)


async def conversation():
    queue, answers = asyncio.Queue(4), asyncio.Queue()
    server = asyncio.create_task(echo(queue, answers))
    for i in range(15):
        await queue.put(i)
        await asyncio.sleep(0)
    await queue.put(None)
    await server


async def conversations():
    await asyncio.gather(*(conversation() for _ in range(4)))


def asyncio_tasks():
    LOOP.run_until_complete(conversations())


TREE = {i: [{"key": (i, j), "list": list(range(5))} for j in range(5)] for i in range(8)}


def deepcopy():
    copy.deepcopy(TREE)


def thread_piece(n):
    total = 0
    for i in range(n):
        total += len(str(i)) * i
    return total


def eight_threads():
    list(POOL.map(thread_piece, [2000] * 8))


PIECES = {
    "call-heavy": call_heavy,
    "allocation-heavy": allocation_heavy,
    "json": json_both_ways,
    "regex": regex,
    "asyncio": asyncio_tasks,
    "deepcopy": deepcopy,
    "8-threads": eight_threads,
}


def repeat(piece, times):
    wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(times):
        piece()
    return time.perf_counter_ns() - wall_ns, time.process_time_ns() - cpu_ns


def main():
    piece = PIECES[sys.argv[1]]
    repeat(piece, 20)
    print("ready", flush=True)
    for line in sys.stdin:
        print(*repeat(piece, int(line)), flush=True)
    POOL.shutdown()
    print(time.process_time_ns(), flush=True)


if __name__ == "__main__":
    LOOP = asyncio.new_event_loop()
    POOL = concurrent.futures.ThreadPoolExecutor(8)
    main()
    LOOP.close()
