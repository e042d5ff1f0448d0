"""A single-threaded program that forks, with an after-fork hook in Python: how often it is warned."""
import os
import time
import warnings

threads = set()


def hook():
    for _ in range(2000):
        pass
    threads.add(len(os.listdir("/proc/self/task")))


os.register_at_fork(after_in_parent=hook)
warned = 0
for _ in range(50):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        child = os.fork()
        if child == 0:
            os._exit(0)
        warned += len(caught)
    os.waitpid(child, 0)
print("warnings", warned, "threads in the hook", sorted(threads))
start = time.process_time()
while time.process_time() - start < 0.1:
    sum(range(1000))
