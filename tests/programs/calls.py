"""System calls that a signal could cut short, made past Python's own retries: calls.py. Prints how
many were, per call; each is made right after some work, so that a tick is due."""

import ctypes
import os
import socket
import sys
import threading
import time

from burn import burn, spin

libc = ctypes.CDLL(None, use_errno=True)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("ns", ctypes.c_long)]


class Pollfd(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


left, right = socket.socketpair()
epoll = libc.epoll_create1(0)
fd = Pollfd(left.fileno(), 1, 0)
room = ctypes.create_string_buffer(64)
timeval = Timespec(0, 1000)
left.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"\0" * 8 + (1000).to_bytes(8, "little"))

CALLS = {
    "nanosleep": lambda: libc.nanosleep(ctypes.byref(Timespec(0, 1000000)), None),
    "poll": lambda: libc.poll(ctypes.byref(fd), 1, 1),
    "select": lambda: libc.select(0, None, None, None, ctypes.byref(Timespec(0, 1000))),
    "epoll_wait": lambda: libc.epoll_wait(epoll, room, 1, 1),
    "recv": lambda: libc.recv(left.fileno(), room, 1, 0),
}
EINTR = 4


def work(ms):
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        spin()


def cut_short(call):
    cut = 0
    for _ in range(60):
        work(1)
        if call() < 0 and ctypes.get_errno() == EINTR:
            cut += 1
    return cut


if __name__ == "__main__":
    threading.Thread(target=burn, args=(1000,), daemon=True).start()
    for name, call in CALLS.items():
        print(name, cut_short(call))
    start = time.monotonic()
    time.sleep(0.2)
    print("slept", time.monotonic() - start >= 0.2)
    sys.stdout.flush()
    os._exit(0)
