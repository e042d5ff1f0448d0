"""The main thread leaves by pthread_exit; the process ends when its last thread returns."""
import _thread
import ctypes
import time


def worker():
    start = time.thread_time()
    while time.thread_time() - start < 1.5:
        sum(range(1000))
    print("worker is done", flush=True)


_thread.start_new_thread(worker, ())
# A function of C that is called without the GIL, which stays free for the worker.
ctypes.CDLL(None).pthread_exit(None)
