"""A program where little is to be had, or not what is usual: surroundings.py KIND [argument...]."""

import errno
import os
import shutil
import sys
import threading

from limits import burn, spin


def run_threads(count, seconds):
    """So many threads at once; each uses so much."""
    threads = [threading.Thread(target=burn, args=(seconds,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def descend(depth):
    """So many frames of Python, and as many of C between them."""
    return sorted([depth, 0], key=lambda item: descend(item - 1) if item else 0)[0] if depth else 0


def open_all():
    """As many descriptors as it may have."""
    files = []
    try:
        while True:
            files.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE, error
    return files


def close_all(files):
    for descriptor in files:
        os.close(descriptor)


def kind_burn():
    burn(0.3)
    print("done")


def kind_threads():
    run_threads(8, 0.05)
    print("done")


def kind_small_stacks():
    """The limit of the main thread's is the caller's."""
    threading.stack_size(64 << 10)
    deep = []

    def work():
        for _ in range(10):
            deep.append(descend(3))
            burn(0.005)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deep.append(descend(20))
    burn(0.02)
    print(len(deep), set(deep))


def kind_few_descriptors():
    """All of them in use while 30 threads run; then all of them once more."""
    files = open_all()
    run_threads(30, 0.03)
    for descriptor in files:
        os.fstat(descriptor)
    close_all(files)
    run_threads(4, 0.01)
    again = open_all()
    run_threads(4, 0.01)
    close_all(again)
    print(files, again)


def kind_no_more_descriptors():
    """As those do that have all that they need, and are to get no more."""
    import resource
    burn(0.1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    burn(0.2)
    os.write(1, b"done\n")


def kind_memory():
    """24 MB, in use."""
    kept = bytearray(b"1") * (24 << 20)
    burn(0.3)
    print("done", len(kept))


def kind_too_much_memory():
    burn(0.3)
    kept = []
    while True:
        kept.append(bytearray(b"1") * (1 << 20))


def kind_few_processes():
    """A child has the place that is left, until it ends."""
    burn(0.2)
    for _ in range(2):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
        os.close(reader)
        burn(0.2)
        os.close(writer)
        os.waitpid(pid, 0)
    print("done")


def kind_set_id():
    """surroundings.py set_id MODE PROGRAM COPY: goes on as a copy of this Python of that mode, nobody's."""
    mode, program, copy = sys.argv[2:5]
    shutil.copyfile(sys.executable, copy)
    os.chown(copy, 65534, 65534)
    os.chmod(copy, int(mode, 8))
    os.environ["PYTHONHOME"] = sys.base_prefix
    os.environ.pop("MONPROF")
    os.execv(copy, [sys.executable, program])


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
