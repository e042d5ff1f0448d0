"""Use so much CPU: accounted.py busy THREADS SECONDS, or accounted.py short MILLISECONDS SECONDS (that much in
threads of so many milliseconds each). Prints the CPU time that the process used in ns, all threads."""

import sys
import threading
import time


def spin(n):
    total = 0
    for i in range(n):
        total += i * i
    return total


def use_cpu(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        spin(500)


def busy(count, seconds):
    threads = [threading.Thread(target=use_cpu, args=(seconds / count,)) for _ in range(count - 1)]
    for thread in threads:
        thread.start()
    use_cpu(seconds / count)
    for thread in threads:
        thread.join()


def short(milliseconds, seconds):
    for _ in range(int(seconds * 1000 / milliseconds)):
        thread = threading.Thread(target=use_cpu, args=(milliseconds / 1000,))
        thread.start()
        thread.join()


if __name__ == "__main__":
    begin = time.process_time_ns()
    if sys.argv[1] == "busy":
        busy(int(sys.argv[2]), float(sys.argv[3]))
    else:
        short(float(sys.argv[2]), float(sys.argv[3]))
    print(time.process_time_ns() - begin)
