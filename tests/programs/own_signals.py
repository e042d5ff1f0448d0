"""own_signals.py KIND [LIBRARY]: a program that uses signals, beside a thread that is busy all the time."""

import ctypes
import select
import signal
import sys
import threading
import time

from burn import burn


def born_blocked():
    """Threads that were born with everything blocked are sampled as others are."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    threads = [threading.Thread(target=burn, args=(0.15,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(signal.pthread_sigmask(signal.SIG_SETMASK, [])))


def cancelled():
    """What is left of our signal when a thread has been cancelled in the middle of system(3)."""
    ctypes.CDLL(sys.argv[2]).cancelled()


def stopped():
    """Stopped and continued from outside, again and again, until another signal comes."""
    came = []
    signal.signal(signal.SIGUSR2, lambda signo, frame: came.append(signo))
    print("ready", flush=True)
    while not came:
        burn(0.02)
        time.sleep(0.01)
        select.select([], [], [], 0.01)
    print(came)


if sys.argv[1] in globals():
    globals()[sys.argv[1]]()
    burn(0.3)
else:
    busy = threading.Thread(target=burn, args=(0.3,))
    # What is queued is main's alone: two threads would take it in no order.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGRTMIN + 1})
    busy.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGRTMIN + 1})
    getattr(ctypes.CDLL(sys.argv[2]), sys.argv[1])()
    busy.join()
