"""Works until somebody kills it, and tells what must be on disk by then: killed.py [THREADS].

Prints how many milliseconds of CPU time main has used in work(). A flush takes all that was used when the one before it was not
over; so what had been used when a growth of the recording was not there yet is on disk two flushes later.
A flush may be seen to grow the file several times, page by page.
"""

import os
import sys
import threading
import time

from burn import spin

LATER = 6  # growths, of 50 ms and fewer than three pages each


def recorded():
    return sum(entry.stat().st_size for entry in os.scandir(".") if entry.name.endswith(".monprof"))


def forever():
    while True:
        spin()


def work():
    begun = before = time.thread_time()
    size, waiting = 0, []
    while True:
        spin()
        now = recorded()
        if now > size:
            waiting.append(round((before - begun) * 1000))
            size = now
            if len(waiting) > LATER:
                print(waiting.pop(0), flush=True)
        before = time.thread_time()


if __name__ == "__main__":
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        threading.Thread(target=forever, daemon=True).start()
    work()
