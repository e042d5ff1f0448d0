"""Forks whose call is not over for long, or never: fork_ends.py KIND. Whoever imports threading has other children."""

import functools
import os
import sys


def exit_python():
    import ctypes

    return functools.partial(ctypes.pythonapi.Py_Exit, 7)


def count():
    for i in range(20000):
        pass


def work(additions):
    return functools.partial(sum, range(additions))


def kind_python_ends_in_c():
    """The child is finalized where it was forked."""
    os.register_at_fork(after_in_child=exit_python())


def kind_python_ends_in_a_hook():
    end = exit_python()
    os.register_at_fork(after_in_child=lambda: end())


def kind_parent_ends_in_a_hook():
    end = exit_python()
    pid = os.fork()
    if pid == 0:
        os.register_at_fork(after_in_parent=lambda: end())
        if os.fork() == 0:
            os._exit(0)
    print("parent", os.waitpid(pid, 0)[1])


def kind_hooks_take_long():
    os.register_at_fork(after_in_parent=count, after_in_child=count)


def kind_ends_at_once():
    """After C code that is sampled some times."""
    os.register_at_fork(after_in_child=work(1000000))
    os.register_at_fork(after_in_child=functools.partial(os._exit, 3))


def kind_ends_after_long():
    os.register_at_fork(after_in_child=work(30000000))
    os.register_at_fork(after_in_child=functools.partial(os._exit, 3))


def kind_goes_nowhere():
    """Python goes on where it was first seen, and nowhere else."""
    for pid in iter(os.fork, None):
        if pid:
            break
        while sys.argv.append(None) or len(sys.argv) < 200000:
            pass
        os._exit(4)
    print("child", os.waitpid(pid, 0)[1])


globals()["kind_" + sys.argv[1]]()
pid = os.fork()
if pid == 0:
    os._exit(0)
print("child", os.waitpid(pid, 0)[1])
