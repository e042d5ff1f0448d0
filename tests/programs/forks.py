"""A program that forks in every way: forks.py KIND [COUNT]. Says what came of it; a child ends by os._exit."""

import ctypes
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

from burn import burn, spin

COUNT = int(sys.argv[2]) if len(sys.argv) > 2 else 0


def leave(pid):
    _, status = os.waitpid(pid, 0)
    assert status == 0, status


def fork_once(work=lambda: None):
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    leave(pid)


def fork_often():
    """Children that end at once, and some that work; the parent works between them."""
    for i in range(COUNT):
        fork_once(spin if i % 16 == 0 else lambda: None)
        spin()


def kind_main():
    fork_often()
    burn(0.3)
    print("done", COUNT)


def kind_straight():
    """Children before Python has gone on in them: one looks for threads, one is in C for long."""
    pid = os.fork()
    if pid == 0:
        names = os.listdir("/proc/self/task")
        os._exit(len(names) - 1)
    leave(pid)
    pid = os.fork()
    if pid == 0:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 500000)
        os.write(1, b"%d %d\n" % (os.getpid(), time.process_time_ns()))
        os._exit(0)
    leave(pid)


def kind_exports():
    """As long as so many recordings of a second take."""
    end = time.monotonic() + COUNT + 0.5
    burn(0.3)
    while time.monotonic() < end:
        fork_once()
        spin()
    print("done", COUNT)


def kind_thread():
    """Beside threads that are sampled, are born and die meanwhile."""
    is_over = False

    def work():
        while not is_over:
            spin()

    def give_birth():
        while not is_over:
            thread = threading.Thread(target=spin)
            thread.start()
            thread.join()

    threads = [threading.Thread(target=target) for target in (work, give_birth)]
    for thread in threads:
        thread.start()
    forker = threading.Thread(target=fork_often)
    forker.start()
    forker.join()
    is_over = True
    for thread in threads:
        thread.join()
    burn(0.3)
    print("done", COUNT)


def kind_warned():
    """How often Python warns of a fork, by every function that does."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(COUNT):
            fork_once()
            pid, terminal = os.forkpty()
            if pid == 0:
                os._exit(0)
            leave(pid)
            os.close(terminal)
            subprocess.run(["true"], check=True, preexec_fn=lambda: None)
    burn(0.3)
    print("warnings", len(caught))


def kind_ways():
    """What a child sees of itself, by every way to start one."""
    look = [sys.executable, "-S", "-c", "import os; print(sorted(os.listdir('/proc/self/fd')))"]
    signal.signal(signal.SIGURG, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
    burn(0.1)
    pid, terminal = os.forkpty()
    if pid == 0:
        os.write(1, f"{os.isatty(0)} {signal.pthread_sigmask(signal.SIG_BLOCK, [])}\n".encode())
        os._exit(3)
    print(os.read(terminal, 1000), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.close(terminal)
    mask = ["grep", "SigBlk", "/proc/self/status"]
    ways = [{}, {"close_fds": False}, {"start_new_session": True}, {"preexec_fn": lambda: os.nice(1)}]
    if os.getuid() == 0:
        ways.append({"user": 0, "extra_groups": []})
    for way in ways:
        print(sorted(way), subprocess.run(mask, capture_output=True, check=True, **way).stdout)
        print(sorted(way), subprocess.run(look, capture_output=True, check=True, **way).stdout)
        try:
            subprocess.run(["/no/such/program"], check=True, **way)
        except OSError as error:
            print(sorted(way), error)
    subprocess._USE_VFORK = False
    print("fork", subprocess.run(mask, capture_output=True, check=True).stdout)
    pid = os.posix_spawn("/bin/true", ["true"], os.environ, setsigdef=[signal.SIGURG], setsigmask=[])
    leave(pid)
    burn(0.2)
    print("blocked", signal.pthread_sigmask(signal.SIG_BLOCK, []))


def kind_generations():
    """What each child does first is to fork; it goes on when its own is over."""
    generation = pid = 0
    while generation < COUNT and (pid := os.fork()) == 0:
        generation += 1
    burn(0.2)
    if generation < COUNT:
        leave(pid)
    print("generation", generation, flush=True)


def kind_sub_interpreter():
    """CPython ends such a child in os.fork, with some lines."""
    try:
        import _interpreters as interpreters

        made = interpreters.create("legacy")
    except ImportError:
        import _xxsubinterpreters as interpreters

        made = interpreters.create(isolated=False)
    errors = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    fork = "import os\npid = os.fork()\nif pid == 0:\n    os._exit(0)\nprint(os.waitpid(pid, 0)[1], flush=True)"
    for _ in range(COUNT):
        spin()
        interpreters.run_string(made, fork)
    os.dup2(errors, 2)
    interpreters.destroy(made)
    burn(0.3)


CLONE_VM, CLONE_FILES, CLONE_VFORK = 0x100, 0x400, 0x4000
LIBRARY = ctypes.PyDLL(None)
LIBRARY.syscall.restype = ctypes.c_long


def work_in_copy():
    """Code comes and goes, functions of C are called, threads are born."""
    for i in range(100):
        exec(compile(f"def f(x):\n    return len(str(x)) + {i}\nf(1)", "made", "exec"), {})
    spin()
    thread = threading.Thread(target=spin)
    thread.start()
    thread.join()


def kind_clone():
    """Past libc: no handler of pthread_atfork's, no hook of Python's. Python goes on in the copy."""
    clone = {"x86_64": (56, 0), "aarch64": (220, 0)}[os.uname().machine][0]
    burn(0.1)
    for _ in range(COUNT):
        pid = LIBRARY.syscall(clone, int(signal.SIGCHLD), None, None, None, None)
        if pid == 0:
            work_in_copy()
            os._exit(0)
        leave(pid)
        work_in_copy()
    burn(0.3)
    print("done", COUNT)


def others():
    return set(os.listdir("/proc/self/task")) - {str(os.getpid())}


def kind_clone_alone():
    """No thread that has been there before is there in any moment between."""
    calls = {"fork": (57,), "clone": (56, 17, None, None, None, None),
             "clone3": (435, (ctypes.c_uint64 * 8)(0, 0, 0, 0, 17), 64)}
    for name, call in calls.items():
        burn(0.1)
        before = others()
        pid = LIBRARY.syscall(*call)
        if pid == 0:
            os._exit(0)
        leave(pid)
        print(name, before & others())


def kind_clone_in_memory():
    """A process that shares our memory, on a stack of its own, ends; and so the program does not."""
    stack = ctypes.create_string_buffer(1 << 18)
    top = (ctypes.addressof(stack) + len(stack)) & ~15
    LIBRARY.clone.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    end = ctypes.cast(LIBRARY._exit, ctypes.c_void_p)
    codes = []
    for i in range(COUNT):
        burn(0.3 / COUNT)
        flags = (CLONE_VM, CLONE_VM | CLONE_FILES, CLONE_VM | CLONE_VFORK)[i % 3]
        pid = LIBRARY.clone(end, top, flags | signal.SIGCHLD, i % 100)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == i % 100)
    print("done", all(codes), len(codes))


def tried(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return os.strerror(error.errno)


def kind_namespaces():
    """What a process of one thread may do, while it is sampled."""
    burn(0.1)
    outcomes = set()
    for _ in range(COUNT):
        spin()
        descriptor = os.open("/proc/self/ns/uts", os.O_RDONLY)
        for call in (os.unshare, os.CLONE_FILES), (os.setns, descriptor, os.CLONE_NEWUTS), (os.setns, 0):
            outcomes.add((call[0].__name__, tried(*call)))
        os.close(descriptor)
    pid = os.fork()
    if pid == 0:
        print("a user namespace", tried(os.unshare, os.CLONE_NEWUSER), flush=True)
        os._exit(0)
    leave(pid)
    burn(0.2)
    print(sorted(outcomes, key=str))


def kind_first_process():
    """Number 1 of a pid namespace; its child is number 1 of the next one."""
    burn(0.2)
    outcome = tried(os.unshare, os.CLONE_NEWPID)
    print("unshare", outcome, flush=True)
    pid = os.fork()
    if pid == 0:
        burn(0.2)
        print("child", os.getpid(), tried(os.unshare, os.CLONE_NEWPID), flush=True)
        pid = os.fork()
        if pid == 0:
            print("child", os.getpid(), flush=True)
            burn(0.2)
            return
    print("ended", os.waitpid(pid, 0)[1], flush=True)


def worker():
    """Even ones end when they are told to, the others by the signal."""
    if os.getpid() % 2 == 0:
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    burn(0.2)
    os.write(READY[1], b".")
    while True:
        signal.pause()


def start_workers(count):
    pids = []
    for _ in range(count):
        pids.append(os.fork())
        if pids[-1] == 0:
            worker()
    while count:
        count -= len(os.read(READY[0], count))
    return pids


def end_workers(pids, how):
    for pid in pids:
        os.kill(pid, how)
        os.waitpid(pid, 0)
        print("child", pid, flush=True)


def kind_server():
    """A server and its workers: some are killed, some told to end; each is started again."""
    global READY
    READY = os.pipe()
    workers = start_workers(COUNT)
    end_workers(workers[: COUNT // 4], signal.SIGKILL)
    end_workers(workers[COUNT // 4 : COUNT // 2], signal.SIGTERM)
    workers[: COUNT // 2] = start_workers(COUNT // 2)
    end_workers(workers, signal.SIGTERM)
    burn(0.3)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
