"""Uses SIGURG in every way that Python offers, and prints what it sees: the same with and without us.

Some CPU time is burnt between the steps, so that ticks fall into them."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

URG = signal.SIGURG
seen = []


def burn(seconds=0.02):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(200))


def say(*what):
    burn()
    print(*what, flush=True)


def names(signals):
    return sorted(int(signo) for signo in signals)


def handler(signo, frame):
    seen.append(signo)


def took():
    # The interpreter calls handlers between instructions: give it some.
    burn(0.005)
    count = len(seen)
    seen.clear()
    return count


def dispositions():
    say("first", signal.getsignal(URG))
    say("set", signal.signal(URG, handler))
    say("read", signal.getsignal(URG) is handler)
    os.kill(os.getpid(), URG)
    say("kill", took())
    signal.raise_signal(URG)
    say("raise", took())
    signal.pthread_kill(threading.get_ident(), URG)
    say("pthread_kill", took())
    say("ignore", signal.signal(URG, signal.SIG_IGN) is handler)
    os.kill(os.getpid(), URG)
    say("ignored", took())
    say("back", signal.signal(URG, handler))
    signal.siginterrupt(URG, False)
    os.kill(os.getpid(), URG)
    say("restarting", took())
    signal.signal(URG, handler)


def masks():
    say("mask", names(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    say("block", names(signal.pthread_sigmask(signal.SIG_BLOCK, [URG, signal.SIGUSR1])))
    say("mask", names(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    signal.raise_signal(URG)
    say("blocked", took(), "pending", names(signal.sigpending()))
    say("unblock", names(signal.pthread_sigmask(signal.SIG_UNBLOCK, [URG])))
    say("unblocked", took(), "pending", names(signal.sigpending()))
    everything = signal.valid_signals()
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    os.kill(os.getpid(), URG)
    say("all blocked", took(), "pending", names(signal.sigpending()))
    say("all", len(signal.pthread_sigmask(signal.SIG_SETMASK, [])))
    say("none", took(), "pending", names(signal.sigpending()))


def waits():
    signal.pthread_sigmask(signal.SIG_BLOCK, [URG])
    say("nothing", signal.sigtimedwait([URG], 0), signal.sigtimedwait([URG], 0.05))
    os.kill(os.getpid(), URG)
    info = signal.sigwaitinfo([URG])
    say("info", info.si_signo, info.si_code, info.si_pid == os.getpid())
    signal.raise_signal(URG)
    say("sigwait", int(signal.sigwait([URG, signal.SIGUSR2])))
    say("handled", took())

    # One thread takes what is sent to a process that has everything blocked.
    everything = signal.valid_signals()
    old = signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    taken = []

    def take():
        for _ in range(3):
            taken.append(int(signal.sigwait(everything)))
            ready.release()

    ready = threading.Semaphore(0)
    thread = threading.Thread(target=take)
    thread.start()
    for signo in (URG, signal.SIGTERM, URG):
        burn(0.03)
        os.kill(os.getpid(), signo)
        ready.acquire()
    thread.join()
    signal.pthread_sigmask(signal.SIG_SETMASK, old)
    say("thread took", taken)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [URG])
    say("handled", took())


def wakeups():
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    say("wakeup fd", signal.set_wakeup_fd(writer.fileno()))
    for _ in range(3):
        signal.raise_signal(URG)
        burn()
    say("bytes", list(reader.recv(100)), took())
    say("wakeup fd back", signal.set_wakeup_fd(-1) == writer.fileno())
    reader.close()
    writer.close()


async def loop():
    event_loop = asyncio.get_running_loop()
    came = asyncio.Event()
    event_loop.add_signal_handler(URG, came.set)
    for _ in range(3):
        os.kill(os.getpid(), URG)
        await came.wait()
        came.clear()
        burn()
    say("removed", event_loop.remove_signal_handler(URG))
    say("after asyncio", signal.getsignal(URG))


def interrupted():
    # A system call that a handler of the program cuts short: the handler's exception ends it.
    class Enough(Exception):
        pass

    is_waiting = False

    def raising(signo, frame):
        # Another one may have been sent before the thread hears that it was enough.
        nonlocal is_waiting
        was_waiting, is_waiting = is_waiting, False
        if was_waiting:
            raise Enough(signo)

    signal.signal(URG, raising)
    reader, writer = os.pipe()
    main = threading.get_ident()
    done = threading.Event()

    def interrupt():
        # Until it has hit the read: nobody can know when that has begun.
        while not done.wait(0.05):
            signal.pthread_kill(main, URG)

    for name, wait in (
        ("read", lambda: os.read(reader, 1)),
        ("select", lambda: select.select([reader], [], [])),
        ("sleep", lambda: time.sleep(60)),
    ):
        done.clear()
        is_waiting = True
        thread = threading.Thread(target=interrupt)
        try:
            try:
                thread.start()
                wait()
            finally:
                done.set()
                thread.join()
        except Enough as error:
            say(name, "ended by", error)
    signal.signal(URG, handler)


def others():
    # Another signal, again and again, among ours.
    alarms = []
    signal.signal(signal.SIGVTALRM, lambda signo, frame: alarms.append(signo))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.01, 0.01)
    while len(alarms) < 10:
        burn(0.01)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    say("alarms", signal.getsignal(signal.SIGVTALRM) is not None)

    # Out-of-band data: the kernel's own use of the signal.
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    peer, _ = server.accept()
    import fcntl

    fcntl.fcntl(peer, fcntl.F_SETOWN, os.getpid())
    client.send(b"!", socket.MSG_OOB)
    while not seen:
        burn(0.01)
    say("out of band", took(), peer.recv(1, socket.MSG_OOB))
    for each in (peer, client, server):
        each.close()


STATUS = "[print(line.strip()) for line in open('/proc/self/status') if line[:6] in ('SigPnd', 'SigBlk', 'SigIgn')]"


def children():
    def status(where):
        text = subprocess.run([sys.executable, "-S", "-E", "-c", STATUS], env={"MONPROF": "off"},
                              capture_output=True, text=True).stdout
        say(where, *text.split())

    status("handled")
    signal.signal(URG, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, [URG])
    status("blocked")
    child = os.fork()
    if child == 0:
        mask = names(signal.pthread_sigmask(signal.SIG_BLOCK, []))
        signal.raise_signal(URG)
        print("forked", mask, names(signal.sigpending()), signal.getsignal(URG), flush=True)
        os._exit(7)
    say("child", os.waitpid(child, 0)[1])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [URG])
    status("unblocked")
    say("at the end", names(signal.pthread_sigmask(signal.SIG_BLOCK, [])), signal.getsignal(URG))


for step in (dispositions, masks, waits, wakeups):
    step()
asyncio.run(loop())
signal.signal(URG, handler)
interrupted()
others()
children()
