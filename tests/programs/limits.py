"""A program under limits and filters, or that sets some itself: limits.py KIND [argument]."""

import ctypes
import os
import resource
import signal
import sys
import threading

libc = ctypes.PyDLL(None, use_errno=True)

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_STRICT, SECCOMP_MODE_FILTER = 1, 2
SECCOMP_SET_MODE_STRICT, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 0, 1, 1
KILL_PROCESS, EPERM, ALLOW = 0x80000000, 0x00050001, 0x7FFF0000
SYS_EXIT, SYS_SECCOMP, SYS_CLONE3 = 60, 317, 435

# What Python itself does without once it runs: calls of x86-64 by number.
OF_TIMERS = [222, 223, 226, 228]  # timer_create, timer_settime, timer_delete, clock_gettime
OF_OTHERS = [310, 298, 434, 438, 436]  # process_vm_readv, perf_event_open, pidfd_open, pidfd_getfd, close_range
OF_FILES = [18, 77, 86, 87, 217]  # pwrite64, ftruncate, link, unlink, getdents64
OF_THREADS = [234, 24, 297, 39]  # tgkill, sched_yield, rt_tgsigqueueinfo, getpid


def spin():
    for _ in range(20000):
        pass


def burn(seconds):
    """Until this thread has used so much more; no clock that anybody fakes or refuses."""

    def used():
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        return usage.ru_utime + usage.ru_stime

    end = used() + seconds
    while used() < end:
        spin()


def set_filter(how, action, numbers):
    """What these calls get from now on; all others are allowed."""

    class Instruction(ctypes.Structure):
        _fields_ = [("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte),
                    ("k", ctypes.c_uint)]

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.POINTER(Instruction))]

    code = [Instruction(0x20, 0, 0, 0)]
    code += [Instruction(0x15, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    code += [Instruction(0x06, 0, 0, ALLOW), Instruction(0x06, 0, 0, action)]
    program = Program(len(code), (Instruction * len(code))(*code))
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if how == "prctl":
        result = libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    else:
        result = libc.syscall(SYS_SECCOMP, SECCOMP_SET_MODE_FILTER,
                              SECCOMP_FILTER_FLAG_TSYNC if how == "tsync" else 0,
                              ctypes.byref(program))
    assert result == 0, os.strerror(ctypes.get_errno())


def kind_burn():
    burn(0.2)
    print("done")


def kind_filter_kills():
    """limits.py filter_kills HOW: whoever makes one of these calls kills the process."""
    burn(0.2)
    set_filter(sys.argv[2], KILL_PROCESS, OF_TIMERS + OF_OTHERS + OF_FILES + OF_THREADS)
    done = []

    def count(number):
        for _ in range(20):
            spin()
        exec("def made(): return 1\nmade()")
        done.append(number)

    threads = [threading.Thread(target=count, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The kernel's own way to fork.
    pid = libc.syscall(SYS_CLONE3, (ctypes.c_uint64 * 8)(0, 0, 0, 0, signal.SIGCHLD), 64)
    if pid == 0:
        os._exit(0)
    print(sorted(done), pid < 0 or os.waitpid(pid, 0)[1] == 0, flush=True)


def kind_filter_refuses():
    """limits.py filter_refuses HOW: what nobody misses."""
    burn(0.1)
    set_filter(sys.argv[2], EPERM, OF_OTHERS)
    burn(0.1)
    print("done")


def kind_filter_refuses_all():
    burn(0.1)
    set_filter("tsync", EPERM, OF_TIMERS[:3] + OF_OTHERS + OF_FILES + OF_THREADS[1:3])
    burn(0.1)
    print("done")


def kind_filter_asked_for():
    """As libraries do that want to know what the kernel has: nothing is set."""
    burn(0.1)
    for operation, flags in (SECCOMP_SET_MODE_STRICT, 1), (SECCOMP_SET_MODE_FILTER, 1):
        ctypes.set_errno(0)
        print(libc.syscall(SYS_SECCOMP, operation, flags, None), ctypes.get_errno())
    burn(0.1)


def kind_strict():
    """Children in strict mode: one ends itself, one is killed for a call."""
    for ending in "exit", "killed":
        child = os.fork()
        if child == 0:
            burn(0.2)
            libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0)
            for _ in range(20):
                spin()
            os.write(1, ending.encode() + b"\n")
            if ending == "exit":
                libc.syscall(SYS_EXIT, 3)
            os.getppid()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def kind_address_space():
    """What it took at most; code objects that die give their names away."""
    for _ in range(100):
        exec("def made(): return 1\nmade()")
    burn(0.1)
    with open("/proc/self/status") as status:
        print(int(status.read().split("VmPeak:")[1].split()[0]) << 10)


def kind_few_timers():
    """Three quarters of what the user may have are the program's: its timers, its queued signals."""
    threads = [threading.Thread(target=burn, args=(0.1,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    made = 0
    while made < 7 and libc.timer_create(1, None, ctypes.byref(ctypes.c_void_p())) == 0:
        made += 1
    for thread in threads:
        thread.join()
    print(made)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
