"""CPU time in so many threads: account.py THREADS SECONDS. Prints what the process used in all."""

import sys
import threading
import time

from burn import burn


def work(seconds):
    burn(seconds / 2)
    end = time.thread_time() + seconds / 2
    while time.thread_time() < end:
        sorted(range(20000), key=str)
        bytes(1000000)


if __name__ == "__main__":
    count, seconds = int(sys.argv[1]), float(sys.argv[2])
    threads = [threading.Thread(target=work, args=(seconds / count,)) for _ in range(count - 1)]
    for thread in threads:
        thread.start()
    work(seconds / count)
    for thread in threads:
        thread.join()
    print(time.process_time())
