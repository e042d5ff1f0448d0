"""Four threads that work for so many seconds: memory.py SECONDS. Their own memory stays as it is; prints the
process's resident set and its maximum in KiB, at the end of the work."""

import json
import re
import sys
import threading
import time

DOCUMENT = {f"key {i}": [i, str(i), {"x": i / 3}] for i in range(50)}


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def work(end):
    while time.monotonic() < end:
        json.loads(json.dumps(DOCUMENT, indent=1))
        re.sub(r"(\d+)", lambda match: match.group(1) * 2, "a1 b22 c333 " * 20)
        fib(10)


def resident(name):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name + ":"):
                return int(line.split()[1])


if __name__ == "__main__":
    end = time.monotonic() + float(sys.argv[1])
    threads = [threading.Thread(target=work, args=(end,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(resident("VmRSS"), resident("VmHWM"))
