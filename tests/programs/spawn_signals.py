"""What programs inherit of a signal that is ignored and blocked, by every way to start one."""
import ctypes
import os
import signal
import subprocess
import time

libc = ctypes.CDLL(None)
libc.popen.restype = ctypes.c_void_p
libc.pclose.argtypes = [ctypes.c_void_p]


def shells(state):
    """By a shell of libc's own: what it spawns is no call of ours to see."""
    command = f"echo {state}: $(grep -E 'SigIgn|SigBlk' /proc/self/status)"
    os.system(command)
    libc.pclose(libc.popen(command.encode(), b"w"))


shells("as it was")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
shells("blocked")
signal.signal(signal.SIGURG, signal.SIG_IGN)
shells("blocked and ignored")
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGURG])
shells("ignored")
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
start = time.process_time()
while time.process_time() - start < 0.1:
    sum(range(1000))
command = ["/bin/grep", r"SigIgn\|SigBlk", "/proc/self/status"]
print(subprocess.run(command, capture_output=True, text=True).stdout)
for spawned in (os.posix_spawn(command[0], command, os.environ), os.fork()):
    if spawned == 0:
        os.execv(command[0], command)
    os.waitpid(spawned, 0)
