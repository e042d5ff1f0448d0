"""Child processes of every kind: children.py KIND. Prints "child PID" for each that uses the CPU."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
import time

from burn import burn, spin

ME = os.path.abspath(__file__)


def parent_work():
    burn(0.4)


def child_work():
    print("child", os.getpid(), flush=True)
    burn(0.4)


def leave(pid):
    """In the child: end as it likes. In the parent: wait."""
    _, status = os.waitpid(pid, 0)
    assert status == 0, status


def kind_fork():
    parent_work()
    pid = os.fork()
    if pid == 0:
        child_work()
        return
    leave(pid)
    burn(0.1)


def kind_fork_fast_exit():
    parent_work()
    pid = os.fork()
    if pid == 0:
        child_work()
        os._exit(0)
    leave(pid)


def kind_fork_of_fork():
    """A child's child, each with work of its own."""
    parent_work()
    pid = os.fork()
    if pid == 0:
        child_work()
        pid = os.fork()
        if pid == 0:
            child_work()
            return
    leave(pid)


def kind_fork_in_thread():
    import threading

    parent_work()
    thread = threading.Thread(target=kind_fork_fast_exit)
    thread.start()
    thread.join()


def kind_fork_exec():
    parent_work()
    pid = os.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, ME, "only_work"])
    leave(pid)


def kind_only_work():
    child_work()


def kind_subprocess():
    parent_work()
    subprocess.run([sys.executable, ME, "only_work"], check=True)


def kind_preexec():
    parent_work()
    subprocess.run([sys.executable, ME, "only_work"], check=True, preexec_fn=lambda: os.nice(1))


def kind_spawn_posix():
    parent_work()
    leave(os.posix_spawn(sys.executable, [sys.executable, ME, "only_work"], os.environ))


def kind_system():
    parent_work()
    assert os.system("true; exit 0") == 0
    subprocess.run("true | cat", shell=True, check=True)


def kind_daemon_by_libc():
    parent_work()
    ctypes.CDLL(None).daemon(1, 1)
    os._exit(0)


def kind_python_by_shell():
    parent_work()
    assert os.system(f"{sys.executable} {ME} only_work") == 0


def context(method):
    parent_work()
    these = multiprocessing.get_context(method)
    processes = [these.Process(target=child_work) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0, process.exitcode


def kind_mp_fork():
    context("fork")


def kind_mp_spawn():
    context("spawn")


def kind_mp_forkserver():
    context("forkserver")


def pool_work(_):
    child_work()
    return os.getpid()


def kind_pool():
    parent_work()
    pool = multiprocessing.get_context("fork").Pool(2)
    pool.map(pool_work, range(4), chunksize=1)
    pool.close()
    pool.join()


def kind_executor():
    from concurrent.futures import ProcessPoolExecutor

    parent_work()
    with ProcessPoolExecutor(2) as executor:
        list(executor.map(pool_work, range(2)))


def kind_fork_loop():
    """Fifty forks of a process of one thread; under -W error a warning about threads would raise."""
    for _ in range(50):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        leave(pid)
        spin()
    burn(0.4)


def kind_daemon():
    """Forked twice, nothing kept: session, directory and descriptors are given up."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    child_work()
    os.chdir("/")
    os.closerange(0, 1000)
    burn(0.4)


def kind_killed_child():
    """It ends by a signal, the parent goes on."""
    import signal

    pid = os.fork()
    if pid == 0:
        child_work()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    parent_work()


def kind_last_thread_returns():
    """The child's one thread is no main thread: when its function returns, the process is over."""
    import threading

    def work():
        pid = os.fork()
        if pid == 0:
            child_work()
        else:
            leave(pid)

    parent_work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def kind_change_user():
    """The C library asks every thread of the process to change with it."""
    parent_work()
    pid = os.fork()
    if pid == 0:
        child_work()
        os.setresgid(*os.getresgid())
        return
    leave(pid)
    time.sleep(0.05)
    for _ in range(20):
        os.setresgid(*os.getresgid())
        os.setresuid(*os.getresuid())
        burn(0.01)


if __name__ == "__main__":
    globals()["kind_" + sys.argv[1]]()
